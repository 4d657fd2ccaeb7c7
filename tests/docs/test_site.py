"""The site of all pages, built strictly: a link that leads nowhere fails."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs.site import build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder / "html"


class Links(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.led_to: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.names.add(given.get("id") or "")
        if tag in ("script", "img") and given.get("src"):
            self.loaded.append(given["src"] or "")
        if tag == "link" and "stylesheet" in (given.get("rel") or ""):
            self.loaded.append(given["href"] or "")
        if tag == "a" and given.get("href"):
            self.led_to.append(given["href"] or "")


def read(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text())
    return links


def test_every_link_leads_to_a_page_and_heading_that_are_there(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    assert len(pages) > 12
    for page in pages:
        for target in read(page).led_to:
            if re.match(r"[a-z]+:|//", target):
                continue
            path, _, name = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), f"{page}: {target}"
            if name and linked.suffix == ".html":
                assert name in read(linked).names, f"{page}: {target}"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for source in read(page).loaded:
            assert not re.match(r"(https?:)?//", source), f"{page}: {source}"


def test_a_link_that_leads_nowhere_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from subprocess import CalledProcessError

    from docs import site

    for path in ("mkdocs.yml", "README.md"):
        (tmp_path / path).write_text((site.ROOT / path).read_text())
    (tmp_path / "README.md").write_text("# Page\n\n[lost](docs/nowhere.md)\n")
    monkeypatch.setattr(site, "ROOT", tmp_path)
    with pytest.raises(CalledProcessError):
        build(tmp_path / "site")
