"""What `tests/fuzz/run.py` tries at length, for seconds: the same inputs in each run."""

import logging
import warnings
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.model.onnx_structure import check_structure
from tests.fuzz.readers import Reader, foreign_parts, network, readers
from tests.fuzz.run import check

NAMES = (
    *("raw_mha", "compressed_mha", "nii_gz", "clicks", "inputs_json", "interface_json", "model_json", "onnx"),
    *("plans_v2", "dataset_json", "plans_v1_json", "postprocessing", "plans_pkl"),
    *("checkpoint_v2", "checkpoint_v1"),
)
SLOW = {"plans_v2": 60}
"""Readers that take long for each file, and how many they are given."""


@pytest.fixture(scope="module")
def by_name(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    folder = tmp_path_factory.mktemp("readers")
    found = {reader.name: reader for reader in readers(folder)}
    assert tuple(found) == NAMES
    return {name: reader.at(folder) for name, reader in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_stranger_gives_is_read_or_refused_in_one_line(
    by_name: dict[str, Reader], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader = by_name[name]
    caplog.set_level(logging.CRITICAL)
    outcomes = {True: 0, False: 0}

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=SLOW.get(name, 150),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def try_one(seed: int) -> None:
        path = Path(reader.file)
        path.write_bytes(reader.change(Random(seed)))
        outcomes[check(reader, path)] += 1

    with warnings.catch_warnings():
        try_one()
    assert outcomes[False] > 0
    assert outcomes[True] > 0


@settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(min_size=1, max_size=4000))
def test_any_bytes_are_an_onnx_file_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    with suppress(ValueError):  # nothing else may come
        check_structure(path)


def test_a_network_of_standard_operators_has_no_foreign_parts(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(network().SerializeToString())
    assert not foreign_parts(network())
    check_structure(path)
