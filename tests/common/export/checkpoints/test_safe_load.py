import builtins
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.safe_load import load_safely


class Call:
    """Pickles as a call, which a careless reader makes."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_safely(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_containers_and_numpy_numbers_are_read(tmp_path: Path, zipped: bool) -> None:
    saved = {
        "weights": {"a": torch.arange(3.0)},
        "numbers": [np.float64(0.5), np.float32(0.25), np.int64(7), np.bool_(True)],
        "device": torch.device("cuda", 0),
    }
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    loaded: Any = load_safely(tmp_path / "a.pth")
    assert torch.equal(loaded["weights"]["a"], torch.arange(3.0))
    assert loaded["numbers"] == saved["numbers"]
    assert loaded["device"] == saved["device"]


def test_numbers_that_numpy_1_wrote_are_read(tmp_path: Path) -> None:
    path = tmp_path / "new.pth"
    torch.save(np.float64(0.5), path)
    renamed = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(renamed, "w") as old:
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert b"numpy.core.multiarray" in renamed.read_bytes()
    assert load_safely(renamed) == 0.5


def test_a_numpy_type_with_another_state_does_not_end_the_process(tmp_path: Path) -> None:
    path, altered = tmp_path / "whole.pth", tmp_path / "altered.pth"
    torch.save(np.float64(0.5), path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(altered, "w") as target:
        for name in whole.namelist():
            target.writestr(name, whole.read(name).replace(b"NNNJ", b"NJ"))
    assert load_safely(altered) == 0.5


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch {}", "posix.system"),
        (builtins.eval, "open({!r}, 'w')", "eval"),
        (builtins.exec, "open({!r}, 'w')", "exec"),
        (os.mkdir, "{}", "posix.mkdir"),
    ],
)
def test_a_call_is_refused_by_name_and_not_made(
    tmp_path: Path, function: Callable[..., object], argument: str, name: str, zipped: bool
) -> None:
    trace = tmp_path / "trace"
    call = Call(function, argument.format(str(trace)))
    torch.save({"network_weights": call}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert f"a.pth: found the type {name}, expected tensors" in refusal(tmp_path / "a.pth")
    assert not trace.exists()


def test_the_hostile_calls_of_this_test_would_run_elsewhere(tmp_path: Path) -> None:
    call = Call(os.mkdir, str(tmp_path / "trace"))
    pickle.loads(pickle.dumps(call))  # noqa: S301
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("value", [Path("x"), np.zeros(2), Call(len, "x")])
def test_other_types_are_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "a.pth")
    assert "found the type" in refusal(tmp_path / "a.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "a.pth: no such file" in refusal(tmp_path / "a.pth")


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "a.pth: " in refusal(path)


@pytest.mark.parametrize("content", [b"hello", b"\x80\x02.", pickle.dumps({"a": 1})])
def test_a_file_that_torch_did_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert "a.pth: " in refusal(tmp_path / "a.pth")


@pytest.mark.parametrize("length", range(10, 120, 10))
def test_a_cut_pickle_inside_a_whole_archive_is_refused(tmp_path: Path, length: int) -> None:
    torch.save({"a": torch.zeros(3), "b": np.float64(1)}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(tmp_path / "cut.pth", "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:length] if name.endswith("data.pkl") else content)
    assert "cut.pth: " in refusal(tmp_path / "cut.pth")


BOMBS = {
    "a tuple that doubles a hundred times": b"\x80\x02})" + b"q\x00h\x00\x86" * 100 + b"K\x01s.",
    "a tuple nested a hundred thousand times": b"\x80\x02})" + b"\x85" * 10**5 + b"K\x01s.",
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_at_the_limits(tmp_path: Path, bomb: bytes, zipped: bool) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(3)}, tmp_path / "whole.pth")
    if zipped:
        with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(path, "w") as target:
            for name in whole.namelist():
                target.writestr(name, bomb if name.endswith("data.pkl") else whole.read(name))
    else:
        head = (0x1950A86A20F9469CFC6C, 1001, {})  # type: tuple[int, int, dict[str, int]]
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + bomb)
    assert "a.pth: more than 1024 MiB and 4 s suffice to read" in refusal(path)


def test_an_archive_of_several_disks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(3)}, path)
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    locator = (
        b"PK\x06\x07" + (0).to_bytes(4, "little") + (0).to_bytes(8, "little") + (2).to_bytes(4, "little")
    )
    path.write_bytes(content[:end] + locator + content[end:])
    assert "a.pth: damaged or no torch checkpoint (BadZipFile)" in refusal(path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth")
    assert "a.pth: a pipe or device, expected a file" in refusal(tmp_path / "a.pth")
