"""Hashes of files, by which a model folder knows its content and its source."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(folder: Path, paths: Sequence[Path]) -> str:
    """One SHA-256 over the contents and the names of files, relative to `folder` where they lie in it."""
    names = (path.relative_to(folder) if path.is_relative_to(folder) else path.name for path in paths)
    lines = [f"{sha256_of(path)}  {name}\n" for path, name in zip(paths, names, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
