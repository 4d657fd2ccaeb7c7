from pathlib import Path

import pytest

from common.grandchallenge.json_file import read_json
from tests.support.platform import refused


def test_document_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert read_json(path) == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"nonsense", b"[NaN]", b"[-Infinity]", b"\xff\x00\xff", b"[" * 5000, b"9" * 5000]
)
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with refused(path, "not JSON"):
        read_json(path)


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path, "cannot be read (Is a directory)"):
        read_json(tmp_path)
