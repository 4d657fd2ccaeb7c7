"""The two libraries that build compiled engines and load them, and all in which they differ.

TensorRT-RTX builds for every GPU from compute capability 7.5, on a machine without one. The full TensorRT
builds for the GPU that is there; it is for GPUs that the former does not know, such as a V100, and for a
company that pins its version. Nobody has yet built or loaded an engine of the full TensorRT with this code.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from common.inference.files import Carrier


@dataclass(frozen=True)
class Library:
    """One carrier; both have the same Python interface but for this."""

    carrier: Carrier
    title: str
    module: str
    packages: tuple[str, ...]
    """What pip installs."""
    chooses_target: bool
    """Whether it builds for GPUs that are not there."""
    checks_engines: bool
    """Whether it can tell from an engine's first bytes why it would not load it."""
    caches: bool
    """Whether it compiles kernels when an engine first runs, and can keep them."""


LIBRARIES = (
    Library(
        "tensorrt_rtx",
        "TensorRT-RTX",
        "tensorrt_rtx_bindings",
        ("tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu12-libs"),
        chooses_target=True,
        checks_engines=True,
        caches=True,
    ),
    Library(
        "tensorrt",
        "TensorRT",
        "tensorrt",
        ("tensorrt",),
        chooses_target=False,
        checks_engines=False,
        caches=False,
    ),
)


def library_of(carrier: Carrier) -> Library:
    """The library of that name."""
    return next(library for library in LIBRARIES if library.carrier == carrier)


def installed_libraries() -> list[Library]:
    """Those that can be imported, the preferred first."""
    return [library for library in LIBRARIES if find_spec(library.module)]


def import_library(library: Library) -> ModuleType:
    """The library's Python module; `ImportError` or `OSError` where it does not start."""
    return import_module(library.module)
