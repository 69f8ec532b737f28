"""The trainer on a real LibreOffice: the Titanic network moves in the sheet, and everything else stays."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

import sgdsheet
from sgdsheet.hosts import libreoffice
from sgdsheet.live.ipc.client import call
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.run.report_sheets import GRADIENTS, LOG, REPORT
from sgdsheet.problem.definition import Problem, find_problem
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import Value, Workbook
from sgdsheet.system.state_folder import VARIABLE, log_path
from tests.live_books import PATIENCE, most, services, taken, until
from tests.office import LibreOffice, OfficeBook, available
from tests.small_titanic import some_of_the_titanic

ROOT = Path(__file__).parent.parent
SHEET = "nnet"
REPORT_AS_SHOWN = f"""
import json
sheet = document.Sheets.getByName({REPORT!r})
chart = sheet.Charts.getByName("sgdsheet")
diagram, place = chart.EmbeddedObject.Diagram, chart.Ranges[0]
rows = [[sheet.getCellByPosition(column, row).String for column in (0, 2, 3)]
    for row in range(place.StartRow + 1, place.EndRow + 1)]
series = chart.EmbeddedObject.getFirstDiagram().CoordinateSystems[0].ChartTypes[0].DataSeries[0]
axes = [diagram.XAxisTitle.String, diagram.YAxisTitle.String]
shown = [chart.EmbeddedObject.Title.String, series.LineStyle.value, *axes]
print(json.dumps({{"chart": shown, "numbers": rows}}))
"""
MODIFIED = "import json; print(json.dumps(document.isModified()))"
SETTINGS: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.01}

pytestmark = pytest.mark.skipif(not available(), reason="LibreOffice is not installed")


class Live:
    """The Titanic workbook, open in LibreOffice and attached to a trainer."""

    def __init__(self, program: LibreOffice, path: Path) -> None:
        self.book: OfficeBook = program.open(path)
        self.pipe = program.office.pipe
        self.key = self.book.host.key
        self.trainer = Trainer(lambda host, book, where: libreoffice.connect(book, where))

    @cached_property
    def problem(self) -> Problem:
        return find_problem(self.book.host.read(), SHEET)

    def ask(self, command: str, /, *, wait: float = PATIENCE, sheet: str = SHEET, **options: Any) -> dict[str, Any]:
        request = {"command": command, "host": "libreoffice", "book": self.key, "where": self.pipe, "sheet": sheet}
        return self.trainer.handle({**request, "options": options, "wait": wait})

    def done(self, command: str, /, **options: Any) -> dict[str, Any]:
        reply = self.ask(command, **options)
        assert reply["ok"], reply
        assert not reply.get("pending"), reply
        return reply

    def until_idle(self) -> dict[str, Any]:
        until(lambda: self.ask("status")["state"] == "idle")
        return self.ask("status")

    def until_step(self, number: int) -> None:
        until(lambda: self.ask("status")["step"] >= number)

    def edit(self, cell: Cell, formula: str) -> None:
        """Another formula, in Python: made of the old one, which is `formula`."""
        place = f"document.Sheets.getByName({cell.sheet!r}).getCellByPosition({cell.column - 1}, {cell.row - 1})"
        self.book.look(f"cell = {place}; formula = cell.Formula; cell.Formula = {formula}")

    def parameters(self) -> dict[Cell, Value]:
        return self.book.host.read_values(self.problem.parameters)

    def loss(self) -> float:
        value = self.book.host.read_values([Range.of_cell(self.problem.loss)])[self.problem.loss]
        assert isinstance(value, float)
        return value

    def close(self) -> None:
        self.trainer.close()
        self.book.host.close()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))


@pytest.fixture(scope="module")
def program() -> Iterator[LibreOffice]:
    office = LibreOffice()
    yield office
    office.stop()


@pytest.fixture
def own_program() -> Iterator[LibreOffice]:
    """An office that a test may kill."""
    office = LibreOffice()
    yield office
    office.stop()


@pytest.fixture
def titanic(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The Titanic with some of its people; with all where a test is about that."""
    path = tmp_path / "titanic.xlsx"
    if getattr(request, "param", "") == "whole":
        return Path(shutil.copy(ROOT / "workbooks" / "titanic.xlsx", path))
    return some_of_the_titanic(path)


@pytest.fixture
def live(program: LibreOffice, titanic: Path) -> Iterator[Live]:
    found = Live(program, titanic)
    yield found
    found.close()
    with suppress(AssertionError):  # the test may have closed it
        found.book.shut()


