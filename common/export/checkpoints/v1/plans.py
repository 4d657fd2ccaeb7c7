"""nnU-Net v1's plans, read into `Plans`; nnFormer, and so GEPNet, writes the same form.

They lie in `plans.pkl`, and beside each checkpoint in its companion, `model_final_checkpoint.model.pkl`;
where neither is at hand, they can be given as JSON.
"""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter
from pydantic.dataclasses import dataclass

from common.documents import STRICT
from common.errors import ModelError
from common.export.checkpoints.explained import UnsupportedError, explained
from common.export.checkpoints.safe_pickle import load
from common.export.checkpoints.v1.plans_json import read_json_plans
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Scheme, Statistics

PLANS_FILE = "plans.pkl"
COMPANION_SUFFIX = ".pkl"
"""What a companion's name has more than its checkpoint's."""
SCHEMES: dict[str, Scheme] = {"CT": "ct", "CT2": "ct2", "nonCT": "z_score", "noNorm": "none"}
PREPROCESSORS = (None, "GenericPreprocessor")
MIRROR_AXES = (0, 1, 2)
"""Not in the plans: the standard trainers of three-dimensional networks mirror along every axis."""

DATA_RESAMPLING = Resampling(order=3, order_z=0)
PREDICTION_RESAMPLING = Resampling(order=1, order_z=0)

PICKLED = ConfigDict(extra="ignore")
"""Settings of a document's class for Python's own data, which strict classes refuse; its types are strict."""

FEW = Field(max_length=100)
"""Of a list: far more than any plans have. A pickle can hold a long list many times in a few bytes."""

Triple = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True, config=STRICT)
class NetworkPlan:
    """The make of nnU-Net v1's `Generic_UNet`, in the network's axes."""

    inputs: int
    classes: int
    """Background included."""
    base_features: int
    convolutions: int
    """Convolutions in each stage."""
    strides: tuple[Triple, ...]
    """From each stage to the next deeper one."""
    kernels: tuple[Triple, ...]
    """One for each stage, the deepest last."""


def find_plans(folder: Path, checkpoint: Path, remedy: str = "copy one of them from the training") -> Path:
    """The file in a trained folder that holds the plans: `plans.pkl`, or else the companion of `checkpoint`.

    Raises `ModelError` where there is neither; `remedy` is its last clause.
    """
    path, companion = folder / PLANS_FILE, checkpoint.with_name(f"{checkpoint.name}{COMPANION_SUFFIX}")
    for candidate in (path, companion):
        if candidate.exists():
            return candidate
    raise ModelError(f"{folder}: found neither {PLANS_FILE} nor {companion.relative_to(folder)}; {remedy}")


def read_plans_v1(path: Path) -> Plans:
    """Read the plans of the full-resolution stage from `plans.pkl`, a checkpoint's companion or JSON.

    The file's name tells which. Raises `ModelError` for a file that is missing or broken or holds more than
    data, and for what inference cannot do: 2D networks, unknown preprocessors and normalisations.
    """
    return _read(path, _Document, _plans)


def read_network_plan(path: Path) -> NetworkPlan:
    """Read the network's make of the same stage; raises `ModelError` as `read_plans_v1` does."""
    return _read(path, _NetworkDocument, _network_plan)


@dataclass(frozen=True, config=PICKLED)
class _Companion:
    plans: Any


@dataclass(frozen=True, config=PICKLED)
class _Stage:
    patch_size: Annotated[tuple[StrictInt, ...], FEW]
    current_spacing: Annotated[tuple[StrictFloat, ...], FEW]


@dataclass(frozen=True, config=PICKLED)
class _Intensities:
    mean: StrictFloat
    sd: StrictFloat
    percentile_00_5: StrictFloat
    percentile_99_5: StrictFloat


@dataclass(frozen=True, config=PICKLED)
class _Properties:
    intensityproperties: Annotated[dict[StrictInt, _Intensities], FEW] | None = None
    """By modality; only where one of them is a CT."""


@dataclass(frozen=True, config=PICKLED)
class _ExportParameters:
    force_separate_z: StrictBool | None
    interpolation_order: StrictInt
    interpolation_order_z: StrictInt


@dataclass(frozen=True, config=PICKLED)
class _Document:
    """What inference needs of the plans."""

    plans_per_stage: Annotated[dict[StrictInt, _Stage], FEW]
    num_modalities: StrictInt
    modalities: Annotated[dict[StrictInt, StrictStr], FEW]
    normalization_schemes: Annotated[dict[StrictInt, StrictStr], FEW]
    use_mask_for_norm: Annotated[dict[StrictInt, StrictBool], FEW]
    dataset_properties: _Properties = _Properties()
    transpose_forward: tuple[StrictInt, StrictInt, StrictInt] | None = None
    preprocessor_name: StrictStr | None = None
    segmentation_export_params: _ExportParameters | None = None

    def __post_init__(self) -> None:
        _require_stages(self.plans_per_stage)
        if self.num_modalities < 1:
            raise ValueError(f"found num_modalities {self.num_modalities}, expected at least 1")
        for name in ("modalities", "normalization_schemes", "use_mask_for_norm"):
            for index in range(self.num_modalities):
                if index not in getattr(self, name):
                    raise ValueError(f"{name} lacks entry {index}")


