"""What a person changes during training is noticed at the next refresh, and nothing is claimed that is not so."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.errors import HostBusyError, HostError
from sgdsheet.live.run import live_run, parameter_cells
from sgdsheet.live.run.change_detector import ChangeDetector
from sgdsheet.live.run.loss_check import LossCheck
from sgdsheet.live.run.trainable import find_trainable
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Formula, Sheet, Value, Workbook
from sgdsheet.system.state_folder import VARIABLE
from tests.live_books import BEST, LOSS, SHEET, START, Desk, calculate, line_workbook, most, parameters, until
from tests.memory_host import MemoryHost

LOSS_AREA = Range.of_cell(LOSS)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))


class Office(MemoryHost):
    """A program that recalculates what a person edits, and notes what the trainer asks for."""

    def __init__(self, settings: dict[str, Any] | None = None, blank: int = 0, batches: bool = False) -> None:
        workbook = line_workbook(settings)
        if blank:
            rows = len(workbook.sheets[SHEET].values.keys() & {(row, 7) for row in range(1, 50)}) + blank
            workbook.names = [name for name in workbook.names if name.name != "sgd_settings"]
            workbook.names.append(DefinedName("sgd_settings", f"{SHEET}!$G$1:$H${rows}", SHEET))
        if batches:
            workbook.names.append(DefinedName("sgd_data", f"{SHEET}!$A$2:$D$6", SHEET))
        super().__init__(workbook, carefully, "line.xlsx")
        self.asked: list[str] = []

    def read(self) -> Workbook:
        self.asked.append("read")
        return super().read()

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        self.asked.append("look" if LOSS_AREA in areas else "watch")
        time.sleep(0.005)  # several steps are taken meanwhile
        return super().read_values(areas)

    def edit(
        self, values: Mapping[tuple[int, int], Value], formulas: Mapping[tuple[int, int], str] | None = None
    ) -> None:
        """As a person does it, in one go."""
        with self.turn:
            sheet = self.workbook.sheets[SHEET]
            sheet.values.update(values)
            for position, text in (formulas or {}).items():
                sheet.formulas[position] = Formula(text, *position)
            carefully(self.workbook)
            self.asked.clear()

    def looks_until_read(self) -> int:
        """How many refreshes it took until the workbook was read anew."""
        until(lambda: "read" in self.asked)
        return self.asked[: self.asked.index("read")].count("look")

    def loss(self) -> Value | None:
        return self.workbook.sheets[SHEET].values.get(LOSS[1:])


def carefully(workbook: Workbook) -> None:
    """Calculates as a spreadsheet does where the numbers become too large."""
    try:
        calculate(workbook)
    except OverflowError:
        workbook.sheets[SHEET].values[LOSS[1:]] = ExcelError.NUM


@pytest.fixture
def only_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found by reading area after area, which takes its time on a large sheet."""
    monkeypatch.setattr(ChangeDetector, "changed", lambda self, host: False)


SLOW: dict[str, Any] = {"learning rate": 1e-6}


@pytest.mark.usefixtures("only_the_loss")
@pytest.mark.parametrize(
    ("settings", "batches"),
    [
        ({}, False),
        (SLOW, False),
        ({"optimizer": "adam", "precision": "float32"}, False),
        ({"optimizer": "adam", "batch size": 2.0, **SLOW}, True),
        ({"validation": 0.4, **SLOW}, True),
    ],
)
@pytest.mark.parametrize("what", ["formula", "data"])
def test_an_edit_is_noticed_at_the_next_refresh(settings: dict[str, Any], batches: bool, what: str) -> None:
    office = Office(settings, batches=batches)
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(30)
        until(lambda: office.asked.count("look") > 5)
        if what == "formula":
            office.edit({}, {LOSS[1:]: "SUM(D2:D6)"})
        else:
            office.edit({(2, 2): 50.0})
        assert office.looks_until_read() <= most(3, 30)  # on a busy machine, no step may have been taken between looks
        desk.done("stop")


