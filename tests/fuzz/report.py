"""Write `docs/reliability.md` from `record.json`: PYTHONPATH=. .venv/bin/python -m tests.fuzz.report"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tests.fuzz.record import Kills, Record, Run, read_record
from tests.support.platform import REPOSITORY

Row = TypeVar("Row")
PAGE = REPOSITORY / "docs/reliability.md"
FILES = {
    "raw_mha": "`.mha`, uncompressed",
    "compressed_mha": "`.mha`, compressed",
    "nii_gz": "`.nii.gz`",
    "clicks": "clicks",
    "inputs_json": "`inputs.json`",
    "interface_json": "`interface.json`",
    "model_json": "`model.json`",
    "onnx": "ONNX file of a model folder",
    "plans_v2": "`plans.json` of nnU-Net v2",
    "dataset_json": "`dataset.json` of nnU-Net v2",
    "plans_v1_json": "plans of nnU-Net v1 as JSON",
    "postprocessing": "`postprocessing.json` of nnU-Net v1",
    "plans_pkl": "`plans.pkl` of nnU-Net v1",
    "checkpoint_v2": "checkpoint of nnU-Net v2",
    "checkpoint_v1": "checkpoint of nnU-Net v1",
}
"""What each reader reads."""
TEXT = """# Reliability

What strangers put into `/input`, a model folder or a checkpoint is read, or refused with one line on stderr
and exit code 2 (a case) or 3 (a model or checkpoint). It takes no more than 10 s and 2 GiB to be refused,
nothing in it is run, and no part of a mask is left behind. This page says what was tried.
`tests/fuzz/report.py` writes it from the record [`record.json`](../tests/fuzz/record.json); a test compares
the two.

## Damaged and hostile files

Each reader was given files that were made from valid ones: other numbers, types, lengths and encodings,
entries dropped, repeated or nested, payloads cut, archives and pickles altered, and bombs. An input is
**lost** if anything but a whole answer or one line of the reader's own failure comes of it: a crash, a
traceback, a warning, something on stderr, more than 10 s of the processor, or more than 2 GiB.

The longest time and the peak are of the process that reads, imports included; the one with limits that reads
pickles first is not counted. Drawn from seeds:

{drawn}

```sh
PYTHONPATH=. .venv/bin/python -m tests.fuzz.run --inputs 100000              # all readers
PYTHONPATH=. .venv/bin/python -m tests.fuzz.run --inputs 1 --first 4711 --reader nii_gz
```

The second gives one reader the input of one seed. Chosen for the new code that they reach (`atheris`), for
about a minute a reader:

{covered}

```sh
PYTHONPATH=. .venv/bin/python -m tests.fuzz.cover --inputs 100000 --seconds 60
```

The same inputs in each run, some seconds of them, are part of the tests (`tests/fuzz/test_readers.py`).

## Checkpoints

A few bytes of a pickle can ask for any memory and time. So a process with limits reads it first: 1 GiB
besides the file's size and 4 s of the processor for a checkpoint, 512 MiB and 3 s for plans
(`common/export/checkpoints/trial.py`). What does not end well there is not read by the export itself. On
two busy cores that takes a second or two for torch's import, once an export, and for a checkpoint of 820 MB
0.05 s, or 1 s in the format of before 2020, which cannot be mapped.

## Ended at any moment

SIGKILL at random moments, half of them drawn from the whole time, half from its last tenth, when files are
written. Whatever is left must be what the command writes when it is left alone, byte for byte, or nothing
that anyone takes for it. A hidden `*.unfinished.mha` may stay, which the next run removes.

{kills}

```sh
PYTHONPATH=. .venv/bin/python -m tests.fuzz.kills --kills 50
```

`tests/fuzz/test_kills.py` ends the writing of a mask at each of its steps. SIGTERM is one line and exit
code 4 (`tests/common/test_signals.py`).

## Disks

A full or read-only output is exit code 2 before the case is worked on, an export to a disk that the weights
do not fit on exit code 4 before it begins; a disk that another fills meanwhile keeps no part of the mask
(`tests/common/cli/test_disks.py`, with disks of their own).

## Folders

Pipes, sockets, devices, links in circles and folders in the place of every file of a case, a model and a
checkpoint; paths and links out of a folder; two cases in one; a model tarball with devices; ONNX files with
weights elsewhere, operators of other domains, functions and subgraphs; engines of another hash: all are
tests of the suite (`test_robustness.py`, `test_hostile_folders.py`, `test_onnx_structure.py`), which refuse
without waiting and before anything is loaded.
"""


def page(record: Record) -> str:
    """The whole page, as the record has it."""
    drawn = [run for run in record.runs if run.way == "drawn"]
    covered = [run for run in record.runs if run.way == "coverage"]
    return TEXT.format(drawn=_runs(drawn), covered=_runs(covered), kills=_kills(record.kills))


def _runs(runs: Sequence[Run]) -> str:
    order = list(FILES)
    columns: dict[str, Callable[[Run], object]] = {
        "file": lambda run: FILES[run.reader],
        "inputs": lambda run: f"{run.inputs:,}",
        "read": lambda run: f"{run.read:,}",
        "refused": lambda run: f"{run.refused:,}",
        "lost": lambda run: run.failures,
        "longest": lambda run: f"{run.slowest:.2f} s",
        "peak": lambda run: f"{run.peak_mib} MiB",
        "took": lambda run: f"{run.seconds} s",
        "version, day": lambda run: f"{run.version}, {run.day}",
    }
    return _table(columns, sorted(runs, key=lambda run: order.index(run.reader)))


def _kills(kills: Sequence[Kills]) -> str:
    columns: dict[str, Callable[[Kills], object]] = {
        "command": lambda kill: f"`{kill.command}`",
        "kills": lambda kill: kill.kills,
        "left nothing": lambda kill: kill.nothing,
        "left all": lambda kill: kill.whole,
        "left a part": lambda kill: kill.failures,
        "seed": lambda kill: kill.seed,
        "version, day": lambda kill: f"{kill.version}, {kill.day}",
    }
    return _table(columns, kills)


def _table(columns: Mapping[str, Callable[[Row], object]], rows: Sequence[Row]) -> str:
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[str(cell(row)) for cell in columns.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(read_record()))


if __name__ == "__main__":
    main()
