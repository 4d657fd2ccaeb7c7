"""nnU-Net v1's plans, read into `Plans`; nnFormer, and so GEPNet, writes the same form.

They lie in `plans.pkl`, and beside each checkpoint in its companion, `model_final_checkpoint.model.pkl`;
where neither is at hand, they can be given as JSON.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from common.errors import ModelError
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

Triple = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True)
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
    return _read(path, _plans)


def read_network_plan(path: Path) -> NetworkPlan:
    """Read the network's make of the same stage; raises `ModelError` as `read_plans_v1` does."""
    return _read(path, _network_plan)


class _UnsupportedError(Exception):
    """Plans that are well-formed but ask for what this package does not do."""


def _read(path: Path, convert: Callable[[Mapping[str, Any], Mapping[str, Any]], T]) -> T:
    document = read_json_plans(path) if path.suffix == ".json" else load(path)
    try:
        if path.name.endswith(f".model{COMPANION_SUFFIX}"):
            document = document["plans"]
        stages = document["plans_per_stage"]
        return convert(document, stages[max(stages)])
    except _UnsupportedError as error:
        raise ModelError(f"{path}: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{path}: missing or malformed entry {error}; expected the plans that nnU-Net v1 wrote beside "
            "the checkpoint"
        ) from error


def _plans(document: Mapping[str, Any], stage: Mapping[str, Any]) -> Plans:
    if document.get("preprocessor_name") not in PREPROCESSORS:
        raise _UnsupportedError(
            f"found preprocessor_name {document['preprocessor_name']!r}, supported is {PREPROCESSORS[-1]!r}"
        )
    return Plans(
        generation=1,
        patch=_triple("patch_size", stage["patch_size"]),
        spacing=_spacing(stage["current_spacing"]),
        transpose_forward=_permutation(document.get("transpose_forward") or (0, 1, 2)),
        channels=tuple(_channel(document, index) for index in range(int(document["num_modalities"]))),
        resample_data=DATA_RESAMPLING,
        resample_prediction=_prediction_resampling(document.get("segmentation_export_params")),
    )


def _network_plan(document: Mapping[str, Any], stage: Mapping[str, Any]) -> NetworkPlan:
    strides = tuple(_triple("pool_op_kernel_sizes", stride) for stride in stage["pool_op_kernel_sizes"])
    kernels = tuple(_triple("conv_kernel_sizes", kernel) for kernel in stage["conv_kernel_sizes"])
    if len(kernels) != len(strides) + 1:
        raise _UnsupportedError(
            f"found {len(kernels)} conv_kernel_sizes and {len(strides)} pool_op_kernel_sizes, "
            "expected one more of the former"
        )
    return NetworkPlan(
        inputs=int(document["num_modalities"]),
        classes=int(document["num_classes"]) + 1,
        base_features=int(document["base_num_features"]),
        convolutions=int(document.get("conv_per_stage", 2)),
        strides=strides,
        kernels=kernels,
    )


def _triple(name: str, sizes: Any) -> Triple:
    values = [int(size) for size in sizes]
    if len(values) != 3 or min(values) < 1:
        raise _UnsupportedError(f"found {name} {values}, expected three sizes of a 3D network")
    return values[0], values[1], values[2]


def _spacing(edges: Any) -> tuple[float, float, float]:
    values = [float(edge) for edge in edges]
    if len(values) != 3 or not all(0 < edge < inf for edge in values):
        raise _UnsupportedError(f"found current_spacing {values}, expected three lengths in mm")
    return values[0], values[1], values[2]


def _permutation(axes: Any) -> Triple:
    values = [int(axis) for axis in axes]
    if sorted(values) != [0, 1, 2]:
        raise _UnsupportedError(f"found transpose_forward {values}, expected a permutation of [0, 1, 2]")
    return values[0], values[1], values[2]


def _channel(document: Mapping[str, Any], index: int) -> ChannelSpec:
    scheme = document["normalization_schemes"][index]
    if scheme not in SCHEMES:
        raise _UnsupportedError(f"found normalization scheme {scheme!r}, supported are {sorted(SCHEMES)}")
    return ChannelSpec(
        name=str(document["modalities"][index]),
        scheme=SCHEMES[scheme],
        use_mask=bool(document["use_mask_for_norm"][index]),
        statistics=_statistics(document, index) if scheme in ("CT", "CT2") else None,
    )


def _statistics(document: Mapping[str, Any], index: int) -> Statistics:
    properties = document["dataset_properties"]["intensityproperties"][index]
    return Statistics(
        mean=float(properties["mean"]),
        std=float(properties["sd"]),
        percentile_00_5=float(properties["percentile_00_5"]),
        percentile_99_5=float(properties["percentile_99_5"]),
    )


def _prediction_resampling(parameters: Mapping[str, Any] | None) -> Resampling:
    if parameters is None:
        return PREDICTION_RESAMPLING
    return Resampling(
        order=int(parameters["interpolation_order"]),
        order_z=int(parameters["interpolation_order_z"]),
        force_separate_z=parameters["force_separate_z"],
    )