@pytest.mark.parametrize("row", [2, 4])
def test_a_setting_is_noticed_at_the_next_refresh(row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one in a row that was empty."""
    office = Office(blank=3)
    with Desk(office) as desk:
        desk.done("train")
        until(lambda: office.asked.count("look") > 5)
        monkeypatch.setattr(ChangeDetector, "changed", lambda self, host: False)
        office.edit({(row, 7): "momentum", (row, 8): "lots"})
        assert office.looks_until_read() <= 2
        assert "Model!H" in desk.until_idle()["message"]


def test_a_setting_that_is_calculated_is_read_in_its_turn() -> None:
    workbook = line_workbook()
    workbook.sheets[SHEET].formulas[2, 8] = Formula("RAND()/10", 2, 8)
    watch = ChangeDetector(find_trainable(workbook, SHEET, {}))
    assert watch.settings == []


def test_a_sheet_that_calculates_with_chance_is_not_read_for_ever() -> None:
    check = LossCheck(None)
    check.step = 5
    assert check.holds(1.0, None)
    assert check.holds(7.0, (4, 1.0))
    assert check.holds(1.0, (5, 1.0))
    for _ in range(2):
        assert not check.holds(1.1, (5, 1.0))
        assert not check.holds(ExcelError.NUM, (5, 1.0))
        check.note_false_alarm()
    assert check.holds(1.1, (5, 1.0))


# --- area after area ------------------------------------------------------------------------------------------


def watching(workbook: Workbook) -> tuple[Callable[[], bool], MemoryHost]:
    """A look at everything, and the program that holds the workbook."""
    host = MemoryHost(workbook, carefully)
    seconds = [0.0]
    watch = ChangeDetector(find_trainable(host.read(), SHEET, {}), lambda: seconds[0])

    def look() -> bool:
        seconds[0] += 10.0
        return watch.changed(host)

    return look, host


@pytest.mark.parametrize("looked", [False, True])
def test_a_formula_is_compared_with_the_one_that_was_compiled(looked: bool) -> None:
    """Also at the first look, so that an edit before it is not taken for how it has always been."""
    look, host = watching(line_workbook())
    if looked:
        assert not look()
    host.workbook.sheets[SHEET].formulas[5, 3] = Formula("$E$2+$E$1*A5", 5, 3)
    assert look()
    assert not look()


def test_an_array_formula_is_compared_too() -> None:
    workbook = line_workbook()
    sheet = workbook.sheets[SHEET]
    for row in range(2, 7):
        del sheet.formulas[row, 4]
    sheet.formulas[2, 4] = Formula("(C2:C6-B2:B6)^2", 2, 4, (2, 4, 6, 4))
    look, host = watching(workbook)
    assert not look()
    host.workbook.sheets[SHEET].formulas[2, 4] = Formula("(B2:B6-C2:C6)^2", 2, 4, (2, 4, 6, 4))
    assert look()


def test_two_threads_have_the_same_model() -> None:
    """The one that trains it and the one that watches: numbers of another would never move."""
    trainable = find_trainable(line_workbook(), SHEET, {})
    both = threading.Barrier(4)

    def compiled() -> int:
        both.wait()
        return id(trainable.model())

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(compiled) for _ in range(4)]
    assert len({item.result() for item in found}) == 1


# --- while it waits -------------------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "_PAUSED", 0.05)


@pytest.mark.usefixtures("soon")
def test_a_workbook_that_is_closed_while_paused() -> None:
    office = Office()
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(20)
        desk.done("pause")
        office.closed = True
        assert "the workbook was closed" in desk.until_idle()["message"]
        until(lambda: not desk.trainer.busy)  # so that the service leaves at last
        office.closed = False


class Edited(Office):
    """A person edits a cell for long, while the training waits."""

    busy = 0

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        if self.busy:
            self.busy += 1
            raise HostBusyError("a cell is being edited", remedy="Press Enter")
        return super().read_values(areas)


@pytest.mark.usefixtures("soon")
def test_a_pause_is_there_for_editing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "_BUSY_LIMIT", 0.1)
    office = Edited()
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(20)
        desk.done("pause")
        office.busy = 1
        until(lambda: office.busy > 10)
        office.busy = 0
        office.edit({(2, 2): "not a number yet"})
        until(lambda: office.asked.count("look") > 3)
        assert desk.ask("status")["state"] == "paused"
        office.edit({(2, 2): 1.1, (1, 5): -3.0})
        desk.done("pause")
        until(lambda: parameters(office)[0] == pytest.approx(BEST[0], abs=0.01))
        desk.done("stop")


def test_the_reply_to_pause_has_the_step_of_the_pause() -> None:
    with Desk(Office(SLOW)) as desk:
        desk.done("train")
        desk.until_step(2_000)
        reply = desk.done("pause")
        assert reply["message"] == f"paused at step {reply['step']:,}"
        assert reply["state"] == "paused"


# --- what is said at the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize(
    ("where", "value", "cell"),
    [((3, 2), 900.0, "Model!B3"), ((1, 5), 1e200, "Model!E1"), ((1, 5), 40.0, "Model!E1")],
)
def test_an_edit_after_the_last_step_is_named(
    paused: bool, where: tuple[int, int], value: float, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office()
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(200)
        if paused:
            desk.done("pause")
        else:
            monkeypatch.setattr(live_run.LiveRun, "_refresh", lambda self, final=False: None)
        office.edit({where: value})
        reply = desk.done("stop")
    assert office.workbook.sheets[SHEET].values[where] == value
    message = r"changed since the last step: (\S+)\. The spreadsheet calculates (.+) now, where training had come to"
    found = re.match(message, reply["message"])
    assert found is not None, reply["message"]
    assert found[1] == cell
    shown = office.loss()
    assert found[2] == (f"{shown:.4g}" if isinstance(shown, float) else str(shown))
    assert reply["loss"] == (shown if isinstance(shown, float) else None)
    assert "→" not in office.status_bar


def test_a_formula_and_more_that_changed_after_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(200)
        desk.done("pause")
        office.edit({(3, 2): 3.0, (4, 2): 5.0}, {LOSS[1:]: "SUM(D2:D6)"})
        message = desk.done("stop")["message"]
    assert message.startswith("changed since the last step: Model!B3 and 2 other cells. The spreadsheet calculates ")


def test_a_program_that_calculates_otherwise_is_told_from_an_edit() -> None:
    office = Office()
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(200)
        desk.done("pause")
        office._calculate = lambda workbook: workbook.sheets[SHEET].values.update({LOSS[1:]: 7.0})
        office.edit({})
        office.workbook.sheets[SHEET].values[LOSS[1:]] = 7.0
        message = desk.done("stop")["message"]
    assert re.fullmatch(r"the spreadsheet calculates 7 where sgdsheet has 0\.0214\S*: press Check .*", message)


# --- cells that move between reading and writing --------------------------------------------------------------


class Shifting(Office):
    """Just before the trainer writes, columns are inserted: the old cells hold something else."""

    filled: Value | str | None = None
    ready = threading.Event()

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        if self.ready.is_set():
            self.ready.clear()
            self.workbook = moved(self.workbook, self.filled)
        return super().exchange(values)


def moved(workbook: Workbook, filled: Value | str | None) -> Workbook:
    """The parameters are two columns to the right; in their old place stands a formula, a number or nothing."""
    old = workbook.sheets[SHEET]
    values = {key: value for key, value in old.values.items() if key not in ((1, 5), (2, 5))}
    values |= {(1, 10): old.values[1, 5], (2, 10): old.values[2, 5]}
    formulas = {
        key: Formula(item.text.replace("$E$", "$J$"), item.row, item.column) for key, item in old.formulas.items()
    }
    if isinstance(filled, str) and filled.startswith("="):
        formulas[2, 5], values[2, 5] = Formula(filled[1:], 2, 5), 2.0
    elif filled is not None:
        values |= {(1, 5): filled, (2, 5): filled}
    names = [item if item.name != "sgd_params" else replace(item, text=f"{SHEET}!$J$1:$J$2") for item in workbook.names]
    return Workbook("line.xlsx", {**workbook.sheets, SHEET: Sheet(SHEET, values, formulas)}, names)


def shift(workbook: Workbook) -> None:
    """The formulas of the moved sheet, too."""
    sheet = workbook.sheets[SHEET]
    if "$J$" not in sheet.formulas[2, 3].text:
        return carefully(workbook)
    there = {position: sheet.values.pop(position) for position in ((1, 5), (2, 5)) if position in sheet.values}
    sheet.values |= {(1, 5): sheet.values[1, 10], (2, 5): sheet.values[2, 10]}
    carefully(workbook)
    del sheet.values[1, 5], sheet.values[2, 5]
    sheet.values |= there
    return None


@pytest.mark.parametrize("filled", ["=1+1", 4711.0, "a text", None])
@pytest.mark.parametrize("start", [START, (0.0, 0.0)])
def test_parameters_that_move_before_they_are_written(filled: Value | None, start: tuple[float, float]) -> None:
    """Training goes on where they are now, and what stands in their old place is as it was."""
    office = Shifting({"optimizer": "adam", "learning rate": 0.01})
    office._calculate = shift
    office.edit({(1, 5): start[0], (2, 5): start[1]})
    office.filled, office.ready = filled, threading.Event()
    office.ready.set()  # at the first write, when a start at 0 looks like empty cells
    if start == START:
        office.ready.clear()
    with Desk(office) as desk:
        desk.done("train")
        if start == START:
            desk.until_step(20)
            office.ready.set()
        until(lambda: not office.ready.is_set() and (1, 10) in office.workbook.sheets[SHEET].values)
        values = office.workbook.sheets[SHEET].values
        until(lambda: (values[1, 10], values[2, 10]) == pytest.approx(BEST, abs=0.01))
        message = desk.done("stop")["message"]
    assert message.startswith("loss ")
    assert (values[1, 10], values[2, 10]) == pytest.approx(BEST, abs=0.01)
    assert values.get((2, 5)) == (2.0 if filled == "=1+1" else filled)
    assert values.get((1, 5)) == (None if filled == "=1+1" else filled)
    assert not office.messages


@pytest.mark.parametrize("filled", ["=1+1", 4711.0, None])
def test_parameters_that_move_before_the_end(filled: Value | None, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Shifting()
    office._calculate = shift
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(20)
        desk.done("pause")
        office.workbook = moved(office.workbook, filled)
        reply = desk.done("stop")
        values = office.workbook.sheets[SHEET].values
    assert reply["message"].startswith("loss ")
    assert values.get((2, 5)) == (2.0 if filled == "=1+1" else filled)
    assert office.loss() == pytest.approx(reply["loss"], rel=1e-9)


def test_a_formula_that_is_put_into_a_parameter_ends_the_run() -> None:
    """The cells have not moved: it is no use to go on."""

    class Replaced(Shifting):
        def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
            if self.ready.is_set():
                self.workbook.sheets[SHEET].formulas[2, 5] = Formula("1+1", 2, 5)
            return MemoryHost.exchange(self, values)

    office = Replaced(SLOW)
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(20)
        office.ready.set()
        assert "Model!E2: a parameter cell holds a formula" in desk.until_idle()["message"]
    office.ready.clear()


def test_cells_that_are_merged_when_nothing_moves_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program says so only when it is written to."""
    monkeypatch.setattr(parameter_cells, "_WRITE_ALL", 0.2)
    office = Office({"learning rate": 1e-300})
    with Desk(office) as desk:
        desk.done("train")
        desk.until_step(20)
        with office.turn:
            office.workbook.sheets[SHEET].merged.append(Range(SHEET, 1, 5, 2, 6))
        assert "Model!E2: a parameter cell is hidden by the merged cells E1:F2" in desk.until_idle()["message"]


class Closing(Office):
    """While a workbook is being closed, the program only says that it failed."""

    left = -1

    def _open(self) -> Workbook:
        if self.left > 0:
            self.left -= 1
            raise HostError("the program refuses: DisposedException", remedy="Try again")
        if not self.left:
            self.closed = True
        return super()._open()


@pytest.fixture
def closing() -> Closing:
    return Closing()


def test_a_workbook_that_is_just_being_closed(closing: Closing) -> None:
    with Desk(closing) as desk:
        desk.done("train")
        desk.until_step(20)
        with closing.turn:
            closing.left = 3
        assert "the workbook was closed" in desk.until_idle()["message"]
        closing.left, closing.closed = -1, False
