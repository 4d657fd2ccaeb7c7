"""What became of a case, kept beside its mask."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """One case's row in the summary."""

    case: str
    failure: str = ""
    """One line; empty where the case has a mask."""
    seconds: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)
    """Lesions, volumes, and what the truth says."""
    thumbnail: str = ""
    """A data URI."""
    begun: int = 1
    """How often the case was begun; while it is at work, its failure says that it did not come to its end."""


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome of the case whose output is in a folder; `None` where it has none."""
    path = folder / FILE
    if not path.is_file():
        return None
    return Outcome(**json.loads(path.read_text(encoding="utf-8")))


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write it whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps(asdict(outcome)) + "\n", encoding="utf-8")
    part.replace(folder / FILE)
