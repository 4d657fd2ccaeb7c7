"""What long runs have tried: `record.json`, one entry for each reader and each way of making inputs."""

import tomllib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from tests.support.platform import REPOSITORY

RECORD = Path(__file__).with_name("record.json")


def version() -> str:
    """The version that is tried."""
    return str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])


def today() -> str:
    """The day of a run, UTC."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Run:
    """One reader, and what came of the inputs that it was given."""

    reader: str
    way: str
    """`"drawn"` from seeds, or chosen by `"coverage"`."""
    seeds: tuple[int, int]
    """The first, and the one after the last."""
    inputs: int
    read: int
    refused: int
    failures: int
    slowest: float
    """Seconds of the processor, of one input."""
    peak_mib: int
    """Of the process that reads, all imports included."""
    seconds: int
    version: str = field(default_factory=version)
    day: str = field(default_factory=today)


@dataclass(frozen=True)
class Kills:
    """A command that SIGKILL ended at random moments."""

    command: str
    seed: int
    kills: int
    nothing: int
    """Of these, left nothing that anyone takes for whole."""
    whole: int
    """Left what the command writes when it is left alone."""
    failures: int
    version: str = field(default_factory=version)
    day: str = field(default_factory=today)


@dataclass(frozen=True)
class Record:
    """All that was tried."""

    runs: tuple[Run, ...] = ()
    kills: tuple[Kills, ...] = ()


def read_record() -> Record:
    """What `record.json` holds."""
    return TypeAdapter(Record).validate_json(RECORD.read_bytes()) if RECORD.exists() else Record()


def add_run(run: Run) -> None:
    """Keep a run in the place of an earlier one of the same reader and way."""
    record = read_record()
    others = [other for other in record.runs if (other.way, other.reader) != (run.way, run.reader)]
    write_record(replace(record, runs=tuple(sorted([*others, run], key=lambda run: (run.way, run.reader)))))


def write_record(record: Record) -> None:
    """Write `record.json`."""
    RECORD.write_bytes(TypeAdapter(Record).dump_json(record, indent=1) + b"\n")
