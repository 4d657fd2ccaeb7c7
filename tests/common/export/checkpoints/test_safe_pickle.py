import os
import pickle
import time
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ModelError
from common.export.checkpoints.safe_pickle import MAX_BYTES, load

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.reduced


class Plain:
    """A class of the file's author."""


@pytest.fixture
def reading(tmp_path: Path) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        path = tmp_path / "plans.pkl"
        path.write_bytes(content)
        return load(path)

    return read


def nested_tuples(depth: int, width: int, last: bytes) -> bytes:
    """A dictionary, a tuple that holds `width` times a tuple that holds …, and what comes `last`."""
    step = b"q\x00" + b"h\x00" * (width - 1) + (b"\x85" if width == 1 else b"\x86")
    return b"\x80\x02})" + step * depth + last


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_comes_back(reading: Callable[[bytes], Any], protocol: int) -> None:
    shared = [1, -2, 70000, 2**40, -(2**100), 0.5, float("inf"), True, False, None]
    data = {
        "numbers": shared,
        "again": shared,
        "text": "Größe",
        "bytes": [b"", b"\x00\xff"],
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "ordered": OrderedDict([(0, "nonCT"), (1, "CT")]),
        (0, 1): {"sets": {1, 2}, "frozen": frozenset("ab")},
    }
    assert reading(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back_as_lists_and_scalars_as_numbers(
    reading: Callable[[bytes], Any], protocol: int
) -> None:
    data: list[Any] = [
        np.array([3.0, 2.03642, 2.03642]),
        np.arange(24, dtype=np.int16).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
        np.array([[True, False]]),
        np.array(["fold_0", "fold_10"]),
        np.zeros((0, 3)),
        np.float64(0.1),
        np.float32(0.1),
        np.int64(-5),
        np.bool_(True),
        np.str_("case"),
    ]
    result = reading(pickle.dumps(data, protocol))
    assert result == [value.tolist() for value in data]
    assert [type(value) for value in result[-5:]] == [float, float, int, bool, str]


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_1_and_2_name_their_modules_differently(reading: Callable[[bytes], Any], protocol: int) -> None:
    new = pickle.dumps([np.arange(3.0), np.float64(1.5)], protocol, buffer_callback=None)
    assert b"numpy._core.multiarray" in new
    shortened = len("numpy._core.multiarray") - 1
    old = new.replace(b"\x16numpy._core.multiarray", bytes([shortened]) + b"numpy.core.multiarray")
    old = old.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    old = old[:2] + old[11:] if protocol == 4 else old
    for content in (new, old):
        array, scalar = reading(content)
        assert array == [0, 1, 2]
        assert scalar == 1.5


def test_a_list_that_holds_itself_comes_back(reading: Callable[[bytes], Any]) -> None:
    data: list[Any] = []
    data.append(data)
    result = reading(pickle.dumps(data))
    assert result[0] is result


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Call(os.system, "touch ran"), "posix.system"),
        (Call(eval, "open('ran', 'w')"), "eval"),
        (Call(exec, "open('ran', 'w')"), "exec"),
        (Call(getattr, "", "join"), "getattr"),
        (Plain(), "test_safe_pickle.Plain|copy_reg._reconstructor"),
        (Fraction(1, 2), "fractions.Fraction"),
        (Path("ran"), "pathlib"),
        (np.load, "numpy.load"),
        (np.array([{}], dtype=object), "NumPy's type O8|numpy.core.numeric|_reconstruct"),
        (np.zeros(1, dtype=[("a", "f4")]), "NumPy's type V4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_code_is_refused_by_name_and_does_not_run(
    reading: Callable[[bytes], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: int,
    hostile: Any,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"patch_size": hostile}, protocol)
    with pytest.raises(ModelError, match=name) as caught:
        reading(content)
    assert caught.value.exit_code == 3
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested_tuples(10**5, 1, b"K\x01s."), "more than 512 MiB and 3 s"),
        (nested_tuples(100, 2, b"K\x01s."), "more than 512 MiB and 3 s"),
        (b"\x80\x04\x8f(" + nested_tuples(100, 2, b"")[3:] + b"\x90.", "more than 512 MiB and 3 s"),
        (b"\x80\x02Nr\xff\xff\xff\xff1.", "more than 512 MiB and 3 s"),
        (b"\x80\x02" + b"(" * 10**5 + b"t" * 10**5 + b"s.", "not a whole pickle"),
        (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "not a whole pickle"),
        (b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ft\x85R.", "not callable"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "more than 512 MiB and 3 s"),
        (b"cos\nsystem\n(S'touch ran'\ntR.", "os.system"),
        (b"(S'touch ran'\nios\nsystem\n.", "os.system"),
        (b"Pperson\n.", "persistent id"),
        (b"\x80\x02\x82\x01.", "unregistered extension code 1"),
        (b"\x80\x02K\x01K\x02\x85R.", "'int' object is not callable"),
        (b"\x80\x02}}b.", "'dict' object has no attribute"),
        (b"\x80\x02}", "not a whole pickle"),
        (b"\x80\x02.", "not a whole pickle"),
        (b"", "not a whole pickle"),
        (b"plans", "not a whole pickle"),
    ],
    ids=[
        "tuple nested a hundred thousand times",
        "tuple that doubles a hundred times",
        "doubling tuple in a set",
        "huge memo index",
        "a hundred thousand marks",
        "huge string",
        "huge array",
        "huge integer",
        "call in protocol 0",
        "class instance",
        "persistent reference",
        "extension registry",
        "call of a number",
        "state of a dictionary",
        "cut off",
        "nothing on the stack",
        "empty",
        "text",
    ],
)
def test_bombs_and_broken_pickles_are_refused(
    reading: Callable[[bytes], Any], content: bytes, reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        reading(content)


def test_an_array_larger_than_its_data_is_refused(reading: Callable[[bytes], Any]) -> None:
    content = pickle.dumps(np.zeros(2), 2)
    with pytest.raises(ModelError, match="buffer is too small"):
        reading(content.replace(b"K\x02\x85", b"J\xff\xff\xff\x7f\x85"))


def test_copies_of_one_string_do_not_fill_the_memory(reading: Callable[[bytes], Any]) -> None:
    text = b"X" + (10**6).to_bytes(4, "little") + b"x" * 10**6
    start = b"\x80\x02](c_codecs\nencode\nq\x00" + text + b"q\x01X\x06\x00\x00\x00latin1q\x02\x86R"
    with pytest.raises(ModelError, match="more than 512 MiB and 3 s"):
        reading(start + b"h\x00h\x01h\x02\x86R" * 1000 + b"e.")


def test_deeply_nested_lists_come_back_without_recursion(reading: Callable[[bytes], Any]) -> None:
    result = reading(b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".")
    depth = 0
    while result:
        result, depth = result[0], depth + 1
    assert depth == 10**5 - 1


def test_a_file_too_large_for_plans_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "plans.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    started = time.perf_counter()
    with pytest.raises(ModelError, match=f"at most {MAX_BYTES}"):
        load(path)
    assert time.perf_counter() - started < 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"plans\.pkl: No such file"):
        load(tmp_path / "plans.pkl")
