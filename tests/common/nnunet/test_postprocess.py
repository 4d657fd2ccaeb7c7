import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ModelError
from common.export.checkpoints.v1.postprocessing import read_postprocessing
from common.nnunet.postprocess import KeepLargest, Postprocessing


def written(folder: Path, document: Any) -> Path:
    (folder / "postprocessing.json").write_text(json.dumps(document))
    return folder


def bars(*lengths: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Components of these sizes, two rows apart."""
    mask = np.zeros((1, 2 * len(lengths), 20), np.uint8)
    for row, length in enumerate(lengths):
        mask[0, 2 * row, :length] = 1
    return mask


def test_without_the_file_nothing_is_removed(tmp_path: Path) -> None:
    assert read_postprocessing(tmp_path) == Postprocessing(None)


@pytest.mark.parametrize(
    ("classes", "sizes", "expected"),
    [
        ([], "None", None),
        ([1], "None", KeepLargest()),
        ([[1]], "{}", KeepLargest()),
        ([1], "{1: 1234.5}", KeepLargest(unless_mm3=1234.5)),
        ([[1]], "{(1,): 1e3}", KeepLargest(unless_mm3=1000)),
    ],
)
def test_nnunets_file_is_understood(
    tmp_path: Path, classes: Any, sizes: str, expected: KeepLargest | None
) -> None:
    document = {"for_which_classes": classes, "min_valid_object_sizes": sizes, "num_samples": 9}
    assert read_postprocessing(written(tmp_path, document)) == Postprocessing(expected)


def test_the_sizes_may_be_missing(tmp_path: Path) -> None:
    found = read_postprocessing(written(tmp_path, {"for_which_classes": [1]}))
    assert found == Postprocessing(KeepLargest())


@pytest.mark.parametrize(
    "document",
    [
        {"for_which_classes": [[1, 2]]},
        {"for_which_classes": [1], "min_valid_object_sizes": "__import__('os').getcwd()"},
        {"for_which_classes": [1], "min_valid_object_sizes": "{1: 1.2.3}"},
        {"for_which_classes": [1], "min_valid_object_sizes": 3},
        {},
        [],
    ],
)
def test_another_file_is_refused(tmp_path: Path, document: Any) -> None:
    with pytest.raises(ModelError, match=r"postprocessing\.json: .*one foreground class"):
        read_postprocessing(written(tmp_path, document))


def test_only_the_largest_component_is_kept() -> None:
    np.testing.assert_array_equal(KeepLargest().apply(bars(3, 9, 5), 1.0), bars(0, 9, 0))


def test_components_of_the_largests_size_are_kept() -> None:
    np.testing.assert_array_equal(KeepLargest().apply(bars(9, 9, 5), 1.0), bars(9, 9, 0))


def test_components_that_are_large_enough_are_kept() -> None:
    np.testing.assert_array_equal(KeepLargest(unless_mm3=10).apply(bars(3, 9, 5), 2.0), bars(0, 9, 5))


def test_edges_do_not_connect() -> None:
    mask = np.zeros((1, 2, 3), np.uint8)
    mask[0, 0, :2] = mask[0, 1, 2] = 1
    assert KeepLargest().apply(mask, 1.0).sum() == 2


def test_an_empty_mask_stays_empty() -> None:
    assert not KeepLargest().apply(np.zeros((2, 3, 4), np.uint8), 1.0).any()
