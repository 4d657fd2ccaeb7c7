"""A JSON file of the case."""

import json
from pathlib import Path
from typing import Any, Never

from common.errors import InputError


def read_json(path: Path) -> Any:
    """Read a JSON document; raises `InputError` when it cannot be read or is not JSON."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); write the file again") from error


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")
