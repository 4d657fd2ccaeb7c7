"""`petct report`: pictures and tables of masks, for people."""

import argparse
import logging
from pathlib import Path

from common.errors import InputError
from common.grandchallenge.interface import Interface
from common.model.interface import interface_of
from common.model.reading import algorithm_of, read_model
from common.report.cases import is_case, write_reports
from common.report.run_log import read_log
from common.report.study import read_study
from common.report.writing import write_report

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The case, its mask, and where the report goes."""
    parser.add_argument("case", type=Path, metavar="CASE", help="a case's input folder, or a folder of cases")
    parser.add_argument(
        "mask", type=Path, metavar="MASK", help="the mask, or the output folder; of cases: a folder of them"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the report")
    parser.add_argument(
        "--truth", type=Path, metavar="MASK", help="the true mask; of cases: a folder with one for each"
    )
    parser.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what the run of this case wrote on stdout, or on stderr; may be given twice",
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder that has sockets of its own")


def execute(arguments: argparse.Namespace) -> None:
    """Write the report, or one for every case and an overview; raises as `read_study` and `write_reports`."""
    interface = _interface(arguments.model)
    if is_case(arguments.case):
        study = read_study(
            arguments.case, arguments.mask, arguments.truth, interface, read_log(arguments.log)
        )
        logger.info("%d lesions: %s", study.totals.lesions, write_report(study, arguments.output))
        return
    if arguments.log:
        raise InputError("--log is of one case; leave it out, or name one case")
    logger.info(
        "%s",
        write_reports(arguments.case, arguments.mask, arguments.output, arguments.truth, interface),
    )


def _interface(folder: Path | None) -> Interface | None:
    if folder is None:
        return None
    name = algorithm_of(folder)
    return interface_of(name, read_model(folder, name))
