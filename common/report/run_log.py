"""What a run said of itself in its log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError

LINE = re.compile(r"\d\d:\d\d:\d\d (?P<level>[A-Z]+) (?P<text>.*)")
FACTS = {
    "engine": re.compile(r"engine: ([^,]+)"),
    "device": re.compile(r"device: (.+?), precision: "),
    "precision": re.compile(r"precision: ([^,]+)"),
    "seconds": re.compile(r"^done: ([\d.]+) s"),
    "peak memory": re.compile(r"peak memory (\d+ MiB)"),
    "left out": re.compile(r"the time limit left out work: (.+)"),
}
"""What is told of a run, each from the last line that has it."""
MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class RunLog:
    """What is known of a run."""

    facts: dict[str, str]
    warnings: tuple[str, ...]


def read_log(paths: Sequence[Path]) -> RunLog:
    """Read what was on stdout and stderr; raises `InputError` for a file that cannot be read."""
    facts: dict[str, str] = {}
    warnings: list[str] = []
    for path in paths:
        for line in _lines(path):
            matched = LINE.match(line)
            if not matched:
                continue
            facts.update(_facts(matched["text"]))
            if matched["level"] == "WARNING":
                warnings.append(matched["text"])
    return RunLog(facts, tuple(warnings))


def _facts(text: str) -> dict[str, str]:
    found = {name: expression.search(text) for name, expression in FACTS.items()}
    return {name: match[1] for name, match in found.items() if match}


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the file that a run's log went to") from error
