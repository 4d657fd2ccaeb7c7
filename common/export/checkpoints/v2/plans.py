"""nnU-Net v2's `plans.json` and `dataset.json`, read into `Plans`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import ModelError
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Scheme, Statistics

SCHEMES: dict[str, Scheme] = {
    "CTNormalization": "ct",
    "ZScoreNormalization": "z_score",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "rescale_0_1",
    "RGBTo01Normalization": "rgb_0_1",
}
TORCH_RESAMPLER = "resample_torch_fornnunet"
RESAMPLERS: dict[str, dict[str, Any]] = {
    "resample_data_or_seg_to_shape": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": False},
    TORCH_RESAMPLER: {
        "is_seg": False,
        "mode": "linear",
        "force_separate_z": None,
        "memefficient_seg_resampling": False,
        "num_threads": 4,
    },
}
"""nnU-Net's resamplers and their arguments' defaults."""
READERS = {"SimpleITKIO", "NibabelIO"}
"""Readers that keep the image's axes as they are."""
PREPROCESSORS = {"DefaultPreprocessor", "autoPetPreprocessor"}
"""Preprocessors that treat images alike (autoPET's adds organ masks in training only)."""


def read_plans(folder: Path, configuration: str) -> Plans:
    """The configuration of that name (`"3d_fullres"`) in a folder as training left it.

    Raises `ModelError` for a file that is missing or broken and for what inference cannot do:
    2D and cascaded configurations, unknown preprocessors, normalisations or resamplers.
    """
    path = folder / "plans.json"
    document = read_json(path)
    channels = channel_names(folder)
    with _explained(path, configuration):
        return _plans(document, _resolve(document["configurations"], configuration), channels)


def read_configuration(folder: Path, configuration: str) -> dict[str, Any]:
    """The entries of that configuration as `plans.json` has them, with those that it inherits.

    Raises `ModelError` for a file that is missing or broken, or lacks the configuration.
    """
    path = folder / "plans.json"
    with _explained(path, configuration):
        return _resolve(read_json(path)["configurations"], configuration)


def channel_names(folder: Path) -> tuple[str, ...]:
    """Names of the image channels, in the network's order, from `dataset.json`."""
    path = folder / "dataset.json"
    names = read_json(path).get("channel_names")
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(len(names))}:
        raise ModelError(
            f'{path}: found channel_names {names!r}, expected {{"0": "CT", "1": "PET"}} or alike'
        )
    return tuple(str(names[str(i)]) for i in range(len(names)))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file of the checkpoint; `ModelError` if there is none."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: not found; --checkpoint takes the folder that nnU-Net trained into"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error}); copy it again") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: found a JSON {type(document).__name__}, expected an object")
    return document


class _UnsupportedError(Exception):
    """Plans that are well-formed but ask for what this package does not do."""


@contextmanager
def _explained(path: Path, configuration: str) -> Iterator[None]:
    """Name the file and the configuration in whatever goes wrong."""
    try:
        yield
    except _UnsupportedError as error:
        raise ModelError(f"{path}: configuration {configuration}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: configuration {configuration}: missing or malformed entry {error}; expected the plans "
            "that nnU-Net v2 wrote beside the checkpoint"
        ) from error


