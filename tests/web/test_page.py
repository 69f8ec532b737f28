"""The page of `sgdsheet open` in a real Chromium: the sheet as one sees it, the keyboard, the looks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.browser import ROOT, Shown, needs_browser
from tests.web.served import Served, serving

pytestmark = needs_browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    book = shutil.copy(ROOT / "workbooks" / "titanic.xlsx", folder / "titanic.xlsx")
    with serving(Path(book), folder / "state") as found:
        yield found


@pytest.fixture
def shown(browser: Browser, served: Served) -> Iterator[Shown]:
    """A fresh tab with the network of the Titanic; whatever a test does, the console has to stay clean."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = Shown(context.new_page()).open(served, "nnet")
    page.until(lambda: page.cell("A9").count() and page.text("A9"), "the first cells")
    yield page
    assert page.errors == []
    context.close()


def test_cells_look_as_in_the_file(shown: Shown) -> None:
    assert (shown.text("A1"), shown.text("A9"), shown.text("E6")) == (
        "The Titanic as a neural network",
        "3rd",
        "-0.210",
    )
    assert shown.frozen() == 8
    shown.until(lambda: shown.formula() == "The Titanic as a neural network", "what is in A1, where one begins")


def test_an_address_leads_to_its_cell(shown: Shown) -> None:
    shown.go("K2209")
    shown.until(lambda: shown.cell("K2209").count(), "the last row")
    shown.until(lambda: shown.cell("K2209").get_attribute("aria-selected") == "true", "it is selected")
    shown.until(lambda: shown.formula() == "=MAX(0,SUMPRODUCT(E2209:J2209,E$6:J$6))", "its formula")
    shown.go("linear!B9")
    shown.until(lambda: shown.tab.get_by_role("tab", selected=True).text_content() == "linear", "the other sheet")


def test_keys_move_as_in_any_spreadsheet(shown: Shown) -> None:
    def at(keys: str, address: str) -> None:
        for key in keys.split():
            shown.tab.keyboard.press(key)
        box = shown.tab.get_by_test_id("name-box")
        shown.until(lambda: box.input_value() == address, f"{keys} leads to {address}, not {box.input_value()}")

    shown.go("A9")
    at("ArrowRight ArrowDown", "B10")
    at("Shift+ArrowDown Shift+ArrowRight", "B10:C11")
    at("Tab Tab Enter", "B10:C11")
    at("Escape Control+ArrowDown", "C2209")
    shown.until(lambda: shown.cell("A2209").count() and shown.text("A2209"), "the cells at the end")
    at("Control+Home", "A9")
    shown.until(lambda: shown.cell("A9").count() and shown.text("A9"), "the cells at the top")
    at("Control+ArrowRight", "P9")
    at("PageDown PageUp", "P9")
    at("Shift+Tab", "O9")
    at("Tab Tab Enter", "O10")
    at("Tab ArrowLeft Enter", "O11")
    shown.tab.keyboard.press("Control+PageDown")
    shown.until(lambda: shown.tab.get_by_role("tab", selected=True).text_content() == "mmult", "the next sheet")
    shown.until(lambda: shown.tab.get_by_test_id("grid").get_by_role("group").count(), "its cells")
    focused = "() => document.querySelector('[data-testid=grid]').contains(document.activeElement)"
    shown.until(lambda: shown.tab.evaluate(focused), "the keyboard in the sheet")
    at("ArrowDown", "A2")


def test_a_formula_names_its_cells_in_colours(shown: Shown) -> None:
    shown.go("K9")
    pieces = shown.tab.locator(".formula-backdrop span[class^=reference]")
    shown.until(lambda: pieces.all_text_contents() == ["E9:J9", "E$6:J$6"], "the references in the formula bar")


def test_nothing_serious_for_those_who_hear_or_tab(shown: Shown) -> None:
    assert shown.axe() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(browser: Browser, served: Served, scheme: str) -> None:
    """Contrast AA in both schemes, and at the width of a phone, where nothing is wider than the screen."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    shown = Shown(context.new_page()).open(served, "nnet")
    shown.until(lambda: shown.cell("A9").count() and shown.text("A9"), "the first cells")
    assert shown.tab.evaluate("document.documentElement.scrollWidth") == 390
    assert shown.axe() == []
    before = shown.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    switch = shown.tab.get_by_role("button", name="Colours:")
    switch.click()
    if scheme == "light":
        switch.click()
    assert shown.tab.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert shown.axe() == []
    assert shown.errors == []
    context.close()


def test_a_link_leads_to_its_sheet(shown: Shown) -> None:
    def sheet() -> str | None:
        return shown.tab.get_by_role("tab", selected=True).text_content()

    shown.show("Start")
    shown.go("B11")
    shown.tab.keyboard.press("F2")
    box = shown.tab.get_by_test_id("cell-editor").bounding_box()
    shown.tab.keyboard.press("Escape")
    assert box is not None
    shown.tab.mouse.click(box["x"] + 10, box["y"] + box["height"] / 2)
    shown.until(lambda: sheet() == "nnet", "a click on a link shows where it leads")
    shown.show("Start")
    shown.go("B12")
    shown.tab.keyboard.press("Alt+Enter")
    shown.until(lambda: sheet() == "mmult", "the keyboard follows a link")


def test_a_cell_that_is_edited_before_its_content_is_there_keeps_it(shown: Shown) -> None:
    """Keys come faster than the server's answer: no message can arrive between these, but the page is drawn."""

    def press(*keys: str) -> None:
        shown.tab.evaluate(
            """async keys => {
                for (const key of keys) {
                    const press = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
                    document.activeElement.dispatchEvent(press);
                    for (let turn = 0; turn < 9; turn++) await null;
                }
            }""",
            list(keys),
        )

    before = shown.text("A10"), shown.text("A11")
    assert all(before)
    shown.go("A9")
    press("ArrowDown", "F2", "Enter")
    press("F2")
    shown.until(lambda: shown.tab.get_by_test_id("cell-editor").input_value() == before[1], "what it holds", 20)
    shown.tab.keyboard.type("0")
    shown.tab.keyboard.press("Enter")
    shown.until(lambda: shown.text("A11") == f"{before[1]}0", "what was added", 60)
    assert shown.text("A10") == before[0]
