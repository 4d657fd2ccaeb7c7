"""Finding the algorithms: a folder of `containers` with an `algorithm.py` is one."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from common.errors import InputError

FOLDER = Path(__file__).parents[1] / "containers"


def names() -> list[str]:
    """The algorithms there are."""
    return sorted(path.parent.name for path in FOLDER.glob("*/algorithm.py"))


def interface_path(name: str) -> Path:
    """An algorithm's `interface.json`; `InputError` for a name that is none."""
    if name not in names():
        raise InputError(f"there is no algorithm {name!r}; choose one of {names()}")
    return FOLDER / name / "interface.json"


def module(name: str, part: str) -> ModuleType:
    """An algorithm's module: `algorithm`, or `export`, which imports torch."""
    interface_path(name)
    return import_module(f"containers.{name}.{part}")
