"""What every live host must do, as tests: `LiveHostContract` runs against each program in `test_hosts.PROGRAMS`.

A program opens workbook files, as a person would, and hands out an `OpenBook`: the host that is to be tested, and
what a person could do to the book or see of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.errors import BookClosedError, HostError
from sgdsheet.hosts.base import LineChart, LiveHost, ReportSheet
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests import oracle
from tests.errors import refusal
from tests.memory_host import MemoryHost

SHEET, OTHER, LOCKED, LOG = "model", "my data", "locked", "SGD log"
PARAMETERS = [Cell(SHEET, 1, 6), Cell(SHEET, 2, 6)]
LOSS = Cell(SHEET, 3, 6)


class OpenBook(Protocol):
    """A workbook that is open in a program."""

    host: LiveHost

    def select(self, areas: Sequence[Range]) -> None:
        """Select cells, as a person would."""
        ...

    def shut(self) -> None:
        """Close the workbook, as a person would."""
        ...

    def rename(self, sheet: str, name: str) -> None:
        """Give a sheet another name, as a person would."""
        ...

    def status_bar(self) -> str | bytes:
        """What the status bar shows: its text, or a picture of it where the program does not tell."""
        ...

    def heat(self, sheet: str) -> list[str]:
        """The areas of a sheet that are coloured by their values."""
        ...

    def chart_rows(self, sheet: str) -> tuple[int, int]:
        """The first and the last row that the chart on a sheet shows, its header included."""
        ...


class Program(Protocol):
    """A spreadsheet program."""

    def open(self, path: Path) -> OpenBook: ...

    def stop(self) -> None: ...


# --- the workbook -----------------------------------------------------------------------------------------


def build(path: Path) -> Path:
    """A small model with everything a host must know about. Its parameters are F1 and F2, its loss is F3."""
    book = xlsxwriter.Workbook(path)
    model, data, locked = (book.add_worksheet(name) for name in (SHEET, OTHER, LOCKED))
    for row in range(4):
        model.write_row(row, 0, [row + 1, 2 * row + 3])
        predicted, target = 0.5 * (row + 1) + 0.25, 2 * row + 3
        model.write_formula(row, 2, f"=A{row + 1}*$F$1+$F$2", value=predicted)
        model.write_formula(row, 3, f"=(C{row + 1}-B{row + 1})^2", value=(predicted - target) ** 2)
    model.write_column(0, 5, [0.5, 0.25])
    loss = sum((0.5 * (row + 1) + 0.25 - (2 * row + 3)) ** 2 for row in range(4)) / 4
    model.write_formula("F3", "=AVERAGE(D1:D4)", value=loss)
    model.write_formula("F4", "=F3>1", value=True)
    model.write_boolean("F5", True)
    model.write_string("F6", "a “text”")
    model.write_formula("F7", "=1/0", value="#DIV/0!")
    model.write_formula("F8", '=""', value="")
    model.write_formula("F9", f"=SUM('{OTHER}'!A1:B2,IF(F4,F1,0))", value=10.5)
    model.write_string("F10", "12")
    model.write_array_formula("H1:H4", "{=A1:A4*{1;2;3;4}}", value=1)
    for row in range(1, 4):
        model.write_number(row, 7, (row + 1) ** 2)
    model.merge_range("J1:K2", 3)
    data.write_row("A1", [1, 2])
    data.write_row("A2", [3, 4])
    locked.write_number("A1", 1)
    locked.protect()
    book.define_name(f"{SHEET}!sgd_params", f"={SHEET}!$F$1:$F$2")
    book.define_name("everything", f"='{OTHER}'!$A$1:$B$2")
    book.close()
    return path


def recalculate(workbook: Workbook) -> None:
    """Calculate the contract's workbook with IronCalc."""
    for sheet in workbook.sheets.values():
        areas = [f"{Range(sheet.name, row, column, row, column)}" for row, column in sheet.formulas]
        for cell, value in oracle.calculated(workbook, *areas).items():
            if value is not None:
                sheet.values[cell.row, cell.column] = value


# --- the program in memory --------------------------------------------------------------------------------


@dataclass
class MemoryBook:
    """A book in memory."""

    host: MemoryHost

    def select(self, areas: Sequence[Range]) -> None:
        self.host.selected = tuple(areas)

    def shut(self) -> None:
        self.host.closed = True

    def rename(self, sheet: str, name: str) -> None:
        sheets = self.host.workbook.sheets
        found = sheets.pop(sheet)
        found.name = name
        sheets[name] = found

    def status_bar(self) -> str:
        return self.host.status_bar

    def heat(self, sheet: str) -> list[str]:
        return [area.a1 for area in self.host.report_sheets[sheet].heat]

    def chart_rows(self, sheet: str) -> tuple[int, int]:
        own = self.host.report_sheets[sheet]
        assert own.chart is not None
        return own.chart.header or max(own.bold, default=1), own.chart.last or len(own.rows)