whole_titanic = pytest.mark.parametrize("titanic", ["whole"], indirect=True)


@whole_titanic
def test_first_five_minutes_of_the_guide(live: Live) -> None:
    """What addin/GUIDE.md says of its buttons: the numbers are in its text."""
    text = (ROOT / "addin" / "GUIDE.md").read_text(encoding="utf-8")
    text = " ".join(text.split("## The first five minutes")[1].split("\n## ")[0].split())

    def told(pattern: str) -> float:
        (found,) = re.findall(pattern, text)
        return float(found)

    def shows(number: float, loss: float) -> None:
        assert loss == pytest.approx(number, abs=0.6 * 10 ** -len(str(number).partition(".")[2]))

    start = live.parameters()
    assert len(start) == 12
    shows(told(r"The loss in O6 is ([\d.]+):"), live.loss())
    live.done("step")
    shows(told(r"the loss falls to ([\d.]+\d)\."), live.loss())
    live.done("undo")
    assert live.parameters() == start
    live.done("train")
    assert live.until_idle()["step"] == told(r"\*\*Train\.\*\* (\d+) steps")
    shows(told(r"the loss is ([\d.]+\d)\. Too fast"), live.loss())
    live.done("reset")
    assert live.parameters() == start
    rate = live.done("find-lr")["suggestion"]
    assert rate == pytest.approx(told(r"writes a good one, ([\d.]+) or so"), rel=0.5)


def untouched(workbook: Workbook, problem: Problem) -> dict[str, Any]:
    """All formulas, and all values that are not the parameters or follow from them."""
    free = {cell for area in problem.parameters for cell in area.cells()}
    return {
        name: (
            sheet.formulas,
            {key: v for key, v in sheet.values.items() if key not in sheet.formulas and Cell(name, *key) not in free},
        )
        for name, sheet in workbook.sheets.items()
        if name not in (LOG, GRADIENTS)
    }


def test_step_train_stop_undo_reset(live: Live) -> None:
    start, before = live.parameters(), untouched(live.book.host.read(), live.problem)
    reply = live.done("step", **SETTINGS)
    stepped = live.parameters()
    assert stepped != start
    stepped_loss = reply["loss"]
    assert abs(live.loss() - stepped_loss) <= 1e-9
    live.done("train", **SETTINGS, steps=500, log=True)
    status = live.until_idle()
    assert status["step"] == 500
    assert status["loss"] < stepped_loss
    assert abs(live.loss() - status["loss"]) <= 1e-9
    trained = live.parameters()
    ours = sgdsheet.compile(live.book.host.read(), SHEET)
    assert abs(float(ours().item()) - live.loss()) <= 1e-9
    rows = live.book.host.read().sheets[LOG]
    last = rows.extent[0]
    assert rows.values[last, 1] == 500
    assert rows.values[last, 2] == pytest.approx(status["loss"], rel=1e-12)
    assert live.book.chart_rows(LOG)[1] >= last - 1
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(10)
    live.done("stop")
    assert abs(live.loss() - live.ask("status")["loss"]) <= 1e-9
    live.done("undo")
    assert live.parameters() == trained
    live.done("undo")
    assert live.parameters() == stepped
    live.done("reset")
    assert live.parameters() == start
    assert untouched(live.book.host.read(), live.problem) == before


def test_gradients_and_check(live: Live) -> None:
    live.done("gradients")
    model = sgdsheet.compile(live.book.host.read(), SHEET)
    shown = set(live.book.host.read().sheets[GRADIENTS].values.values())
    assert set(model.gradients().values()) <= shown
    assert live.done("check")["passed"]


def test_report_of_a_fit(live: Live) -> None:
    """By least squares, as a file is trained; the report's numbers are those of the file's report."""
    live.done("train", optimizer="auto")
    assert live.until_idle()["stopped"] in ("converged", "stalled")
    live.done("report", optimizer="auto")
    values = live.book.host.read().sheets[REPORT].values
    labels = {value: place for place, value in values.items() if isinstance(value, str)}
    assert {"Answer", "Objective (to become small)", "Variables"} <= labels.keys()
    row, _ = labels["Objective (to become small)"]
    assert values[row + 2, 4] == pytest.approx(live.loss(), rel=1e-6)
    drawn = live.book.look(REPORT_AS_SHOWN)
    assert drawn["chart"] == ["Residual by fitted value", "NONE", "Fitted", "Residual"]
    header, last = live.book.chart_rows(REPORT)
    assert (values[header, 1], last - header) == ("Observation", len(drawn["numbers"]))
    fitted, residuals = ([float(row[place].replace(",", "")) for row in drawn["numbers"]] for place in (1, 2))
    assert len({len(row[2].partition(".")[2]) for row in drawn["numbers"]}) == 1, "as many decimals in every row"
    assert fitted[0] == pytest.approx(values[header + 1, 3], abs=1e-5)
    assert residuals[-1] == pytest.approx(values[last, 4], abs=1e-5)


