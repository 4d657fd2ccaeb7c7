"""The pages that are made from the code are up to date."""

import ast
from pathlib import Path

import pytest

from common.cli.commands import COMMANDS
from docs import pages


@pytest.mark.parametrize("name", ["commands", "messages"])
def test_a_page_is_what_the_code_says_now(name: str) -> None:
    found = (pages.DOCS / f"{name}.md").read_text()
    assert found == getattr(pages, name)(), "run PYTHONPATH=. .venv/bin/python docs/pages.py"


def test_every_command_has_a_section() -> None:
    headings = [line for line in pages.commands().splitlines() if line.startswith("## petct ")]
    assert {heading.split()[2] for heading in headings} == set(COMMANDS)


def test_a_message_is_its_text_with_dots_for_what_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "def f(x):\n    raise ModelError(f'{x}: found {x!r}, ' f'expected a; do {x:.1f}') from x\n"
    )
    assert ast.parse(path.read_text())
    assert list(pages._messages_in(path)) == [(3, "…: found …, expected a; do …")]
