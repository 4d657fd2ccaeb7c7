from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.folds import find_folds
from common.export.checkpoints.v2.checkpoint import CHECKPOINT_FILE, read_checkpoint
from tests.support.golden_cases import autopet_checkpoint


def touch_folds(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / f"fold_{name}").mkdir()
        (folder / f"fold_{name}" / "checkpoint_final.pth").touch()
    return folder


def save(path: Path, **changes: object) -> Path:
    torch.save(autopet_checkpoint(0) | changes, path)
    return path


def test_all_folds_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folds = find_folds(touch_folds(tmp_path, "10", "2", "0"), CHECKPOINT_FILE)
    assert list(folds) == ["0", "2", "10"]
    assert folds["2"] == tmp_path / "fold_2" / "checkpoint_final.pth"


def test_the_fold_of_all_cases_counts_only_where_it_is_alone(tmp_path: Path) -> None:
    touch_folds(tmp_path, "all")
    assert list(find_folds(tmp_path, CHECKPOINT_FILE)) == ["all"]
    touch_folds(tmp_path, "0")
    assert list(find_folds(tmp_path, CHECKPOINT_FILE)) == ["0"]
    assert list(find_folds(tmp_path, CHECKPOINT_FILE, ["all"])) == ["all"]


def test_a_fold_without_a_final_checkpoint_does_not_count(tmp_path: Path) -> None:
    touch_folds(tmp_path, "0")
    (tmp_path / "fold_1").mkdir()
    assert list(find_folds(tmp_path, CHECKPOINT_FILE)) == ["0"]


def test_the_folds_asked_for_are_taken_once_each(tmp_path: Path) -> None:
    touch_folds(tmp_path, "0", "1", "2")
    assert list(find_folds(tmp_path, CHECKPOINT_FILE, ["2", "0", "2"])) == ["2", "0"]


@pytest.mark.parametrize("fold", ["7", "../0", ""])
def test_a_fold_that_is_not_there_is_refused(tmp_path: Path, fold: str) -> None:
    touch_folds(tmp_path, "0", "1")
    with pytest.raises(
        ModelError, match=rf"found no fold_{fold}/checkpoint_final.pth, there are folds 0, 1;"
    ):
        find_folds(tmp_path, CHECKPOINT_FILE, [fold])


def test_a_folder_without_folds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"found no fold_\*/checkpoint_final.pth"):
        find_folds(tmp_path, CHECKPOINT_FILE)


def test_a_checkpoint_gives_what_inference_needs(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(save(tmp_path / "a.pth"))
    assert (checkpoint.configuration, checkpoint.trainer) == ("3d_fullres", "autopetTrainerInteractive")
    assert checkpoint.mirror_axes == (0, 1, 2)
    assert checkpoint.weights.keys() == autopet_checkpoint(0)["network_weights"].keys()


@pytest.mark.parametrize(("axes", "expected"), [(None, ()), ([2, 0], (0, 2)), ((), ())])
def test_mirror_axes_are_those_that_the_training_allows(
    tmp_path: Path, axes: object, expected: tuple[int, ...]
) -> None:
    path = save(tmp_path / "a.pth", inference_allowed_mirroring_axes=axes)
    assert read_checkpoint(path).mirror_axes == expected


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_lose_what_wrappers_put_before_them(tmp_path: Path, prefix: str) -> None:
    path = save(tmp_path / "a.pth", network_weights={f"{prefix}encoder.module.weight": torch.zeros(1)})
    assert list(read_checkpoint(path).weights) == ["encoder.module.weight"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_weights": None}, "network_weights is a NoneType, expected a dict"),
        ({"network_weights": {"a": 1}}, r"network_weights\['a'\] is a int, expected a Tensor"),
        ({"network_weights": {1: torch.zeros(1)}}, "a name in network_weights is a int, expected a str"),
        ({"init_args": []}, "init_args is a list, expected a dict"),
        ({"init_args": {"configuration": 3}}, "init_args.configuration is a int, expected a str"),
        ({"trainer_name": None}, "trainer_name is a NoneType, expected a str"),
        ({"inference_allowed_mirroring_axes": (0, 3)}, r"inference_allowed_mirroring_axes \(0, 3\)"),
        ({"inference_allowed_mirroring_axes": "012"}, "inference_allowed_mirroring_axes '012'"),
    ],
)
def test_a_checkpoint_that_is_not_nnunets_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_checkpoint(save(tmp_path / "a.pth", **changes))


def test_a_file_that_holds_no_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "a.pth")
    with pytest.raises(ModelError, match="the checkpoint is a list, expected a dict"):
        read_checkpoint(tmp_path / "a.pth")
