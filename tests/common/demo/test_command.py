from pathlib import Path

import pytest

from common.demo.command import output_folder


def test_the_folder_is_the_one_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", "--output", "some/folder"])
    assert output_folder() == Path("some/folder")


def test_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["train"])
    with pytest.raises(SystemExit):
        output_folder()
    assert "--output" in capsys.readouterr().err
