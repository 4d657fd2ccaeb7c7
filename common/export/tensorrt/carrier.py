"""What building an engine asks of the library that builds it."""

from importlib.util import find_spec
from pathlib import Path

from common.errors import MachineError
from common.inference.engines.carriers import installed_libraries, library_of
from common.inference.files import Carrier

TURING, AMPERE_AND_LATER = "7.5", "8.0+"
"""What TensorRT-RTX builds for: 7.5 needs an engine of its own, one more serves all later GPUs."""
LIBRARY_FILES = {"tensorrt_rtx": ("tensorrt_rtx_libs", "libtensorrt_rtx.so.1", "libtensorrt_rtx.so")}
"""Package and name of a library's file, and the name under which its plugins look for it."""


def require_library(carrier: Carrier) -> None:
    """Raise `MachineError` where the carrier is not installed."""
    library = library_of(carrier)
    if library not in installed_libraries():
        raise MachineError(
            f"{library.module} is not installed, which --tensorrt builds engines with; "
            f"pip install {' '.join(library.packages)}"
        )


def link_library(carrier: Carrier, folder: Path) -> None:
    """Put a link to the library into `folder`, under the name that plugins need to not abort the process."""
    if carrier not in LIBRARY_FILES:
        return
    package, file, name = LIBRARY_FILES[carrier]
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(location) / file).is_file():
            (folder / name).symlink_to(path)
