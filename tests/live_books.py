"""A straight line through points as an open workbook, in the in-memory twin of a spreadsheet program."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sgdsheet.live.ipc import client
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import DefinedName, Formula, Sheet, Workbook
from tests.memory_host import MemoryHost

SHEET = "Model"
X = [0.0, 1.0, 2.0, 3.0, 4.0]
Y = [1.1, 2.9, 5.2, 6.8, 9.1]
PARAMETERS = (Cell(SHEET, 1, 5), Cell(SHEET, 2, 5))
LOSS = Cell(SHEET, 4, 5)
START = (0.5, 0.25)
BEST = (1.99, 1.04)
"""What least squares give for these points."""

SETTINGS = {"optimizer": "sgd", "learning rate": 0.05, "steps": 1_000_000.0}

PATIENCE = 120.0
"""Seconds to wait for what has to happen. On a busy machine all takes long, and only a failure waits to the end."""


def calculate(workbook: Workbook) -> None:
    """What the formulas of `line_workbook` come to: the loss is the mean or the sum of squares, as its text says.

    All of it may stand some rows lower.
    """
    for sheet in workbook.sheets.values():
        found = next((row for row, column in sheet.formulas if column == 5 and row >= 4), None)
        if found is None:
            continue
        values, top = sheet.values, found - 4
        slope, intercept = (_number(values.get((top + row, 5), 0.0)) for row in (1, 2))
        errors = []
        for row in range(top + 2, top + len(X) + 2):
            formula = sheet.formulas.get((row, 3))
            line = (
                slope * _number(values[row, 1]) + intercept if formula is None else _sum(formula.text, workbook, sheet)
            )
            errors.append((line - _number(values[row, 2])) ** 2)
            values[row, 3], values[row, 4] = line, errors[-1]
        total = sum(errors)
        values[found, 5] = total / len(X) if sheet.formulas[found, 5].text.startswith("AVERAGE") else total


def _sum(text: str, workbook: Workbook, home: Sheet) -> float:
    """A sum of products of cells and numbers, as it is written."""
    total = 0.0
    for term in text.split("+"):
        product = 1.0
        for factor in term.replace("$", "").split("*"):
            name, _, cell = factor.rpartition("!")
            values = (workbook.sheets[name.strip("'")] if name else home).values
            known = values.get((int(cell[1:]), ord(cell[0]) - 64), 0.0) if cell[0].isalpha() else float(cell)
            product *= _number(known)
        total += product
    return total


def _number(value: Any) -> float:
    return value if isinstance(value, float) else float("nan")


def line_workbook(settings: dict[str, Any] | None = None) -> Workbook:
    """Data in A and B, parameters in E1 and E2, the loss in E4, settings in G and H."""
    sheet = Sheet(SHEET, {(1, 1): "x", (1, 2): "y", (1, 5): START[0], (2, 5): START[1]})
    for row, (x, y) in enumerate(zip(X, Y, strict=True), 2):
        sheet.values |= {(row, 1): x, (row, 2): y}
        sheet.formulas[row, 3] = Formula(f"$E$1*A{row}+$E$2", row, 3)
        sheet.formulas[row, 4] = Formula(f"(C{row}-B{row})^2", row, 4)
    sheet.formulas[4, 5] = Formula("AVERAGE(D2:D6)", 4, 5)
    chosen = {**SETTINGS, **(settings or {})}
    for row, (name, value) in enumerate(chosen.items(), 1):
        sheet.values |= {(row, 7): name, (row, 8): value}
    names = [
        DefinedName("sgd_loss", f"{SHEET}!$E$4", SHEET),
        DefinedName("sgd_params", f"{SHEET}!$E$1:$E$2", SHEET),
        DefinedName("sgd_settings", f"{SHEET}!$G$1:$H${len(chosen)}", SHEET),
    ]
    workbook = Workbook("line.xlsx", {SHEET: sheet, "Other": Sheet("Other", {(1, 1): "untouched"})}, names)
    calculate(workbook)
    return workbook


def line_host(settings: dict[str, Any] | None = None, key: str = "line.xlsx") -> MemoryHost:
    return MemoryHost(line_workbook(settings), calculate, key)


class Desk:
    """A trainer with some workbooks in memory, as a person uses it."""

    def __init__(self, *hosts: MemoryHost) -> None:
        self.hosts = {host.key: host for host in hosts}
        self.connections = 0
        self.trainer = Trainer(self._connect)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.trainer.close()

    def _connect(self, host: str, book: str, where: str) -> MemoryHost:
        self.connections += 1
        return self.hosts[book]

    def ask(
        self, command: str, book: str = "line.xlsx", /, *, wait: float = PATIENCE, **options: Any
    ) -> dict[str, Any]:
        """Give a command and wait for what comes of it."""
        request = {"command": command, "host": "memory", "book": book, "options": options, "wait": wait}
        return self.trainer.handle(request)

    def done(self, command: str, book: str = "line.xlsx", /, **options: Any) -> dict[str, Any]:
        """The same for a command that has to succeed."""
        reply = self.ask(command, book, **options)
        assert reply["ok"], reply
        assert not reply.get("pending"), reply
        return reply

    def until_idle(self, book: str = "line.xlsx") -> dict[str, Any]:
        """Wait for the end of a run; returns the last status."""
        until(lambda: self.ask("status", book)["state"] == "idle")
        return self.ask("status", book)

    def until_step(self, number: int, book: str = "line.xlsx") -> None:
        until(lambda: self.ask("status", book)["step"] >= number)


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something to come true; fail if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def taken(action: Callable[[], object]) -> float:
    """The seconds that something takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def most(seconds: float, busy: float) -> float:
    """How long something may take; another limit holds where other tests run beside, or anything else keeps it busy."""
    beside = "PYTEST_XDIST_WORKER" in os.environ
    return busy if beside or os.getloadavg()[0] > (os.cpu_count() or 1) / 2 else seconds


@contextmanager
def services() -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes that are started as background trainers meanwhile. They end when told to, and for sure."""
    started: list[subprocess.Popen[bytes]] = []
    start = client.start_service

    def noted(*arguments: str) -> subprocess.Popen[bytes]:
        started.append(start(*arguments))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "start_service", noted)
        try:
            yield started
        finally:
            client.call({"command": "quit"}, start=False)
            late = [process for process in started if not _ended(process)]
            for process in late:
                process.kill()
            assert not late, "it went on after it was told to quit"


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(PATIENCE / 4)
    except subprocess.TimeoutExpired:
        return False
    return True


def rename(host: MemoryHost, new: str) -> None:
    """Give the sheet another name, as a person does: the program keeps the sheet, with all that refers to it."""
    with host.turn:
        sheet = host.workbook.sheets.pop(SHEET)
        sheet.name = new
        host.workbook.sheets[new] = sheet
        names = host.workbook.names
        host.workbook.names = [replace(name, text=name.text.replace(SHEET, new), sheet=new) for name in names]


def parameters(host: MemoryHost, sheet: str = SHEET) -> tuple[Any, Any]:
    values = host.workbook.sheets[sheet].values
    return values.get((1, 5)), values.get((2, 5))


def area(a1_top: int, left: int, bottom: int, right: int, sheet: str = SHEET) -> Range:
    return Range(sheet, a1_top, left, bottom, right)
