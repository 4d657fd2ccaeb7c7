from pathlib import Path

import pytest

from common.errors import InputError
from common.report.run_log import read_log

LOG = """\
11:43:50 INFO engine: openvino, device: Intel(R) Xeon(R), 2 GHz (2 cores), precision: float32, version: 2026.4
11:44:58 INFO done: 73.1 s, peak memory 540 MiB, /output/images/mask/case.mha
case        Dice  FP ml
"""
LEFT_OUT = "the time limit left out work: 1 of 5 folds saw every tile; 20% of the work in 14 min 1 s"


def test_the_last_word_of_a_run_counts(tmp_path: Path) -> None:
    log, warnings = tmp_path / "log.txt", tmp_path / "warnings.txt"
    log.write_text(LOG + LOG.replace("openvino", "cpu"))
    warnings.write_text(f"11:44:00 WARNING no clicks\nnot a line of the log\n11:44:58 WARNING {LEFT_OUT}\n")
    run = read_log([log, warnings])
    assert run.facts == {
        "engine": "cpu",
        "device": "Intel(R) Xeon(R), 2 GHz (2 cores)",
        "precision": "float32",
        "seconds": "73.1",
        "peak memory": "540 MiB",
        "left out": "1 of 5 folds saw every tile; 20% of the work in 14 min 1 s",
    }
    assert run.warnings == ("no clicks", LEFT_OUT)


def test_a_log_that_is_no_log_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(range(256)))
    assert read_log([tmp_path / "log"]).facts == {}


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the file that a run's log went to"):
        read_log([tmp_path / "log"])
