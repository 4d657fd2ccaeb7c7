"""Writes the pages that are made from the code: docs/commands.md and docs/messages.md.

PYTHONPATH=. .venv/bin/python docs/pages.py
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

from common.cli.commands import whole_parser

DOCS = Path(__file__).parent
ROOT = DOCS.parent
ERRORS = {"InputError": 2, "ModelError": 3, "MachineError": 4}
"""Their exit codes."""
WIDTH = 110


def commands() -> str:
    """The page of every command, as `--help` has it."""
    parser = whole_parser()
    text = "# Commands\n\nThis page is made by `docs/pages.py`; `petct COMMAND --help` says the same.\n"
    for name, command in _commands_of(parser):
        formatter = command._get_formatter()
        formatter._width = WIDTH
        help_text = command.format_help()
        text += f"\n## petct {name}\n\n```text\n{help_text.strip()}\n```\n"
    return text


def messages() -> str:
    """The page of every failure that the code names, by what is at fault."""
    found = sorted({message for path in _sources() for message in _messages_in(path)})
    text = (
        "# Messages\n\n"
        "Every failure is one line on stderr: which file, what was found, what was expected, and, after the "
        "semicolon, what to do. These are all that the code has; `…` stands for what is found.\n"
        "`docs/pages.py` makes this page.\n"
    )
    titles = {2: "The input is wrong", 3: "The model or the checkpoint is wrong", 4: "The machine could not"}
    for code, title in titles.items():
        text += f"\n## {title} (exit code {code})\n\n"
        text += "".join(f"- `{message}`\n" for number, message in found if number == code)
    return text


def _commands_of(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                full = f"{before}{name}"
                yield full, command
                yield from _commands_of(command, f"{full} ")


def _sources() -> Iterator[Path]:
    for folder in ("common", "containers"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _messages_in(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
            continue
        message = "".join(map(_as_text, node.args[:1])).replace("`", "'").strip()
        if message.strip("… "):
            yield ERRORS[node.func.id], message


def _as_text(node: ast.expr) -> str:
    """A message with `…` for what is known at run time only."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_as_text, node.values))
    return "…"


def main() -> None:
    """Write both."""
    (DOCS / "commands.md").write_text(commands())
    (DOCS / "messages.md").write_text(messages())


if __name__ == "__main__":
    main()
