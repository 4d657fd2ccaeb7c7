"""What an algorithm takes and gives: its sockets, as `interface.json` beside it declares them."""

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from common.case import ClickName
from common.documents import STRICT, decode

Kind = Literal["image", "multiple-points", "segmentation"]
LESION_ALONE = ("lesion",)
MAX_LABELS = 255
"""What a voxel of 8 bits has beside the background."""
MAX_NAME, MAX_PATH = 255, 1024
"""Bytes of a file's name, and of a path: Linux takes four times as many, with the folder before it."""


@dataclass(frozen=True, config=STRICT)
class Socket:
    """One input or output, and where it lies under `/input` or `/output`.

    Raises `ValueError` when built from something the platform would not take as a socket.
    """

    slug: str
    kind: Kind
    relative_path: str
    """A folder that holds one file for images and segmentations, a JSON file for points."""
    reference: bool = False
    """This image's grid is the case's grid; exactly one input image has it."""
    names_mask: bool = False
    """The mask takes over this image's file name; exactly one input image has it."""
    optional: bool = False
    """The case may come without it."""
    unnamed: ClickName | None = None
    """What a point without a name is taken for; without this entry it is refused."""
    outside: float = 0.0
    """Value where the image does not reach on the case's grid, in the image's own unit (HU, SUV)."""
    channel: str | None = None
    """The network's channel that this image is; `None`: the one named as the slug."""
    labels: tuple[str, ...] = LESION_ALONE
    """Names of the segmentation's labels 1, 2, … in their order."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.slug):
            raise ValueError(f"socket slug {self.slug!r}: expected lower-case words joined by '-'")
        if not is_relative_path(self.relative_path):
            raise ValueError(f"socket {self.slug!r}: {self.relative_path!r} is not a path inside a folder")
        if self.relative_path.startswith("images/") == (self.kind == "multiple-points"):
            raise ValueError(f"socket {self.slug!r}: images, and only they, lie under 'images/'")
        self._check_kind()
        if self.optional and (self.reference or self.kind == "segmentation"):
            raise ValueError(f"socket {self.slug!r}: neither the reference nor the mask can be optional")
        if self.optional and self.names_mask:
            raise ValueError(f"socket {self.slug!r}: the image that names the mask cannot be optional")
        if not 1 <= len(set(self.labels)) == len(self.labels) <= MAX_LABELS:
            raise ValueError(f"socket {self.slug!r}: expected 1 to {MAX_LABELS} labels of different names")

    def _check_kind(self) -> None:
        """Raise `ValueError` for an entry that another kind of socket has."""
        for given, kind, rule in (
            (self.reference, "image", "only an image can be the reference"),
            (self.names_mask, "image", "only an image can name the mask"),
            (self.channel is not None, "image", "only an image can be a channel"),
            (self.unnamed is not None, "multiple-points", "only points can be unnamed"),
            (self.labels != LESION_ALONE, "segmentation", "only a segmentation can have labels"),
        ):
            if given and self.kind != kind:
                raise ValueError(f"socket {self.slug!r}: {rule}")

    @property
    def image_name(self) -> str:
        """The name of an image in the case: its channel's, in lower case."""
        return (self.channel or self.slug).lower()


Instance = Literal["cpu-2-8", "cpu-2-16", "cpu-4-32", "t4-4-16", "t4-8-32", "a10g-4-16", "a10g-8-32"]
"""The platform's machines, by GPU, cores and GiB of memory; docker/lib.sh has the same."""


@dataclass(frozen=True, config=STRICT)
class Interface:
    """An algorithm's inputs and its one output; raises `ValueError` when they do not make sense."""

    title: str
    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]
    run: dict[str, Any] = Field(default_factory=dict)
    """The settings of a run that nobody chose otherwise; see `common.model.settings`."""
    instances: tuple[Instance, ...] = ("cpu-2-8",)
    """The platform's machines that are enough for it, the smallest first."""

    def __post_init__(self) -> None:
        slugs = [socket.slug for socket in (*self.inputs, *self.outputs)]
        if len(set(slugs)) < len(slugs):
            raise ValueError(f"sockets {', '.join(slugs)}: a slug occurs twice")
        names = [socket.image_name for socket in self.inputs if socket.kind == "image"]
        if len(set(names)) < len(names):
            raise ValueError(f"images {', '.join(names)}: two images are the same channel")
        paths = [socket.relative_path for socket in self.inputs]
        if len(set(paths)) < len(paths):
            raise ValueError(f"inputs at {', '.join(paths)}: a relative_path occurs twice")
        if any(socket.kind == "segmentation" for socket in self.inputs):
            raise ValueError("an input is an image or points, not a segmentation")
        if sum(socket.reference for socket in self.inputs) != 1:
            raise ValueError("exactly one input image must be the reference")
        if sum(socket.names_mask for socket in self.inputs) != 1:
            raise ValueError("exactly one input image must name the mask (names_mask)")
        if [socket.kind for socket in self.outputs] != ["segmentation"]:
            raise ValueError("exactly one output, a segmentation, is expected")

    @classmethod
    def load(cls, path: Path) -> "Interface":
        """Read an `interface.json`; `ValueError` names what is wrong with it."""
        try:
            return decode(cls, path.read_bytes(), "interface")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @property
    def reference(self) -> Socket:
        """The input image whose grid the mask takes over."""
        return next(socket for socket in self.inputs if socket.reference)

    @property
    def namesake(self) -> Socket:
        """The input image whose file name the mask takes over."""
        return next(socket for socket in self.inputs if socket.names_mask)

    @property
    def mask(self) -> Socket:
        """The output."""
        return self.outputs[0]


def is_relative_path(path: str) -> bool:
    """Whether a text is a normalised POSIX path that stays inside the folder it is relative to."""
    parts = PurePosixPath(path).parts
    if not path.isprintable() or len(path.encode()) > MAX_PATH:
        return False
    is_short = all(len(part.encode()) <= MAX_NAME for part in parts)
    return bool(parts) and is_short and ".." not in parts and "/".join(parts) == path
