"""Every reader of files from strangers, with valid files to change and how to change them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from common.documents import read_document
from common.errors import InputError, ModelError, PetctError
from common.export.checkpoints.v1.checkpoint import read_weights
from common.export.checkpoints.v1.plans import read_network_plan, read_plans_v1
from common.export.checkpoints.v1.postprocessing import read_postprocessing
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.checkpoint import read_checkpoint
from common.export.checkpoints.v2.dataset import foreground_labels
from common.export.checkpoints.v2.plans import read_configuration, read_plans
from common.grandchallenge.clicks import read_clicks
from common.grandchallenge.images import read_geometry, read_image
from common.grandchallenge.inputs_json import sockets_of_case
from common.grandchallenge.interface import Interface
from common.hashes import sha256_of
from common.inference.network import Fold, Network, Parity
from common.model.model import Model
from common.model.reading import read_model
from common.model.writing import write_model
from tests.fuzz import mutations
from tests.fuzz.mutations import Chance
from tests.support.json_plans import json_plans
from tests.support.platform import GRID, INTERFACE, REPOSITORY, noise, save

AUTOPET = REPOSITORY / "containers/autopet_interactive"
SEVERAL_POINTS = {
    "version": {"major": 1, "minor": 0},
    "type": "Multiple points",
    "points": [{"point": [1, 2.5, 3], "name": "tumor"}, {"point": [3, 2, 1], "name": "background"}],
}
LISTED = [
    {"socket": {"slug": "pet", "relative_path": "images/pet", "kind": "Image"}, "value": None},
    {"interface": {"slug": "ct", "relative_path": "images/ct", "kind": "Image"}, "value": None},
    {"socket": {"slug": "lesion-clicks", "relative_path": "lesion-clicks.json", "kind": "Multiple points"}},
]
INTENSITIES = {"mean": 40.0, "sd": 100.0, "percentile_00_5": -900.0, "percentile_99_5": 900.0}
PLANS_V1 = {
    "plans_per_stage": {
        0: {
            "patch_size": [64, 64, 64],
            "current_spacing": [3.0, 2.0, 2.0],
            "pool_op_kernel_sizes": [[2, 2, 2], [2, 2, 2]],
            "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3], [3, 3, 3]],
        }
    },
    "num_modalities": 2,
    "modalities": {0: "PET", 1: "CT"},
    "normalization_schemes": {0: "nonCT", 1: "CT"},
    "use_mask_for_norm": {0: False, 1: False},
    "dataset_properties": {"intensityproperties": {0: INTENSITIES, 1: INTENSITIES}},
    "transpose_forward": [0, 1, 2],
    "preprocessor_name": "GenericPreprocessor",
    "num_classes": 1,
    "base_num_features": 32,
    "conv_per_stage": 2,
}
CHECKPOINT_V2 = {
    "network_weights": {"encoder.stem.weight": torch.zeros(2, 3), "module.bias": torch.zeros(2)},
    "init_args": {"configuration": "3d_fullres", "fold": 0},
    "trainer_name": "nnUNetTrainer",
    "inference_allowed_mirroring_axes": (0, 1, 2),
    "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)]},
}
CHECKPOINT_V1 = {
    "state_dict": {"module.conv.weight": torch.zeros(2, 3), "bias": torch.zeros(2)},
    "epoch": 1000,
}
HOSTILE_ONNX = (
    b"B\x0d\x0a\x09com.evilx\x10\x01",  # a domain
    b"\xa2\x01\x02\x08\x01",  # a graph for training
    b"\xca\x01\x03\x0a\x01f",  # a function
    b"p\x01", b"j\x04\x0a\x02hi", b"2\x02j\x00", b"*\x02p\x01", b":\x06evilxy",
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One reader, of one kind of file."""

    name: str
    file: str
    """Where the file lies in the reader's folder."""
    change: Callable[[Chance], bytes]
    """A file to read."""
    read: Callable[[Path], object]
    """Reads the file at a path; raises `failure` for one that it refuses."""
    failure: type[PetctError]

    def at(self, folder: Path) -> "Reader":
        """This reader, with `file` as the path below the folder that `readers` was given."""
        return replace(self, file=str(folder / self.name / self.file))


def readers(folder: Path) -> Iterator[Reader]:
    """All readers, each with its valid files in a folder of its own."""
    for make in (_images, _case, _model, _plans, _checkpoints):
        for reader in make(folder):
            (folder / reader.name / reader.file).parent.mkdir(parents=True, exist_ok=True)
            yield reader


def _images(folder: Path) -> Iterator[Reader]:
    def read(path: Path) -> object:
        geometry, image = read_geometry(path), read_image(path)
        assert np.isfinite(image.voxels).all()
        assert image.geometry == geometry
        return image

    for name, voxels, file in (
        ("raw_mha", noise(GRID.shape), "x.mha"),
        ("compressed_mha", noise(GRID.shape), "x.mha"),
        ("nii_gz", (noise(GRID.shape) * 99).astype(np.int16), "x.nii.gz"),
    ):
        whole = save(folder / "whole" / name / file, voxels, compressed=name != "raw_mha").read_bytes()
        structured = mutations.nifti if file.endswith("gz") else mutations.metaimage

        def change(chance: Chance, whole: bytes = whole, structured: Any = structured) -> bytes:
            return (structured if chance.random() < 0.8 else mutations.damaged)(whole, chance)

        yield Reader(name, file, change, read, InputError)


def _json(name: str, document: Any, file: str, read: Callable[[Path], object], failure: Any) -> Reader:
    return Reader(name, file, lambda chance: mutations.json_text(document, chance), read, failure)


