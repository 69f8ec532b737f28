"""The trainer on workbooks in memory: what the commands do to the cells, and what a person may do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from sgdsheet.live.run.report_sheets import GRADIENTS, LOG, REPORT
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Formula, Sheet, Value, Workbook
from tests.live_books import BEST, PARAMETERS, SHEET, START, Desk, line_host, parameters, until
from tests.memory_host import MemoryHost

pytestmark = pytest.mark.usefixtures("state")


def loss(host: MemoryHost) -> float:
    value = host.workbook.sheets[SHEET].values[4, 5]
    assert isinstance(value, float)
    return value


def contents(host: MemoryHost) -> dict[str, dict[tuple[int, int], object]]:
    """All cells that nobody should have touched: no parameters, nothing calculated from them, no sheets of ours."""
    free = {cell[1:] for cell in PARAMETERS}
    return {
        name: {key: value for key, value in sheet.values.items() if key not in free and key not in sheet.formulas}
        for name, sheet in host.workbook.sheets.items()
        if name not in (LOG, GRADIENTS, REPORT)
    }


# --- the commands -----------------------------------------------------------------------------------------


def test_step_moves_the_numbers(desk: Desk, host: MemoryHost) -> None:
    before = loss(host)
    reply = desk.done("step")
    assert parameters(host) == pytest.approx((1.552, 0.627))
    assert loss(host) == pytest.approx(reply["loss"], rel=1e-12) != before
    assert host.status_bar == "step 1, loss 2.067"


def test_a_step_that_is_not_done_yet_tells_nothing_of_an_earlier_one(desk: Desk, host: MemoryHost) -> None:
    first = desk.done("step")
    with host.turn:
        reply = desk.ask("step", wait=0.05)
    assert (reply["pending"], reply["step"], reply["loss"], reply["message"]) == (True, None, None, "")
    until(lambda: desk.ask("status")["step"] == first["step"] + 1)
    assert desk.ask("status")["loss"] < first["loss"]


def test_steps_go_on_with_their_momentum() -> None:
    """Two clicks are the same as one command of two steps; without its memory, Adam would go elsewhere."""
    one, two = line_host({"optimizer": "adam"}, "one"), line_host({"optimizer": "adam"}, "two")
    with Desk(one, two) as desk:
        for _ in range(5):
            desk.done("step", "one")
        desk.done("step", "two", steps=5)
        assert parameters(one) == parameters(two)


def test_an_edit_between_steps_starts_afresh(desk: Desk, host: MemoryHost) -> None:
    desk.done("step")
    host.workbook.sheets[SHEET].values[1, 5] = START[0]
    host.workbook.sheets[SHEET].values[2, 5] = START[1]
    desk.done("step")
    assert parameters(host) == pytest.approx((1.552, 0.627))


def test_train_to_the_end(desk: Desk, host: MemoryHost) -> None:
    host.workbook.sheets[SHEET].values[3, 8] = 500.0
    untouched = contents(host)
    desk.done("train")
    desk.until_idle()
    assert parameters(host) == pytest.approx(BEST, abs=1e-6)
    status = desk.ask("status")
    assert status["step"] == 500
    assert abs(status["loss"] - loss(host)) <= 1e-12
    assert contents(host) == untouched
    assert host.status_bar.startswith("loss 18.67 → 0.0214")
    assert not host.is_quiet
    assert not host.messages


def test_stop_leaves_the_best_parameters(desk: Desk, host: MemoryHost) -> None:
    host.workbook.sheets[SHEET].values[2, 8] = 0.3  # far too large: it diverges, and the start is the best
    desk.done("train")
    desk.until_idle()
    assert parameters(host) == START
    assert "no step made it better" in host.status_bar


def test_pause_and_go_on(desk: Desk, host: MemoryHost) -> None:
    desk.done("train")
    desk.until_step(100)
    desk.done("pause")
    assert desk.ask("status")["state"] == "paused"
    assert host.status_bar.startswith("paused at step ")
    assert not host.is_quiet
    step, shown = desk.ask("status")["step"], parameters(host)
    time.sleep(0.3)
    assert (desk.ask("status")["step"], parameters(host)) == (step, shown)
    desk.done("pause")
    desk.until_step(step + 1)
    assert desk.ask("status")["state"] == "training"
    desk.done("stop")
    assert desk.ask("status")["state"] == "idle"


def test_undo_and_reset(desk: Desk, host: MemoryHost) -> None:
    seen = [parameters(host)]
    for command in ("step", "randomize", "step"):
        desk.done(command)
        seen.append(parameters(host))
    desk.done("train")
    desk.until_step(50)
    desk.done("undo")  # which also stops
    assert parameters(host) == seen[-1]
    for before in reversed(seen[:-1]):
        assert desk.done("undo")["ok"]
        assert parameters(host) == before
    assert not desk.ask("status")["can_undo"]
    assert "nothing to undo" in desk.ask("undo")["error"]
    desk.done("step")
    desk.done("step")
    desk.done("reset")
    assert parameters(host) == START
    desk.done("undo")
    assert parameters(host) != START


def test_undo_after_stop_shows_no_other_parameters_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clicks come before the run has ended: the best that it has found by then is of no use to anybody."""
    host = line_host({"optimizer": "adam", "learning rate": 5.0})  # swings: the last step is not the best
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(20)
        desk.done("pause")  # the sheet shows the present step, and no refresh is on its way
        shown, written, write = parameters(host), [], host.write

        def noted(values: Mapping[Cell, Value]) -> None:
            write(values)
            written.append(parameters(host))

        monkeypatch.setattr(host, "write", noted)
        with host.turn:  # the workbook's thread waits for the program meanwhile
            desk.ask("stop", wait=0.0)
            desk.ask("undo", wait=0.0)
        until(lambda: parameters(host) == START)
        assert set(written) <= {shown, START}


