"""The two libraries that load compiled engines, and all in which they differ at run time.

Nobody has yet loaded an engine of the full TensorRT with this code.
"""

import ctypes
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from common.errors import MachineError
from common.inference.files import Carrier


@dataclass(frozen=True)
class Library:
    """One carrier, as a run needs it; both have the same Python interface but for this."""

    carrier: Carrier
    title: str
    module: str
    package: str
    """What pip installs."""
    shared_object: str | None
    """Name under which plugins look for the library; where it is not found, the process aborts."""
    checks_engines: bool
    """Whether it can tell from an engine's first bytes why it would not load it."""
    caches: bool
    """Whether it compiles kernels when an engine first runs, and can keep them."""


LIBRARIES = (
    Library(
        "tensorrt_rtx",
        "TensorRT-RTX",
        "tensorrt_rtx_bindings",
        "tensorrt-rtx-cu12-bindings",
        "libtensorrt_rtx.so",
        checks_engines=True,
        caches=True,
    ),
    Library("tensorrt", "TensorRT", "tensorrt", "tensorrt", None, checks_engines=False, caches=False),
)


def installed_libraries() -> list[Library]:
    """Those that can be imported, the preferred first."""
    return [library for library in LIBRARIES if find_spec(library.module)]


def import_library(library: Library) -> ModuleType:
    """The library's Python module; `ImportError` or `OSError` where it does not start."""
    return import_module(library.module)


def require_plugins(library: Library) -> None:
    """Raise `MachineError` where an engine with a plugin would abort the process."""
    if library.shared_object is None:
        return
    try:
        ctypes.CDLL(library.shared_object)
    except OSError as error:
        raise MachineError(
            f"{library.shared_object} is not on the loader's path, where plugins look for {library.title}; "
            "put a link of this name to the library into a folder of LD_LIBRARY_PATH"
        ) from error
