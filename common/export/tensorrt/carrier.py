"""The two libraries that build engines, and all in which they differ here.

TensorRT-RTX builds for every GPU from compute capability 7.5, on a machine without one. The full TensorRT
builds for the GPU that is there; it is for GPUs that the former does not know, such as a V100, and for a
company that pins its version. No engine was ever built here with the full TensorRT.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from common.errors import MachineError
from common.inference.files import Carrier

TURING, AMPERE_AND_LATER = "7.5", "8.0+"
"""What TensorRT-RTX builds for: 7.5 needs an engine of its own, one more serves all later GPUs."""


@dataclass(frozen=True)
class Library:
    """One carrier, as a builder needs it."""

    module: str
    packages: str
    """What pip installs."""
    link: tuple[str, str, str] | None
    """Package and name of the library's file, and the name under which plugins look for it."""
    chooses_target: bool
    """Whether it builds for GPUs that are not there."""


LIBRARIES: dict[Carrier, Library] = {
    "tensorrt_rtx": Library(
        "tensorrt_rtx_bindings",
        "tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs",
        ("tensorrt_rtx_libs", "libtensorrt_rtx.so.1", "libtensorrt_rtx.so"),
        chooses_target=True,
    ),
    "tensorrt": Library("tensorrt", "tensorrt cuda-bindings", None, chooses_target=False),
}
"""Both have the same Python interface but for compute capabilities, which only TensorRT-RTX can set."""


def require_library(carrier: Carrier) -> None:
    """Raise `MachineError` where the carrier is not installed."""
    library = LIBRARIES[carrier]
    if find_spec(library.module) is None:
        raise MachineError(
            f"{library.module} is not installed, which --tensorrt builds engines with; "
            f"pip install {library.packages}"
        )


def load_library(carrier: Carrier) -> ModuleType:
    """Import the carrier's module."""
    return import_module(LIBRARIES[carrier].module)


def link_library(carrier: Carrier, folder: Path) -> None:
    """Put a link to the library into `folder`, under the name that plugins need to not abort the process."""
    if (link := LIBRARIES[carrier].link) is None:
        return
    package, file, name = link
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(location) / file).is_file():
            (folder / name).symlink_to(path)
