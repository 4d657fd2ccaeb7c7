"""The platform's own list of what one case holds, `/input/inputs.json`.

The platform writes it beside the inputs: a list of socket values, each with its socket's description under
`"interface"`, which it now calls a socket (`ComponentInterfaceValueSerializer` in grand-challenge.org's
`components/serializers.py`). The image's name in it is the one of the user's upload, not the file's.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, ValidationError
from pydantic.dataclasses import dataclass

from common.documents import OPEN, WHOLE, excerpt, explain, read_document
from common.errors import InputError
from common.grandchallenge.interface import Interface, Socket, is_relative_path

logger = logging.getLogger(__name__)

FILE = "inputs.json"


@dataclass(frozen=True, config=OPEN)
class ListedSocket:
    """What is read of a socket's description; `ValueError` for a path that leaves `/input`."""

    slug: str
    relative_path: str

    def __post_init__(self) -> None:
        if not is_relative_path(self.relative_path):
            raise ValueError(f"{self.relative_path!r} is not a path inside a folder")


@dataclass(frozen=True, config=OPEN)
class SocketValue:
    """What is read of one entry of the list."""

    socket: ListedSocket = Field(validation_alias=AliasChoices("socket", "interface"))


Entry = Annotated[SocketValue, WHOLE]


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
    if not path.exists() and not path.is_symlink():
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
    except ValidationError as error:
        raise InputError(
            f"{path}: {explain(error)}; check the kind of that socket on the platform"
        ) from error


def _listed_sockets(path: Path) -> dict[str, str]:
    """Slug → relative path."""
    remedy = "give the case the list as the platform writes it"
    entries = read_document(list[Entry], path, failure=InputError, remedy=remedy, wording=_explain)
    listed: dict[str, str] = {}
    for socket in (entry.socket for entry in entries):
        if socket.slug in listed:
            raise InputError(f"{path}: socket {excerpt(socket.slug)} is listed twice, expected once")
        listed[socket.slug] = socket.relative_path
    return listed


def _explain(error: ValidationError, where: str) -> str:
    first = error.errors(include_url=False)[0]
    match first["type"], first["loc"]:
        case "list_type", ():
            return f"holds a {type(first['input']).__name__}, expected the platform's list of sockets"
        case _, (int(position),):
            return (
                f"entry {position} is {excerpt(first['input'])}, expected the platform's "
                '{"socket": {"slug": "…", "relative_path": "…", …}, …}'
            )
        case _:
            return explain(error, where)


def _join(slugs: Iterable[str]) -> str:
    return ", ".join(map(excerpt, slugs)) or "none"