def test_formulas_that_are_trusted_are_calculated_before(program: LibreOffice, tmp_path: Path) -> None:
    """Also those that no parameter reaches: the sheet shows the loss that training came to."""
    path = tmp_path / "stale.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.write_formula("A1", "=2+3", None, 7)
        sheet.write("B1", 1.0)
        sheet.write_formula("C1", "=(B1-A1)^2", None, 36)
        book.define_name(f"{SHEET}!sgd_loss", f"={SHEET}!$C$1")
        book.define_name(f"{SHEET}!sgd_params", f"={SHEET}!$B$1")
    live = Live(program, path)
    try:
        live.done("train", **SETTINGS, steps=3)
        assert live.until_idle()["failed"] == "ProofError"
        live.done("train", **SETTINGS, steps=3, trust_formulas=True)
        status = live.until_idle()
        assert status["message"].endswith("steps used up")  # and no word of another loss in the sheet
        (x,) = live.parameters().values()
        assert isinstance(x, float)
        assert live.loss() == pytest.approx((x - 5) ** 2, rel=1e-12)
        assert status["loss"] == pytest.approx(live.loss(), rel=1e-12)
    finally:
        live.close()
        live.book.shut()


def test_goal_seek(program: LibreOffice, tmp_path: Path) -> None:
    """What is selected, then what is named; missed values are said with their cells; undone by one press."""
    path = tmp_path / "loan.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        sheet = made.add_worksheet("Loan")
        sheet.write_column("B1", [250_000.0, 0.05, 360.0])
        payment = 250_000 * 0.05 / 12 / (1 - (1 + 0.05 / 12) ** -360)
        sheet.write_formula("B7", "=PMT(B2/12,B3,-B1)", value=payment)
        sheet.write_formula("B8", "=B7*B3-B1", value=payment * 360 - 250_000)
        sheet.write_column("C7", [1500.0, 200_000.0])
    live = Live(program, path)
    cells = [Cell("Loan", row, 2) for row in (1, 2, 7, 8)]

    def numbers() -> list[float]:
        found = live.book.host.read_values([Range.of_cell(cell) for cell in cells])
        return [float(str(found[cell])) for cell in cells]

    try:
        before = numbers()
        live.book.select([parse_range("B7:C7", "Loan"), parse_range("B2", "Loan")])
        assert live.done("goal-seek", sheet="Loan")["message"] == "Loan!B7 is 1500"
        assert numbers()[2] == pytest.approx(1500, rel=1e-11)
        assert numbers()[0] == 250_000
        live.done("undo", sheet="Loan")
        assert numbers() == pytest.approx(before, rel=1e-12)
        live.book.select([parse_range("B7:C8", "Loan"), parse_range("B1:B2", "Loan")])
        live.done("goal-seek", sheet="Loan")
        assert numbers()[2:] == pytest.approx([1500, 200_000], rel=1e-10)
        live.book.select([parse_range("B7:C8", "Loan"), parse_range("B2", "Loan")])
        live.book.host.write({Cell("Loan", 1, 2): 100_000.0})
        message = live.done("goal-seek", sheet="Loan")["message"]
        assert re.fullmatch(
            r"not reached: Loan!B[78] comes to .* away from .*; Loan!B[78] comes to .* away from .*", message
        )
        live.book.host.define_name("sgd_targets", [parse_range("B7:C7", "Loan")])
        live.book.host.define_name("sgd_params", [parse_range("B2", "Loan")])
        live.book.select([parse_range("A1", "Loan")])
        assert live.done("goal-seek", sheet="Loan")["message"] == "Loan!B7 is 1500"
    finally:
        live.close()
        live.book.shut()


def test_edits_during_training(live: Live) -> None:
    host, area = live.book.host, live.problem.parameters[0]
    live.done("train", optimizer="sgd", learning_rate=1e-9, steps=10_000_000)
    live.until_step(5)
    shown = live.ask("status")["loss"]
    host.write({area.first: 5.0})
    until(lambda: abs(live.ask("status")["loss"] - shown) > 1e-3)
    assert live.parameters()[area.first] == pytest.approx(5.0, abs=1e-3)
    host.write({area.first: "oops"})
    status = live.until_idle()
    assert f"{area.first}: a parameter cell holds “oops”" in status["message"]
    live.done("undo")
    assert isinstance(live.parameters()[area.first], float)


