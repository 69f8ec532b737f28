"""The page of `sgdsheet open` in a real Chromium: typing, training, undo, the clipboard, two tabs, lost connections."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.live_books import most
from tests.web.browser import ROOT, Shown, needs_browser
from tests.web.served import Served, serving

pytestmark = needs_browser

STEPS, LOSS, WEIGHT, DATUM, PREDICTION = "S5", "O6", "E6", "B9", "N9"
FREE = "L6"  # an empty cell among empty ones

HOLD_FRAMES = """() => {
  const held = [], ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (then) => -held.push(then);
  window.releaseFrames = () => {
    window.requestAnimationFrame = ask;
    for (const then of held) ask.call(window, then);
    return new Promise((drawn) => ask.call(window, () => ask.call(window, drawn)));
  };
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("live")
    book = shutil.copy(ROOT / "workbooks" / "titanic.xlsx", folder / "titanic.xlsx")
    with serving(Path(book), folder / "state") as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 2100, "height": 900}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture(scope="module")
def tab(context: BrowserContext, served: Served) -> Shown:
    shown = Shown(context.new_page()).open(served, "nnet")
    shown.until(lambda: shown.cell("A9").count() and shown.text("A9"), "the first cells")
    shown.type(FREE, "=1+1")  # the first one waits for torch
    shown.until(lambda: shown.text(FREE) == "2", "the first calculation")
    undo(shown, FREE, "")
    return shown


@pytest.fixture
def shown(tab: Shown) -> Iterator[Shown]:
    """One tab for all tests of this module; each takes back what it changed, and leaves no error in the console."""
    before = tab.text(WEIGHT), tab.text(DATUM), tab.text(STEPS)
    yield tab
    assert tab.errors == []
    assert (tab.text(WEIGHT), tab.text(DATUM), tab.text(STEPS)) == before


def undo(shown: Shown, address: str, text: str) -> None:
    """Take back the newest change, until a cell shows what it showed before."""
    shown.tab.get_by_role("toolbar", name="Book").get_by_role("button", name="Undo").click()
    shown.until(lambda: shown.text(address) == text, f"{address} is {text} again")


def test_a_datum_changes_the_prediction(shown: Shown) -> None:
    before = shown.text(PREDICTION)
    shown.type(DATUM, "female")
    shown.until(lambda: shown.text(DATUM) == "female" and shown.text(PREDICTION) != before, "another prediction")
    assert shown.tab.get_by_test_id("saved").text_content() == "Not saved"
    shown.tab.keyboard.press("Control+z")
    shown.until(lambda: (shown.text(DATUM), shown.text(PREDICTION)) == ("male", before), "as before")


def test_a_formula_is_typed_with_the_mouse_and_calculated(shown: Shown) -> None:
    shown.go(FREE)
    shown.tab.keyboard.type("=2*")
    box = shown.tab.locator(".grid-body").bounding_box()
    assert box is not None
    shown.tab.mouse.click(box["x"] + 80, box["y"] + 10)
    assert shown.tab.get_by_test_id("cell-editor").input_value() == "=2*A9"
    for _ in "A9":
        shown.tab.keyboard.press("Backspace")
    shown.tab.keyboard.type("N9")
    shown.tab.keyboard.press("Enter")
    shown.until(lambda: shown.text(FREE), "the formula's value")
    assert shown.number(FREE) == pytest.approx(1.1)
    shown.go(FREE)
    shown.until(lambda: shown.formula() == "=2*N9", "its formula")
    undo(shown, FREE, "")


def test_keys_that_come_before_the_next_frame_go_into_the_formula(shown: Shown) -> None:
    """As on a busy machine, where seconds may pass between a click and what is drawn next."""
    shown.go(FREE)
    shown.tab.keyboard.type("=2*")
    box = shown.tab.locator(".grid-body").bounding_box()
    assert box is not None
    shown.tab.evaluate(HOLD_FRAMES)
    shown.tab.mouse.click(box["x"] + 80, box["y"] + 10)
    assert shown.tab.get_by_test_id("cell-editor").input_value() == "=2*A9"
    shown.tab.locator(".grid-body canvas").first.focus()  # as the click has it, in one frame or another
    for _ in "A9":
        shown.tab.keyboard.press("Backspace")
    shown.tab.keyboard.type("N9")
    assert shown.tab.get_by_test_id("cell-editor").input_value() == "=2*N9"
    shown.tab.evaluate("() => releaseFrames().then(() => undefined)")
    shown.tab.keyboard.type("+1")
    shown.tab.keyboard.press("Enter")
    shown.until(lambda: shown.text(FREE), "the formula's value")
    assert shown.number(FREE) == pytest.approx(2.1)
    undo(shown, FREE, "")


def test_a_formula_that_is_none_is_refused_and_stays_to_be_mended(shown: Shown) -> None:
    shown.type(FREE, "=SUM(1,")
    notices = shown.tab.get_by_test_id("notices")
    shown.until(lambda: FREE in (notices.text_content() or ""), "why, with the cell")
    assert shown.tab.get_by_test_id("cell-editor").input_value() == "=SUM(1,"
    shown.tab.keyboard.press("Escape")
    assert shown.text(FREE) == ""
    shown.tab.get_by_role("button", name="Dismiss").click()


