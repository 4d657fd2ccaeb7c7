"""From any trained folder of nnU-Net v2 to its model folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from common import algorithms
from common.documents import read_document
from common.errors import InputError
from common.export.checkpoints.v2.trained_folder import (
    TrainedFolder,
    export_trained_folder,
    read_trained_folder,
)
from common.grandchallenge.interface import Interface
from common.model.model import Model
from common.model.settings import from_document
from common.model.writing import new_model_folder, write_model

ALGORITHM = "nnunet"
GIVE_YOURS = "describe the sockets of your algorithm with --interface FILE"
HOW_TO_REPAIR = "correct the file; containers/nnunet/README.md gives the format"


def export(
    checkpoint: Path, destination: Path, folds: Sequence[str] | None = None, interface: Path | None = None
) -> None:
    """Write the model folder `destination` from the trained folder `checkpoint`: all folds, or those named.

    `interface` is a file that describes the sockets, instead of this algorithm's own `interface.json`; it
    goes into the model folder. Raises `ModelError` for a checkpoint that is damaged, hostile or not
    supported, as `read_trained_folder` does, and `InputError` for an interface that does not fit the network.
    """
    path = interface or algorithms.interface_path(ALGORITHM)
    sockets = read_document(Interface, path, failure=InputError, remedy=HOW_TO_REPAIR, where="interface")
    require_settings(sockets, path)
    trained = with_unique_names(read_trained_folder(checkpoint, folds))
    require_fit(sockets, trained, path, None if interface else GIVE_YOURS)
    with new_model_folder(destination) as folder:
        network = export_trained_folder(trained, folder)
        own = None if interface is None else sockets
        write_model(folder, Model(ALGORITHM, (network,), trained.source_sha256(), interface=own))


def require_settings(interface: Interface, source: Path) -> None:
    """Raise `InputError`, naming the file `source`, for settings of a run that are none."""
    try:
        from_document(interface.run, "run")
    except ValueError as error:
        raise InputError(f"{source}: {error}; {HOW_TO_REPAIR}") from error


def with_unique_names(trained: TrainedFolder) -> TrainedFolder:
    """The folder with numbers behind the names that `dataset.json` gives several channels: `MRI 0`, `MRI 1`.

    A socket names the channel that its image is.
    """
    names = trained.image_channels
    counts = Counter(name.lower() for name in names)
    unique = [f"{name} {index}" if counts[name.lower()] > 1 else name for index, name in enumerate(names)]
    if len({name.lower() for name in unique}) < len(unique):  # a name was another's with its number
        unique = [f"{name} {index}" for index, name in enumerate(names)]
    return replace(trained, plans=trained.plans.with_names(unique))


def require_fit(interface: Interface, trained: TrainedFolder, source: Path, remedy: str | None) -> None:
    """Raise `InputError`, naming the file `source`, where sockets and network do not belong together.

    Every channel needs one image that is not optional, every image must be a channel, and the mask's labels
    are the network's classes but the background. `remedy` replaces what each message says to do.
    """
    if misfit := _misfit(interface, trained):
        problem, usual_remedy = misfit
        raise InputError(f"{source}: {problem}; {remedy or usual_remedy}")


def _misfit(interface: Interface, trained: TrainedFolder) -> tuple[str, str] | None:
    """The first thing that does not fit, and what to do about it."""
    needed = {name.lower(): name for name in trained.image_channels}
    images = {socket.image_name: socket for socket in interface.inputs if socket.kind == "image"}
    for name, channel in needed.items():
        if name not in images or images[name].optional:
            return (
                f"no image is always there for the network's channel {channel!r}, found {', '.join(images)}",
                f'give a socket of kind image the entry "channel": "{channel}"',
            )
    if surplus := [socket.slug for name, socket in images.items() if name not in needed]:
        return (
            f"the image {surplus[0]!r} is no channel of the network, which takes "
            f"{', '.join(trained.image_channels)}",
            'remove the socket or give its "channel"',
        )
    if others := [socket.slug for socket in interface.inputs if socket.kind != "image"]:
        return f"found the socket {others[0]!r}, expected images only", "remove it"
    found, expected = len(interface.mask.labels), len(trained.labels)
    if found != expected:
        return (
            f"the mask's socket has {found} labels, expected {expected} as the network tells apart "
            f"({', '.join(trained.labels)})",
            'change its entry "labels"',
        )
    return None
