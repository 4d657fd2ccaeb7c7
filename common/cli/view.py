"""`petct view`: a case, its clicks and its mask in the browser."""

import argparse
import logging
import sys
import webbrowser
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_settings, given_settings, number
from common.viewer.assets import provide_niivue
from common.viewer.desk import Desk
from common.viewer.guard import new_token
from common.viewer.server import HOST, listen, serve

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The case, the algorithm and its model, and where everything is kept."""
    parser.add_argument("case", type=Path, metavar="CASE", help="the case's input folder")
    parser.add_argument(
        "--algorithm",
        default="autopet_interactive",
        choices=algorithms.names(),
        metavar="NAME",
        help="%(choices)s",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for clicks, mask and report"
    )
    parser.add_argument("--port", type=number(int, 0, 65535), default=0, metavar="N", help="(default: any)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Serve the page until Ctrl+C; raises as `Desk`, and `MachineError` without NiiVue."""
    provide_niivue()
    folders = arguments.model, arguments.output.resolve()
    desk = Desk(arguments.case, arguments.algorithm, *folders, given_settings(arguments))
    token = new_token()
    with listen(arguments.port) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        if not arguments.no_browser:
            webbrowser.open(address)
        serve(desk, token, listener)
