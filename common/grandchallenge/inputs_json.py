"""The platform's own list of what one case holds, `/input/inputs.json`.

The platform writes it beside the inputs: a list of socket values, each with its socket's description under
`"interface"`, which it now calls a socket (`ComponentInterfaceValueSerializer` in grand-challenge.org's
`components/serializers.py`). The image's name in it is the one of the user's upload, not the file's.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.grandchallenge.interface import Interface, Socket, is_relative_path
from common.grandchallenge.json_file import read_json
from common.grandchallenge.messages import excerpt

logger = logging.getLogger(__name__)

FILE = "inputs.json"


def sockets_of_case(input_dir: Path, interface: Interface) -> tuple[Socket, ...]:
    """The input sockets that this case has, with the paths that the platform gives them.

    Without an `inputs.json`, as in local use, these are the interface's. Raises `InputError` when the list is
    malformed or lacks a socket that the algorithm cannot do without.
    """
    path = input_dir / FILE
    if not os.access(input_dir, os.R_OK | os.X_OK):
        raise InputError(
            f"{input_dir}: no such folder, or no permission to read it; expected the case's files"
        )
    if not path.exists():
        return interface.inputs
    listed = _listed_sockets(path)
    needed = [socket.slug for socket in interface.inputs if not socket.optional]
    if missing := [slug for slug in needed if slug not in listed]:
        raise InputError(
            f"{path}: no socket {_join(missing)} among {_join(listed)}; "
            "give the algorithm's interface on the platform that input"
        )
    unknown = listed.keys() - {socket.slug for socket in interface.inputs}
    if unknown:
        logger.warning("%s: this algorithm does not read the sockets %s", path, _join(sorted(unknown)))
    present = [socket for socket in interface.inputs if socket.slug in listed]
    try:
        return tuple(replace(socket, relative_path=listed[socket.slug]) for socket in present)
    except ValueError as error:
        raise InputError(f"{path}: {error}; check the kind of that socket on the platform") from error


def _listed_sockets(path: Path) -> dict[str, str]:
    """Slug → relative path."""
    values = read_json(path)
    if not isinstance(values, list):
        raise InputError(f"{path}: holds a {type(values).__name__}, expected the platform's list of sockets")
    listed: dict[str, str] = {}
    for position, value in enumerate(values):
        slug, relative_path = _slug_and_path(value)
        if not isinstance(slug, str) or not is_relative_path(relative_path):
            raise InputError(
                f"{path}: entry {position} is {excerpt(value)}, expected the platform's "
                '{"socket": {"slug": "…", "relative_path": "…", …}, …}'
            )
        if slug in listed:
            raise InputError(f"{path}: socket {excerpt(slug)} is listed twice, expected once")
        listed[slug] = relative_path
    return listed


def _slug_and_path(value: Any) -> tuple[Any, Any]:
    socket = value.get("socket", value.get("interface")) if isinstance(value, dict) else None
    return (socket.get("slug"), socket.get("relative_path")) if isinstance(socket, dict) else (None, None)


def _join(slugs: Any) -> str:
    return ", ".join(map(excerpt, slugs)) or "none"
