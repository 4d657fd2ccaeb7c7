from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from common.cli.main import main
from common.errors import InputError, ModelError
from common.model.reading import read_model
from containers.nnunet.export import export
from tests.containers.nnunet.conftest import interface_document, write_checkpoint, write_interface


def test_model_holds_the_network_and_the_sockets(checkpoint: Path, interface: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "model", interface=interface)
    model = read_model(tmp_path / "model", "nnunet")
    network = model.network("segmentation")
    assert (network.channels, network.classes) == (("T2", "ADC", "DWI"), 4)
    assert (network.patch, network.mirror_axes) == ((16, 24, 32), (0, 2))
    assert [fold.name for fold in network.folds] == ["0"]
    assert model.interface is not None
    assert [socket.slug for socket in model.interface.inputs] == ["mri-0", "mri-1", "mri-2"]
    assert model.interface.mask.labels == ("gland", "zone", "lesion")


def test_command_takes_the_interface(checkpoint: Path, interface: Path, tmp_path: Path) -> None:
    folders = ["--checkpoint", str(checkpoint), "--model", str(tmp_path / "model")]
    assert main(["export", "nnunet", *folders, "--interface", str(interface)]) == 0
    assert read_model(tmp_path / "model", "nnunet").interface is not None


def test_own_sockets_serve_a_network_that_they_fit(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(
        tmp_path / "checkpoint", channels=("CT", "PET"), labels=("lesion", "uptake")
    )
    export(checkpoint, tmp_path / "model")
    assert read_model(tmp_path / "model", "nnunet").interface is None


def test_channels_of_one_name_are_numbered(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", channels=("MRI", "CT", "mri"))
    document = interface_document(channels=("mri 0", "CT", "MRI 2"))
    export(checkpoint, tmp_path / "model", interface=write_interface(tmp_path / "mine.json", document))
    assert read_model(tmp_path / "model", "nnunet").networks[0].channels == ("MRI 0", "CT", "mri 2")


def test_channels_whose_number_is_anothers_name_are_all_numbered(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", channels=("MRI", "MRI", "MRI 0"))
    document = interface_document(channels=("MRI 0", "MRI 1", "MRI 0 2"))
    export(checkpoint, tmp_path / "model", interface=write_interface(tmp_path / "mine.json", document))
    assert read_model(tmp_path / "model", "nnunet").networks[0].channels == ("MRI 0", "MRI 1", "MRI 0 2")


def test_a_label_to_ignore_is_not_predicted(interface: Path, tmp_path: Path) -> None:
    def ignore(plans: dict[str, Any], dataset: dict[str, Any]) -> None:
        dataset["labels"]["ignore"] = 4

    checkpoint = write_checkpoint(tmp_path / "checkpoint", change=ignore)
    export(checkpoint, tmp_path / "model", interface=interface)
    assert read_model(tmp_path / "model", "nnunet").networks[0].classes == 4


def drop_image(document: dict[str, Any]) -> None:
    del document["inputs"][1]


def make_optional(document: dict[str, Any]) -> None:
    document["inputs"][1]["optional"] = True


def add_image(document: dict[str, Any]) -> None:
    document["inputs"].append({"slug": "pet", "kind": "image", "relative_path": "images/pet"})


def add_points(document: dict[str, Any]) -> None:
    document["inputs"].append({"slug": "clicks", "kind": "multiple-points", "relative_path": "clicks.json"})


def drop_label(document: dict[str, Any]) -> None:
    document["outputs"][0]["labels"].pop()


def misspell(document: dict[str, Any]) -> None:
    document["inputs"][0]["chanel"] = "T2"


def set_wrong_limit(document: dict[str, Any]) -> None:
    document["run"] = {"time_limit": "fast"}


def share_path(document: dict[str, Any]) -> None:
    document["inputs"][1]["relative_path"] = document["inputs"][0]["relative_path"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_wrong_limit, "run.time_limit: found fast, expected a number of seconds, or none"),
        (share_path, "a relative_path occurs twice"),
        (drop_image, "no image is always there for the network's channel 'ADC', found t2, dwi; give"),
        (make_optional, "no image is always there for the network's channel 'ADC'"),
        (add_image, "the image 'pet' is no channel of the network, which takes T2, ADC, DWI"),
        (add_points, "found the socket 'clicks', expected images only"),
        (drop_label, "the mask's socket has 2 labels, expected 3 as the network tells apart"),
        (misspell, "chanel is not an entry of this format"),
    ],
)
def test_sockets_that_do_not_fit_are_exit_code_2(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    document = interface_document()
    change(document)
    path = write_interface(tmp_path / "wrong.json", document)
    folders = ["--checkpoint", str(checkpoint), "--model", str(tmp_path / "model")]
    assert main(["export", "nnunet", *folders, "--interface", str(path)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {path}: ")
    assert message in line
    assert not (tmp_path / "model").exists()


def test_a_network_that_the_own_sockets_do_not_fit_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"json: no image is always there for .*'T2'.*; describe .* with --interface FILE"
    ):
        export(checkpoint, tmp_path / "model")


def regions(plans: dict[str, Any], dataset: dict[str, Any]) -> None:
    dataset["labels"] = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "lesion": 3}
    dataset["regions_class_order"] = [1, 2, 3]


def cascade(plans: dict[str, Any], dataset: dict[str, Any]) -> None:
    plans["configurations"]["3d_fullres"]["previous_stage"] = "3d_lowres"


@pytest.mark.parametrize(("change", "message"), [(regions, "region"), (cascade, "cascades")])
def test_what_is_not_supported_is_refused_by_name(
    interface: Path, tmp_path: Path, change: Any, message: str
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", change=change)
    with pytest.raises(ModelError, match=message):
        export(checkpoint, tmp_path / "model", interface=interface)


def test_a_damaged_checkpoint_is_refused(interface: Path, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    path = checkpoint / "fold_0" / "checkpoint_final.pth"
    document = torch.load(path, weights_only=False)
    document["network_weights"].popitem()
    torch.save(document, path)
    with pytest.raises(
        ModelError, match="the weights do not fit the network that the plans describe: missing"
    ):
        export(checkpoint, tmp_path / "model", interface=interface)
    assert not (tmp_path / "model/model.json").exists()
