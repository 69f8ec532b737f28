"""What goes wrong while a workbook is trained: each ends cleanly, with a plain message."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from sgdsheet.errors import HostBusyError
from sgdsheet.live.run import background, live_run
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.trainable import Trainable, find_trainable
from sgdsheet.live.undo.snapshots import History
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Formula, Value, Workbook
from sgdsheet.system.state_folder import snapshot_folder
from tests.live_books import (
    BEST,
    PARAMETERS,
    PATIENCE,
    SHEET,
    START,
    Desk,
    line_host,
    line_workbook,
    most,
    parameters,
    rename,
    taken,
    until,
)
from tests.live_moves import crash
from tests.memory_host import MemoryHost

pytestmark = pytest.mark.usefixtures("state")


def trained(desk: Desk) -> None:
    """Train until something has been written."""
    desk.done("train")
    desk.until_step(20)


def test_text_in_a_parameter_cell(desk: Desk, host: MemoryHost) -> None:
    trained(desk)
    with host.turn:
        host.workbook.sheets[SHEET].values[1, 5] = "abc"
    status = desk.until_idle()
    assert "Model!E1: a parameter cell holds “abc” and not a number" in status["message"]
    assert host.messages == [status["message"]]
    assert parameters(host)[0] == "abc"
    assert not host.is_quiet
    desk.done("undo")
    assert parameters(host) == START


def test_a_formula_in_a_parameter_cell(desk: Desk, host: MemoryHost) -> None:
    trained(desk)
    with host.turn:
        host.workbook.sheets[SHEET].formulas[1, 5] = Formula("1+1", 1, 5)
        host.workbook.sheets[SHEET].values[1, 5] = 2.0
    status = desk.until_idle()
    assert "a parameter cell holds a formula" in status["message"]
    assert parameters(host)[0] == 2.0


def test_the_workbook_is_closed(desk: Desk, host: MemoryHost) -> None:
    trained(desk)
    host.closed = True
    status = desk.until_idle()
    assert "the workbook was closed" in status["message"]
    host.closed = False  # opened again, unsaved
    assert desk.connections == 1
    desk.done("undo")
    assert parameters(host) == START
    assert desk.connections == 2


class Renamed(MemoryHost):
    """A program in which a person can give the sheet another name, between two calls as always."""

    knows_sheets = True
    wanted = ""

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        if self.wanted:
            rename(self, self.wanted)
            self.wanted = ""
        return super().read_values(areas)

    def sheet_now(self, name: str) -> str | None:
        return super().sheet_now(name) if self.knows_sheets else None


@pytest.fixture
def renamed() -> Renamed:
    twin = line_host()
    return Renamed(twin.workbook, twin._calculate, twin.key)


def test_training_follows_a_renamed_sheet(renamed: Renamed) -> None:
    with Desk(renamed) as desk:
        trained(desk)
        renamed.wanted = "Renamed"
        until(lambda: "Renamed" in renamed.workbook.sheets)
        step = desk.ask("status")["step"]
        desk.until_step(step + 200)
        desk.done("stop")
        assert parameters(renamed, "Renamed") == pytest.approx(BEST, abs=0.01)
        assert not renamed.messages
        desk.done("undo")
        assert parameters(renamed, "Renamed") == START
    with Desk(renamed) as desk:  # another trainer finds it all under the new name
        assert not desk.ask("status")["can_undo"]
        desk.done("reset")
        assert parameters(renamed, "Renamed") == START


def test_a_sheet_that_is_renamed_at_the_end(renamed: Renamed) -> None:
    with Desk(renamed) as desk:
        trained(desk)
        desk.done("pause")
        renamed.wanted = "Renamed"
        desk.done("stop")
        assert parameters(renamed, "Renamed") == pytest.approx(BEST, abs=0.5)
        assert desk.ask("status")["message"].startswith("loss ")


def test_a_renamed_sheet_that_cannot_be_followed(renamed: Renamed) -> None:
    """As in Excel on macOS, where sheets are known by their names."""
    renamed.knows_sheets = False
    with Desk(renamed) as desk:
        trained(desk)
        renamed.wanted = "Renamed"
        assert "sheet Model is gone, or has another name now" in desk.until_idle()["message"]
        assert renamed.messages


def test_the_log_is_removed_during_training(desk: Desk, host: MemoryHost) -> None:
    desk.done("train", log=True)
    until(lambda: "SGD log" in host.workbook.sheets)
    with host.turn:
        del host.workbook.sheets["SGD log"]
    step = desk.ask("status")["step"]
    desk.until_step(step + 2_000)
    time.sleep(0.6)
    assert desk.ask("status")["state"] == "training"
    desk.done("stop")
    assert parameters(host) == pytest.approx(BEST, abs=0.01)
    assert not host.messages


def test_the_sheet_is_deleted(desk: Desk, host: MemoryHost) -> None:
    trained(desk)
    with host.turn:
        del host.workbook.sheets[SHEET]
    assert "sheet Model is gone" in desk.until_idle()["message"]
    assert not desk.ask("step")["ok"]


@pytest.mark.parametrize("how", ["protected", "merged", "spilled", "formula"])
def test_refused_before_anything_changes(desk: Desk, host: MemoryHost, how: str) -> None:
    sheet = host.workbook.sheets[SHEET]
    if how == "protected":
        sheet.protected = True
    elif how == "merged":
        sheet.merged.append(Range(SHEET, 1, 5, 2, 5))
    elif how == "spilled":
        sheet.formulas[1, 4] = Formula("SEQUENCE(1,2)", 1, 4, array=(1, 4, 1, 5), dynamic=True)
    else:
        sheet.formulas[1, 5] = Formula("1+1", 1, 5)
    for command in ("train", "step", "randomize"):
        assert not desk.ask(command)["ok"]
    assert parameters(host) == START
    assert host.writes == 0
    assert not host.report_sheets


def test_no_room_for_the_snapshot(desk: Desk, host: MemoryHost) -> None:
    """A limit on the size of files is the same to the program as a full disk."""
    desk.done("check")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        replies = [desk.ask(command) for command in ("train", "step", "find-lr")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for reply in replies:
        assert "cannot be written: File too large. Nothing was changed in the sheet" in reply["error"]
    assert parameters(host) == START
    assert host.writes == 0
    desk.done("step")


def test_the_snapshot_outlives_the_trainer(state: Path, monkeypatch: pytest.MonkeyPatch, host: MemoryHost) -> None:
    first = Desk(host)
    trained(first)
    crash(state, monkeypatch)
    crashed = line_host()
    crashed.workbook.sheets[SHEET].values[1, 5] = 123.0  # what was in the sheet when everything ended
    with Desk(crashed) as second:
        assert second.ask("status")["can_undo"]
        second.done("reset")
        assert parameters(crashed) == START
    first.trainer.close()


def test_a_workbook_changed_by_others_gets_a_new_history(host: MemoryHost) -> None:
    with Desk(host) as desk:
        desk.done("step")
    host.workbook.sheets[SHEET].values[1, 5] = 7.0
    with Desk(host) as desk:
        desk.done("step")
        desk.done("reset")
        assert parameters(host)[0] == 7.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "sgdsheet snapshot 1"}', b"[" * 100_000, b"\xff"])
def test_a_damaged_snapshot_is_no_snapshot(content: bytes) -> None:
    folder = snapshot_folder()
    folder.mkdir(parents=True)
    history = History.open("line.xlsx")
    history.path.write_bytes(content)
    assert not History.open("line.xlsx").can_undo


def test_snapshots_are_of_one_workbook() -> None:
    cells: dict[Cell, Value | None] = {Cell("a sheet's", 1, 2): 0.1, Cell("S", 2, 2): None, Cell("S", 3, 1): "x"}
    history = History.open("one")
    history.begin("step", cells)
    again = History.open("one")
    assert again.levels[0].before == again.original == cells
    assert not History.open("two").can_undo


class BusyHost(MemoryHost):
    """A program whose user edits a cell for some time."""

    busy = False

    def write(self, values: object) -> None:
        if self.busy:
            raise HostBusyError("a cell is being edited", remedy="Press Enter")
        super().write(values)  # type: ignore[arg-type]


@pytest.fixture
def busy() -> BusyHost:
    twin = line_host()
    return BusyHost(twin.workbook, twin._calculate, twin.key)


def test_a_busy_program_is_waited_for(busy: BusyHost) -> None:
    with Desk(busy) as desk:
        trained(desk)
        busy.busy = True
        until(lambda: desk.ask("status")["state"] == "training")
        shown = parameters(busy)
        time.sleep(0.5)
        assert parameters(busy) == shown
        busy.busy = False
        until(lambda: parameters(busy) == pytest.approx(BEST, abs=0.01))  # it may have been so before
        busy.busy = True
        threading.Timer(0.7, lambda: setattr(busy, "busy", False)).start()
        desk.done("stop")
        assert parameters(busy) == pytest.approx(BEST, abs=0.01)


def test_a_program_that_stays_busy(busy: BusyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "_BUSY_LIMIT", 0.5)
    with Desk(busy) as desk:
        trained(desk)
        busy.busy = True
        assert "busy for too long" in desk.until_idle()["message"]


def test_two_workbooks_at_once() -> None:
    one, two = line_host(key="one"), line_host(key="two")
    with Desk(one, two) as desk:
        desk.done("train", "one")
        desk.done("train", "two")
        desk.until_step(300, "one")
        desk.until_step(300, "two")
        desk.done("stop", "one")
        assert desk.ask("status", "two")["state"] == "training"
        assert desk.ask("status", "one")["state"] == "idle"
        desk.until_step(desk.ask("status", "two")["step"] + 100, "two")
        desk.done("stop", "two")
    assert parameters(one) == pytest.approx(BEST, abs=0.01)
    assert parameters(two) == pytest.approx(BEST, abs=0.01)


def test_the_caller_does_not_wait(desk: Desk) -> None:
    desk.done("check")  # torch is loaded
    waits, stops = [], []
    for _ in range(5):
        waits.append(taken(lambda: desk.ask("train", wait=0.08)))
        until(lambda: desk.ask("status")["state"] == "training")
        stops.append(taken(lambda: desk.done("stop")))
    assert min(waits) <= most(0.1, 2.0), waits
    assert min(stops) <= most(0.3, 5.0), stops


def test_closing_the_trainer_leaves_the_best(host: MemoryHost) -> None:
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(300)
    assert parameters(host) == pytest.approx(BEST, abs=0.01)
    assert not host.is_quiet


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _memory() -> int:
    """Bytes that the process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_hundreds_of_runs_leak_nothing(desk: Desk, host: MemoryHost) -> None:
    def cycle() -> None:
        desk.done("train")
        desk.done("stop")

    for _ in range(50):
        cycle()
    gc.collect()
    threads, opened, memory = threading.active_count(), _open_files(), _memory()
    for _ in range(300):
        cycle()
    gc.collect()
    assert threading.active_count() <= threads
    assert _open_files() <= opened
    assert _memory() - memory < 6_000_000
    assert {cell[1:] for cell in PARAMETERS} <= set(host.workbook.sheets[SHEET].values)


