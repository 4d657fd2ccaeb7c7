"""nnU-Net v2's `plans.json`, with the channels of its `dataset.json`, read into `Plans`."""

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic.dataclasses import dataclass

from common.documents import OPEN, check, read_document
from common.errors import ModelError
from common.export.checkpoints.explained import UnsupportedError, explained
from common.export.checkpoints.v2.dataset import TRAINED_FOLDER, read_dataset
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
EXPECTED = "the plans that nnU-Net v2 wrote beside the checkpoint"


@dataclass(frozen=True, config={**OPEN, "allow_inf_nan": True})
class _Intensities:
    """Of one channel; not numbers where the training set has no foreground, which matters for CT only."""

    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


@dataclass(frozen=True, config=OPEN)
class _Document:
    configurations: dict[str, dict[str, Any]]
    transpose_forward: tuple[int, int, int]
    image_reader_writer: str = "SimpleITKIO"
    intensities: dict[str, _Intensities] = Field(
        default_factory=dict,
        validation_alias=AliasChoices(
            "foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"
        ),
    )
    """By the channel's number, as text."""


@dataclass(frozen=True, config=OPEN)
class _Heir:
    inherits_from: str | None = None


@dataclass(frozen=True, config=OPEN)
class _Configuration:
    patch_size: tuple[int, ...]
    spacing: tuple[float, ...]
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    resampling_fn_data: str
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_probabilities: str
    resampling_fn_probabilities_kwargs: dict[str, Any]
    preprocessor_name: str = "DefaultPreprocessor"
    previous_stage: str | None = None


def read_plans(folder: Path, configuration: str) -> Plans:
    """The configuration of that name (`"3d_fullres"`) in a folder as training left it.

    Raises `ModelError` for a file that is missing or broken and for what inference cannot do:
    2D and cascaded configurations, unknown preprocessors, normalisations or resamplers.
    """
    document, entries = _read_document(folder), read_configuration(folder, configuration)
    channels = read_dataset(folder).channels
    with explained(_place(folder, configuration), EXPECTED):
        return _plans(document, check(_Configuration, entries), channels)


def read_configuration(folder: Path, configuration: str) -> dict[str, Any]:
    """The entries of that configuration as `plans.json` has them, with those that it inherits.

    Raises `ModelError` for a file that is missing or broken, or lacks the configuration.
    """
    document = _read_document(folder)
    with explained(_place(folder, configuration), EXPECTED):
        return _resolve(document.configurations, configuration)


def _read_document(folder: Path) -> _Document:
    path = folder / "plans.json"
    return read_document(
        _Document, path, failure=ModelError, remedy=f"expected {EXPECTED}", missing=TRAINED_FOLDER
    )


def _place(folder: Path, configuration: str) -> str:
    return f"{folder / 'plans.json'}: configuration {configuration}"


def _resolve(configurations: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    chain: list[str] = []
    following: str | None = name
    while following:
        if following not in configurations:
            raise UnsupportedError(f"there is no {following!r}; the plans have {sorted(configurations)}")
        if following in chain:
            raise UnsupportedError(f"it inherits from itself through {chain}")
        chain.append(following)
        following = check(_Heir, configurations[following]).inherits_from
    merged: dict[str, Any] = {}
    for ancestor in reversed(chain):
        merged |= configurations[ancestor]
    return merged


def _plans(document: _Document, configuration: _Configuration, names: tuple[str, ...]) -> Plans:
    patch, spacing = configuration.patch_size, configuration.spacing
    if len(patch) != 3 or len(spacing) != 3:
        raise UnsupportedError(f"found patch_size {list(patch)}, expected a 3D configuration")
    if configuration.previous_stage:
        raise UnsupportedError(
            f"found previous_stage {configuration.previous_stage!r}; cascades are not supported"
        )
    if configuration.preprocessor_name not in PREPROCESSORS:
        raise UnsupportedError(
            f"found preprocessor_name {configuration.preprocessor_name!r}, supported are "
            f"{sorted(PREPROCESSORS)}"
        )
    if document.image_reader_writer not in READERS:
        raise UnsupportedError(
            f"found image_reader_writer {document.image_reader_writer!r}, supported are {sorted(READERS)}"
        )
    return Plans(
        generation=2,
        patch=(patch[0], patch[1], patch[2]),
        spacing=(spacing[0], spacing[1], spacing[2]),
        transpose_forward=document.transpose_forward,
        channels=_channels(document, configuration, names),
        resample_data=_resampling(
            "data", configuration.resampling_fn_data, configuration.resampling_fn_data_kwargs
        ),
        resample_prediction=_resampling(
            "probabilities",
            configuration.resampling_fn_probabilities,
            configuration.resampling_fn_probabilities_kwargs,
        ),
    )


def _channels(
    document: _Document, configuration: _Configuration, names: tuple[str, ...]
) -> tuple[ChannelSpec, ...]:
    schemes, masks = configuration.normalization_schemes, configuration.use_mask_for_norm
    if not len(schemes) == len(masks) == len(names):
        raise UnsupportedError(
            f"found {len(schemes)} normalization_schemes and {len(masks)} use_mask_for_norm, expected "
            f"{len(names)} of each, as dataset.json has channels"
        )
    unknown = [scheme for scheme in schemes if scheme not in SCHEMES]
    if unknown:
        raise UnsupportedError(f"found normalization scheme {unknown[0]!r}, supported are {sorted(SCHEMES)}")
    return tuple(
        ChannelSpec(name, SCHEMES[scheme], mask, _statistics(document.intensities.get(str(i)), scheme))
        for i, (name, scheme, mask) in enumerate(zip(names, schemes, masks, strict=True))
    )


def _statistics(intensities: _Intensities | None, scheme: str) -> Statistics | None:
    if scheme != "CTNormalization":
        return None
    if intensities is None:
        raise UnsupportedError("CTNormalization needs foreground_intensity_properties_per_channel")
    return Statistics(
        mean=intensities.mean,
        std=intensities.std,
        percentile_00_5=intensities.percentile_00_5,
        percentile_99_5=intensities.percentile_99_5,
    )


def _resampling(what: str, name: str, given: dict[str, Any]) -> Resampling:
    if name not in RESAMPLERS or not given.keys() <= RESAMPLERS[name].keys():
        raise UnsupportedError(
            f"found resampling_fn_{what} {name!r} with {given}; supported are {list(RESAMPLERS)} with "
            "nnU-Net's own arguments"
        )
    arguments = RESAMPLERS[name] | given
    is_linear = arguments.get("mode") == "linear" and arguments["force_separate_z"] is False
    if arguments["is_seg"] or (name == TORCH_RESAMPLER and not is_linear):
        raise UnsupportedError(
            f"found resampling_fn_{what} {name!r} with {given}; of torch's resampler only the linear mode "
            "with force_separate_z false is supported, and no resampler of labels"
        )
    return Resampling(
        order=arguments.get("order", 1),
        order_z=arguments.get("order_z", 0),
        force_separate_z=arguments["force_separate_z"],
    )