class MemoryProgram:
    """No program at all."""

    def open(self, path: Path) -> MemoryBook:
        workbook = load(path)
        recalculate(workbook)
        return MemoryBook(MemoryHost(workbook, recalculate, key=str(path)))

    def stop(self) -> None:
        pass


# --- the contract -----------------------------------------------------------------------------------------


def one(host: LiveHost, cell: Cell) -> Value | None:
    return host.read_values([Range.of_cell(cell)]).get(cell)


def expected_loss(slope: float, intercept: float) -> float:
    return sum((slope * (row + 1) + intercept - (2 * row + 3)) ** 2 for row in range(4)) / 4


class LiveHostContract:
    """The tests. The class that inherits them has a fixture `book` (an OpenBook) and `path`, the file it shows."""

    def test_it_has_a_key(self, book: OpenBook, path: Path) -> None:
        assert Path(book.host.key).samefile(path)

    def test_reads_what_is_in_the_file(self, book: OpenBook, path: Path) -> None:
        same_workbook(book.host.read(), FileHost(path).read())

    def test_a_part_has_the_chosen_cells_and_all_names(self, book: OpenBook) -> None:
        whole = book.host.read()
        for chosen in ([Range(SHEET, 1, 6, 8, 6), Range(OTHER, 1, 1, 2, 2)], []):

            def choose(outline: Workbook, areas: list[Range] = chosen) -> list[Range]:
                assert list(outline.sheets) == list(whole.sheets)
                assert (outline.names, outline.tables) == (whole.names, whole.tables)
                return areas

            part = book.host.read_part(choose)
            assert list(part.sheets) == list(whole.sheets)
            assert part.names == whole.names
            for there in chosen:
                wanted, found = whole.sheets[there.sheet], part.sheets[there.sheet]
                for place in there.positions():
                    assert found.values.get(place) == wanted.values.get(place)
                    assert (place in found.formulas) == (place in wanted.formulas)
        assert book.host.read_part(lambda _: None).sheets == whole.sheets

    def test_writes_in_bulk_and_reads_recalculated_values(self, book: OpenBook) -> None:
        assert one(book.host, LOSS) == pytest.approx(expected_loss(0.5, 0.25), rel=1e-12)
        for slope, intercept in [(1.5, 1.0), (2.0, 1.0), (-1.25, 1 / 3)]:
            book.host.write({PARAMETERS[0]: slope, PARAMETERS[1]: intercept})
            assert one(book.host, LOSS) == pytest.approx(expected_loss(slope, intercept), rel=1e-12, abs=1e-12)
            assert one(book.host, PARAMETERS[1]) == intercept  # bit for bit

    def test_writes_scattered_cells_of_several_sheets(self, book: OpenBook) -> None:
        values: dict[Cell, Value] = {
            Cell(OTHER, 1, 1): 10.0,
            Cell(OTHER, 2, 2): 20.5,
            Cell(OTHER, 6, 9): "=not a formula",
            Cell(OTHER, 7, 9): "12",
            Cell(OTHER, 8, 9): False,
            Cell(SHEET, 6, 6): 0.5,
            Cell(SHEET, 5, 6): 0.25,  # where TRUE stood
            Cell(SHEET, 1, 10): 4.0,  # the first of merged cells
        }
        before = book.host.read_values([Range(OTHER, 1, 1, 9, 9)])
        book.host.write(values)
        after = book.host.read_values([Range(OTHER, 1, 1, 9, 9), Range(SHEET, 1, 5, 6, 11)])
        assert {cell: after[cell] for cell in values} == values
        assert {type(after[cell]) for cell in values} == {float, str, bool}
        assert {cell: after.get(cell) for cell in before if cell not in values} == {
            cell: value for cell, value in before.items() if cell not in values
        }

    def test_exchange_tells_what_stood_there(self, book: OpenBook) -> None:
        empty, text, other = Cell(SHEET, 12, 6), Cell(SHEET, 10, 6), Cell(OTHER, 2, 2)
        person: dict[Cell, Value] = {PARAMETERS[0]: 7.0, text: "abc", Cell(SHEET, 5, 6): False}
        book.host.write(person)
        new = dict.fromkeys([*PARAMETERS, *person, empty, other], 1.5)
        assert book.host.exchange(new) == {**person, PARAMETERS[1]: 0.25, other: 4.0}
        assert book.host.exchange(dict.fromkeys(new, 2.5)) == new
        assert one(book.host, LOSS) == pytest.approx(expected_loss(2.5, 2.5), rel=1e-12)
        assert book.host.exchange({}) == {}

    def test_exchange_refuses_as_write_does(self, book: OpenBook) -> None:
        before = book.host.read()
        for cell, cause in ((Cell(SHEET, 2, 3), "formula"), (Cell(LOCKED, 1, 1), "protected")):
            with refusal(HostError, cell=cell, cause=cause):
                book.host.exchange({PARAMETERS[0]: 9.0, cell: 9.0})
        with refusal(HostError, cell="model!F2"):
            book.host.exchange({PARAMETERS[0]: 9.0, PARAMETERS[1]: float("nan")})
        same_workbook(book.host.read(), before)

    def test_the_empty_text_empties_a_cell(self, book: OpenBook) -> None:
        book.host.write({PARAMETERS[0]: "", PARAMETERS[1]: 2.0})
        assert one(book.host, PARAMETERS[0]) is None
        assert one(book.host, LOSS) == pytest.approx(expected_loss(0.0, 2.0), rel=1e-12)  # an empty text is no number
        assert (1, 6) not in book.host.read().sheets[SHEET].values

    def test_a_renamed_sheet_is_known_again(self, book: OpenBook) -> None:
        assert book.host.sheet_now(OTHER) is None  # never used
        assert one(book.host, PARAMETERS[0]) == 0.5
        assert book.host.sheet_now(SHEET) == SHEET
        book.rename(SHEET, "a new name")
        with refusal(BookClosedError, cause=SHEET):
            one(book.host, PARAMETERS[0])
        assert book.host.sheet_now(SHEET) == "a new name"
        assert one(book.host, Cell("a new name", 1, 6)) == 0.5

    def test_values_of_areas_have_their_types(self, book: OpenBook) -> None:
        found = book.host.read_values([Range(SHEET, 4, 6, 12, 7), Range(OTHER, 2, 1, 2, 1)])
        assert found == {
            Cell(SHEET, 4, 6): True,
            Cell(SHEET, 5, 6): True,
            Cell(SHEET, 6, 6): "a “text”",
            Cell(SHEET, 7, 6): ExcelError.DIV0,
            Cell(SHEET, 8, 6): "",
            Cell(SHEET, 9, 6): 10.5,
            Cell(SHEET, 10, 6): "12",
            Cell(OTHER, 2, 1): 3.0,
        }
        assert isinstance(found[Cell(SHEET, 4, 6)], bool)

    def test_formulas_tell_a_change(self, book: OpenBook) -> None:
        area = Range(SHEET, 1, 1, 4, 8)
        before = book.host.read_formulas([area])
        assert set(before) >= {Cell(SHEET, row, column) for row in range(1, 5) for column in (3, 4)} | {LOSS}
        assert not set(before) & {*PARAMETERS, Cell(SHEET, 1, 1)}
        book.host.write(dict.fromkeys(PARAMETERS, 7.0))
        assert book.host.read_formulas([area]) == before

    @pytest.mark.parametrize(
        ("cell", "cause"),
        [
            (Cell(SHEET, 2, 3), "formula"),
            (Cell(SHEET, 3, 8), "array formula"),
            (Cell(SHEET, 1, 8), "array formula"),
            (Cell(SHEET, 2, 11), "merged"),
            (Cell(LOCKED, 1, 1), "protected"),
        ],
        ids=str,
    )
    def test_refuses_before_anything_changes(self, book: OpenBook, cell: Cell, cause: str) -> None:
        before = book.host.read()
        with refusal(HostError, cell=cell, cause=cause) as refused:
            book.host.write({PARAMETERS[0]: 9.0, cell: 9.0, PARAMETERS[1]: 9.0})
        assert refused.value.cell == str(cell)
        same_workbook(book.host.read(), before)

    def test_numbers_take_the_place_of_formulas(self, book: OpenBook) -> None:
        cells = {Cell(SHEET, 2, 3): 1.25, Cell(SHEET, 3, 3): 7.0, PARAMETERS[0]: 9.0}
        before = book.host.read()
        with refusal(HostError, cell=Cell(SHEET, 3, 8), cause="array formula"):
            book.host.replace_formulas({**cells, Cell(SHEET, 3, 8): 1.0})
        same_workbook(book.host.read(), before)
        book.host.replace_formulas(cells)
        after = book.host.read().sheets[SHEET]
        assert {cell: after.values[cell[1:]] for cell in cells} == cells
        assert set(before.sheets[SHEET].formulas) - set(after.formulas) == {(2, 3), (3, 3)}
        assert after.values[2, 4] == pytest.approx((1.25 - 5) ** 2)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), ExcelError.NA], ids=str)
    def test_refuses_what_is_no_value(self, book: OpenBook, value: Value) -> None:
        before = book.host.read_values([Range(SHEET, 1, 6, 2, 6)])
        with refusal(HostError, cell="model!F2"):
            book.host.write({PARAMETERS[0]: 9.0, PARAMETERS[1]: value})
        assert book.host.read_values([Range(SHEET, 1, 6, 2, 6)]) == before

    def test_a_sheet_that_is_gone(self, book: OpenBook) -> None:
        for attempt in attempts(book.host, "not there"):
            with refusal(BookClosedError, cause="not there"):
                attempt()

    def test_the_status_bar_is_given_back(self, book: OpenBook) -> None:
        before, texts = book.status_bar(), ["step 1, loss 0.5", "step 2, loss 0.25", "step 1, loss 0.5"]
        seen = []
        for text in texts:
            book.host.status(text)
            seen.append(book.status_bar())
        if isinstance(before, str):
            assert seen == texts
        assert seen[0] == seen[2]  # a picture shows that much: the same text each time, another one in between
        assert len({before, *seen}) == 3
        book.host.status("")
        assert book.status_bar() == before
        book.host.status("step 3")
        assert book.status_bar() != before
        book.host.close()
        assert book.status_bar() == before

    def test_a_message_does_not_wait(self, book: OpenBook) -> None:
        book.host.message("The loss has become infinite. Use a lower learning rate")
        book.host.message("another")
        assert one(book.host, PARAMETERS[0]) == 0.5

    def test_selection(self, book: OpenBook) -> None:
        for areas in (
            [parse_range("B2", OTHER)],
            [parse_range("F1:F2", SHEET)],
            [parse_range("F1:F2", SHEET), parse_range("A1:B4", SHEET)],
        ):
            book.select(areas)
            assert sorted(book.host.selection()) == sorted(areas)

    def test_names_are_defined_anew(self, book: OpenBook) -> None:
        areas = [parse_range("F1", SHEET), parse_range("A1:B2", SHEET)]
        book.host.define_name("sgd_params", areas)
        book.host.define_name("sgd_loss", [Range.of_cell(LOSS)])
        book.host.define_name("sgd_data", [Range(OTHER, 1, 1, 2, 2)])
        found = {(name.name, name.sheet): name.text.replace("$", "") for name in book.host.read().names}
        assert found["sgd_params", SHEET] == f"{SHEET}!F1,{SHEET}!A1:B2"
        assert found["sgd_loss", SHEET] == f"{SHEET}!F3"
        assert found["sgd_data", OTHER] == f"'{OTHER}'!A1:B2"
        assert len([name for name in found if name[0] == "sgd_params"]) == 1

    def test_own_sheets(self, book: OpenBook) -> None:
        before = book.host.read()
        sheet = ReportSheet(LOG, [["step", "loss", None], [1.0, 0.5, "note"], [2.0, 0.25, True]], bold=(1,))
        book.host.put_sheet(sheet)
        book.host.put_sheet(replace(sheet, rows=[["step", "loss"], [1, 2.5]]))
        found = book.host.read()
        assert list(found.sheets) == [*before.sheets, LOG]
        assert found.sheets[LOG].values == {(1, 1): "step", (1, 2): "loss", (2, 1): 1.0, (2, 2): 2.5}
        assert found.active == before.active
        del found.sheets[LOG]
        found.names = [name for name in found.names if name.sheet != LOG]
        same_workbook(found, before)

    def test_a_persons_own_sheet_is_left_alone(self, book: OpenBook) -> None:
        before = book.host.read()
        with refusal(HostError, cause=OTHER):
            book.host.put_sheet(ReportSheet(OTHER, [[1.0]]))
        with refusal(HostError, cause=OTHER):
            book.host.append(OTHER, 3, [[1.0]])
        same_workbook(book.host.read(), before)

    def test_a_chart_grows(self, book: OpenBook) -> None:
        rows = [["Training", None], ["step", "loss"], [0.0, 2.0], [1.0, 1.0]]
        chart = LineChart("Loss", x=0, ys=(1,))
        book.host.put_sheet(ReportSheet(LOG, rows, bold=(1, 2), chart=chart))
        assert book.chart_rows(LOG) == (2, 4)
        book.host.append(LOG, 5, [[2.0, 0.5], [3.0, 0.25]])
        assert book.chart_rows(LOG) == (2, 6)
        assert book.host.read_values([Range(LOG, 4, 1, 6, 2)]) == {
            Cell(LOG, row, column): value
            for row, line in enumerate([[1.0, 1.0], [2.0, 0.5], [3.0, 0.25]], 4)
            for column, value in enumerate(line, 1)
        }
        book.host.put_sheet(ReportSheet(LOG, rows[1:], bold=(1,), chart=chart))  # anew, with one chart
        assert book.chart_rows(LOG) == (1, 3)

    def test_a_report_with_points_and_formats(self, book: OpenBook) -> None:
        """A chart of some of the rows, and formats of numbers, which leave the numbers themselves alone."""
        rows = [["Report", None], ["Fitted", "Residual"], [1.5, -0.00012345], [2.5, 0.00023456], ["Total", 1234567.8]]
        formats = (
            ("#,##0.0000000", (Range(LOG, 3, 2, 4, 2),)),
            ('[<0.0001]"< 0.0001";0.0000', (Range(LOG, 5, 2, 5, 2),)),
        )
        chart = LineChart("Residual by fitted value", 0, (1,), points=True, header=2, last=4)
        book.host.put_sheet(ReportSheet(LOG, rows, bold=(1, 2), chart=chart, formats=formats))
        assert book.chart_rows(LOG) == (2, 4)
        assert book.host.read_values([Range(LOG, 3, 2, 5, 2)]) == {
            Cell(LOG, row, 2): float(str(rows[row - 1][1])) for row in (3, 4, 5)
        }

    def test_heat_maps(self, book: OpenBook) -> None:
        for values in ([[-1.0, 0.0], [2.0, 4.0]], [[3.0, 4.0], [1.0, -4.0]]):
            book.host.put_sheet(ReportSheet("SGD gradients", [["a", "b"], *values], heat=(Range("", 2, 1, 3, 2),)))
            area = Range("SGD gradients", 2, 1, 3, 2)
            assert book.heat("SGD gradients") == ["A2:B3"]
            assert list(book.host.read_values([area]).values()) == [*values[0], *values[1]]

    def test_quiet_can_be_left(self, book: OpenBook) -> None:
        book.host.quiet(True)
        book.host.write({PARAMETERS[0]: 2.0, PARAMETERS[1]: 1.0})
        book.host.quiet(False)
        assert one(book.host, LOSS) == pytest.approx(0.0, abs=1e-12)
        book.host.write({PARAMETERS[1]: 2.0})
        assert one(book.host, LOSS) == pytest.approx(1.0, rel=1e-12)

    def test_a_closed_book(self, book: OpenBook) -> None:
        book.host.status("step 1")
        book.shut()
        for attempt in attempts(book.host, SHEET):
            with pytest.raises(BookClosedError):
                attempt()
        book.host.close()


