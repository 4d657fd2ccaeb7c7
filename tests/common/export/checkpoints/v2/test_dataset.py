import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import ModelError
from common.export.checkpoints.v2.dataset import foreground_labels, read_dataset


def write(folder: Path, **entries: Any) -> Path:
    dataset = {"channel_names": {"1": "PET", "0": "CT"}, "labels": {"background": 0, "tumor": 1}}
    (folder / "dataset.json").write_text(json.dumps(dataset | {"numTraining": 1} | entries))
    return folder


def test_channels_are_in_the_networks_order(tmp_path: Path) -> None:
    assert read_dataset(write(tmp_path)).channels == ("CT", "PET")


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ({"background": 0, "tumor": 1}, 2, ("tumor",)),
        ({"node": 2, "background": 0, "tumor": 1}, 3, ("tumor", "node")),
        ({"background": 0, "tumor": 1, "ignore": 2}, 2, ("tumor",)),
    ],
)
def test_foreground_labels_are_named_in_the_order_of_their_numbers(
    tmp_path: Path, labels: dict[str, int], classes: int, expected: tuple[str, ...]
) -> None:
    assert foreground_labels(write(tmp_path, labels=labels), classes) == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"labels": {"background": 0, "tumor": 2}}, "found labels .* expected 0, 1, 2, … without gaps"),
        ({"labels": {"tumor": 1, "node": 2}}, "found labels .* without gaps"),
        ({"labels": {"background": 0, "tumor": 1, "node": 1}}, "found labels .* without gaps"),
        ({"labels": {"background": 0, "ignore": 1, "tumor": 2}}, "found labels .* ignore as the highest"),
        (
            {"labels": {"background": 0, "tumor": 1, "node": 2}},
            "the network tells 2 .* expected 3 .*tumor, node",
        ),
        ({"labels": {"background": 0, "tumor": "1"}}, r"labels\.tumor.*: found '1', expected a whole number"),
        ({"labels": None}, "labels: found None, expected an object"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "found labels that are lists, .*not supported"),
        ({"regions_class_order": [1, 2]}, "found regions_class_order, .*not supported"),
    ],
)
def test_labels_that_the_network_does_not_have_are_refused(
    tmp_path: Path, entries: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=rf"dataset\.json: {message}") as caught:
        foreground_labels(write(tmp_path, **entries), 2)
    assert "\n" not in str(caught.value)
