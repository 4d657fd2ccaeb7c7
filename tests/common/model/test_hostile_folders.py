"""A model folder as a hostile archive may unpack: pipes, devices and links where files should be."""

import os
import tarfile
import time
from pathlib import Path

import pytest

from common.inference.engines.engine_files import require_unaltered
from common.model.reading import read_model
from tests.common.model.test_folder import compile_network, edit, refusal, write
from tests.support.special_files import KINDS, put


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model.json", "fold_0.onnx", "fold_0.sm75.engine", "im2col.sm75.cubin"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, name: str, kind: str) -> None:
    write(tmp_path)
    compile_network(tmp_path)
    put(kind, tmp_path / name)
    started = time.monotonic()
    assert name in refusal(tmp_path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_one_names_is_not_opened(tmp_path: Path, kind: str) -> None:
    model = write(tmp_path)
    put(kind, tmp_path / "readme")
    assert read_model(tmp_path, "demo") == model


def test_links_in_a_circle_of_folders_are_not_followed(tmp_path: Path) -> None:
    model = write(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert read_model(tmp_path, "demo") == model


def test_a_network_behind_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "fold_0.onnx").rename(tmp_path / "elsewhere/fold_0.onnx")
    (folder / "inner").symlink_to(tmp_path / "elsewhere")
    edit(folder, lambda document: document["networks"][0]["folds"][0].update(path="inner/fold_0.onnx"))
    assert "names inner/fold_0.onnx, expected a file inside the folder" in refusal(folder)


def test_an_engine_of_another_hash_is_refused_before_a_library_sees_it(tmp_path: Path) -> None:
    write(tmp_path)
    (network,) = compile_network(tmp_path).networks
    (engine,) = network.folds[0].engines
    engine.path.write_bytes(b"engine of a stranger")
    with pytest.raises(Exception, match="altered, found SHA-256"):
        require_unaltered(engine)


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root may make a device")
def test_a_tarball_with_devices_pipes_and_links_is_refused_once_it_is_unpacked(tmp_path: Path) -> None:
    """As the platform unpacks it, without a filter."""
    write(tmp_path / "whole")
    for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE):
        archive, folder = tmp_path / "model.tar.gz", tmp_path / f"unpacked_{kind.decode()}"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(tmp_path / "whole/model.json", "model.json")
            for name in ("fold_0.onnx", "fold_1.onnx"):
                member = tarfile.TarInfo(name)
                member.type, member.devmajor, member.devminor, member.linkname = kind, 1, 5, "/etc/passwd"
                packed.addfile(member)
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="fully_trusted")  # noqa: S202
        assert "fold_0.onnx" in refusal(folder)
