"""The pages for people name files and code that are there."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("containers/*/README.md")),
]
FOLDERS = (".ci", "benchmarks", "common", "containers", "docker", "docs", "tests")
"""What a path in backticks begins with, unless it is a file at the top; build/ and dist/ are outputs."""
EXAMPLE = "pet_ct_lesions"
"""The algorithm that a page makes up."""
PLACEHOLDERS = "*<…{"

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def code(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Relative links: path, which is empty within the page, and heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, heading = target.partition("#")
            yield path, heading


def named_paths(page: Path) -> Iterator[str]:
    """The words in backticks that are paths of the repository."""
    for word in " ".join(re.findall(r"`([^`]+)`", prose(page))).split():
        path = word.removeprefix("./")
        if any(sign in path for sign in PLACEHOLDERS) or EXAMPLE in path:
            continue
        if path.split("/")[0] in FOLDERS or word.startswith("./") or re.fullmatch(r"[A-Z]+\.md", path):
            yield path


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_relative_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for path, heading in links(page):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not heading or heading in anchors(target), f"{path}#{heading}"


@pages
def test_paths_in_backticks_are_there(page: Path) -> None:
    assert [path for path in named_paths(page) if not (ROOT / path).exists()] == []


@pages
def test_code_imports_names_that_are_there(page: Path) -> None:
    for block in code(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("common."):
                module = import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
