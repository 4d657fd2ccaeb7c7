import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import ModelError
from common.export.checkpoints.v1.plans_json import read_json_plans
from tests.support.json_plans import entry

Write = Callable[[object], Path]


def document() -> dict[str, Any]:
    modality = {
        "name": entry("PET"),
        "normalization_scheme": entry("nonCT"),
        "use_mask_for_norm": entry(False),
    }
    return {
        "about": "a test",
        "patch_size": entry([32, 64, 64]),
        "current_spacing": entry([3, 2.0, 2.0]),
        "transpose_forward": entry([0, 1, 2]),
        "modalities": [modality],
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: object) -> Path:
        path = tmp_path / "mine.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_the_entries_are_given_as_plans_pkl_holds_them(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_json_plans(write(document())) == {
        "num_modalities": 1,
        "modalities": {0: "PET"},
        "normalization_schemes": {0: "nonCT"},
        "use_mask_for_norm": {0: False},
        "dataset_properties": {"intensityproperties": {}},
        "transpose_forward": (0, 1, 2),
        "plans_per_stage": {0: {"patch_size": (32, 64, 64), "current_spacing": (3.0, 2.0, 2.0)}},
    }
    assert not caplog.records


def test_every_uncertain_entry_is_warned_of(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    uncertain = document()
    uncertain["patch_size"] |= {"source": "the paper", "uncertain": True}
    uncertain["modalities"][0]["use_mask_for_norm"] |= {"source": "a guess", "uncertain": True}
    path = write(uncertain)
    with caplog.at_level(logging.WARNING):
        read_json_plans(path)
    assert [record.message for record in caplog.records] == [
        f"{path}: plans.patch_size is uncertain (the paper)",
        f"{path}: plans.modalities[0].use_mask_for_norm is uncertain (a guess)",
    ]


def change(*keys: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def edit(plans: Any) -> None:
        for key in keys[:-1]:
            plans = plans[key]
        plans[keys[-1]] = to

    return edit


FIRST = ("modalities", 0)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            change("patch_size", "value", to=[32, 64]),
            r"plans\.patch_size\.value: found .* expected 3 entries",
        ),
        (
            change("patch_size", "value", 1, to=64.5),
            r"plans\.patch_size\.value\[1\]: .* a whole number",
        ),
        (change("patch_size", to=[32, 64, 64]), r"plans\.patch_size: found .* expected an object"),
        (change("patch_size", "uncertain", to="yes"), r"plans\.patch_size\.uncertain: .* true or false"),
        (change("current_spacing", to={"value": [1, 1, 1]}), r"plans\.current_spacing\.source is missing"),
        (
            change("current_spacing", "value", 0, to="1"),
            r"plans\.current_spacing\.value\[0\]: .* a finite",
        ),
        (
            change("current_spacing", "value", 0, to=float("nan")),
            r"plans\.current_spacing\.value\[0\]: found nan, expected a finite number",
        ),
        (lambda plans: plans.pop("transpose_forward"), r"plans\.transpose_forward is missing"),
        (change("spacing", to=entry([1, 1, 1])), r"plans\.spacing is not an entry of this format"),
        (change("modalities", to=[]), "plans: found no modalities, expected at least one"),
        (
            change(*FIRST, "use_mask_for_norm", "value", to=0),
            r"plans\.modalities\[0\]\.use_mask_for_norm\.value",
        ),
        (
            change(*FIRST, "normalization_scheme", "value", to="CT"),
            r"plans\.modalities\[0\]: found normalization_scheme 'CT' without intensityproperties",
        ),
        (
            change(*FIRST, "intensityproperties", to=entry({"mean": 1, "sd": 2})),
            r"plans\.modalities\[0\]\.intensityproperties\.value\.percentile_00_5 is missing",
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_refused_by_name(
    write: Write, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    plans = document()
    edit(plans)
    with pytest.raises(ModelError, match=rf"mine\.json: {message}.*; correct the file") as caught:
        read_json_plans(write(plans))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "[]", "3", "\x80\x04}."])
def test_a_file_of_something_else_is_refused(write: Write, content: str) -> None:
    with pytest.raises(ModelError, match=r"mine\.json: .*; correct the file"):
        read_json_plans(write(content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.json: .*No such file or directory.*; .* check --plans"):
        read_json_plans(tmp_path / "none.json")
