"""Command line of the training scripts of the demos."""

import argparse
import logging
from pathlib import Path


def output_folder() -> Path:
    """Return `--output` from the command line, and log the training's progress."""
    parser = argparse.ArgumentParser(description="Train the demo checkpoint on phantoms.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    output: Path = parser.parse_args().output
    return output
