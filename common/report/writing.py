"""The files of a report: a page, a picture, and the numbers as JSON and CSV."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.report.lesions import Lesion
from common.report.page import page
from common.report.pictures import sheet
from common.report.study import Study

PAGE = "report.html"


def write_report(study: Study, folder: Path) -> Path:
    """Write `report.html`, `report.png`, `report.json` and `lesions.csv`; returns the page.

    Raises `InputError` for a folder that cannot be written.
    """
    write_text(folder / "report.json", json.dumps(as_document(study), indent=1) + "\n")
    write_table(folder / "lesions.csv", [_row(lesion) for lesion in study.lesions])
    write_bytes(folder / "report.png", sheet(study))
    write_text(folder / PAGE, page(study))
    return folder / PAGE


def facts_of(study: Study) -> dict[str, float]:
    """The numbers that stand for a case in a table of many."""
    totals = study.totals
    facts = {
        "lesions": totals.lesions,
        "MTV ml": totals.volume,
        "TLG ml": totals.tlg,
        "SUVmax": totals.suv_max,
        "Dmax mm": totals.largest_distance,
    }
    if study.comparison:
        compared = study.comparison
        facts |= {
            "Dice": compared.metrics.dice,
            "missed": len(compared.missed),
            "false": len(compared.false),
            "FN ml": compared.metrics.false_negative,
            "FP ml": compared.metrics.false_positive,
        }
    return {name: fact for name, fact in facts.items() if not math.isnan(fact)}


def as_document(study: Study) -> dict[str, Any]:
    """Everything that the page says in words, for programs; lengths in mm, volumes and TLG in ml."""
    document: dict[str, Any] = {
        "case": study.name,
        "totals": asdict(study.totals),
        "lesions": [_described(lesion) for lesion in study.lesions],
        "run": {"facts": study.run.facts, "warnings": list(study.run.warnings)},
    }
    if study.comparison:
        compared = study.comparison
        metrics = {
            name: None if math.isnan(value) else value for name, value in asdict(compared.metrics).items()
        }
        document["truth"] = {
            "metrics": metrics,
            "lesions": [
                _described(lesion) | {"found": lesion.number in compared.found} for lesion in compared.true
            ],
            "false": sorted(compared.false),
        }
    return document


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV, with every column that one of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file; raises `InputError` where that cannot be done."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; raises `InputError` where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _described(lesion: Lesion) -> dict[str, Any]:
    return {name: value for name, value in asdict(lesion).items() if name != "window"}


def _row(lesion: Lesion) -> dict[str, Any]:
    row: Mapping[str, Any] = _described(lesion)
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, tuple):
            flat |= {f"{name}_{axis}": part for axis, part in zip("xyz", value, strict=True)}
        else:
            flat[name] = value
    return flat


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: {error.strerror}; give an --output folder that can be written")