def _case(folder: Path) -> Iterator[Reader]:
    yield _json("clicks", SEVERAL_POINTS, "clicks.json", read_clicks, InputError)
    yield _json(
        "inputs_json", LISTED, "inputs.json", lambda path: sockets_of_case(path.parent, INTERFACE), InputError
    )
    sockets = json.loads((AUTOPET / "interface.json").read_text())
    yield _json(
        "interface_json",
        sockets,
        "interface.json",
        lambda path: read_document(
            Interface, path, failure=InputError, remedy="correct it", where="interface"
        ),
        InputError,
    )


def network() -> onnx.ModelProto:
    """A small network that uses what an ONNX file may hold."""
    weight = numpy_helper.from_array(np.ones((1, 1, 1, 1, 1), np.float32), "weight")
    shape = (1, 1, 4, 4, 4)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["tiles", "weight"], ["wide"], kernel_shape=[1, 1, 1]),
            helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1, np.float32))),
            helper.make_node("Add", ["wide", "one"], ["logits"]),
        ],
        "network",
        [helper.make_tensor_value_info("tiles", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def foreign_parts(model: onnx.ModelProto) -> list[str]:
    """What of a parsed ONNX file must have been refused."""
    found = [
        f"domain {entry.domain}"
        for entry in (*model.opset_import, *model.graph.node)
        if entry.domain not in ("", "ai.onnx")
    ]
    found += ["functions"] * len(model.functions) + ["training"] * len(model.training_info)
    tensors = list(model.graph.initializer)
    for attribute in (attribute for node in model.graph.node for attribute in node.attribute):
        tensors += [attribute.t, *attribute.tensors]
        if (
            attribute.HasField("g")
            or attribute.graphs
            or attribute.HasField("sparse_tensor")
            or attribute.sparse_tensors
        ):
            found.append("graph or sparse tensor")
    found += ["external data" for tensor in tensors if tensor.external_data or tensor.data_location]
    return found + ["sparse"] * len(model.graph.sparse_initializer)


def _onnx(chance: Chance) -> bytes:
    content = network().SerializeToString()
    if chance.random() < 0.6:
        position = chance.randrange(len(content) + 1)
        content = content[:position] + chance.choice(HOSTILE_ONNX) + content[position:]
        if chance.random() < 0.5:  # what contains it grows with it
            content = _grown(content, chance)
    return mutations.damaged(content, chance) if chance.random() < 0.5 else content


def _grown(content: bytes, chance: Chance) -> bytes:
    result = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        index = chance.randrange(len(result))
        result[index] = (result[index] + chance.choice((2, 3, 4, 5, 6, 8, 15))) % 256
    return bytes(result)


def _model(folder: Path) -> Iterator[Reader]:
    from tests.common.model.test_folder import PLANS

    def prepare(name: str) -> Any:
        target = folder / name
        target.mkdir(parents=True)
        path = target / "fold_0.onnx"
        path.write_bytes(network().SerializeToString())
        fold = Fold("0", path, Parity(1e-6, 0.5))
        whole = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (0, 2), (fold,), 1000, PLANS)
        write_model(target, Model("demo", (whole,), "source", {"point_width": 2}, interface=INTERFACE))
        return json.loads((target / "model.json").read_text())

    document = prepare("model_json")
    yield _json(
        "model_json", document, "model.json", lambda path: read_model(path.parent, "demo"), ModelError
    )
    prepare("onnx")

    def read_onnx(path: Path) -> object:
        document["networks"][0]["folds"][0]["sha256"] = sha256_of(path)
        path.with_name("model.json").write_text(json.dumps(document))
        model = read_model(path.parent, "demo")
        try:
            parsed = onnx.load(path, load_external_data=False)
        except Exception:  # noqa: BLE001  the engines' to refuse
            return model
        assert not foreign_parts(parsed)
        return model

    yield Reader("onnx", "fold_0.onnx", _onnx, read_onnx, ModelError)


def _plans(folder: Path) -> Iterator[Reader]:
    def read_v2(path: Path) -> object:
        read_architecture(read_configuration(path.parent, "3d_fullres"), path)
        return read_plans(path.parent, "3d_fullres")

    plans = json.loads((AUTOPET / "demo/checkpoint/plans.json").read_text())
    dataset = (AUTOPET / "demo/checkpoint/dataset.json").read_text()
    (folder / "plans_v2").mkdir()
    (folder / "plans_v2/dataset.json").write_text(dataset)
    yield _json("plans_v2", plans, "plans.json", read_v2, ModelError)
    yield _json(
        "dataset_json",
        json.loads(dataset),
        "dataset.json",
        lambda path: foreground_labels(path.parent, 2),
        ModelError,
    )
    yield _json("plans_v1_json", json_plans(PLANS_V1), "plans.json", read_plans_v1, ModelError)
    yield _json(
        "postprocessing",
        {"for_which_classes": [1], "min_valid_object_sizes": "{1: 30.0}"},
        "postprocessing.json",
        lambda path: read_postprocessing(path.parent),
        ModelError,
    )

    def read_v1(path: Path) -> object:
        return read_plans_v1(path), read_network_plan(path)

    yield Reader(
        "plans_pkl", "plans.pkl", lambda chance: mutations.pickled(PLANS_V1, chance), read_v1, ModelError
    )


def _checkpoints(folder: Path) -> Iterator[Reader]:
    for name, document, read in (
        ("checkpoint_v2", CHECKPOINT_V2, read_checkpoint),
        ("checkpoint_v1", CHECKPOINT_V1, read_weights),
    ):

        def change(chance: Chance, document: Any = document) -> bytes:
            return mutations.torch_file(document, chance)

        yield Reader(name, "checkpoint.pth", change, read, ModelError)
