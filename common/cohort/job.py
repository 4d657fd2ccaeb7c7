"""One job: the cases of a batch, one after the other, in one process whose engines stay warm.

`python -m common.cohort.job PLAN BATCH` is what Snakemake's jobs call. Each case is converted where it is
DICOM, segmented, checked as by the platform, and reported; what became of it is its outcome.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from common.cohort.containers import run_in_container
from common.cohort.manifest import Entry
from common.cohort.outcome import Outcome, read_outcome, write_outcome
from common.cohort.plan import CUT_SHORT, Work, load_batch
from common.dicom.reading import find_images
from common.errors import PetctError
from common.grandchallenge.check import check_output
from common.grandchallenge.dicom_case import is_study, write_case
from common.grandchallenge.interface import Interface
from common.model.interface import interface_of
from common.model.reading import read_model
from common.report.page import thumbnail
from common.report.study import read_study
from common.report.writing import facts_of, write_report
from common.session import Session

logger = logging.getLogger(__name__)

Segment = Callable[[Path, Path], None]
"""From an input folder to an output folder."""


def work_off(plan: Path, name: str) -> None:
    """Work on a batch; a case that fails does not stop the rest. Raises `ModelError` for a wrong model."""
    work, batch = load_batch(plan, name)
    model_dir = Path(work.model)
    interface = interface_of(work.algorithm, read_model(model_dir, work.algorithm))
    segment = _segmenter(work)
    for entry in batch.cases:
        folder = plan.parent / entry.case
        earlier = read_outcome(folder)
        begun = earlier.begun + 1 if earlier and earlier.failure == CUT_SHORT else 1
        write_outcome(Outcome(entry.case, CUT_SHORT, begun=begun), folder)
        write_outcome(replace(_outcome(entry, folder, segment, interface), begun=begun), folder)


def _outcome(entry: Entry, folder: Path, segment: Segment, interface: Interface) -> Outcome:
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            source = _as_case(Path(entry.input), Path(scratch), entry.case)
            output = folder / "output"
            output.mkdir(parents=True, exist_ok=True)
            segment(source, output)
            mask = check_output(source, output, interface)
            seconds = time.monotonic() - start
            study = read_study(source, mask, Path(entry.truth) if entry.truth else None, interface)
            write_report(study, folder)
        logger.info("%s: %d lesions, %.1f s", entry.case, study.totals.lesions, seconds)
        return Outcome(entry.case, "", seconds, facts_of(study), thumbnail(study))
    except PetctError as error:
        logger.warning("%s: %s", entry.case, error)
        return Outcome(entry.case, str(error), time.monotonic() - start)


def _as_case(source: Path, scratch: Path, name: str) -> Path:
    if not (source.is_dir() and is_study(source)):
        return source
    write_case(find_images(source), scratch, name)
    return scratch


def _segmenter(work: Work) -> Segment:
    model = Path(work.model)
    if work.engine:
        return lambda source, output: run_in_container(work.engine, work.image, source, model, output)
    session = Session(work.algorithm, model, work.settings, keep=True)

    def segment(source: Path, output: Path) -> None:
        session.segment(source, output, time.monotonic())
        session.forget()

    return segment


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    work_off(Path(sys.argv[1]), sys.argv[2])
