"""The panel, the charts and the start page of `sgdsheet open` in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import xlsxwriter
from playwright.sync_api import Browser, BrowserContext, expect

from sgdsheet.apps import examples
from sgdsheet.live.commands import COMMANDS
from tests.chart_books import charted
from tests.web.browser import ROOT, Shown, needs_browser
from tests.web.served import Served, serving

pytestmark = needs_browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(None, tmp_path_factory.mktemp("panel") / "state") as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1700, "height": 1300})
    yield context
    context.close()


def start_page(context: BrowserContext, served: Served) -> Shown:
    shown = Shown(context.new_page())
    shown.tab.goto(f"{served.origin}/?token={served.token}")
    return shown


def uploaded(context: BrowserContext, served: Served, book: Path, sheet: str) -> Shown:
    """A workbook that was chosen on the start page."""
    shown = start_page(context, served)
    shown.tab.locator("input[type=file]").set_input_files(book)
    shown.tab.wait_for_selector("[data-ready=true] canvas")
    shown.show(sheet)
    return shown


@pytest.fixture(scope="module")
def coaster(context: BrowserContext, served: Served) -> Shown:
    """The parabola through the speeds of a roller coaster: three parameters, a chart, settings."""
    return uploaded(context, served, ROOT / "workbooks" / "quadratic.xlsx", "centred")


@pytest.fixture
def shown(coaster: Shown) -> Iterator[Shown]:
    yield coaster
    assert coaster.errors == []


def step(shown: Shown) -> int:
    """The steps that the panel tells."""
    text = shown.tab.locator(".progress dd").first.text_content() or ""
    return int(re.sub(r" of .*|,", "", text).replace("–", "0"))


def test_the_start_page_offers_every_example_with_its_picture(context: BrowserContext, served: Served) -> None:
    shown = start_page(context, served)
    cards = shown.tab.locator(".card button")
    expect(cards).to_have_count(len(examples.names()))
    order = [examples.titles()[name] for names in examples.tour().values() for name in names]
    assert shown.tab.locator(".card b").all_inner_texts() == order
    expect(shown.tab.locator(".card img")).to_have_count(len(examples.names()))
    assert shown.axe() == []
    assert shown.errors == []


def test_what_is_no_workbook_is_said(context: BrowserContext, served: Served, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.xlsx"
    wrong.write_text("no workbook", encoding="utf-8")
    shown = start_page(context, served)
    shown.tab.locator("input[type=file]").set_input_files(wrong)
    expect(shown.tab.get_by_role("alert")).to_contain_text("wrong.xlsx")


def test_every_command_has_its_button_or_its_place(shown: Shown) -> None:
    found = shown.tab.locator(".panel [data-command]")
    expect(found.first).to_be_visible()
    names = {item.get_attribute("data-command") for item in found.all()}
    assert names == {command.name for command in COMMANDS.values() if command.button is not None}


def test_a_button_that_cannot_be_used_tells_why(shown: Shown) -> None:
    stop = shown.tab.locator(".panel [data-command=stop]")
    expect(stop).to_have_attribute("aria-disabled", "true")
    shown.tab.locator(".panel [data-command=train]").focus()
    shown.tab.keyboard.press("Tab")
    expect(shown.tab.get_by_role("tooltip")).to_contain_text("Nothing is being trained.")
    shown.tab.keyboard.press("Escape")
    expect(shown.tab.get_by_role("tooltip")).to_have_count(0)


def test_a_step_and_a_training_are_shown_with_their_loss(shown: Shown) -> None:
    shown.press("Step")
    shown.until(lambda: step(shown) == 1, "the first step")
    expect(shown.tab.locator(".loss-chart canvas")).to_have_count(1)
    shown.press("Train")
    shown.until(lambda: shown.state == "Ready" and step(shown) == 100, "the end of the training")
    expect(shown.tab.locator(".loss-chart [role=img]")).to_have_attribute(
        "aria-label", re.compile("The loss went from")
    )
    shown.press("Reset")
    shown.until(lambda: shown.text("G6") == "0.0000", "the parameters of before")


def test_settings_are_those_of_the_sheet(shown: Shown) -> None:
    field = shown.tab.get_by_label("Learning rate", exact=True).and_(shown.tab.locator("input"))
    expect(field).to_have_value("0.5")
    field.press("ArrowDown")
    expect(field).to_have_value("0.2")
    expect(field).to_have_attribute("aria-invalid", "false")
    field.fill("fast")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("0.5")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "false")
    expect(shown.tab.get_by_label("Optimizer")).to_have_value("sgd")


def test_slow_motion_pause_and_stop(shown: Shown) -> None:
    speed = shown.tab.get_by_role("slider", name="Speed")
    speed.press("Home")
    expect(speed).to_have_attribute("aria-valuetext", "1 step a second")
    shown.press("Train")
    shown.until(lambda: step(shown) >= 1, "a step")
    shown.until(lambda: not shown.tab.evaluate("document.getAnimations().length"), "nothing moves but the cells")
    shown.press("Pause")
    shown.until(lambda: shown.state == "Paused", "the pause")
    assert step(shown) < 60
    shown.press("Go on")
    shown.until(lambda: shown.state == "Training", "it goes on")
    speed.press("End")
    shown.until(lambda: shown.state == "Ready", "as fast as it can, it ends")
    shown.press("Reset")
    shown.until(lambda: shown.text("G6") == "0.0000", "the parameters of before")


def test_the_loss_around_one_and_two_parameters(shown: Shown) -> None:
    figure = shown.tab.locator(".parameter figcaption")
    shown.go("G6")
    expect(figure).to_contain_text("the gradient there -34.3")
    shown.go("G6:H6")
    expect(figure).to_contain_text("The loss over G6 and H6")
    shown.go("A9")
    expect(shown.tab.locator(".parameter")).to_contain_text("Select a parameter")


def test_charts_stand_over_their_cells(shown: Shown) -> None:
    expect(shown.tab.locator(".chart-on-sheet figcaption")).to_have_text("Speed of the roller coaster")
    shown.tab.locator(".panel").get_by_role("button", name="Charts").scroll_into_view_if_needed()
    expect(shown.tab.locator(".panel .sheet-chart canvas")).to_have_count(1)


def test_a_pie_moves_as_it_trains(context: BrowserContext, served: Served, tmp_path: Path) -> None:
    shown = uploaded(context, served, charted(tmp_path / "pies.xlsx"), "line & co")
    figure = shown.tab.locator(".panel .sheet-chart", has=shown.tab.locator("svg.pie")).last
    ring = figure.locator("svg.pie")
    told = "Doughnut chart. Series 1: {0}; Series 2: {0}".format("a 4 %, b 12 %, c 20 %, d 28 %, e 36 %")
    assert ring.get_attribute("aria-label") != told  # the second ring is 0.5 x
    expect(ring.locator("path")).to_have_count(9)  # one slice of it is 0
    shown.type("E1", "2")
    shown.type("E2", "1")
    expect(ring).to_have_attribute("aria-label", told)
    expect(ring.locator("path")).to_have_count(10)
    expect(figure.locator(".chart-key")).to_have_text(["a 4 %", "b 12 %", "c 20 %", "d 28 %", "e 36 %"])
    assert shown.axe() == []
    shown.type("E2", "0")
    expect(ring.locator("path")).to_have_count(9)
    shown.tab.get_by_role("button", name="Step", exact=True).click()
    expect(ring.locator("path")).to_have_count(10)
    assert shown.errors == []
    shown.tab.close()


def test_frozen_rows_follow_a_jump_far_to_the_right(context: BrowserContext, served: Served, tmp_path: Path) -> None:
    path = tmp_path / "wide.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        for row in range(5):
            sheet.write_row(row, 0, range(2000))
        sheet.freeze_panes(1, 1)
    shown = uploaded(context, served, path, "S")
    shown.go("BXT5")
    at = "() => [...document.querySelectorAll('.dvn-scroller')].map(part => part.scrollLeft)"
    shown.until(lambda: min(shown.tab.evaluate(at)) > 100_000, "both parts of the sheet there")
    upper, lower = shown.tab.evaluate(at)
    assert upper == lower
    shown.tab.close()


COLOURED = """canvas => {
  const {width, height} = canvas, pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const half = (from, to) => {
    let count = 0;
    for (let at = 4 * width * from; at < 4 * width * to; at += 4)
      count += pixels[at + 3] > 200 && Math.max(pixels[at], pixels[at + 1], pixels[at + 2]) > 150
        && Math.min(pixels[at], pixels[at + 1], pixels[at + 2]) < 60;
    return count;
  };
  return half(0, height >> 1) / half(height >> 1, height);
}"""


def test_a_lying_chart_begins_at_the_bottom_unless_reversed(
    context: BrowserContext, served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "bars.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        sheet.write_column("A1", [1, 2, 3, 4])
        for place in range(2):
            chart = book.add_chart({"type": "bar"})
            chart.add_series({"values": "=S!$A$1:$A$4"})
            chart.set_y_axis({"reverse": bool(place)})  # of bars, XlsxWriter calls the upright one y
            sheet.insert_chart(1 + 16 * place, 3, chart)
    shown = uploaded(context, served, path, "S")
    canvases = shown.tab.locator(".chart-on-sheet canvas")
    expect(canvases).to_have_count(2)
    shown.until(lambda: canvases.nth(0).evaluate(COLOURED) > 1.5, "the longest bar at the top")
    shown.until(lambda: canvases.nth(1).evaluate(COLOURED) < 0.67, "the longest bar at the bottom")
    shown.tab.close()


REDDISH = """canvas => {
  const {width, height} = canvas, pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0;
  for (let at = 0; at < pixels.length; at += 4)
    count += pixels[at + 3] > 200 && pixels[at] > 180 && pixels[at + 1] < 90 && pixels[at + 2] < 90;
  return count;
}"""


def test_stacked_lines_do_not_lie_on_each_other(context: BrowserContext, served: Served, tmp_path: Path) -> None:
    path = tmp_path / "lines.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        sheet.write_column("A1", [1, 2, 3, 4])
        for place, kind in enumerate(({"type": "line"}, {"type": "line", "subtype": "stacked"})):
            chart = book.add_chart(kind)
            for colour in ("#E02020", "#2020E0"):
                chart.add_series({"values": "=S!$A$1:$A$4", "line": {"color": colour}})
            sheet.insert_chart(1 + 16 * place, 3, chart)
    shown = uploaded(context, served, path, "S")
    canvases = shown.tab.locator(".chart-on-sheet canvas")
    expect(canvases).to_have_count(2)
    shown.until(lambda: canvases.nth(1).evaluate(REDDISH) > 200, "the first line, below the sum")
    assert canvases.nth(0).evaluate(REDDISH) < 100
    shown.tab.close()


def test_the_panel_is_accessible(shown: Shown) -> None:
    assert shown.axe() == []


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A line through points, where nobody has named anything."""
    path = tmp_path / "line.xlsx"
    with closing(xlsxwriter.Workbook(str(path))) as book:
        sheet = book.add_worksheet("fit")
        sheet.write_row(0, 0, ["x", "y", "prediction", "squared error", None, "slope", "offset", "loss"])
        sheet.write_row(1, 5, [1.0, 0.0])
        sheet.write_formula(1, 7, "=AVERAGE(D2:D11)", None, sum((x - 2 * x - 1) ** 2 for x in range(10)) / 10)
        for x in range(10):
            row = x + 2
            sheet.write_row(x + 1, 0, [x, 2 * x + 1])
            sheet.write_formula(x + 1, 2, f"=F$2*A{row}+G$2", None, x)
            sheet.write_formula(x + 1, 3, f"=(C{row}-B{row})^2", None, (x - 2 * x - 1) ** 2)
    return path


