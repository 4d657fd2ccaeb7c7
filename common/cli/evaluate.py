"""`petct evaluate`: masks against truths."""

import argparse
import sys
from pathlib import Path

from common.cli.arguments import number
from common.evaluation.evaluate import evaluate, table, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folders to compare."""
    parser.add_argument("--truth", type=Path, required=True, help="folder of true masks")
    parser.add_argument("--prediction", type=Path, required=True, help="folder of masks of the same names")
    parser.add_argument(
        "--label",
        type=number(int, 1, 255),
        metavar="N",
        help="compare the voxels of this label only (default: of all labels but 0)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")


def execute(arguments: argparse.Namespace) -> None:
    """Print a table, and write the numbers where that was asked for."""
    results = evaluate(arguments.truth, arguments.prediction, arguments.label)
    sys.stdout.write(table(results))
    if arguments.json:
        write_json(results, arguments.json)