class HalfHost(MemoryHost):
    """A program that takes some of the numbers: then it stops for good, or refuses once."""

    stops: threading.Event | None = None
    refuses = False

    def write(self, values: Mapping[Cell, Value]) -> None:
        if (self.stops is not None or self.refuses) and set(values) == set(PARAMETERS):
            super().write({PARAMETERS[0]: values[PARAMETERS[0]]})
            if self.stops is not None:
                self.stops.wait()
            self.refuses = False
            raise HostBusyError("a cell is being edited", remedy="Press Enter")
        super().write(values)


def half() -> HalfHost:
    twin = line_host({"learning rate": 1e-5})  # so slow that both numbers move at every refresh
    return HalfHost(twin.workbook, twin._calculate, twin.key)


def test_the_trainer_is_killed_in_the_middle_of_a_write(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the numbers stand in the cells."""
    host = half()
    first = Desk(host)
    trained(first)
    host.stops = threading.Event()
    until(lambda: first.ask("status")["state"] == "training" and parameters(host) != START)
    crash(state, monkeypatch)
    left = line_host()
    left.workbook.sheets[SHEET].values.update(host.workbook.sheets[SHEET].values)
    for command in ("undo", "reset"):
        left.workbook.sheets[SHEET].values[1, 5] = 77.0
        with Desk(left) as second:
            second.done(command)
            assert parameters(left) == START
    host.stops.set()
    host.stops = None
    first.trainer.close()


def test_half_a_write_is_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we have written ourselves before the program refused is not taken for a person's numbers."""
    changes: list[dict[int, float]] = []
    change = BackgroundRun.change

    def noted(run: BackgroundRun, trainable: Trainable, edits: dict[int, float]) -> int:
        changes.append(edits)
        return change(run, trainable, edits)

    monkeypatch.setattr(BackgroundRun, "change", noted)
    host = half()
    with Desk(host) as desk:
        trained(desk)
        for _ in range(3):
            host.refuses = True
            until(lambda: not host.refuses)
            desk.until_step(desk.ask("status")["step"] + 500)
        desk.done("stop")
        assert host.workbook.sheets[SHEET].values[4, 5] == pytest.approx(desk.ask("status")["loss"], rel=1e-12)
    assert not changes


def test_stopped_with_an_edit_on_its_way() -> None:
    trainable = find_trainable(line_workbook(), SHEET, {})
    run = BackgroundRun(trainable, trainable.start_values(), lambda: None)
    asked = run.change(trainable, {0: 3.0})
    run.halt()
    run.start()
    run.join()
    assert run.error is None
    assert run.result is not None
    assert run.result.changes < asked  # so that the edit is left in the cell


def test_a_processor_is_left_to_the_spreadsheet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of torch that have no processor of their own wait for each other, ten times as long as they calculate."""
    monkeypatch.setattr(background, "processors", lambda: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(8)  # what a new thread takes over
    try:
        trainable = find_trainable(line_workbook(), SHEET, {})
        run = BackgroundRun(trainable, trainable.start_values(), lambda: None)
        run.start()
        assert run.between_steps(torch.get_num_threads, PATIENCE) == 2
        run.halt()
        run.join()
    finally:
        torch.set_num_threads(before)


class HastyHost(MemoryHost):
    """A person who types a number at the worst moment: just after the trainer has looked."""

    typed: float | None = None
    rejects = 0

    def write(self, values: Mapping[Cell, Value]) -> None:
        if self.rejects and len(values) == 1:  # as while the person types the next number
            self.rejects -= 1
            raise HostBusyError("a cell is being edited", remedy="Press Enter")
        super().write(values)

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        found = super().read_values(areas)
        if self.typed is not None and threading.current_thread().name == "sgdsheet book":
            with self.turn:
                self.workbook.sheets[SHEET].values[1, 5], self.typed = self.typed, None
        return found


@pytest.mark.parametrize("rejects", [0, 3])
def test_an_edit_at_the_worst_moment_is_kept(rejects: int) -> None:
    twin = line_host({"learning rate": 1e-9})
    hasty = HastyHost(twin.workbook, twin._calculate, twin.key)
    hasty.rejects = rejects
    with Desk(hasty) as desk:
        trained(desk)
        hasty.typed = -3.0
        until(lambda: (desk.ask("status")["loss"] or 0) > 100)
        assert parameters(hasty)[0] == pytest.approx(-3.0, abs=0.01)


def test_in_memory_nobody_edits_between_reading_and_writing(host: MemoryHost) -> None:
    """Also these tests' own edits are calls of one program, which come one after the other."""
    came: list[bool] = []

    def calculate(_: Workbook) -> None:
        edit = threading.Thread(target=lambda: came.append(host.turn.acquire(blocking=False)))
        edit.start()
        edit.join()

    host = MemoryHost(host.workbook, calculate)
    assert host.exchange(dict.fromkeys(PARAMETERS, 1.0)) == dict(zip(PARAMETERS, START, strict=True))
    assert came == [False]
