"""Undo and Reset after a person has moved the cells, or another trainer or another workbook has come in between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.errors import TrainingError
from sgdsheet.live.undo.snapshots import History
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook
from sgdsheet.system.book_lock import BookLock
from tests.errors import refusal
from tests.live_books import SHEET, START, Desk, line_host, parameters, rename, until
from tests.live_moves import crash, insert_rows, point_to
from tests.memory_host import MemoryHost

pytestmark = pytest.mark.usefixtures("state")


def column(host: MemoryHost, top: int, bottom: int, sheet: str = SHEET) -> list[Any]:
    return [host.workbook.sheets[sheet].values.get((row, 5)) for row in range(top, bottom + 1)]


def put(host: MemoryHost, row: int, value: Any) -> None:
    host.workbook.sheets[SHEET].values[row, 5] = value


def refused(desk: Desk, host: MemoryHost, command: str) -> str:
    """What is said against a command, which then changes nothing."""
    host.read()  # the program has calculated by then
    writes, before = host.writes, dict(host.workbook.sheets[next(iter(host.workbook.sheets))].values)
    reply = desk.ask(command)
    assert not reply["ok"]
    assert host.writes == writes
    assert host.workbook.sheets[next(iter(host.workbook.sheets))].values == before
    assert desk.ask("status")["can_undo"]
    return str(reply["error"])


# --- rows are inserted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("command", ["undo", "reset"])
def test_rows_are_inserted(desk: Desk, host: MemoryHost, command: str, rows: int) -> None:
    desk.done("step")
    insert_rows(host, rows)
    put(host, 1, "a title")
    desk.done(command)
    assert column(host, rows + 1, rows + 2) == [*START]
    assert column(host, 1, rows) == ["a title"] + [None] * (rows - 1)


def refer(host: MemoryHost, old: str, new: str) -> None:
    """Have the formulas refer to another cell."""
    sheet = host.workbook.sheets[SHEET]
    sheet.formulas = {
        key: Formula(item.text.replace(old, new), item.row, item.column) for key, item in sheet.formulas.items()
    }


@pytest.mark.parametrize("command", ["undo", "reset"])
def test_a_parameter_more_during_training(desk: Desk, host: MemoryHost, command: str) -> None:
    """It is trained from now on, and nothing has been noted of it yet."""
    put(host, 3, 9.0)
    desk.done("train")
    desk.until_step(20)
    with host.turn:
        refer(host, "+$E$2", "+$E$2+$E$3")
        point_to(host, f"{SHEET}!$E$1:$E$3")
    until(lambda: column(host, 3, 3) != [9.0])
    desk.done("stop")
    desk.done(command)
    assert column(host, 1, 3) == [*START, 9.0]


def test_a_row_is_inserted_between_the_parameters_during_training(desk: Desk, host: MemoryHost) -> None:
    """Undo goes back to that moment: of what was before, nobody knows where it belongs."""
    desk.done("train")
    desk.until_step(20)
    with host.turn:
        slope, intercept = parameters(host)
        del host.workbook.sheets[SHEET].values[2, 5]
        put(host, 3, intercept)
        refer(host, "$E$2", "$E$3")
        refer(host, "+$E$3", "+$E$3+$E$2+1")
        point_to(host, f"{SHEET}!$E$1:$E$3")
    until(lambda: column(host, 2, 2) not in ([None], [intercept]))
    desk.done("stop")
    desk.done("undo")
    assert column(host, 1, 3) == [slope, None, intercept]
    assert not desk.ask("status")["can_undo"]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("command", ["undo", "reset"])
def test_rows_are_inserted_during_training(desk: Desk, host: MemoryHost, command: str, rows: int) -> None:
    desk.done("train")
    desk.until_step(20)
    insert_rows(host, rows)
    desk.until_step(desk.ask("status")["step"] + 500)
    desk.done("stop")
    put(host, 1, 4711.0)
    desk.done(command)
    assert column(host, rows + 1, rows + 2) == [*START]
    assert column(host, 1, rows) == [4711.0] + [None] * (rows - 1)


@pytest.mark.parametrize("command", ["undo", "reset"])
def test_a_copy_stands_where_the_parameter_was(desk: Desk, host: MemoryHost, command: str) -> None:
    """A row was copied and inserted above: the copy is not taken for the parameter, by a later step neither."""
    point_to(host, f"{SHEET}!$E$1")
    desk.done("step")
    insert_rows(host, 1)
    put(host, 1, column(host, 2, 2)[0])
    refused(desk, host, command)
    before = column(host, 1, 2)
    desk.done("step")
    desk.done(command)
    assert column(host, 1, 2) == before
    assert not desk.ask("status")["can_undo"] or command == "reset"


def test_all_levels_move_along(desk: Desk, host: MemoryHost) -> None:
    seen = []
    for rows in (1, 2, 3, 4):
        seen.append(column(host, rows, rows + 1))
        desk.done("step")
        insert_rows(host, 1)
    for before in reversed(seen):
        desk.done("undo")
        assert column(host, 5, 6) == before
    assert column(host, 1, 4) == [None] * 4


def test_a_setting_moves_along(desk: Desk, host: MemoryHost) -> None:
    desk.done("find-lr")
    insert_rows(host, 1)
    desk.done("undo")
    assert [host.workbook.sheets[SHEET].values.get((row, 8)) for row in (2, 3)] == ["sgd", 0.05]


def test_an_edited_parameter_is_undone_too(desk: Desk, host: MemoryHost) -> None:
    desk.done("step")
    insert_rows(host, 2)
    put(host, 3, 7.0)
    put(host, 4, 8.0)
    desk.done("undo")
    assert column(host, 1, 4) == [None, None, *START]


def test_a_parameter_more(desk: Desk, host: MemoryHost) -> None:
    """A row is inserted between the two: nobody knows which is which."""
    desk.done("step")
    left = parameters(host)
    point_to(host, f"{SHEET}!$E$1:$E$3")
    put(host, 2, 0.0)
    put(host, 3, left[1])
    for command in ("undo", "reset"):
        error = refused(desk, host, command)
        assert "Model!E2: sheet Model has no parameters in Model!E1:E2 any more, but in Model!E1:E3." in error
        assert f"Nothing was changed. Take that back, then {command}. The values from before are in " in error
        assert str(History.open("line.xlsx").path) in error
    point_to(host, f"{SHEET}!$E$1:$E$2")
    put(host, 2, left[1])
    desk.done("undo")
    assert parameters(host) == START


def test_other_cells_are_named(desk: Desk, host: MemoryHost) -> None:
    """What was trained is still where it was, and the cells that are parameters now are nobody's but the person's."""
    desk.done("step")
    host.workbook.sheets[SHEET].values |= {(1, 6): 5.0, (2, 6): 6.0}
    point_to(host, f"{SHEET}!$F$1:$F$2")
    desk.done("undo")
    assert parameters(host) == START
    assert [host.workbook.sheets[SHEET].values[row, 6] for row in (1, 2)] == [5.0, 6.0]


def test_what_cannot_be_found_again_is_forgotten_by_the_next_step(desk: Desk, host: MemoryHost) -> None:
    desk.done("step")
    slope, intercept = parameters(host)
    put(host, 2, 0.0)
    put(host, 3, intercept)
    point_to(host, f"{SHEET}!$E$1,{SHEET}!$E$3")
    refer(host, "$E$2", "$E$3")
    desk.done("step")
    desk.done("undo")
    assert column(host, 1, 3) == [slope, 0.0, intercept]
    assert not desk.ask("status")["can_undo"]


def test_a_formula_where_a_parameter_was(desk: Desk, host: MemoryHost) -> None:
    desk.done("step")
    host.workbook.sheets[SHEET].formulas[1, 5] = Formula("1+1", 1, 5)
    assert "Model!E1: a formula stands there. Put a number there, then undo" in refused(desk, host, "undo")
    assert "Put a number there, then reset" in refused(desk, host, "reset")
    del host.workbook.sheets[SHEET].formulas[1, 5]
    desk.done("undo")
    assert parameters(host) == START


# --- another workbook ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True])
def test_another_workbook_at_the_same_path(host: MemoryHost, again: bool) -> None:
    with Desk(host) as desk:
        desk.done("step")
        other = Sheet(SHEET, {(1, 5): "Report 2027", (2, 5): 1234.0})
        host.workbook = Workbook("line.xlsx", {SHEET: other}, [])
        if not again:
            assert "Model!E1: sheet Model has no parameters in Model!E1:E2 any more" in refused(desk, host, "undo")
    if again:
        with Desk(host) as desk:
            for command in ("undo", "reset"):
                assert "The values from before are in " in refused(desk, host, command)


def test_another_model_at_the_same_path(host: MemoryHost) -> None:
    with Desk(host) as desk:
        desk.done("step")
    put(host, 1, 40.0)
    put(host, 2, 50.0)
    with Desk(host) as desk:
        error = refused(desk, host, "undo")
        assert "perhaps this is another workbook. Nothing was changed. The values from before are in " in error


def test_closed_without_saving_and_opened_again(host: MemoryHost) -> None:
    with Desk(host) as desk:
        desk.done("step")
        desk.done("step")
    put(host, 1, START[0])
    put(host, 2, START[1])
    with Desk(host) as desk:
        desk.done("undo")
        desk.done("undo")
        assert parameters(host) == START


def test_a_sheet_is_renamed_after_a_crash(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = line_host()
    first = Desk(host)
    first.done("train")
    first.until_step(20)
    for command in ("undo", "reset"):
        crash(state, monkeypatch, f"before {command}")
        left = line_host()
        put(left, 1, 77.0)
        rename(left, "Neu")
        with Desk(left) as second:
            second.done(command)
            assert parameters(left, "Neu") == START
    first.trainer.close()


@pytest.mark.parametrize("command", ["undo", "reset"])
def test_a_renamed_sheet_that_nobody_knows(host: MemoryHost, command: str) -> None:
    with Desk(host) as desk:
        desk.done("step")
    rename(host, "Neu")
    point_to(host, "Neu!$E$1:$E$3")
    again = MemoryHost(host.workbook, host._calculate, host.key)  # a program that was started anew
    before = dict(again.workbook.sheets["Neu"].values)
    with Desk(again) as desk:
        error = desk.ask(command)["error"]
        assert f"the sheet “Model” is gone. If it was renamed, rename it back to “Model”, then {command}" in error
        assert again.workbook.sheets["Neu"].values == before
        point_to(again, "Neu!$E$1:$E$2")
        desk.done(command)
        assert parameters(again, "Neu") == START


def test_parameters_on_a_sheet_of_their_own(host: MemoryHost) -> None:
    """The sheet of the model is renamed, and they stay where they are."""
    host.workbook.sheets["Other"].values |= {(1, 2): 0.5, (2, 2): 0.25}
    refer(host, "$E$1", "Other!$B$1")
    refer(host, "$E$2", "Other!$B$2")
    point_to(host, "Other!$B$1:$B$2")
    with Desk(host) as desk:
        desk.done("step")
    rename(host, "Neu")
    host.workbook.sheets["Other"].values[1, 2] = 7.0
    again = MemoryHost(host.workbook, host._calculate, host.key)
    with Desk(again) as desk:
        desk.done("undo")
    assert [again.workbook.sheets["Other"].values[row, 2] for row in (1, 2)] == [0.5, 0.25]


# --- another trainer -------------------------------------------------------------------------------------------


def test_the_levels_of_another_trainer_are_known(desk: Desk, host: MemoryHost) -> None:
    """As when a terminal has trained between two clicks on the toolbar."""
    desk.done("step")
    stepped = parameters(host)
    with Desk(host) as terminal:
        terminal.done("train", steps=300)
        terminal.until_idle()
    trained = parameters(host)
    assert trained != stepped
    desk.done("step")
    for label, before in (("step", trained), ("train", stepped), ("step", START)):
        assert desk.done("undo")["message"] == f"undone: {label}"
        assert parameters(host) == before


def test_one_at_a_time(desk: Desk, host: MemoryHost) -> None:
    desk.done("train")
    desk.until_step(20)
    with Desk(host) as other:
        for command in ("train", "step", "undo", "reset", "randomize", "find-lr", "set-loss"):
            error = other.ask(command)["error"]
            assert "being trained by another sgdsheet (a terminal with attach, or the toolbar). Stop it there" in error
        assert other.ask("status")["state"] == "idle"
        desk.done("pause")
        assert not other.ask("step")["ok"]
        desk.done("stop")
        other.done("train", steps=10)
        other.until_idle()
        desk.done("step")
        other.done("undo")


def test_a_crash_lets_others_write(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "book.lock"
    code = "import pathlib, sys, time; from sgdsheet.system.book_lock import BookLock;"
    code += "lock = BookLock(pathlib.Path(sys.argv[1])); lock.take(); print('held', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        lock = BookLock(path)
        with refusal(TrainingError, cause="another sgdsheet"):
            lock.take()
        process.kill()
    until(lambda: _takes(lock))
    lock.release()


def _takes(lock: BookLock) -> bool:
    try:
        lock.take()
    except TrainingError:
        return False
    return True


def test_a_workbook_that_is_saved_under_another_name(desk: Desk, host: MemoryHost) -> None:
    """It is no longer trained under the old name, and is undone under the new one, which may have been another's."""
    History.open("new.xlsx").begin("another workbook", {Cell(SHEET, 1, 5): 99.0})
    desk.ask("train", wait=0.0)
    desk.until_step(1)
    desk.hosts["new.xlsx"] = host
    assert desk.trainer.saved_as("memory", "line.xlsx", "new.xlsx")["ok"]
    assert desk.ask("status")["state"] == "idle"
    assert column(host, 1, 2) != list(START)
    desk.done("undo", "new.xlsx")
    assert column(host, 1, 2) == list(START)
    assert not desk.ask("undo", "new.xlsx")["ok"]
    assert History.open("line.xlsx").can_undo  # the file of the old name is as it was
    assert desk.trainer.saved_as("memory", "never used.xlsx", "new.xlsx")["ok"]
    assert not desk.ask("status", "new.xlsx")["can_undo"]


def test_other_parameters_of_the_same_shape_are_not_those_that_were_trained(desk: Desk, host: MemoryHost) -> None:
    desk.done("step")
    put(host, 1, 7.0)
    values = host.workbook.sheets[SHEET].values
    values[1, 6], values[2, 6] = 5.0, 6.0
    refer(host, "$E$1", "$F$1")
    refer(host, "$E$2", "$F$2")
    desk.done("set-params", areas=[f"{SHEET}!F1:F2"])
    assert "E1" in refused(desk, host, "undo")
    assert (values[1, 6], values[2, 6]) == (5.0, 6.0)