def test_a_model_is_set_up_by_pointing(context: BrowserContext, served: Served, line: Path) -> None:
    shown = uploaded(context, served, line, "fit")
    expect(shown.tab.locator(".candidates")).to_contain_text("H2")
    train = shown.tab.locator(".panel [data-command=train]")
    expect(train).to_have_attribute("aria-disabled", "true")
    shown.go("F2:G2")
    shown.tab.locator(".panel [data-command=set-params]").click()
    shown.go("H2")
    shown.tab.locator(".panel [data-command=set-loss]").click()
    expect(train).to_have_attribute("aria-disabled", "false")
    shown.press("Train")
    shown.until(lambda: shown.state == "Ready" and shown.text("F2")[:1] in "12" and step(shown) > 0, "the line")
    shown.until(lambda: abs(shown.number("F2") - 2) < 0.05, "the slope is 2")
    assert shown.errors == []


def test_a_chart_that_is_not_drawn_is_told_where_it_stands(
    context: BrowserContext, served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "radar.xlsx"
    with closing(xlsxwriter.Workbook(str(path))) as book:
        sheet = book.add_worksheet("data")
        sheet.write_column(0, 0, [1, 2, 3])
        chart = book.add_chart({"type": "radar"})
        chart.add_series({"values": "=data!$A$1:$A$3"})
        chart.set_title({"name": "Strengths"})
        sheet.insert_chart("C2", chart)
    shown = uploaded(context, served, path, "data")
    told = shown.tab.locator(".chart-on-sheet")
    expect(told).to_contain_text("This radar chart is not drawn here", timeout=60_000)
    expect(told).to_contain_text("Strengths")
    assert shown.errors == []


def test_a_candidate_is_taken_with_one_click(context: BrowserContext, served: Served, line: Path) -> None:
    shown = uploaded(context, served, line, "fit")
    shown.tab.get_by_role("button", name="Use this").first.click()
    expect(shown.tab.locator(".panel [data-command=train]")).to_have_attribute("aria-disabled", "false")
    expect(shown.tab.locator(".parts")).to_contain_text("F2:G2")


def test_a_missing_loss_is_written_with_one_click(context: BrowserContext, served: Served, tmp_path: Path) -> None:
    path = tmp_path / "without_loss.xlsx"
    with closing(xlsxwriter.Workbook(str(path))) as book:
        sheet = book.add_worksheet("fit")
        sheet.write_row(0, 0, ["x", "measured", "predicted", None, "slope", "offset"])
        sheet.write_row(1, 4, [1.0, 0.0])
        for x in range(10):
            sheet.write_row(x + 1, 0, [x, 2 * x + 1])
            sheet.write_formula(x + 1, 2, f"=E$2*A{x + 2}+F$2", None, x)
    shown = uploaded(context, served, path, "fit")
    expect(shown.tab.locator(".candidates")).to_contain_text("=SUMXMY2(C2:C11,B2:B11)", timeout=60_000)
    shown.tab.get_by_role("button", name="Write this").click()
    expect(shown.tab.locator(".panel [data-command=train]")).to_have_attribute("aria-disabled", "false", timeout=60_000)
    shown.until(lambda: shown.text("C13") == "385", "the loss that was written", 60)
    assert shown.errors == []
