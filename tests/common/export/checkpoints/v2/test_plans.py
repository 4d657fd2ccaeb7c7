import copy
import json

import pytest

from common.errors import ModelError
from common.export.checkpoints.v2.plans import read_plans
from common.nnunet.plans import Resampling
from tests.support.golden_data import GOLDEN

MODEL = GOLDEN / "autopet_interactive" / "model"


@pytest.fixture
def document():
    return json.loads((MODEL / "plans.json").read_text())


@pytest.fixture
def dataset():
    return json.loads((MODEL / "dataset.json").read_text())


@pytest.fixture
def read(tmp_path, dataset):
    def read(document, name="3d_fullres"):
        (tmp_path / "plans.json").write_text(json.dumps(document))
        (tmp_path / "dataset.json").write_text(json.dumps(dataset))
        return read_plans(tmp_path, name)

    return read


def test_numbers_are_those_of_the_file(document, read):
    plans = read(document)
    assert plans.generation == 2
    assert plans.patch == (32, 48, 48)
    assert plans.spacing == (3.0, 2.0364201068878174, 2.0364201068878174)
    assert [(c.name, c.scheme, c.use_mask) for c in plans.channels] == [
        ("CT", "ct", False),
        ("PET", "z_score", False),
    ]
    assert plans.channels[0].statistics.percentile_99_5 == 1127.5189
    assert plans.resample_data == Resampling(3, 0, None)
    assert plans.resample_prediction == Resampling(1, 0, None)


def test_configuration_inherits(document, read):
    document["configurations"]["finer"] = {"inherits_from": "3d_fullres", "spacing": [1, 1, 1]}
    plans = read(document, "finer")
    assert plans.spacing == (1, 1, 1)
    assert plans.patch == (32, 48, 48)


def test_torch_resampler_is_linear(document, read):
    configuration = document["configurations"]["3d_fullres"]
    configuration["resampling_fn_data"] = "resample_torch_fornnunet"
    configuration["resampling_fn_data_kwargs"] = {"is_seg": False, "force_separate_z": False}
    assert read(document).resample_data == Resampling(1, 0, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": [64, 64]}, "found patch_size .* expected a 3D configuration"),
        ({"previous_stage": "3d_lowres"}, "cascades are not supported"),
        ({"preprocessor_name": "MyOwn"}, "found preprocessor_name 'MyOwn'"),
        ({"normalization_schemes": ["CTNormalization", "Mine"]}, "found normalization scheme 'Mine'"),
        ({"normalization_schemes": ["CTNormalization"]}, "found 1 normalization_schemes .* expected 2"),
        ({"resampling_fn_data": "no_resampling_hack"}, "found resampling_fn_data 'no_resampling_hack'"),
        (
            {
                "resampling_fn_data": "resample_torch_fornnunet",
                "resampling_fn_data_kwargs": {"is_seg": False},
            },
            "of torch's resampler only the linear mode with force_separate_z false",
        ),
        ({"resampling_fn_data_kwargs": {"is_seg": True}}, "no resampler of labels"),
        (
            {"resampling_fn_data_kwargs": {"separate_z_anisotropy_threshold": 2}},
            "with {'separate_z_anisotropy_threshold': 2}; supported are",
        ),
        ({"inherits_from": "3d_fullres"}, "inherits from itself"),
        ({"spacing": None}, "missing or malformed entry"),
        ({"spacing": [0, 1, 1]}, "malformed entry: found spacing"),
        ({"patch_size": [0, 8, 8]}, "malformed entry: found patch"),
        ({"resampling_fn_data_kwargs": {"order": 9}}, "malformed entry: found spline orders 9 and 0"),
    ],
)
def test_unsupported_configuration_is_refused_by_name(document, read, change, message):
    document["configurations"]["3d_fullres"] |= change
    with pytest.raises(ModelError, match=rf"plans.json: configuration 3d_fullres: .*{message}"):
        read(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transpose_forward": [0, 0, 1]}, "expected a permutation"),
        ({"foreground_intensity_properties_per_channel": {}}, "CTNormalization needs"),
        (
            {"image_reader_writer": "NibabelIOWithReorient"},
            "found image_reader_writer 'NibabelIOWithReorient'",
        ),
        ({"configurations": {}}, "there is no '3d_fullres'"),
        ({"configurations": None}, "configurations: found None, expected an object; expected the plans"),
    ],
)
def test_unsupported_plans_are_refused_by_name(document, read, change, message):
    with pytest.raises(ModelError, match=message):
        read(document | change)


def test_statistics_may_have_their_old_name(document, read):
    expected = read(document)
    document["foreground_intensity_properties_by_modality"] = document.pop(
        "foreground_intensity_properties_per_channel"
    )
    assert read(document) == expected


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"plans.json: .*No such file.*; --checkpoint takes the folder"):
        read_plans(tmp_path, "3d_fullres")


@pytest.mark.parametrize("text", ["{", "[]", "\0"])
def test_file_that_is_no_json_object_is_named(tmp_path, text):
    (tmp_path / "plans.json").write_text(text)
    with pytest.raises(ModelError, match=r"plans.json: "):
        read_plans(tmp_path, "3d_fullres")


def test_channel_names_are_in_the_networks_order(document, read, dataset):
    dataset["channel_names"] = {"1": "PET", "0": "CT"}
    assert [channel.name for channel in read(copy.deepcopy(document)).channels] == ["CT", "PET"]


@pytest.mark.parametrize("names", [None, ["CT", "PET"], {"0": "CT", "2": "PET"}])
def test_channel_names_that_are_none_are_refused(document, read, dataset, names):
    dataset["channel_names"] = names
    with pytest.raises(ModelError, match=r"dataset.json: .*channel_names.*, expected"):
        read(document)
