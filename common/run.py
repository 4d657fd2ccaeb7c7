"""One case from the platform's folders through an algorithm and back."""

from pathlib import Path

from common import algorithms
from common.grandchallenge.interface import Interface
from common.grandchallenge.reading import read_case
from common.grandchallenge.writing import check_writable, write_mask
from common.inference.options import Options
from common.model_folder import read_model


def run(name: str, input_dir: Path, output_dir: Path, model_dir: Path, options: Options) -> Path:
    """Segment the case in `input_dir` and return the mask's path under `output_dir`.

    Raises a `PetctError` for everything the user can mend, wherever possible before the long work.
    """
    interface = Interface.load(algorithms.interface_path(name))
    destination = output_dir / interface.outputs[0].relative_path
    check_writable(destination)
    model = read_model(model_dir, name)
    case = read_case(input_dir, interface)
    mask = algorithms.module(name, "algorithm").segment(case, model, options)
    return write_mask(mask, case.geometry, destination, case.stem)