def attempts(host: LiveHost, sheet: str) -> Iterator[Callable[[], object]]:
    """Everything that needs a sheet."""
    cell = Cell(sheet, 1, 6)
    area = Range.of_cell(cell)
    yield lambda: host.write({cell: 1.0})
    yield lambda: host.exchange({cell: 1.0})
    yield lambda: host.read_values([area])
    yield lambda: host.read_formulas([area])
    yield lambda: host.define_name("sgd_loss", [area])
    yield lambda: host.append(sheet, 1, [[1.0]])


def same_workbook(found: Workbook, expected: Workbook) -> None:
    """Values, formulas as trees, names, and what is merged or protected."""
    assert list(found.sheets) == list(expected.sheets)
    assert found.active == expected.active
    for name, sheet in expected.sheets.items():
        other = found.sheets[name]
        values = {position: value for position, value in sheet.values.items() if value != ""}  # not in every file
        assert {position for position, value in other.values.items() if value != ""} == set(values)
        for position, value in values.items():
            assert type(other.values[position]) is type(value), (name, position)
            close = pytest.approx(value, rel=1e-14, abs=1e-14) if type(value) is float else value
            assert other.values[position] == close, (name, position)
        assert set(other.formulas) == set(sheet.formulas)
        for position, formula in sheet.formulas.items():
            own = other.formulas[position]
            assert parse(own.text, own.row, own.column) == parse(formula.text, formula.row, formula.column), own
            assert own.array == formula.array
        assert sorted(other.merged) == sorted(sheet.merged)
        assert other.protected == sheet.protected
    assert names(found) == names(expected)
    assert found.tables == expected.tables


def names(workbook: Workbook) -> set[tuple[str, str | None, str]]:
    """The defined names that every program keeps."""
    return {(name.name, name.sheet, name.text) for name in workbook.names if not name.name.startswith("_xlnm.")}
