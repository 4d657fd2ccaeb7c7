from pathlib import Path

from common.hashes import sha256_of_all


def test_the_hash_over_files_covers_one_that_lies_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    inside, outside = tmp_path / "folder/weights", tmp_path / "plans.json"
    inside.write_bytes(b"weights")
    outside.write_text("{}")
    before = sha256_of_all(tmp_path / "folder", [inside, outside])
    assert sha256_of_all(tmp_path / "folder", [inside, outside]) == before
    outside.write_text("{ }")
    assert sha256_of_all(tmp_path / "folder", [inside, outside]) != before
