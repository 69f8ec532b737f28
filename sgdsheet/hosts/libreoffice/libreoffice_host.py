"""Workbooks that are open in LibreOffice Calc.

LibreOffice is reached through an agent, see `agent/`; what comes from it is turned into plain data here.
Switching events off, as `quiet` does in Excel, is not possible in LibreOffice: it only leaves no trace in its undo.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol

from sgdsheet.errors import HostError, one_line
from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import ReportSheet, Tone
from sgdsheet.hosts.libreoffice import calc_reader as reading
from sgdsheet.hosts.libreoffice.filled_down import Formulas
from sgdsheet.hosts.libreoffice.notation import name_content, to_excel
from sgdsheet.hosts.libreoffice.office_process import AgentProcess, invite, listening, withdraw
from sgdsheet.sheet.references import Cell, Range, rectangles
from sgdsheet.sheet.workbook import ExcelError, Position, Value, Workbook

_REFUSALS = {
    "formula": refusals.formula_cell,
    "array": refusals.array_cell,
    "merged": refusals.merged_cell,
    "protected": refusals.protected_sheet,
}


_PATIENCE = 1.0  # seconds that an office may take to answer on a pipe

_invited: list[str] = []
"""The pipes that offices have opened because this process asked them to."""


class Channel(Protocol):
    """How requests reach the agent."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The agent's reply; raises BookClosedError when the agent or the office is gone."""
        ...

    def close(self) -> None: ...


