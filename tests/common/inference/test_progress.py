import io
import logging
import sys

from common.inference.progress import Progress


def test_log_has_a_line_per_tenth_at_most(caplog, monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with caplog.at_level(logging.INFO), Progress(97, "tiles") as progress:
        for _ in range(97):
            progress.step()
    assert len(caplog.records) == 10
    assert caplog.messages[-1] == "97 of 97 tiles, 0 s left"
    assert stderr.getvalue() == ""


def test_terminal_has_one_line_with_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with Progress(4, "tiles") as progress:
        for _ in range(4):
            progress.step()
    shown = stderr.getvalue()
    assert shown.count("\n") == 1
    assert shown.split("\r")[2].startswith("[" + "#" * 20 + "." * 20 + "] 2/4 tiles")