def test_the_workbook_is_closed_during_training(live: Live, program: LibreOffice) -> None:
    """A person is asked to save what was trained, does not want it, and opens the file again."""
    path, start = Path(live.key), live.parameters()
    assert not live.book.look(MODIFIED)
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    until(lambda: bool(live.book.look(MODIFIED)))
    live.book.shut()
    assert "the workbook was closed" in live.until_idle()["message"]
    live.book.host.close()
    live.book = program.open(path)
    assert live.parameters() == start
    live.done("train", **SETTINGS, steps=5)
    live.until_idle()
    trained = live.parameters()
    assert trained != start
    live.done("train", **SETTINGS, steps=5)
    live.until_idle()
    for before in (trained, start):
        live.done("undo")
        assert live.parameters() == before


def test_the_workbook_is_closed_while_the_training_waits(live: Live) -> None:
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    live.done("pause")
    live.book.shut()
    assert "the workbook was closed" in live.until_idle()["message"]
    until(lambda: not live.trainer.busy)  # it lets go of the workbook meanwhile


def test_an_edited_formula_counts_at_once(live: Live) -> None:
    """The loss is not what it should be, whatever else there is to look at."""
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(20)
    live.edit(live.problem.loss, "formula.replace('=', '=10+')")
    until(lambda: (live.ask("status")["loss"] or 0) > 10)
    reply = live.done("stop")
    assert reply["message"].startswith("loss ")
    assert abs(live.loss() - reply["loss"]) <= 1e-9


def test_columns_are_inserted_during_training(live: Live) -> None:
    """At any moment, also between reading and writing: what stands in the old cells is not touched."""
    before = untouched(live.book.host.read(), live.problem)
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    for number in range(6):
        change = "insertByIndex" if number % 2 == 0 else "removeByIndex"
        live.book.look(f"document.Sheets.getByName({SHEET!r}).Columns.{change}(0, 1)")
        time.sleep(0.13 * number)
        step = live.ask("status")["step"]
        live.until_step(step + 20)
        assert live.ask("status")["state"] == "training", live.ask("status")
    reply = live.done("stop")
    assert reply["message"].startswith("loss ")
    assert abs(live.loss() - reply["loss"]) <= 1e-9
    assert untouched(live.book.host.read(), live.problem) == before


def test_training_follows_a_renamed_sheet(live: Live) -> None:
    start = list(live.parameters().values())
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    live.book.rename(SHEET, "a net")
    step = live.ask("status")["step"]
    live.until_step(step + 20)
    live.done("stop", sheet="a net")
    live.problem = find_problem(live.book.host.read(), "a net")
    assert list(live.parameters().values()) != start
    assert abs(live.loss() - live.ask("status")["loss"]) <= 1e-9
    live.done("undo")
    assert list(live.parameters().values()) == start


@pytest.mark.parametrize("command", ["undo", "reset"])
def test_rows_are_inserted_before_undo(live: Live, command: str) -> None:
    start = list(live.parameters().values())
    live.done("train", **SETTINGS, steps=5)
    live.until_idle()
    live.book.look(f"document.Sheets.getByName({SHEET!r}).Rows.insertByIndex(0, 3)")
    live.problem = find_problem(live.book.host.read(), SHEET)
    moved = untouched(live.book.host.read(), live.problem)
    assert list(live.parameters().values()) != start
    live.done(command)
    assert list(live.parameters().values()) == start
    assert untouched(live.book.host.read(), live.problem) == moved


def test_the_agent_is_killed_during_training(live: Live) -> None:
    """What stands between the trainer and the office; the next command starts another."""
    start, own = live.parameters(), _own_children()
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    (agent,) = _own_children() - own
    os.kill(agent, signal.SIGKILL)
    assert "training has stopped" in live.until_idle()["message"]
    live.done("reset")
    assert live.parameters() == start


# --- the service ------------------------------------------------------------------------------------------


