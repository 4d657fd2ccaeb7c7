"""`petct doctor`: what this machine lacks."""

import argparse
import sys
from pathlib import Path

from common.doctor import examine, is_fit
from common.errors import MachineError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but where the checkout is."""
    parser.add_argument(
        "--checkout", type=Path, default=Path.cwd(), metavar="DIR", help="(default: the present folder)"
    )


def execute(arguments: argparse.Namespace) -> None:
    """Print what there is and what to install; `MachineError` where the README's commands will not work."""
    findings = examine(arguments.checkout)
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    if not is_fit(findings):
        missing = ", ".join(finding.subject for finding in findings if finding.level == "missing")
        raise MachineError(f"./build.sh && ./test.sh will not work here: {missing}; see above what to do")
