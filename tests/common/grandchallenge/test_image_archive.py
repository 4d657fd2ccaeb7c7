"""Archives as `docker save` writes them, in both layouts, and what the platform refuses in them."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.cli.main import main
from common.grandchallenge import image_archive
from common.grandchallenge.image_archive import check_image
from tests.support.platform import refused

Files = dict[str, bytes]
DIGEST = "5" * 64
CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "config": {
        "User": "petct",
        "Entrypoint": ["/opt/venv/bin/petct", "run"],
        "Labels": {"org.grand-challenge.api-method": "exec"},
    },
}


def tar(files: Files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def files_of(config: Any = CONFIG, layer: Files | None = None, *, oci: bool = False) -> Files:
    """Docker's layout, or that of the containerd image store, which is OCI's with Docker's manifest."""
    names = (f"blobs/sha256/{DIGEST}", "blobs/sha256/1") if oci else (f"{DIGEST}.json", "1/layer.tar")
    manifest = {"Config": names[0], "RepoTags": ["gepnet:0.1.0"], "Layers": [names[1]]}
    files = {
        names[1]: tar(layer or {"opt/petct/common/case.py": b""}),
        names[0]: json.dumps(config).encode(),
        "manifest.json": json.dumps([manifest]).encode(),
    }
    return files | {"index.json": index([{"digest": f"sha256:{DIGEST}"}])} if oci else files


def index(entries: list[Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


def save(path: Path, files: Files) -> Path:
    path.write_bytes(tar(files))
    return path


def changed(change: Callable[[Any], object]) -> Any:
    config = json.loads(json.dumps(CONFIG))
    change(config)
    return config


@pytest.mark.parametrize("oci", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_both_layouts_are_taken_compressed_or_not(tmp_path: Path, oci: bool, compressed: bool) -> None:
    path = save(tmp_path / "image.tar", files_of(oci=oci))
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    summary = check_image(path)
    assert (summary.tag, summary.user, summary.api) == ("gepnet:0.1.0", "petct", "exec")
    assert summary.size == path.stat().st_size


@pytest.mark.parametrize("user", ["", "root", "0", "ROOT", "0:0", "root:petct", "1000", "pet-ct", "ünal"])
def test_users_that_the_platform_refuses_are_named(tmp_path: Path, user: str) -> None:
    config = changed(lambda config: config["config"].update(User=user))
    with refused(tmp_path, f"the user {user!r}", "USER"):
        check_image(save(tmp_path / "image.tar", files_of(config)))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda config: config.update(architecture="arm64"), "an image for 'linux/arm64'"),
        (lambda config: config.update(os="windows"), "an image for 'windows/amd64'"),
        (lambda config: config["config"].pop("Entrypoint"), "no command"),
        (lambda config: config["config"].update(Entrypoint=["/bin/sh", "-c", "petct run"]), "for a shell"),
        (
            lambda config: config["config"].update(Labels=None),
            "the label org.grand-challenge.api-method None",
        ),
        (lambda config: config["config"]["Labels"].update({image_archive.API_LABEL: "http"}), "'http'"),
        (lambda config: config.pop("config"), "no image"),
    ],
)
def test_configurations_that_the_platform_refuses_are_named(
    tmp_path: Path, change: Callable[[Any], object], found: str
) -> None:
    with refused(tmp_path, found):
        check_image(save(tmp_path / "image.tar", files_of(changed(change))))


def test_command_counts_where_there_is_no_entry_point(tmp_path: Path) -> None:
    config = changed(lambda config: config["config"].update(Entrypoint=None, Cmd=["petct", "run"]))
    assert check_image(save(tmp_path / "image.tar", files_of(config))).api == "exec"


@pytest.mark.parametrize(
    "name", ["opt/ml/model/model.json", "./opt/ml/model/a/b", "home/fold_0.onnx", "x.pth"]
)
@pytest.mark.parametrize("oci", [False, True])
def test_weights_inside_are_refused(tmp_path: Path, name: str, oci: bool) -> None:
    with refused("weights", name.removeprefix("./"), "leave it out of the image"):
        check_image(save(tmp_path / "image.tar", files_of(layer={name: bytes(1 << 21)}, oci=oci)))


def test_examples_of_packages_are_no_weights(tmp_path: Path) -> None:
    files = files_of(layer={"opt/venv/lib/onnxruntime/datasets/sigmoid.onnx": b"small"})
    check_image(save(tmp_path / "image.tar", files))


@pytest.mark.parametrize("nested", [False, True])
def test_attestations_are_refused(tmp_path: Path, nested: bool) -> None:
    attestation = {
        "digest": "sha256:9",
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    files = files_of(oci=True)
    if nested:
        files["blobs/sha256/7"] = index([attestation])
        kind = "application/vnd.oci.image.index.v1+json"
        files["index.json"] = index([{"digest": "sha256:7", "mediaType": kind}])
    else:
        files["index.json"] = index([attestation])
    with refused("an attestation manifest", "--provenance=false --sbom=false"):
        check_image(save(tmp_path / "image.tar", files))


def test_several_images_in_one_archive_are_refused(tmp_path: Path) -> None:
    files = files_of()
    files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) * 2).encode()
    with refused("2 images", "exactly one", "docker save NAME:TAG"):
        check_image(save(tmp_path / "image.tar", files))


def test_archive_beyond_the_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.tar"
    with path.open("wb") as file:
        file.truncate(11 * 10**9)
    with refused("11.0 GB", "at most 10"):
        check_image(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[: len(content) // 3],
        lambda content: gzip.compress(content)[:100],
        lambda content: gzip.compress(content)[:100] + bytes(1000),
        lambda content: content.replace(b"manifest.json", b"manifesto.jsn"),
        lambda content: content.replace(b'"RepoTags"', b'"RepoTags'),
        lambda content: content.replace(b"1/layer.tar", b"2/layer.tar", 1),
    ],
)
def test_files_that_are_no_images_are_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = save(tmp_path / "image.tar", files_of())
    path.write_bytes(spoil(path.read_bytes()))
    with refused(path, "no image"):
        check_image(path)


def test_command_says_what_the_platform_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "image.tar", files_of())
    assert main(["check", "image", str(path)]) == 0
    assert "the platform takes gepnet:0.1.0: exec, user petct, 0.00 of 10 GB" in capsys.readouterr().out
    assert main(["check", "image", str(tmp_path / "nothing.tar")]) == 2
