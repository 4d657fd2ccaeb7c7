"""Which cases there are: a table, or a folder of cases."""

import csv
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.grandchallenge.dicom_case import is_study
from common.report.cases import is_case

COLUMNS = ("case", "input", "truth")
NAME = "manifest.csv"


@dataclass(frozen=True)
class Entry:
    """One case."""

    case: str
    """Its name, which is also that of its folder in the output."""
    input: str
    """Folder in the platform's layout, or of DICOM series."""
    truth: str = ""
    """The true mask; empty where there is none."""


def read_manifest(path: Path) -> list[Entry]:
    """The cases of a CSV file with the columns case, input and, where wanted, truth; or of a folder.

    Paths in the file are relative to it. In a folder, `manifest.csv` counts where there is one, else every
    folder that is a case or holds DICOM series. Raises `InputError` for what is missing, and for names that
    occur twice or are no names of a folder.
    """
    if path.is_dir() and not (path / NAME).is_file():
        entries = [
            Entry(folder.name, str(folder.resolve()))
            for folder in sorted(path.iterdir())
            if folder.is_dir() and (is_case(folder) or is_study(folder))
        ]
    else:
        entries = _read_table(path / NAME if path.is_dir() else path)
    if not entries:
        raise InputError(f"{path}: no case, expected folders with images/ in them, or of DICOM series")
    _require_names(entries, path)
    return entries


def _read_table(path: Path) -> list[Entry]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS[:2] if name not in (table.fieldnames or ())]
            if missing:
                found = ", ".join(table.fieldnames or ()) or "nothing"
                raise InputError(
                    f"{path}: no column {', '.join(missing)} (found {found}); expected {COLUMNS}"
                )
            return [_entry(row, path) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table ({error}); expected CSV with the columns {COLUMNS}") from error


def _entry(row: dict[str, str], path: Path) -> Entry:
    case, source, truth = ((row.get(name) or "").strip() for name in COLUMNS)
    if not (case and source):
        raise InputError(f"{path}: a row without a case or an input ({row}); give every case both")
    folder = path.resolve().parent
    return Entry(case, str(folder / source), str(folder / truth) if truth else "")


def _require_names(entries: list[Entry], path: Path) -> None:
    names = [entry.case for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: the case {name!r} occurs twice; give every case a name of its own")
        if Path(name).name != name or name.startswith("."):
            raise InputError(f"{path}: {name!r} is no name of a folder; take letters, digits, - and _")
