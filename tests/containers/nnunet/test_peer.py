"""Labels of a whole run are those that nnU-Net v2 itself gives."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.originals import nnunet_v2
from common.case import Case
from common.geometry import Geometry
from common.inference import labels as labels_module
from common.inference.options import Options
from common.model.reading import read_model
from containers.nnunet.algorithm import segment
from containers.nnunet.export import export
from tests.containers.nnunet.conftest import (
    CHANNELS,
    LABELS,
    interface_document,
    write_checkpoint,
    write_interface,
)


def transpose(plans, dataset):
    plans["transpose_forward"], plans["transpose_backward"] = [1, 2, 0], [2, 0, 1]


def use_masks(plans, dataset):
    plans["configurations"]["3d_fullres"]["use_mask_for_norm"] = [False, True, True]


def resample_by_cubes(plans, dataset):
    plans["configurations"]["3d_fullres"]["resampling_fn_probabilities_kwargs"]["order"] = 3


def smooth_images(shape):
    """Noise of several sizes within a frame of zeros."""
    rng = np.random.default_rng(5)
    images = [
        100 + 300 * sum(gaussian_filter(rng.standard_normal(shape), size) * size**1.5 for size in (1, 2, 4))
        for _ in CHANNELS
    ]
    framed = np.zeros((len(CHANNELS), *shape), np.float32)
    framed[:, 2:-1, 1:-3, 4:-2] = np.stack(images)[:, 2:-1, 1:-3, 4:-2]
    return framed


def dice(one, other, label):
    total = np.sum(one == label, dtype=int) + np.sum(other == label, dtype=int)
    return 2 * np.sum((one == label) & (other == label), dtype=int) / total


@pytest.mark.parametrize(
    ("shape", "spacing", "folds", "mirror_axes", "change", "rows"),
    [
        pytest.param((30, 40, 50), (3.0, 2.0, 2.0), ("0",), (0, 1, 2), None, None, id="same spacing"),
        pytest.param(
            (40, 44, 36), (2.2, 1.7, 2.6), ("0", "1"), (0, 2), None, None, id="resampled, two folds"
        ),
        pytest.param((40, 44, 36), (2.2, 1.7, 2.6), ("0", "1"), (0, 2), None, 1, id="in bands of one row"),
        pytest.param((12, 60, 50), (9.0, 1.5, 1.5), ("all",), (2,), None, None, id="coarse slices, fold_all"),
        pytest.param((26, 40, 44), (4.0, 2.0, 2.0), ("0",), (1,), transpose, None, id="transposed"),
        pytest.param((12, 18, 20), (3.0, 2.0, 2.0), ("0",), (), use_masks, None, id="smaller than a tile"),
        pytest.param((30, 36, 36), (2.0, 2.5, 2.5), ("0",), (), resample_by_cubes, None, id="cubic"),
    ],
)
def test_every_label_equals_nnunets(tmp_path, monkeypatch, shape, spacing, folds, mirror_axes, change, rows):
    checkpoint = write_checkpoint(
        tmp_path / "checkpoint", folds=folds, mirror_axes=mirror_axes, change=change
    )
    export(
        checkpoint, tmp_path / "model", interface=write_interface(tmp_path / "i.json", interface_document())
    )
    model = read_model(tmp_path / "model", "nnunet")
    images = smooth_images(shape)
    with nnunet_v2.float32_sums():
        theirs = nnunet_v2.segment(nnunet_v2.load(checkpoint, folds), images, spacing)
    if rows:
        monkeypatch.setattr(labels_module, "slices_that_fit", lambda network, space: rows)
    grid = Geometry(shape[::-1], spacing[::-1], (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    case = Case({name.lower(): image for name, image in zip(CHANNELS, images, strict=True)}, grid, "case")
    ours = segment(case, model, Options())
    present = np.flatnonzero(np.bincount(theirs.ravel(), minlength=len(LABELS) + 1) > 0.01 * theirs.size)
    assert len(present) >= 3
    for label in present:
        assert dice(ours, theirs, label) >= 0.999, label


def test_a_case_runs_from_the_users_own_sockets(checkpoint: Path, interface: Path, tmp_path: Path) -> None:
    """From files to the mask, as the platform calls it."""
    import SimpleITK

    from common.cli.main import main

    export(checkpoint, tmp_path / "model", interface=interface)
    for index, image in enumerate(smooth_images((20, 30, 32))):
        folder = tmp_path / f"input/images/mri-{index}"
        folder.mkdir(parents=True)
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image), folder / "patient.mha")
    input_, output = str(tmp_path / "input"), str(tmp_path / "output")
    model = ["--model", str(tmp_path / "model")]
    assert main(["run", "nnunet", "--input", input_, "--output", output, *model]) == 0
    assert main(["check", "output", "nnunet", "--input", input_, "--output", output, *model]) == 0
    mask = SimpleITK.ReadImage(tmp_path / "output/images/prostate-zones/patient.mha")
    assert SimpleITK.GetArrayFromImage(mask).max() > 1
