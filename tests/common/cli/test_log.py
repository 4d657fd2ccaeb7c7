import subprocess
import sys

import pytest

LINES = """
import logging
from common.cli.log import log_to_standard_streams
log_to_standard_streams()
logger = logging.getLogger("petct")
logger.debug("a detail")
logger.info("news of %s", "\\udcff.mha \\u00d7")
logger.warning("a warning")
logger.error("an error")
"""


@pytest.fixture(scope="module")
def streams():
    """stdout and stderr, as lines, of a process whose streams take Latin-1 alone."""
    command = [sys.executable, "-c", LINES]
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.run(command, capture_output=True, check=True, env=environment)
    return [stream.decode("latin-1").splitlines() for stream in (process.stdout, process.stderr)]


def test_news_is_on_stdout_and_details_are_nowhere(streams):
    (line,) = streams[0]
    assert " INFO news of " in line


def test_warnings_and_errors_are_on_stderr(streams):
    assert [line.split(" ", 1)[1] for line in streams[1]] == ["WARNING a warning", "ERROR an error"]


def test_name_that_the_stream_cannot_show_is_escaped(streams):
    assert streams[0][0].endswith("\\udcff.mha ×")


def test_line_is_there_as_soon_as_it_is_logged():
    code = f"{LINES}\nimport os\nos._exit(0)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "news of" in process.stdout
    assert "an error" in process.stderr
