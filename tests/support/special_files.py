"""What may lie in the place of a file, as an archive or another process can put it there."""

import os
import socket
from pathlib import Path

KINDS = ("fifo", "socket", "device", "circle", "folder", "nothing")


def put(kind: str, path: Path) -> None:
    """Replace a file by what is none."""
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(f"/proc/self/fd/{(folder := os.open(path.parent, os.O_DIRECTORY))}/{path.name}")
            os.close(folder)
        case "device":
            path.symlink_to("/dev/zero")
        case "circle":
            path.symlink_to(path)
        case "folder":
            path.mkdir()
        case "nothing":
            pass
        case _:
            raise ValueError(kind)
