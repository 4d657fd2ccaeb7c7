"""The page of `petct view` in a real browser: click, segment, undo, save."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from common.cli.run import run
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.errors import MachineError
from common.viewer.assets import provide_niivue
from tests.support.browser import browser
from tests.support.platform import REPOSITORY

ALGORITHM = "autopet_interactive"
TIMEOUT = 120_000
SHAPE, SPACING = (20, 30, 32), (6.0, 4.0, 4.0)
LESION = (16, 15, 10)
MASK_VOXELS = "() => petct.view.volumes.at(-1).img.reduce((sum, value) => sum + (value > 0), 0)"
WHERE = """mm => {
  const view = petct.view;
  view.scene.crosshairPos = view.mm2frac(mm, 0);
  view.drawScene();
  const box = document.getElementById("images").getBoundingClientRect();
  const ratio = document.getElementById("images").width / box.width;
  const [x, y] = view.frac2canvasPos(view.mm2frac(mm, 0));
  return [box.left + x / ratio, box.top + y / ratio];
}"""


class Server:
    """`petct view` as a process."""

    def __init__(self, case: Path, model: Path, output: Path) -> None:
        options = ["--algorithm", ALGORITHM, "--model", str(model), "--output", str(output), "--no-browser"]
        command = [sys.executable, "-m", "common.cli.main", "view", str(case), *options]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout
        self.address = next(line.strip() for line in self.process.stdout if line.startswith("http"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    write_phantom(make_phantom(1, SHAPE, SPACING), folder / "input", folder / "truth.mha")
    (folder / "input/lesion-clicks.json").unlink()
    (folder / "input/inputs.json").unlink()
    return folder / "input"


@pytest.fixture(scope="module")
def lesion() -> list[float]:
    """A voxel in the patient, in NIfTI's space."""
    origin = make_phantom(1, SHAPE, SPACING).geometry.origin
    x, y, z = (o + p * s for o, p, s in zip(origin, LESION, SPACING[::-1], strict=True))
    return [-x, -y, z]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        provide_niivue()
    except MachineError as error:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"skipped: {error}")
    with browser() as opened:
        yield opened


@pytest.fixture
def server(case: Path, golden_model: Path, tmp_path: Path, chromium: Browser) -> Iterator[Server]:
    server = Server(case, golden_model, tmp_path / "out")
    yield server
    server.stop()


def opened(chromium: Browser, server: Server) -> tuple[Page, list[str]]:
    """The page, ready, and what it complains about."""
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            None if asked.url.startswith((server.address, "data:", "blob:")) else found.append(asked.url)
        ),
    )
    page.goto(server.address)
    page.wait_for_selector("body[data-ready]", timeout=TIMEOUT)
    return page, found


def segment(page: Page, times: int) -> int:
    """Segment; the mask's voxels in the page."""
    page.click("#segment")
    page.wait_for_selector(f"body[data-segmented='{times}']", timeout=TIMEOUT)
    assert re.match(r"\d+\.\d s, .* ml changed; \d+ tiles computed", page.locator("#status").inner_text())
    return int(page.evaluate(MASK_VOXELS))


def test_a_click_on_a_lesion_changes_the_mask_and_what_is_saved_is_what_petct_run_gives(
    server: Server, chromium: Browser, case: Path, golden_model: Path, lesion: list[float], tmp_path: Path
) -> None:
    page, complaints = opened(chromium, server)
    without = segment(page, 1)
    page.mouse.click(*page.evaluate(WHERE, lesion))
    assert page.locator("#clicks").inner_text() == "1 tumour, 0 background clicks"
    (click,) = page.evaluate("petct.clicks")
    assert click["mm"] == pytest.approx(lesion, abs=SPACING[0])
    clicked = segment(page, 2)
    assert clicked != without

    page.mouse.click(*page.evaluate(WHERE, lesion), button="right")
    assert page.locator("#clicks").inner_text() == "1 tumour, 1 background clicks"
    page.click("#undo")
    assert page.locator("#clicks").inner_text() == "1 tumour, 0 background clicks"
    assert segment(page, 3) == clicked
    assert (
        page.locator("#projection").evaluate(
            "async image => { await image.decode(); return image.naturalWidth; }"
        )
        > 50
    )

    page.click("#save")
    page.get_by_text("saved").wait_for(timeout=TIMEOUT)
    out = tmp_path / "out"
    (tmp_path / "again").mkdir()
    (tmp_path / "again/images").symlink_to(case / "images")
    (tmp_path / "again/lesion-clicks.json").write_bytes((out / "lesion-clicks.json").read_bytes())
    expected = run(ALGORITHM, tmp_path / "again", tmp_path / "expected", golden_model)
    saved = out / expected.relative_to(tmp_path / "expected")
    assert saved.read_bytes() == expected.read_bytes()
    assert (out / "report/report.html").is_file()
    assert not complaints


def test_a_drag_is_several_clicks_which_one_undo_takes_back(
    server: Server, chromium: Browser, lesion: list[float]
) -> None:
    page, _ = opened(chromium, server)
    x, y = page.evaluate(WHERE, lesion)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=12)
    page.mouse.up()
    assert len(page.evaluate("petct.clicks")) > 2
    page.click("#undo")
    assert page.evaluate("petct.clicks") == []


def test_a_server_that_stopped_loses_no_clicks(
    case: Path, golden_model: Path, chromium: Browser, lesion: list[float], tmp_path: Path
) -> None:
    first = Server(case, golden_model, tmp_path / "out")
    page, _ = opened(chromium, first)
    page.mouse.click(*page.evaluate(WHERE, lesion))
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/clicks'))"
    )
    first.process.kill()
    first.process.wait()
    assert len(json.loads((tmp_path / "out/work/input/lesion-clicks.json").read_text())["points"]) == 1
    second = Server(case, golden_model, tmp_path / "out")
    page, _ = opened(chromium, second)
    assert page.locator("#clicks").inner_text() == "1 tumour, 0 background clicks"
    second.stop()


def test_windows_are_presets(server: Server, chromium: Browser) -> None:
    page, _ = opened(chromium, server)
    page.select_option("#window", "-160 240")
    assert page.evaluate("petct.view.volumes.map(volume => volume.opacity)") == [0, 1]
    page.select_option("#window", "0 5")
    assert page.evaluate("petct.view.volumes.map(volume => volume.opacity)") == [1, 0]
    assert page.evaluate("petct.view.volumes[0].cal_max") == 5
