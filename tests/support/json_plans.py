"""What `plans.pkl` says, as JSON."""

from collections.abc import Mapping
from typing import Any

SOURCE = "plans.pkl of the test"
INTENSITIES = ("mean", "sd", "percentile_00_5", "percentile_99_5")


def json_plans(document: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON document with the content of `plans.pkl`, as `json.dumps` takes it."""
    stages = document["plans_per_stage"]
    stage = stages[max(stages)]
    return {
        "about": "a test",
        "patch_size": entry([int(size) for size in stage["patch_size"]]),
        "current_spacing": entry([float(edge) for edge in stage["current_spacing"]]),
        "transpose_forward": entry(list(document["transpose_forward"])),
        "modalities": [_modality(document, index) for index in range(document["num_modalities"])],
    }


def entry(value: object) -> dict[str, Any]:
    return {"value": value, "source": SOURCE}


def _modality(document: Mapping[str, Any], index: int) -> dict[str, Any]:
    properties = document["dataset_properties"]["intensityproperties"][index]
    return {
        "name": entry(document["modalities"][index]),
        "normalization_scheme": entry(document["normalization_schemes"][index]),
        "use_mask_for_norm": entry(document["use_mask_for_norm"][index]),
        "intensityproperties": entry({name: float(properties[name]) for name in INTENSITIES}),
    }