def test_undo_reads_no_more_than_it_knows_of(desk: Desk, host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large workbook takes seconds to be read."""
    chosen: list[int] = []
    read_part = host.read_part

    def noted(choose: Any) -> Workbook:
        def counted(outline: Workbook) -> Any:
            areas = choose(outline)
            chosen.append(sum(area.size for area in areas))
            return areas

        return read_part(counted)

    monkeypatch.setattr(host, "read_part", noted)
    for command in ("undo", "reset"):
        desk.done("step")
        desk.done(command)
        assert parameters(host) == START
    assert chosen == [8, 8]  # two parameters, and three settings in two columns


def test_randomize_follows_the_setting() -> None:
    host = line_host({"start": "zeros", "seed": 1.0})
    with Desk(host) as desk:
        desk.done("randomize")
        assert parameters(host) == (0.0, 0.0)


def test_check_says_what_it_found(desk: Desk, host: MemoryHost) -> None:
    reply = desk.done("check")
    assert reply["passed"]
    assert "11 cells equal what the spreadsheet calculates" in host.messages[-1]
    right = host._calculate

    def otherwise(workbook: Workbook) -> None:
        right(workbook)
        workbook.sheets[SHEET].values[3, 3] = 99.0

    host._calculate = otherwise
    reply = desk.done("check")
    assert not reply["passed"]
    assert "Model!C3: 99.0 there, 0.75 here" in host.messages[-1]


def test_find_lr_writes_the_setting(desk: Desk, host: MemoryHost) -> None:
    reply = desk.done("find-lr")
    assert host.workbook.sheets[SHEET].values[2, 8] == reply["suggestion"]
    assert "written to Model!H2" in host.messages[-1]
    desk.done("undo")
    assert host.workbook.sheets[SHEET].values[2, 8] == 0.05


def test_gradients_are_a_heat_map(desk: Desk, host: MemoryHost) -> None:
    desk.done("gradients")
    sheet = host.report_sheets[GRADIENTS]
    assert sheet.rows[2:6] == [["Model!E1:E2"], [None, "E"], [1.0, pytest.approx(-21.04)], [2.0, pytest.approx(-7.54)]]
    assert sheet.heat == (Range(GRADIENTS, 5, 2, 6, 2),)
    desk.done("train")
    desk.done("gradients")  # between two steps
    assert abs(host.report_sheets[GRADIENTS].rows[4][1]) < 21.04  # type: ignore[arg-type]


def test_report_of_what_was_trained(desk: Desk, host: MemoryHost) -> None:
    """By least squares, which `auto` takes here, too."""
    desk.done("train", optimizer="auto")
    desk.until_idle()
    status = desk.ask("status")
    assert (status["stopped"], status["step"] < 20) == ("converged", True)
    reply = desk.done("report", optimizer="auto")
    assert reply["message"] == "the report is on the sheet “SGD report”"
    rows = host.report_sheets[REPORT].rows
    found = {row[0]: list(row) for row in rows if row[0] in ("E1", "E2")}
    slope = next(row for row in rows if row[0] == "E1")
    assert slope[2:4] == [START[0], pytest.approx(BEST[0], abs=1e-6)]
    assert len(found["E1"]) == len(found["E2"]) == 8
    errors = [row for row in rows if row[0] == "E1" and isinstance(row[3], float)][1]
    assert errors[3] == pytest.approx(0.059721576223897795)  # scipy.stats.linregress(X, Y).stderr
    desk.done("undo")
    desk.done("report")
    slope = next(row for row in host.report_sheets[REPORT].rows if row[0] == "E1")
    assert slope[3] == START[0]


def test_log_sheet_grows(desk: Desk, host: MemoryHost) -> None:
    desk.done("log")
    desk.done("train")
    until(lambda: LOG in host.report_sheets and len(host.report_sheets[LOG].rows) > 10)
    before = len(host.report_sheets[LOG].rows)
    until(lambda: len(host.report_sheets[LOG].rows) != before)
    desk.done("stop")
    sheet = host.report_sheets[LOG]
    assert sheet.rows[0] == ["step", "training loss", "learning rate"]
    steps = [row[0] for row in sheet.rows[1:]]
    assert steps == sorted(set(steps))
    assert 2 < len(steps) <= 602
    assert sheet.chart is not None
    assert (sheet.chart.x, sheet.chart.ys) == (0, (1,))
    assert sheet.rows[-1][1] == pytest.approx(loss(host))


@pytest.mark.parametrize(
    ("command", "areas", "error"),
    [
        ("set-loss", [Range(SHEET, 1, 1, 1, 1)], "holds no formula"),
        ("set-loss", [Range(SHEET, 4, 5, 5, 5)], "the loss is one cell"),
        ("set-params", [Range(SHEET, 2, 3, 3, 3)], "a parameter cell holds a formula"),
        ("set-params", [Range(SHEET, 1, 1, 1, 1)], "holds “x” and not a number"),
        ("set-params", [Range("Other", 5, 5, 6, 6), Range(SHEET, 1, 5, 1, 5)], "several sheets"),
        ("set-params", [Range(SHEET, 20, 20, 20, 20)], "does not depend on this parameter"),
        ("set-loss", [], "no cells are selected"),
    ],
)
def test_names_are_checked_before_they_are_kept(
    desk: Desk, host: MemoryHost, command: str, areas: list[Range], error: str
) -> None:
    names, host.selected = list(host.workbook.names), tuple(areas)
    reply = desk.ask(command)
    assert error in reply["error"]
    assert host.workbook.names == names


def test_names_from_the_selection(desk: Desk, host: MemoryHost) -> None:
    names, host.workbook.names = host.workbook.names, []
    host.selected = (Range(SHEET, 4, 5, 4, 5),)
    assert desk.done("set-loss")["message"] == "the loss cell: Model!E4. Now name the parameters"
    host.selected = (Range(SHEET, 1, 5, 2, 5),)
    desk.done("set-params")
    desk.done("set-data", areas=["Model!A2:B6"])
    assert {item.name for item in host.workbook.names} == {"sgd_loss", "sgd_params", "sgd_data"}
    assert names
    desk.done("step")


def test_unknown_and_malformed_requests(desk: Desk) -> None:
    assert "is not a command" in desk.ask("explode")["error"]
    for request in ({}, {"command": 3}, {"command": "step", "book": 7}, {"command": "step", "options": [1]}):
        assert not desk.trainer.handle(request)["ok"]
    assert "is not a setting" in desk.ask("train", colour="red")["error"]
    assert "between 1 and" in desk.ask("step", steps=-1)["error"]


# --- what a person does meanwhile ----------------------------------------------------------------------------


def test_an_edited_parameter_is_taken_up(desk: Desk, host: MemoryHost) -> None:
    host.workbook.sheets[SHEET].values[2, 8] = 1e-9  # so slow that one can see where it is
    desk.done("train")
    desk.until_step(20)
    with host.turn:
        host.workbook.sheets[SHEET].values[1, 5] = -3.0
    until(lambda: (desk.ask("status")["loss"] or 0) > 100)
    slope, intercept = parameters(host)
    assert slope == pytest.approx(-3.0, abs=0.01)
    assert intercept == pytest.approx(START[1], abs=0.01)
    desk.done("stop")
    assert parameters(host)[0] == pytest.approx(-3.0, abs=0.05)  # and not back to what was better before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_edited_data_are_taken_up(optimizer: str) -> None:
    host = line_host({"optimizer": optimizer, "learning rate": 0.05})
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(1)
        with host.turn:
            for row in range(2, 7):
                values = host.workbook.sheets[SHEET].values
                values[row, 2] = 3.0 * values[row, 1] + 7.0  # type: ignore[operator]
        until(lambda: abs(parameters(host)[0] - 3) < 0.01 and abs(parameters(host)[1] - 7) < 0.02)
        desk.done("stop")
        assert parameters(host) == pytest.approx((3.0, 7.0), abs=0.05)


def test_a_changed_formula_recompiles(desk: Desk, host: MemoryHost) -> None:
    desk.done("train")
    desk.until_step(200)
    assert desk.ask("status")["loss"] < 1
    with host.turn:
        host.workbook.sheets[SHEET].formulas[4, 5] = Formula("SUM(D2:D6)", 4, 5)
    until(lambda: (desk.ask("status")["loss"] or 0) > 0.1)
    reply = desk.done("stop")
    assert reply["loss"] == pytest.approx(5 * 0.0214, rel=0.1)
    assert loss(host) == pytest.approx(reply["loss"], rel=1e-9)


def test_a_changed_setting_counts(desk: Desk, host: MemoryHost) -> None:
    host.workbook.sheets[SHEET].values[2, 8] = 1e-9
    desk.done("train")
    desk.until_step(20)
    assert parameters(host) == pytest.approx(START, abs=0.01)
    with host.turn:
        host.workbook.sheets[SHEET].values[2, 8] = 0.05
    until(lambda: parameters(host) == pytest.approx(BEST, abs=0.01))
    desk.done("stop")


def test_inserted_rows_move_the_parameters(desk: Desk, host: MemoryHost) -> None:
    """What stands where the parameters were must not be overwritten."""
    desk.done("train")
    desk.until_step(20)
    with host.turn:  # in one go, as a spreadsheet does
        host.workbook = _moved(host.workbook)
    desk.until_step(desk.ask("status")["step"] + 500)
    desk.done("stop")
    sheet = host.workbook.sheets[SHEET]
    assert sheet.values[1, 5] == "a heading"
    assert (sheet.values[11, 5], sheet.values[12, 5]) == pytest.approx(BEST, abs=0.01)
    assert (2, 5) not in sheet.values


def _moved(workbook: Workbook) -> Workbook:
    """Ten rows more above the parameters only, with a heading; the formulas follow."""
    old = workbook.sheets[SHEET]
    values = {key: value for key, value in old.values.items() if key not in ((1, 5), (2, 5))}
    values |= {(11, 5): old.values[1, 5], (12, 5): old.values[2, 5], (1, 5): "a heading"}
    formulas = {
        key: Formula(item.text.replace("$E$1", "$E$11").replace("$E$2", "$E$12"), item.row, item.column)
        for key, item in old.formulas.items()
    }
    names = [
        item if item.name != "sgd_params" else type(item)("sgd_params", f"{SHEET}!$E$11:$E$12", SHEET)
        for item in workbook.names
    ]
    return Workbook("line.xlsx", {**workbook.sheets, SHEET: Sheet(SHEET, values, formulas)}, names)


@pytest.mark.parametrize("by", ["option", "setting"])
def test_numbers_take_the_place_of_formulas_where_that_is_wanted(by: str) -> None:
    """As `train --overwrite-formulas` does in a file. What only reads leaves the formula."""
    host = line_host({"overwrite formulas": "yes"} if by == "setting" else {})
    wanted = {"overwrite_formulas": True} if by == "option" else {}
    sheet = host.workbook.sheets[SHEET]
    sheet.formulas[1, 5], sheet.values[1, 5] = Formula("1+1", 1, 5), 2.0
    with Desk(host) as desk:
        if by == "setting":
            desk.done("check")
        else:
            assert "a parameter cell holds a formula" in desk.ask("train", steps=3)["error"]
            assert "with the setting “overwrite formulas”" in desk.ask("train", steps=3)["error"]
        assert (1, 5) in sheet.formulas
        reply = desk.done("train", steps=3, **wanted)
        assert reply["replaced"] == [f"{SHEET}!E1"]
        desk.until_idle()
        assert (1, 5) not in sheet.formulas
        assert sheet.values[1, 5] != 2.0
        assert desk.done("undo")["ok"]
        assert sheet.values[1, 5] == 2.0
        assert desk.done("train", steps=3, **wanted)["replaced"] == []
        desk.until_idle()
