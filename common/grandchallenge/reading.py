"""A case as the platform lays it out under `/input`."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path

from common.case import Case, Click
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.clicks import read_clicks
from common.grandchallenge.grid import overlap, resample, same_grid
from common.grandchallenge.images import Image, find_image, image_stem, read_geometry, read_image
from common.grandchallenge.inputs_json import FILE, sockets_of_case
from common.grandchallenge.interface import Interface, Socket
from common.memory import require_memory

logger = logging.getLogger(__name__)

FLOAT32 = 4


def read_case(input_dir: Path, interface: Interface) -> Case:
    """Read the images, all on the reference image's grid, and the clicks.

    Raises `InputError` naming the first file that is missing or wrong, `MachineError` when memory runs out.
    """
    sockets = [socket for socket in sockets_of_case(input_dir, interface) if _is_there(socket, input_dir)]
    image_sockets = {socket.image_name: socket for socket in sockets if socket.kind == "image"}
    clicks = _read_clicks(input_dir, [socket for socket in sockets if socket.kind == "multiple-points"])
    paths = {name: find_image(input_dir / socket.relative_path) for name, socket in image_sockets.items()}
    reference = interface.reference.image_name
    require_memory(_memory(list(paths.values()), paths[reference]), "reading this case")
    with ThreadPoolExecutor(len(paths)) as threads:
        images = dict(zip(paths, threads.map(read_image, paths.values()), strict=True))
    grid = images[reference].geometry
    return Case(
        images={
            name: _place(images.pop(name), socket, paths[name], grid).voxels
            for name, socket in image_sockets.items()
        },
        geometry=grid,
        stem=image_stem(paths[interface.namesake.image_name]),
        clicks=clicks,
    )


def _is_there(socket: Socket, input_dir: Path) -> bool:
    """Whether the case has this socket; the platform lists those alone that it gives a file."""
    path = input_dir / socket.relative_path
    if path.exists() or path.is_symlink():  # a link that leads nowhere is refused where it is read
        return True
    if (input_dir / FILE).exists():
        raise InputError(
            f"{path}: no such file or folder, but {input_dir / FILE} lists {socket.slug!r}; give the case "
            "that input, or take it off the list"
        )
    if not socket.optional:
        return True  # refused where it is read
    logger.warning("%s: no such file or folder, the case goes without", path)
    return False


def _memory(paths: Sequence[Path], reference: Path) -> int:
    """Bytes of all images as float32, and of what is held to bring one onto the reference's grid.

    That is a copy of the image for ITK, ITK's result, and its copy, made when the first is gone.
    """
    grid = read_geometry(reference)
    grids = [read_geometry(path) for path in paths]
    voxels = sum(prod(other.size) for other in grids)
    for other in grids:
        if not same_grid(grid, other):
            voxels += max(prod(other.size), prod(grid.size)) + prod(grid.size)
    return FLOAT32 * voxels


def _place(image: Image, socket: Socket, path: Path, grid: Geometry) -> Image:
    if same_grid(grid, image.geometry):
        return image
    if not overlap(grid, image.geometry):
        raise InputError(
            f"{path}: does not overlap the reference image ({image.geometry}; "
            f"reference: {grid}); upload images of one patient and session"
        )
    logger.warning(
        "%s: resampled onto the reference image's grid, %g where it does not reach (%s; reference: %s)",
        path,
        socket.outside,
        image.geometry,
        grid,
    )
    return resample(image, grid, socket.outside)


def _read_clicks(input_dir: Path, sockets: Sequence[Socket]) -> tuple[Click, ...]:
    clicks: list[Click] = []
    for socket in sockets:
        path = input_dir / socket.relative_path
        if not path.exists():
            raise InputError(f"{path}: no such file; give the case its {socket.slug!r}")
        clicks += read_clicks(path, socket.unnamed)
    return tuple(clicks)