class LibreOfficeHost:
    """A workbook that is open in LibreOffice."""

    def __init__(self, channel: Channel, book: str) -> None:
        self._channel = channel
        self._quiet = False
        self._book = book
        self._book = self._ask("attach")
        self._formulas: Formulas = {}
        """The formulas of the last reading."""

    @property
    def key(self) -> str:
        return self._book

    def read(self) -> Workbook:
        met: Formulas = {}
        found = reading.workbook(self._book, self._ask("read"), self._formulas, met)
        self._formulas = met
        return found

    def read_part(self, choose: Callable[[Workbook], Sequence[Range] | None]) -> Workbook:
        outline = self._ask("read", only=[])
        areas = choose(reading.workbook(self._book, outline))
        if areas is None:
            return self.read()
        part = self._ask("read", only=areas)
        if _outline(part) != _outline(outline):  # cells may have been moved meanwhile
            return self.read()
        return reading.workbook(self._book, part)

    def write(self, values: Mapping[Cell, Value]) -> None:
        refusals.refuse_unusable(values.items())
        if values:
            self._ask("write", blocks=_blocks(values), undo=not self._quiet)

    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        refusals.refuse_unusable(values.items())
        if values:
            self._ask("write", blocks=_blocks(values), undo=True, replace=True)

    def recalculate(self) -> None:
        self._ask("recalculate")

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        """Write, and tell what stood there at that moment.

        The agent does both in one turn of the office's main thread: nobody can type in between.
        """
        refusals.refuse_unusable(values.items())
        blocks = _blocks(values)
        told = self._ask("write", blocks=blocks, undo=not self._quiet, tell=True) if blocks else []
        return {
            Cell(sheet, row, column): value if value is not None else ExcelError.VALUE
            for (sheet, top, left, _), rows in zip(blocks, told, strict=True)
            for row, line in enumerate(rows, top)
            for column, value in enumerate(line, left)
            if value != ""
        }

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        return {
            Cell(area.sheet, row, column): value
            for area, block in zip(areas, self._areas(areas, formulas=False), strict=True)
            for (row, column), value in reading.values(block).items()
        }

    def read_formulas(self, areas: Sequence[Range]) -> dict[Cell, str]:
        found = {}
        for area, block in zip(areas, self._areas(areas, formulas=True), strict=True):
            for (top, left, _, _), rows in zip(block["formula_areas"], block["formulas"], strict=True):
                for row, line in enumerate(rows, top):
                    for column, text in enumerate(line, left):
                        found[Cell(area.sheet, row, column)] = f"={to_excel(text)}"
        return found

    def sheet_now(self, name: str) -> str | None:
        found: str | None = self._ask("sheet_now", name=name)
        return found

    def status(self, text: str) -> None:
        """Show a line in the status bar, and on top of the sheet while it is trained and when that has ended.

        LibreOffice writes texts of its own into the status bar, such as what a menu is for.
        """
        self._ask("status", text=one_line(text), training=self._quiet)

    def message(self, text: str, tone: Tone = Tone.INFO) -> None:
        self._ask("message", text=text, tone=tone.value)

    def selection(self) -> tuple[Range, ...]:
        return tuple(Range(*area) for area in self._ask("selection"))

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        self._ask("define_name", name=name, sheet=areas[0].sheet, content=name_content(areas))

    def put_sheet(self, sheet: ReportSheet) -> None:
        self._ask(
            "put_sheet",
            name=sheet.name,
            mark=refusals.MARK,
            rows=_filled(sheet.rows),
            bold=sheet.bold,
            heat=[area[1:] for area in sheet.heat],
            front=sheet.front,
            chart=asdict(sheet.chart) if sheet.chart is not None else None,
            formats=[(shown, [area[1:] for area in areas]) for shown, areas in sheet.formats],
        )

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        if rows:
            undo = not self._quiet
            self._ask("append", name=name, mark=refusals.MARK, undo=undo, first_row=first_row, rows=_filled(rows))

    def quiet(self, on: bool) -> None:
        self._quiet = on

    def close(self) -> None:
        with suppress(HostError):  # the book, or all of LibreOffice, is gone: nothing is left to be given back
            self.status("")
        self._quiet = False
        self._channel.close()

    def _areas(self, areas: Sequence[Range], *, formulas: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("read_areas", areas=areas, formulas=formulas) if areas else []
        return found

    def _ask(self, do: str, **arguments: Any) -> Any:
        reply = self._channel.ask({"do": do, "book": self._book, **arguments})
        if reply["ok"]:
            return reply.get("result")
        raise _error(self._book, reply)


def connect(book: str, where: str = "") -> LibreOfficeHost:
    """Connect to a workbook that is open in LibreOffice: on the pipe `where`, or wherever an office runs."""
    for pipes in _pipes(where):
        for agent in filter(None, map(_agent, pipes)):
            try:
                return LibreOfficeHost(agent, book)
            except HostError:
                agent.close()
    raise refusals.not_open(book, "LibreOffice")


def open_books(where: str = "") -> list[str]:
    """The keys of the workbooks that are open in LibreOffice; none if it does not run."""
    for pipes in _pipes(where):
        found: list[str] = []
        for agent in filter(None, map(_agent, pipes)):
            with suppress(HostError):
                found += agent.ask({"do": "books"}).get("result", ())
            agent.close()
        if found:
            return list(dict.fromkeys(found))
    return []


def leave() -> None:
    """Have the offices that were asked to listen stop listening: nobody else is to come in by that door."""
    while _invited:
        withdraw(_invited.pop())


def _pipes(where: str) -> Iterator[list[str]]:
    """The pipes on which offices listen; in the end, that of an office which is asked to listen, once."""
    yield [where] if where else listening()
    if not where and not any(pipe in _invited for pipe in listening()):
        with suppress(HostError):  # LibreOffice is not installed
            if (pipe := invite()) is not None:
                _invited.append(pipe)
                yield [pipe]


def _agent(pipe: str) -> AgentProcess | None:
    try:
        return AgentProcess(pipe, patience=_PATIENCE)
    except HostError:  # nobody listens there any more
        return None


def _error(book: str, reply: Mapping[str, Any]) -> HostError:
    """The agent's reason as an exception."""
    reason = reply["reason"]
    if reason in _REFUSALS:
        return _REFUSALS[reason](Cell(*reply["cell"]))
    if reason == "closed":
        return refusals.book_closed(book)
    if reason == "read only":
        return refusals.read_only(book)
    if reason == "not open":
        return refusals.not_open(book, "LibreOffice")
    if reason == "no sheet":
        return refusals.no_sheet(reply["sheet"])
    if reason == "report sheet":
        return refusals.report_sheet_taken(reply["sheet"])
    if reason == "moving":
        return refusals.cells_move("LibreOffice")
    return refusals.refused("LibreOffice", reply.get("text", reason))


def _outline(read: Mapping[str, Any]) -> tuple[object, ...]:
    """What is known of a workbook without its cells."""
    return [sheet["name"] for sheet in read["sheets"]], read["names"], read["tables"]


def _blocks(values: Mapping[Cell, Value]) -> list[list[Any]]:
    """Rectangles of values, as few as possible: sheet, top, left, rows."""
    sheets: dict[str, dict[Position, Value]] = defaultdict(dict)
    for cell, value in values.items():
        sheets[cell.sheet][cell.row, cell.column] = value
    return [
        [name, top, left, [[cells[row, column] for column in range(left, left + width)] for row in range(top, end)]]
        for name, cells in sheets.items()
        for top, left, height, width in rectangles(cells)
        for end in [top + height]
    ]


def _filled(rows: Sequence[Sequence[Value | None]]) -> list[list[Any]]:
    """Rows of one length, of what a cell can hold."""
    width = max(map(len, rows), default=0)
    return [[*map(_shown, row), *[None] * (width - len(row))] for row in rows]


def _shown(value: Value | None) -> Any:
    strange = isinstance(value, ExcelError) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if strange else value
