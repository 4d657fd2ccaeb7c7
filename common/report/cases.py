"""Reports of many cases, and the page that leads to them."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from common.errors import InputError, PetctError
from common.grandchallenge.images import SUFFIXES
from common.grandchallenge.interface import Interface
from common.inference.progress import Progress
from common.report.page import Row, overview, thumbnail
from common.report.study import read_study
from common.report.writing import PAGE, facts_of, write_report, write_table, write_text

logger = logging.getLogger(__name__)

OVERVIEW = "index.html"
TABLE = "cases.csv"


def is_case(folder: Path) -> bool:
    """Whether a folder is one case, as the platform lays it out, and not one of cases."""
    return (folder / "images").is_dir() or (folder / "inputs.json").is_file()


def write_reports(
    cases: Path,
    masks: Path,
    output: Path,
    truths: Path | None = None,
    interface: Interface | None = None,
) -> Path:
    """A report for every case, `output/CASE/report.html`, and `output/index.html`, which is returned.

    A case's mask, and its truth, is named after its folder: `masks/CASE.mha`, or alone below `masks/CASE/`. A
    case that fails is a row with its one line. Raises `InputError` where there is no case.
    """
    folders = sorted(path for path in _listed(cases) if path.is_dir() and is_case(path))
    if not folders:
        raise InputError(
            f"{cases}: no case, expected a folder with images/ in it, or a folder of such folders"
        )
    rows = []
    with Progress(len(folders), "reports") as progress:
        for folder in folders:
            rows.append(_row(folder, masks, output, truths, interface))
            progress.step()
    write_overview(rows, output)
    return output / OVERVIEW


def write_overview(rows: list[Row], output: Path) -> None:
    """The page of all cases, and the same as `cases.csv`."""
    write_text(output / OVERVIEW, overview(rows))
    write_table(
        output / TABLE, [{"case": row.name, **(row.facts or {}), "failure": row.failure} for row in rows]
    )


def named(folder: Path, case: str) -> Path:
    """A case's mask in a folder of masks: the file of its name, or the folder of its name."""
    files = [folder / f"{case}{suffix}" for suffix in SUFFIXES]
    return next((file for file in files if file.is_file()), folder / case)


def _row(folder: Path, masks: Path, output: Path, truths: Path | None, interface: Interface | None) -> Row:
    try:
        truth = named(truths, folder.name) if truths else None
        study = read_study(folder, named(masks, folder.name), truth, interface)
        write_report(study, output / folder.name)
        facts: Mapping[str, float] = facts_of(study)
        logger.info("%s: %d lesions", folder.name, study.totals.lesions)
        return Row(folder.name, f"{folder.name}/{PAGE}", facts, thumbnail(study))
    except PetctError as error:
        logger.warning("%s: %s", folder.name, error)
        return Row(folder.name, failure=str(error))


def _listed(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a case, or a folder of cases") from error
