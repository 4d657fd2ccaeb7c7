"""Trained folders of networks with random weights, and what describes their sockets."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.originals import checkpoints as originals
from common.demo.plans_v2 import Design, make_dataset, make_plans

CHANNELS = ("T2", "ADC", "DWI")
LABELS = ("gland", "zone", "lesion")
DESIGN = Design(
    spacing=(3.0, 2.0, 2.0),
    patch=(16, 24, 32),
    batch=2,
    features=(4, 8, 12),
    blocks=(1, 1, 1),
    schemes=("CTNormalization", "ZScoreNormalization", "ZScoreNormalization"),
)

Change = Callable[[dict[str, Any], dict[str, Any]], object]


def write_checkpoint(
    folder: Path,
    *,
    channels: Sequence[str] = CHANNELS,
    labels: Sequence[str] = LABELS,
    folds: Sequence[str] = ("0",),
    mirror_axes: tuple[int, ...] = (0, 2),
    change: Change | None = None,
) -> Path:
    """Write what nnU-Net v2's training leaves; `change` edits plans and data set before."""
    rng = np.random.default_rng(0)
    intensities = [rng.normal(100, 50, 500).astype(np.float32) for _ in channels]
    plans = make_plans(replace(DESIGN, schemes=DESIGN.schemes[: len(channels)]), intensities, (40, 60, 60))
    dataset = make_dataset(channels, labels, 10)
    if change:
        change(plans, dataset)
    originals.write_checkpoint(
        folder,
        plans,
        dataset,
        folds=folds,
        mirror_axes=mirror_axes,
        channels=len(channels),
        classes=len(labels) + 1,
    )
    return folder


def interface_document(channels: Sequence[str] = CHANNELS, labels: Sequence[str] = LABELS) -> dict[str, Any]:
    """An `interface.json` whose sockets' slugs are not the channels' names."""
    inputs: list[dict[str, Any]] = [
        {
            "slug": f"mri-{index}",
            "kind": "image",
            "relative_path": f"images/mri-{index}",
            "channel": channel,
        }
        for index, channel in enumerate(channels)
    ]
    inputs[0] |= {"reference": True, "names_mask": True}
    path = "images/prostate-zones"
    mask = {"slug": "zones", "kind": "segmentation", "relative_path": path, "labels": list(labels)}
    return {"title": "Prostate", "inputs": inputs, "outputs": [mask]}


def write_interface(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three channels, four classes, one fold; not to be changed."""
    return write_checkpoint(tmp_path_factory.mktemp("nnunet") / "checkpoint")


@pytest.fixture
def interface(tmp_path: Path) -> Path:
    """The sockets of that network."""
    return write_interface(tmp_path / "interface.json", interface_document())
