"""Rows and columns of the page in a real Chromium: folded, shown, dragged, and as high as their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from playwright.sync_api import Browser, expect

from tests.web.browser import Shown, needs_browser
from tests.web.served import serving

pytestmark = needs_browser

NUMBERS, HEADER = 52, 26
"""Pixels of the row numbers and of the column letters."""
WORDS = "a text of several words that is to be wrapped over more than one line of its narrow cell"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sizes") / "sizes.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        wrapped = book.add_format({"text_wrap": True})
        sheet.write_string(2, 0, WORDS, wrapped)
        for row in range(3, 30):
            sheet.write_number(row, 0, row + 1)
        for row in range(10, 15):
            sheet.set_row(row, None, None, {"level": 1, "hidden": True})
        sheet.set_row(20, None, None, {"hidden": True})
        sheet.set_column("C:D", None, None, {"level": 1})
    return path


@pytest.fixture(scope="module")
def shown(browser: Browser, path: Path) -> Iterator[Shown]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    with serving(path, path.parent / "state") as served:
        shown = Shown(context.new_page()).open(served, "S")
        shown.until(lambda: shown.cell("A4").count() and shown.text("A4") == "4", "the first cells")
        yield shown
        assert shown.errors == []
    context.close()


def place(shown: Shown, address: str) -> tuple[float, float]:
    """Where a cell is on the screen: left and top, as its editor is put over it."""
    shown.go(address)
    shown.tab.keyboard.press("F2")
    box = shown.tab.get_by_test_id("cell-editor").bounding_box()
    shown.tab.keyboard.press("Escape")
    assert box is not None
    return box["x"], box["y"]


def below(shown: Shown, address: str) -> str:
    """The cell that the arrow leads to."""
    shown.go(address)
    shown.tab.keyboard.press("ArrowDown")
    return shown.tab.get_by_test_id("name-box").input_value()


def test_a_row_is_as_high_as_its_wrapped_text(shown: Shown) -> None:
    high = place(shown, "A4")[1] - place(shown, "A3")[1]
    plain = place(shown, "A6")[1] - place(shown, "A5")[1]
    assert plain == 20
    assert high > 4 * plain


def test_folded_and_hidden_rows_can_be_shown(shown: Shown) -> None:
    assert below(shown, "A10") == "A16"
    shown.tab.get_by_role("button", name="Show rows 11 to 15").click()
    assert below(shown, "A10") == "A11"
    shown.tab.get_by_role("button", name="Hide rows 11 to 15").click()
    assert below(shown, "A10") == "A16"
    assert below(shown, "A20") == "A22"
    shown.tab.get_by_role("button", name="Show row 21").click()
    assert below(shown, "A20") == "A21"
    expect(shown.tab.get_by_role("button", name="Hide row 21")).to_have_count(0)  # it is in no group


def test_a_group_of_columns_is_folded(shown: Shown) -> None:
    before = place(shown, "E5")[0]
    shown.tab.get_by_role("button", name="Hide columns C to D").click()
    assert place(shown, "E5")[0] == before - 2 * 64
    shown.tab.get_by_role("button", name="Show columns C to D").click()
    assert place(shown, "E5")[0] == before
    assert shown.tab.get_by_test_id("saved").text_content() == "Saved"  # to look is no change


def test_a_column_is_dragged_saved_and_taken_back(shown: Shown, tmp_path: Path) -> None:
    before = place(shown, "C5")[0]
    grid = shown.tab.get_by_test_id("grid").bounding_box()
    assert grid is not None
    edge, letters = grid["x"] + NUMBERS + 2 * 64, grid["y"] + HEADER / 2
    shown.tab.mouse.move(edge - 2, letters)
    shown.tab.mouse.down()
    shown.tab.mouse.move(edge + 40, letters, steps=5)
    shown.tab.mouse.move(edge + 68, letters, steps=5)
    shown.tab.mouse.up()
    saved = shown.tab.get_by_test_id("saved")
    shown.until(lambda: saved.text_content() == "Not saved", "a change")
    after = place(shown, "C5")[0]
    assert after - before == pytest.approx(70, abs=3)
    shown.tab.get_by_role("button", name="More ways to save").click()
    with shown.tab.expect_download() as download:
        shown.tab.get_by_role("menuitem", name="Download").click()
    target = tmp_path / "dragged.xlsx"
    download.value.save_as(target)
    width = openpyxl.load_workbook(target)["S"].column_dimensions["B"].width
    assert width == pytest.approx((64 + after - before) / 7, abs=0.01)
    shown.tab.get_by_role("toolbar", name="Book").get_by_role("button", name="Undo").click()
    shown.until(lambda: place(shown, "C5")[0] == before, "the width of before")


def test_what_is_folded_is_accessible(shown: Shown) -> None:
    assert shown.axe() == []
