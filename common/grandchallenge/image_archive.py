"""What the platform would refuse in a container image's archive, and what would fail there later.

Source: `validate_docker_image` in grand-challenge.org's `components/tasks.py`; its documentation on images.
"""

import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from common.documents import excerpt
from common.errors import InputError

GB = 10**9
MAX_BYTES = 10 * GB
"""Of the file that is uploaded."""
MAX_JSON_BYTES = 8 << 20
API_LABEL = "org.grand-challenge.api-method"
APIS = ("exec", "invoke")
SHELLS = (["/bin/sh", "-c"], ["/bin/bash", "-c"])
ATTESTATION = "attestation-manifest"
MODEL = PurePosixPath("opt/ml/model")
WEIGHTS = (".onnx", ".pth", ".ckpt")
EXAMPLE_BYTES = 1 << 20
"""Weights of less are examples that packages bring."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class ImageSummary:
    """What the platform takes."""

    tag: str
    user: str
    api: str
    size: int
    """Bytes of the archive."""

    def __str__(self) -> str:
        return f"{self.tag}: {self.api}, user {self.user}, {self.size / GB:.2f} of {MAX_BYTES / GB:.0f} GB"


def check_image(path: Path) -> ImageSummary:
    """Check what `docker save` wrote, compressed or not; raises `InputError` for the first that is wrong."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _wrong(path, f"{size / GB:.1f} GB", f"at most {MAX_BYTES / GB:.0f}", "leave something out")
        with tarfile.open(path) as archive:
            image = _Archive(path, archive)
            manifest = image.manifest()
            summary = _check_config(path, image.json(manifest["Config"]), manifest, size)
            image.require_no_attestation()
            for layer in manifest["Layers"]:
                image.require_no_model(layer)
            return summary
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError, TypeError, ValueError) as error:
        raise _wrong(
            path, f"no image ({error})", "what docker save writes", "save the image again"
        ) from error


class _Archive:
    """The files of an archive, of either layout: Docker's own, or OCI's with Docker's manifest."""

    def __init__(self, path: Path, archive: tarfile.TarFile) -> None:
        self._path = path
        self._archive = archive
        self._members = {member.name: member for member in archive if member.isfile()}

    def manifest(self) -> Document:
        """The one image's manifest."""
        manifests = self.json("manifest.json")
        if len(manifests) != 1:
            tags = ", ".join(str(tag) for manifest in manifests for tag in manifest.get("RepoTags") or ["?"])
            found = f"{len(manifests)} images ({excerpt(tags)})"
            raise _wrong(self._path, found, "exactly one", "save one image alone: docker save NAME:TAG")
        return manifests[0]

    def json(self, name: str) -> Any:
        """A document by its name in the archive."""
        with self._open(name) as file:
            return json.loads(file.read(MAX_JSON_BYTES))

    def require_no_attestation(self) -> None:
        """Raise `InputError` where BuildKit's provenance or SBOM is in the index."""
        if "index.json" not in self._members:
            return
        for entry in self._index_entries("index.json"):
            if entry.get("annotations", {}).get("vnd.docker.reference.type") == ATTESTATION:
                remedy = "build it with --provenance=false --sbom=false"
                raise _wrong(self._path, "an attestation manifest", "the image alone", remedy)

    def require_no_model(self, layer: str) -> None:
        """Raise `InputError` for weights in a layer: they come as a file of their own."""
        with self._open(layer) as file, tarfile.open(fileobj=file, mode="r|*") as members:
            for member in members:
                path = PurePosixPath(member.name.removeprefix("./"))
                has_weights = path.suffix in WEIGHTS and member.size > EXAMPLE_BYTES
                if member.isfile() and (MODEL in path.parents or has_weights):
                    remedy = "upload the model's own file, and leave it out of the image"
                    raise _wrong(self._path, f"weights ({excerpt(str(path))})", "none", remedy)

    def _index_entries(self, name: str) -> Iterator[Document]:
        for entry in self.json(name).get("manifests", []):
            yield entry
            blob = f"blobs/{str(entry['digest']).replace(':', '/')}"
            if "index" in entry.get("mediaType", "") and blob in self._members:
                yield from self._index_entries(blob)

    @contextmanager
    def _open(self, name: str) -> Iterator[Any]:
        file = self._archive.extractfile(self._members[name])
        if file is None:
            raise KeyError(name)
        with file:
            yield file


def _check_config(path: Path, document: Document, manifest: Document, size: int) -> ImageSummary:
    platform = f"{document.get('os')}/{document.get('architecture')}"
    if platform != "linux/amd64":
        raise _wrong(
            path, f"an image for {excerpt(platform)}", "linux/amd64", "build it with --platform linux/amd64"
        )
    config = document["config"]
    return ImageSummary(
        tag=", ".join(manifest.get("RepoTags") or ["an image without a tag"]),
        user=_user(path, str(config.get("User") or "")),
        api=_api(path, config),
        size=size,
    )


def _user(path: Path, user: str) -> str:
    name = user.partition(":")[0]
    if name.lower() in ("", "root", "0"):
        raise _wrong(
            path, f"the user {excerpt(user)}", "another than root", "name one in its Dockerfile (USER)"
        )
    if not (name.isascii() and name.isalnum() and name[0].isalpha()):
        raise _wrong(
            path, f"the user {excerpt(user)}", "a name of letters and digits", "rename it (useradd, USER)"
        )
    return user


def _api(path: Path, config: Document) -> str:
    """The way in which the platform calls the image, whose command must be there for it."""
    command = config.get("Entrypoint") or config.get("Cmd")
    if not command:
        raise _wrong(path, "no command", "an ENTRYPOINT or CMD", "name it in its Dockerfile")
    if command[:2] in SHELLS:
        remedy = 'write it as a list: ENTRYPOINT ["program", "argument"]'
        raise _wrong(
            path, f"a command for a shell ({excerpt(command[-1])})", "one that is run as it is", remedy
        )
    api = (config.get("Labels") or {}).get(API_LABEL)
    if api not in APIS:
        found, expected = f"the label {API_LABEL} {excerpt(api)}", " or ".join(APIS)
        raise _wrong(path, found, expected, "set it in its Dockerfile (LABEL)")
    return str(api)


def _wrong(path: Path, found: str, expected: str, remedy: str) -> InputError:
    return InputError(f"{path}: found {found}, expected {expected}; {remedy}")
