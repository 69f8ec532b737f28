"""Every command of the panel in a real Chromium, pressed as a person does, and what is true of its result.

The model is a parabola through 20 speeds of a roller coaster, so that NumPy knows what each command has to come to.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

import sgdsheet
from sgdsheet.live.commands import COMMANDS
from tests.web.browser import ROOT, Shown, needs_browser
from tests.web.served import Served, serving

pytestmark = needs_browser

SHEET = "centred"
PARAMETERS, LOSS, RATE, STEPS = ("G6", "H6", "I6"), "E6", "N4", "N6"


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """The centred times, and the speeds."""
    values = sgdsheet.load(ROOT / "workbooks" / "quadratic.xlsx").sheets[SHEET].values
    times, speeds = ([float(values[row, column]) for row in range(8, 28)] for column in (1, 3))  # type: ignore[arg-type]
    return (np.array(times) - 9.5) / 9.5, np.array(speeds)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("commands")
    book = shutil.copy(ROOT / "workbooks" / "quadratic.xlsx", folder / "quadratic.xlsx")
    with serving(Path(book), folder / "state") as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1800, "height": 1200}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture(scope="module")
def tab(context: BrowserContext, served: Served) -> Shown:
    shown = Shown(context.new_page()).open(served, SHEET)
    shown.until(lambda: shown.cell("A8").count() and shown.text("G10"), "the first cells")
    return shown


@pytest.fixture
def shown(tab: Shown, served: Served) -> Iterator[Shown]:
    """The sheet as in the file, to which each test returns by Undo, and the console clean."""
    tab.show(SHEET)
    tab.until(lambda: tab.cell("G6").count() and tab.text("G6") == "0.0000", "the parameters of the file")
    yield tab
    assert tab.errors == []
    tab.until(lambda: tab.state == "Ready", "rest", 60)
    with served.page() as page:
        while page.ask("undo")["ok"]:  # one after the other, so that none is still on its way when the next test begins
            pass


def press(shown: Shown, command: str) -> None:
    """Press the button of a command."""
    button = shown.tab.locator(f".panel [data-command={command}]")
    expect(button).to_have_attribute("aria-disabled", "false", timeout=60_000)
    button.click()


def parameters(shown: Shown) -> np.ndarray:
    return np.array([shown.number(cell) for cell in PARAMETERS])


def fitted(data: tuple[np.ndarray, np.ndarray], coefficients: np.ndarray) -> float:
    """The mean of the squared errors."""
    return float(np.mean((np.polyval(coefficients, data[0]) - data[1]) ** 2))


def ready(shown: Shown, told: str = "") -> None:
    """Wait for the end of what is being done, and for these words about its steps."""
    numbers = shown.tab.get_by_test_id("numbers")
    shown.until(lambda: shown.state == "Ready" and told in (numbers.text_content() or ""), "the end", 90)


def notice(shown: Shown, words: str) -> str:
    """What the page tells, when it has these words in it."""
    notices = shown.tab.get_by_test_id("notices")
    shown.until(lambda: re.search(words, notices.text_content() or ""), words, 90)
    return notices.text_content() or ""


def reset(shown: Shown) -> None:
    press(shown, "reset")
    shown.until(lambda: shown.text("G6") == "0.0000" and shown.state == "Ready", "the parameters of before", 60)


def test_step_is_the_step_of_the_gradient(shown: Shown, data: tuple[np.ndarray, np.ndarray]) -> None:
    """The sheet says what the next parameters are; they are those of gradient descent by hand."""
    x, y = data
    told = [shown.number(cell) for cell in ("G10", "H10", "I10")]
    by_hand = [0.5 * 2 * float(np.mean(y * power)) for power in (x**2, x, 1 + 0 * x)]
    press(shown, "step")
    shown.until(lambda: shown.text("G6") != "0.0000", "a step", 90)
    assert parameters(shown) == pytest.approx(by_hand, abs=1e-3)
    assert parameters(shown) == pytest.approx(told, abs=1e-3)
    assert shown.number(LOSS) == pytest.approx(fitted(data, np.array(by_hand)), rel=1e-3)


def test_undo_takes_a_step_back(shown: Shown) -> None:
    before = shown.text(LOSS)
    press(shown, "step")
    shown.until(lambda: shown.text("G6") != "0.0000" and shown.state == "Ready", "a step", 60)
    press(shown, "undo")
    shown.until(lambda: shown.text("G6") == "0.0000" and shown.text(LOSS) == before, "as before", 60)


def test_train_ends_at_the_least_squares(shown: Shown, data: tuple[np.ndarray, np.ndarray]) -> None:
    best = np.polyfit(*data, 2)
    press(shown, "train")
    shown.until(lambda: shown.text("G6") != "0.0000", "training", 60)
    ready(shown, "step 100 of 100")
    assert parameters(shown) == pytest.approx(best, abs=2e-2)
    assert shown.number(LOSS) == pytest.approx(fitted(data, best), abs=0.0051)


def test_pause_stop_and_reset(shown: Shown) -> None:
    speed = shown.tab.get_by_role("slider", name="Speed")
    speed.press("Home")
    press(shown, "train")
    numbers = shown.tab.get_by_test_id("numbers")
    shown.until(lambda: re.search(r"step [1-9]", numbers.text_content() or ""), "a step", 60)
    press(shown, "pause")
    shown.until(lambda: shown.state == "Paused", "the pause")
    shown.tab.wait_for_timeout(1000)  # more than the table for screen readers waits for more cells to change
    waiting = parameters(shown)
    shown.tab.wait_for_timeout(2500)  # more than a step of this speed
    assert (parameters(shown) == waiting).all()
    loss = shown.number(LOSS)
    shown.press("Go on")
    shown.until(lambda: (parameters(shown) != waiting).any(), "it goes on")
    press(shown, "stop")
    ready(shown)
    assert shown.number(LOSS) <= loss
    speed.press("End")
    reset(shown)
    assert parameters(shown) == pytest.approx([0, 0, 0])


def test_randomize_draws_other_parameters(shown: Shown, data: tuple[np.ndarray, np.ndarray]) -> None:
    press(shown, "randomize")
    shown.until(lambda: shown.text("G6") != "0.0000", "other parameters", 60)
    drawn = parameters(shown)
    assert len(set(drawn.tolist())) == 3
    assert shown.number(LOSS) == pytest.approx(fitted(data, drawn), rel=1e-3)


def test_find_learning_rate_writes_one_that_does_not_explode(shown: Shown, data: tuple[np.ndarray, np.ndarray]) -> None:
    x = data[0]
    basis = np.stack([x**2, x, 1 + 0 * x])
    limit = 2 / np.linalg.eigvalsh(2 * basis @ basis.T / len(x)).max()  # gradient descent explodes above
    press(shown, "find-lr")
    shown.until(lambda: shown.text(RATE) != "0.5", "another learning rate", 60)
    assert limit == pytest.approx(0.87, abs=0.01)
    assert 0 < shown.number(RATE) < limit
    notice(shown, f"learning rate {shown.text(RATE)} for sgd, written to .*N4")


def test_check_compares_every_cell(shown: Shown) -> None:
    press(shown, "check")
    told = notice(shown, "cells equal")
    formulas = sgdsheet.load(ROOT / "workbooks" / "quadratic.xlsx").sheets[SHEET].formulas
    predictions = [place for place in formulas if place[1] in (4, 5)]
    number = int(re.findall(r"(\d+) cells equal what the spreadsheet calculates", told.replace("N4", ""))[-1])
    assert number >= len(predictions)
    assert "3 gradients agree with central differences" in told


def test_gradients_are_those_of_the_sheet(shown: Shown) -> None:
    by_hand = [shown.number(cell) for cell in ("G8", "H8", "I8")]
    press(shown, "gradients")
    expect(shown.tab.get_by_role("tab", name="SGD gradients")).to_be_visible(timeout=60_000)
    shown.show("SGD gradients")
    shown.until(lambda: shown.cell("B5").count() and shown.text("B5"), "the gradients")
    assert [shown.number(cell) for cell in ("B5", "C5", "D5")] == pytest.approx(by_hand, abs=0.0051)
    assert [shown.text(cell) for cell in ("A5", "B4", "C4", "D4")] == ["6", "G", "H", "I"]


def test_the_log_has_every_step_and_a_chart(shown: Shown) -> None:
    press(shown, "log")
    press(shown, "train")
    shown.until(lambda: shown.text("G6") != "0.0000", "training", 60)
    ready(shown, "step 100 of 100")
    press(shown, "log")  # no more
    loss = shown.number(LOSS)
    shown.show("SGD log")
    shown.go("A102")
    shown.until(lambda: shown.cell("A102").count() and shown.text("A102"), "the last row")
    last = [shown.number(cell) for cell in ("A102", "B102")]
    assert last == pytest.approx([100, loss], rel=1e-3) or last[0] in (99, 100)
    assert shown.text("A103") == ""
    expect(shown.tab.locator(".panel .sheet-chart canvas")).to_have_count(1, timeout=30_000)
    shown.go("A1")
    expect(shown.tab.locator(".chart-on-sheet canvas")).to_have_count(1)
    shown.until(lambda: shown.text("A1") == "step", "the headings")


def test_the_report_tells_the_standard_errors(shown: Shown, data: tuple[np.ndarray, np.ndarray]) -> None:
    """Of the best parabola; NumPy's covariances are those of the same regression."""
    shown.type("N3", "auto")
    shown.until(lambda: shown.text("N3") == "auto", "the optimizer")
    press(shown, "train")
    shown.until(lambda: shown.text("G6") != "0.0000", "training", 60)
    ready(shown)
    press(shown, "report")
    expect(shown.tab.get_by_role("tab", name="SGD report")).to_be_visible(timeout=60_000)
    shown.show("SGD report")
    shown.until(lambda: shown.cell("A1").count() and shown.text("A1"), "the report")
    best, covariance = np.polyfit(*data, 2, cov=True)
    texts = shown.tab.locator(".grid-body td").all_text_contents()
    numbers = [float(text) for text in texts if re.fullmatch(r"-?\d+\.\d+", text)]
    for value in (*best[[0, 2]], *np.sqrt(np.diag(covariance))):
        assert min(abs(number / value - 1) for number in numbers) < 0.01, (value, numbers)


