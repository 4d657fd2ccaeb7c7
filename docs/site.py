"""Builds the site of all pages into build/site, and fails where a link leads nowhere.

PYTHONPATH=. .venv/bin/python docs/site.py

Pages keep their places in the repository, so that links hold there, too; files linked to are copied.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build/site"
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "containers/*/README.md"),
    "tests/golden/README.md",
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def build(site: Path) -> None:
    """Copy pages and what they link to, and let MkDocs build them strictly; raises `CalledProcessError`."""
    shutil.rmtree(site, ignore_errors=True)
    for page in (path for pattern in PAGES for path in ROOT.glob(pattern)):
        _copy_page(page, site / "pages")
    configuration = shutil.copy(ROOT / "mkdocs.yml", site)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(configuration)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(
        [*command, "--site-dir", str(site / "html")],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )


def _copy_page(page: Path, pages: Path) -> None:
    """Copy a page and the files that it links to; of a link to a folder, its words."""

    def replaced(link: re.Match[str]) -> str:
        linked = (page.parent / link[2]).resolve()
        if linked.is_file():
            _copy(linked, pages)
        return link[1] if linked.is_dir() else link[0]

    text = LINK.sub(replaced, page.read_text())
    _copy(page, pages)
    (pages / page.relative_to(ROOT)).write_text(text)


def _copy(path: Path, pages: Path) -> None:
    """Copy a file to its place; a page that is there is left."""
    place = pages / path.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copy(path, place)


def main() -> int:
    """Build it, and show what MkDocs complains about."""
    try:
        build(SITE)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr)
        return 1
    sys.stdout.write(f"{SITE / 'html/index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