class Served:
    """The workbook as the toolbar's buttons reach it: through the service, a process of its own."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def ask(self, command: str, /, **options: Any) -> dict[str, Any]:
        where = {"host": "libreoffice", "book": self.live.key, "where": self.live.pipe, "sheet": SHEET}
        return call({"command": command, **where, "options": options, "wait": PATIENCE}, timeout=2 * PATIENCE)

    def done(self, command: str, /, **options: Any) -> dict[str, Any]:
        reply = self.ask(command, **options)
        assert reply["ok"], reply
        assert not reply.get("pending"), reply
        return reply

    def process(self) -> int:
        lines = log_path().read_text(encoding="utf-8").splitlines()
        return int([line for line in lines if "starts, process" in line][-1].rpartition(" ")[2])


@pytest.fixture
def served(live: Live) -> Iterator[Served]:
    with services():
        yield Served(live)


def test_the_service_is_killed_during_training(served: Served) -> None:
    """At any moment, also while it writes: the snapshot is left, and the next service knows it."""
    live = served.live
    start, before = live.parameters(), untouched(live.book.host.read(), live.problem)
    saved = live.book.status_bar()
    live.book.host.write(start)
    until(lambda: live.book.status_bar() != saved)  # it shows that the workbook has been changed
    bar = live.book.status_bar()
    for command, seconds in (("undo", 0.0), ("reset", 0.37)):
        served.done("train", **SETTINGS, steps=10_000_000)
        until(lambda: served.ask("status")["step"] > 5)
        until(lambda: live.parameters() != start)
        time.sleep(seconds)
        os.kill(served.process(), signal.SIGKILL)
        until(lambda: live.book.status_bar() == bar)  # the agent takes its line back
        assert live.parameters() != start
        assert served.ask("status")["can_undo"]
        served.done(command)
        assert live.parameters() == start
        assert untouched(live.book.host.read(), live.problem) == before


def test_a_sheet_is_renamed_after_a_crash(served: Served) -> None:
    live = served.live
    start = list(live.parameters().values())
    served.done("train", **SETTINGS, steps=10_000_000)
    until(lambda: list(live.parameters().values()) != start)
    os.kill(served.process(), signal.SIGKILL)
    live.book.rename(SHEET, "a net")
    live.problem = find_problem(live.book.host.read(), "a net")
    served.done("undo")
    assert list(live.parameters().values()) == start


def test_two_clients(served: Served) -> None:
    served.done("check")
    replies: list[dict[str, Any]] = []

    def at_once(command: str, **options: Any) -> list[dict[str, Any]]:
        replies.clear()
        threads = [threading.Thread(target=lambda: replies.append(served.ask(command, **options))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(replies, key=lambda reply: (not reply["ok"], reply.get("step", 0)))

    steps = at_once("step", **SETTINGS)
    assert [reply["step"] for reply in steps] == [1, 2]
    assert abs(served.live.loss() - steps[1]["loss"]) <= 1e-9
    one, other = at_once("train", **SETTINGS, steps=10_000_000)
    assert one["ok"]
    assert "is being trained already" in other["error"]
    stopped = at_once("stop")
    assert all(reply["ok"] for reply in stopped)
    assert abs(served.live.loss() - stopped[0]["loss"]) <= 1e-9


def test_the_office_is_killed_during_training(own_program: LibreOffice, titanic: Path) -> None:
    live = Live(own_program, titanic)
    start = live.parameters()
    live.done("train", **SETTINGS, steps=1_000_000)
    live.until_step(5)
    own_program.office.kill()
    assert "closed" in live.until_idle()["message"]
    assert live.ask("status")["can_undo"]
    live.close()
    again = LibreOffice()
    try:
        live = Live(again, titanic)
        live.done("reset")
        assert live.parameters() == start
        live.close()
    finally:
        again.stop()


@whole_titanic
def test_it_is_quick(live: Live) -> None:
    """The bounds hold on a machine that has nothing else to do; a busy one gets some leave."""
    live.done("step", **SETTINGS)
    waits, stops = [], []
    while len(stops) < 5 and not (stops and min(waits) <= 0.1 and min(stops) <= 0.3):
        waits.append(taken(lambda: live.ask("train", wait=0.08, **SETTINGS, steps=10_000_000)))
        until(lambda: live.ask("status")["state"] == "training")
        live.until_step(10)
        time.sleep(1.0)
        stops.append(taken(lambda: live.done("stop")))
    assert min(waits) <= most(0.1, 2.0), waits
    assert min(stops) <= most(0.3, 5.0), stops


def _own_children() -> set[int]:
    """The processes of this user whose parent is this one."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_runs_leak_nothing(live: Live) -> None:
    def cycle() -> None:
        live.done("train", **SETTINGS, steps=1_000_000)
        live.done("stop")

    cycle()
    threads, opened, children = threading.active_count(), len(os.listdir("/proc/self/fd")), _own_children()
    for _ in range(25):
        cycle()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= opened
    assert _own_children() <= children