def test_copied_cells_are_pasted_elsewhere_and_from_elsewhere(shown: Shown) -> None:
    shown.go("A9:B10")
    shown.tab.keyboard.press("Control+c")
    read = "navigator.clipboard.readText()"
    shown.until(lambda: shown.tab.evaluate(read).replace("\r", "") == "3rd\tmale\n3rd\tmale", "the texts")
    shown.tab.evaluate('navigator.clipboard.writeText("1.5\\t=1+1\\n\\"two\\nlines\\"\\t0.12")')
    shown.go(FREE)
    shown.tab.keyboard.press("Control+v")
    shown.until(lambda: shown.text("M6") == "2", "what a formula of the clipboard gives")
    assert [shown.text(at) for at in (FREE, "L7", "M7")] == ["1.5", "two\nlines", "0.12"]
    undo(shown, FREE, "")
    shown.go("O9")
    shown.tab.keyboard.press("Control+c")
    shown.until(lambda: shown.tab.evaluate(read) == shown.text("O9"), "one text")
    shown.go("M6")
    shown.tab.keyboard.press("Control+v")
    shown.until(lambda: shown.text("M6") != "", "a formula that moved")
    shown.until(lambda: shown.formula() == "=(L6-B6)^2", "its references moved as well")
    undo(shown, "M6", "")


def test_a_step_changes_cells_and_loss(shown: Shown) -> None:
    weight, loss = shown.text(WEIGHT), shown.text(LOSS)
    shown.press("Step")
    shown.until(lambda: shown.text(WEIGHT) != weight and shown.text(LOSS) != loss, "the first step")
    shown.until(lambda: "step 1" in (shown.tab.get_by_test_id("numbers").text_content() or ""), "its number")
    shown.until(lambda: shown.state == "Ready", "the end of the step")
    undo(shown, WEIGHT, weight)
    assert shown.text(LOSS) == loss


def test_train_to_the_number_that_is_known(shown: Shown) -> None:
    """As the sheet “Start” says of the network as it stands."""
    weight = shown.text(WEIGHT)
    shown.press("Train")
    shown.until(lambda: shown.text(WEIGHT) != weight, "training")
    shown.until(lambda: shown.state == "Ready", "the end")
    shown.until(lambda: shown.text(LOSS) == "0.1550", "the loss that is known")
    undo(shown, WEIGHT, weight)


def test_two_tabs_a_reload_and_stop_while_it_trains(shown: Shown, context: BrowserContext, served: Served) -> None:
    weight, steps = shown.text(WEIGHT), shown.text(STEPS)
    shown.type(STEPS, "100000")
    shown.until(lambda: shown.text(STEPS) == "100000", "the steps")
    other = Shown(context.new_page()).open(served, "nnet")
    other.until(lambda: other.cell(STEPS).count() and other.text(STEPS) == "100000", "what the first tab typed")
    shown.press("Train")
    shown.until(lambda: shown.state == "Training" and shown.text(WEIGHT) != weight, "training")
    other.until(lambda: other.state == "Training" and other.text(WEIGHT) != weight, "the other tab sees it")
    other.tab.reload()
    other.until(lambda: other.state == "Training" and other.cell(WEIGHT).count(), "training, after a reload")
    seen = other.text(WEIGHT)
    other.until(lambda: other.text(WEIGHT) != seen, "it still moves")
    other.tab.close()
    shown.press("Stop")
    taken = shown.until(lambda: shown.state == "Ready", "the end")
    assert taken <= most(0.3, busy=15.0)
    undo(shown, WEIGHT, weight)
    undo(shown, STEPS, steps)
    assert other.errors == []


def test_what_is_downloaded_passes_the_check(shown: Shown, tmp_path: Path) -> None:
    shown.type(DATUM, "female")
    shown.until(lambda: shown.text(DATUM) == "female", "the datum")
    shown.tab.get_by_role("button", name="More ways to save").click()
    with shown.tab.expect_download() as download:
        shown.tab.get_by_role("menuitem", name="Download").click()
    path = tmp_path / "downloaded.xlsx"
    download.value.save_as(path)
    words = [sys.executable, "-m", "sgdsheet", "check", str(path), "--sheet", "nnet"]
    checked = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    undo(shown, DATUM, "male")


def test_a_server_that_is_killed_is_told_and_what_was_changed_is_found_again(browser: Browser, tmp_path: Path) -> None:
    book = Path(shutil.copy(ROOT / "workbooks" / "gradient_descent.xlsx", tmp_path / "descent.xlsx"))
    state = tmp_path / "state"
    context = browser.new_context()
    shown = Shown(context.new_page())
    with serving(book, state) as served:
        shown.open(served, "tangent")
        shown.until(lambda: shown.cell("A1").count() and shown.text("A1"), "the first cells")
        shown.type("B2", "kept")
        shown.until(lambda: shown.text("B2") == "kept", "the change")
        shown.until(lambda: next(state.rglob("*.recovery"), None), "a file to recover from")
        served.stop(signal.SIGKILL)
        shown.until(lambda: shown.state == "Connection lost", "that the connection is lost")
        port = served.host.partition(":")[2]
    with serving(book, state, "--port", port) as served:
        shown.open(served, "tangent")
        shown.until(lambda: shown.state == "Ready" and shown.text("B2") == "kept", "the change, again")
        assert "not saved" in (shown.tab.locator(".banner").text_content() or "")
    context.close()