def test_export_is_python_that_gives_the_same_loss(shown: Shown, tmp_path: Path) -> None:
    press(shown, "step")
    shown.until(lambda: shown.text("G6") != "0.0000" and shown.state == "Ready", "a step", 60)
    loss = shown.number(LOSS)
    with shown.tab.expect_download(timeout=60_000) as download:
        press(shown, "export")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    if path.suffix == ".zip":
        shutil.unpack_archive(path, tmp_path)
    script = next(tmp_path.glob("*.py"))
    told = (
        f"import importlib.util as u; s = u.spec_from_file_location('m', {str(script)!r}); m = u.module_from_spec(s);"
        "s.loader.exec_module(m); import torch;"
        "c = next(v for v in vars(m).values() if isinstance(v, type) and issubclass(v, torch.nn.Module)"
        " and v.__module__ == 'm'); print(float(c()()))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(loss, rel=1e-4)


def test_goal_seek_solves_what_is_selected(shown: Shown) -> None:
    for address, text in (("A30", "=C30^3"), ("B30", "20"), ("C30", "1")):
        shown.type(address, text)
    shown.until(lambda: shown.text("A30") == "1", "the formula", 60)
    shown.go("C30")
    shown.tab.keyboard.press("F2")
    box = shown.tab.get_by_test_id("cell-editor").bounding_box()
    assert box is not None
    shown.tab.keyboard.press("Escape")
    shown.go("A30:B30")
    shown.tab.keyboard.down("Control")
    shown.tab.mouse.click(box["x"] + 12, box["y"] + 10)
    shown.tab.keyboard.up("Control")
    press(shown, "goal-seek")
    shown.until(lambda: shown.text("C30") != "1", "a solution", 90)
    assert shown.number("C30") == pytest.approx(20 ** (1 / 3), rel=1e-6)
    shown.until(lambda: shown.number("A30") == pytest.approx(20), "the goal")


def test_no_command_was_left_out() -> None:
    """The Set buttons are pressed where a model is set up by pointing. The tests may run in several processes."""
    pressed = set(
        re.findall(r'^ +press\(shown, "([a-z-]+)"\)', Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)
    )
    buttons = {command.name for command in COMMANDS.values() if command.button is not None}
    assert buttons - pressed == {"set-loss", "set-params", "set-data"}
    assert "pause" in pressed
