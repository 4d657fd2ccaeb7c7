"""The page in a real browser, from disk."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from common.report.cases import write_reports
from common.report.run_log import RunLog
from common.report.study import Study, read_study
from common.report.view import View
from common.report.writing import write_report
from tests.support.browser import browser, complaints

RUN = RunLog({"engine": "openvino", "seconds": "3.5"}, ("<script>alert(1)</script>",))


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return read_study(folder / "input", folder / "mask.mha", folder / "truth.mha", run=RUN)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(study: Study, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report, opened; it may not have complained at the end."""
    path = write_report(study, tmp_path_factory.mktemp("page"))
    opened = chromium.new_page()
    found = complaints(opened)
    opened.goto(path.as_uri())
    yield opened
    assert not found


def column(page: Page, number: int) -> list[float]:
    cells = page.locator("table").first.locator(f"tbody td:nth-child({number})")
    return [float(text) for text in cells.all_inner_texts()]


def test_the_page_shows_every_lesion_and_the_totals(page: Page, study: Study) -> None:
    assert page.locator("#lesions").inner_text() == str(len(study.lesions))
    assert column(page, 1) == [lesion.number for lesion in study.lesions]
    assert page.locator("td.false").count() == 1
    body = page.locator("body").inner_text()
    assert "openvino" in body
    assert "0 missed" in body


def test_a_click_on_a_heading_sorts_the_table_and_another_turns_it(page: Page, study: Study) -> None:
    head = page.locator("table").first.locator("th", has_text="SUVmax")
    values = sorted((round(lesion.suv_max, 2) for lesion in study.lesions), reverse=True)
    head.click()
    assert column(page, 3) == values
    head.click()
    assert column(page, 3) == values[::-1]


def test_what_a_log_says_is_shown_and_not_run(page: Page) -> None:
    assert "<script>alert(1)</script>" in page.locator("p.warning").inner_text()


def test_the_outline_in_the_picture_goes_around_the_lesions_voxels(page: Page, study: Study) -> None:
    picture = page.locator("#coronal")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    pixels = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB")).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90) & (pixels[..., 2] < 110)
    view = View.of(study.geometry)
    lesion = next(
        lesion for lesion in study.lesions if study.comparison and lesion.number in study.comparison.false
    )
    inside = np.argwhere(view.turn(study.numbers == lesion.number).any(axis=1))
    scale = np.array(pixels.shape[:2]) / view.turn(study.pet).shape[::2]
    first, last = inside.min(axis=0) * scale, (inside.max(axis=0) + 1) * scale
    rows, columns = np.nonzero(
        red[int(first[0]) - 4 : int(last[0]) + 5, int(first[1]) - 4 : int(last[1]) + 5]
    )
    found = [rows.min(), columns.min(), rows.max(), columns.max()]
    expected = [4, 4, last[0] - first[0] + 4, last[1] - first[1] + 4]
    assert found == pytest.approx(expected, abs=3)


def test_an_overview_lists_every_case_and_a_damaged_one_with_its_line(
    folder: Path, chromium: Browser, tmp_path: Path
) -> None:
    cases, masks = tmp_path / "cases", tmp_path / "masks"
    cases.mkdir()
    masks.mkdir()
    for name in ("a", "b"):
        (cases / name).symlink_to(folder / "input")
    (masks / "a.mha").symlink_to(folder / "mask.mha")
    opened = chromium.new_page()
    found = complaints(opened)
    opened.goto(write_reports(cases, masks, tmp_path / "output").as_uri())
    rows = opened.locator("tbody tr")
    assert rows.count() == 2
    assert str(masks / "b") in rows.nth(1).inner_text()
    assert rows.nth(0).locator("img").evaluate("image => image.naturalWidth > 50")
    rows.nth(0).locator("a").first.click()
    assert "Lesions" in opened.locator("body").inner_text()
    assert not found