def _resolve(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    chain: list[str] = []
    while name:
        if name not in configurations:
            raise _UnsupportedError(f"there is no {name!r}; the plans have {sorted(configurations)}")
        if name in chain:
            raise _UnsupportedError(f"it inherits from itself through {chain}")
        chain.append(name)
        name = configurations[name].get("inherits_from", "")
    merged: dict[str, Any] = {}
    for ancestor in reversed(chain):
        merged |= configurations[ancestor]
    return merged


def _plans(document: Mapping[str, Any], configuration: Mapping[str, Any], names: tuple[str, ...]) -> Plans:
    patch, spacing = configuration["patch_size"], configuration["spacing"]
    if len(patch) != 3 or len(spacing) != 3:
        raise _UnsupportedError(f"found patch_size {patch}, expected a 3D configuration")
    if configuration.get("previous_stage"):
        raise _UnsupportedError(
            f"found previous_stage {configuration['previous_stage']!r}; cascades are not supported"
        )
    preprocessor = configuration.get("preprocessor_name", "DefaultPreprocessor")
    if preprocessor not in PREPROCESSORS:
        raise _UnsupportedError(
            f"found preprocessor_name {preprocessor!r}, supported are {sorted(PREPROCESSORS)}"
        )
    reader = document.get("image_reader_writer", "SimpleITKIO")
    if reader not in READERS:
        raise _UnsupportedError(f"found image_reader_writer {reader!r}, supported are {sorted(READERS)}")
    return Plans(
        generation=2,
        patch=(int(patch[0]), int(patch[1]), int(patch[2])),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        transpose_forward=_permutation(document["transpose_forward"]),
        channels=_channels(document, configuration, names),
        resample_data=_resampling(configuration, "data"),
        resample_prediction=_resampling(configuration, "probabilities"),
    )


def _permutation(axes: list[int]) -> tuple[int, int, int]:
    if sorted(axes) != [0, 1, 2]:
        raise _UnsupportedError(f"found transpose_forward {axes}, expected a permutation of [0, 1, 2]")
    return axes[0], axes[1], axes[2]


def _channels(
    document: Mapping[str, Any], configuration: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[ChannelSpec, ...]:
    schemes, masks = configuration["normalization_schemes"], configuration["use_mask_for_norm"]
    if not len(schemes) == len(masks) == len(names):
        raise _UnsupportedError(
            f"found {len(schemes)} normalization_schemes and {len(masks)} use_mask_for_norm, expected "
            f"{len(names)} of each, as dataset.json has channels"
        )
    unknown = [scheme for scheme in schemes if scheme not in SCHEMES]
    if unknown:
        raise _UnsupportedError(f"found normalization scheme {unknown[0]!r}, supported are {sorted(SCHEMES)}")
    properties = (
        document.get("foreground_intensity_properties_per_channel")
        or document.get("foreground_intensity_properties_by_modality")
        or {}
    )
    return tuple(
        ChannelSpec(name, SCHEMES[scheme], bool(mask), _statistics(properties.get(str(i)), SCHEMES[scheme]))
        for i, (name, scheme, mask) in enumerate(zip(names, schemes, masks, strict=True))
    )


def _statistics(properties: Mapping[str, float] | None, scheme: Scheme) -> Statistics | None:
    if scheme != "ct":
        return None
    if properties is None:
        raise _UnsupportedError("CTNormalization needs foreground_intensity_properties_per_channel")
    return Statistics(
        mean=float(properties["mean"]),
        std=float(properties["std"]),
        percentile_00_5=float(properties["percentile_00_5"]),
        percentile_99_5=float(properties["percentile_99_5"]),
    )


def _resampling(configuration: Mapping[str, Any], what: str) -> Resampling:
    name, given = configuration[f"resampling_fn_{what}"], configuration[f"resampling_fn_{what}_kwargs"]
    if name not in RESAMPLERS or not given.keys() <= RESAMPLERS[name].keys():
        raise _UnsupportedError(
            f"found resampling_fn_{what} {name!r} with {given}; supported are {list(RESAMPLERS)} with "
            "nnU-Net's own arguments"
        )
    arguments = RESAMPLERS[name] | given
    is_linear = arguments.get("mode") == "linear" and arguments["force_separate_z"] is False
    if arguments["is_seg"] or (name == TORCH_RESAMPLER and not is_linear):
        raise _UnsupportedError(
            f"found resampling_fn_{what} {name!r} with {given}; of torch's resampler only the linear mode "
            "with force_separate_z false is supported, and no resampler of labels"
        )
    return Resampling(
        order=arguments.get("order", 1),
        order_z=arguments.get("order_z", 0),
        force_separate_z=arguments["force_separate_z"],
    )