@dataclass(frozen=True, config=PICKLED)
class _NetworkStage:
    pool_op_kernel_sizes: Annotated[tuple[Annotated[tuple[StrictInt, ...], FEW], ...], FEW]
    conv_kernel_sizes: Annotated[tuple[Annotated[tuple[StrictInt, ...], FEW], ...], FEW]


@dataclass(frozen=True, config=PICKLED)
class _NetworkDocument:
    """What the network's make needs of the plans."""

    plans_per_stage: Annotated[dict[StrictInt, _NetworkStage], FEW]
    num_modalities: StrictInt
    num_classes: StrictInt
    """Without the background."""
    base_num_features: StrictInt
    conv_per_stage: StrictInt = 2

    def __post_init__(self) -> None:
        _require_stages(self.plans_per_stage)


def _require_stages(stages: dict[int, Any]) -> None:
    if not stages:
        raise ValueError("found no plans_per_stage, expected at least one")


D = TypeVar("D", _Document, _NetworkDocument)


def _read(path: Path, kind: type[D], convert: Callable[[D], T]) -> T:
    document = read_json_plans(path) if path.suffix == ".json" else load(path)
    with explained(str(path), "the plans that nnU-Net v1 wrote beside the checkpoint"):
        if path.name.endswith(f".model{COMPANION_SUFFIX}"):
            document = TypeAdapter(_Companion).validate_python(document).plans
        return convert(TypeAdapter(kind).validate_python(document))


def _plans(document: _Document) -> Plans:
    if document.preprocessor_name not in PREPROCESSORS:
        raise UnsupportedError(
            f"found preprocessor_name {document.preprocessor_name!r}, supported is {PREPROCESSORS[-1]!r}"
        )
    stage = document.plans_per_stage[max(document.plans_per_stage)]
    return Plans(
        generation=1,
        patch=_triple("patch_size", stage.patch_size),
        spacing=_spacing(stage.current_spacing),
        transpose_forward=document.transpose_forward or (0, 1, 2),
        channels=tuple(_channel(document, index) for index in range(document.num_modalities)),
        resample_data=DATA_RESAMPLING,
        resample_prediction=_prediction_resampling(document.segmentation_export_params),
    )


def _network_plan(document: _NetworkDocument) -> NetworkPlan:
    stage = document.plans_per_stage[max(document.plans_per_stage)]
    strides = tuple(_triple("pool_op_kernel_sizes", stride) for stride in stage.pool_op_kernel_sizes)
    kernels = tuple(_triple("conv_kernel_sizes", kernel) for kernel in stage.conv_kernel_sizes)
    if len(kernels) != len(strides) + 1:
        raise UnsupportedError(
            f"found {len(kernels)} conv_kernel_sizes and {len(strides)} pool_op_kernel_sizes, "
            "expected one more of the former"
        )
    return NetworkPlan(
        inputs=document.num_modalities,
        classes=document.num_classes + 1,
        base_features=document.base_num_features,
        convolutions=document.conv_per_stage,
        strides=strides,
        kernels=kernels,
    )


def _triple(name: str, sizes: tuple[int, ...]) -> Triple:
    if len(sizes) != 3 or min(sizes) < 1:
        raise UnsupportedError(f"found {name} {list(sizes)}, expected three sizes of a 3D network")
    return sizes[0], sizes[1], sizes[2]


def _spacing(edges: tuple[float, ...]) -> tuple[float, float, float]:
    if len(edges) != 3 or not all(0 < edge < inf for edge in edges):
        raise UnsupportedError(f"found current_spacing {list(edges)}, expected three lengths in mm")
    return edges[0], edges[1], edges[2]


def _channel(document: _Document, index: int) -> ChannelSpec:
    scheme = document.normalization_schemes[index]
    if scheme not in SCHEMES:
        raise UnsupportedError(f"found normalization scheme {scheme!r}, supported are {sorted(SCHEMES)}")
    return ChannelSpec(
        name=document.modalities[index],
        scheme=SCHEMES[scheme],
        use_mask=document.use_mask_for_norm[index],
        statistics=_statistics(document, index) if scheme in ("CT", "CT2") else None,
    )


def _statistics(document: _Document, index: int) -> Statistics | None:
    properties = (document.dataset_properties.intensityproperties or {}).get(index)
    if properties is None:
        return None  # which ChannelSpec refuses
    return Statistics(
        mean=properties.mean,
        std=properties.sd,
        percentile_00_5=properties.percentile_00_5,
        percentile_99_5=properties.percentile_99_5,
    )


def _prediction_resampling(parameters: _ExportParameters | None) -> Resampling:
    if parameters is None:
        return PREDICTION_RESAMPLING
    return Resampling(
        order=parameters.interpolation_order,
        order_z=parameters.interpolation_order_z,
        force_separate_z=parameters.force_separate_z,
    )
