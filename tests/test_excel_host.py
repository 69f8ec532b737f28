"""The Excel host over the xlwings engine for LibreOffice, beyond the contract of all hosts.

What is shown here is that our code does the right thing if Excel behaves as its documentation says; that it does so
can be seen in Excel only.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]
import xlwings as xw

import sgdsheet
from sgdsheet.errors import BookClosedError, HostBusyError, HostError
from sgdsheet.hosts import excel
from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.hosts.excel import busy
from sgdsheet.hosts.excel import excel_host as host_module
from sgdsheet.hosts.excel.com import ComNative
from sgdsheet.hosts.excel.mac import MacNative
from sgdsheet.hosts.file import load
from sgdsheet.hosts.live_hosts import connect
from sgdsheet.sheet.formula import relative_key
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Formula, Table
from tests import office
from tests.errors import refusal
from tests.live_books import until
from tests.small_titanic import some_of_the_titanic
from tests.xlwings_com import APPLICATION_DEFINED, EDITING, EXCEPTION, REJECTED, REQUIRED, UNAVAILABLE, ComError, Scales
from tests.xlwings_program import ExcelBook, ExcelOverLibreOffice

SHEET = "model"
A1, B1 = Cell(SHEET, 1, 1), Cell(SHEET, 1, 2)

needs_office = pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")


@pytest.fixture(scope="module")
def program() -> Iterator[ExcelOverLibreOffice]:
    if not office.available():
        pytest.skip("LibreOffice is not installed")
    running = ExcelOverLibreOffice()
    yield running
    running.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sheet with two numbers, formulas, arrays and a table."""
    place = tmp_path / "small book.xlsx"
    with xlsxwriter.Workbook(place) as file:
        sheet = file.add_worksheet(SHEET)
        sheet.write_row("A1", [1, 2])
        sheet.write_formula("C1", "=A1+B1", value=3)
        sheet.write_array_formula("E1:E3", "{=A1*{1;2;3}}", value=1)
        sheet.write_array_formula("G1:G3", "{=B1*{1;2;3}}", value=2)
        sheet.write_datetime("A3", datetime(2024, 2, 29, 12), file.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write_number("B3", 12.5, file.add_format({"num_format": "$0.00"}))
        for row, error in enumerate(("#N/A", "#DIV/0!", "#VALUE!", "#NUM!"), 10):
            sheet.write_formula(row, 0, {"#N/A": "=NA()", "#DIV/0!": "=1/0"}.get(error, "=SQRT(-1)"), value=error)
        sheet.add_table("I1:J4", {"name": "people", "columns": [{"header": "age"}, {"header": "fare"}]})
        sheet.write_row("I2", [30, 7.5])
    return place


@pytest.fixture
def book(program: ExcelOverLibreOffice, path: Path) -> Iterator[ExcelBook]:
    opened = program.open(path)
    yield opened
    program.engine.office.busy = 0
    program.engine.dynamic.clear()
    opened.host.close()
    program.office.agent.ask({"do": "close", "book": opened.host.key})


# --- what is read -----------------------------------------------------------------------------------------


def test_reads_the_titanic_workbook_as_the_file_is_read(program: ExcelOverLibreOffice, tmp_path: Path) -> None:
    place = some_of_the_titanic(tmp_path / "titanic.xlsx")
    opened = program.open(place)
    found, expected = opened.host.read(), load(place)
    assert found.folder == tmp_path
    assert (found.name, found.active, list(found.sheets)) == (expected.name, expected.active, list(expected.sheets))
    assert sorted(found.names, key=repr) == sorted(expected.names, key=repr)
    for name, sheet in expected.sheets.items():
        live = found.sheets[name]
        kept = {position: value for position, value in sheet.values.items() if value != ""}  # lost by LibreOffice
        assert live.merged == sheet.merged
        assert set(live.values) == set(kept)
        for position, value in kept.items():
            assert live.values[position] == (pytest.approx(value, rel=1e-12) if type(value) is float else value)
        assert set(live.formulas) == set(sheet.formulas)
        for at, formula in sheet.formulas.items():  # the file's stands for a whole block of copies
            assert relative_key(live.formulas[at].text, *at) == relative_key(formula.text, formula.row, formula.column)


def test_the_loss_of_the_titanic_network_is_excels(program: ExcelOverLibreOffice, tmp_path: Path) -> None:
    place = some_of_the_titanic(tmp_path / "titanic.xlsx")
    host = connect("excel", program.open(place).host.key, str(program.engine.pid))
    model = sgdsheet.compile(host.read(), sheet="nnet")
    cell = Cell("nnet", 6, 15)
    for shift in (0.0, 0.125):
        area = parse_range("E6:J7", "nnet")
        values = host.read_values([area])
        moved = {place: float(value) + shift for place, value in values.items() if isinstance(value, float)}
        assert len(moved) == 12
        host.write(moved)
        again = sgdsheet.compile(host.read(), sheet="nnet") if shift else model
        assert host.read_values([Range.of_cell(cell)])[cell] == pytest.approx(again().item(), rel=1e-9)


def test_dates_and_money_are_numbers(book: ExcelBook) -> None:
    area = parse_range("A3:B3", SHEET)
    assert book.host.read_values([area]) == {Cell(SHEET, 3, 1): 45351.5, Cell(SHEET, 3, 2): 12.5}


def test_tables(book: ExcelBook) -> None:
    assert book.host.read().tables == {"people": Table("people", parse_range("I1:J4", SHEET), ("age", "fare"))}


def test_dynamic_arrays_and_others(book: ExcelBook) -> None:
    book.engine.dynamic.add(f"{SHEET}!G1")
    formulas = book.host.read().sheets[SHEET].formulas
    assert formulas[1, 5] == Formula("A1*{1;2;3}", 1, 5, (1, 5, 3, 5), dynamic=False)
    assert formulas[1, 7] == Formula("B1*{1;2;3}", 1, 7, (1, 7, 3, 7), dynamic=True)
    assert not {(2, 5), (3, 5), (2, 7), (3, 7)} & set(formulas)


@pytest.mark.parametrize("row", [1, 2, 3])
def test_cells_of_a_spill_are_refused(book: ExcelBook, row: int) -> None:
    book.engine.dynamic.add(f"{SHEET}!G1")
    with refusal(HostError, cell=f"{SHEET}!G{row}", cause="array formula"):
        book.host.write({A1: 5.0, Cell(SHEET, row, 7): 1.0})
    assert book.host.read_values([Range.of_cell(A1)]) == {A1: 1.0}


def test_whole_columns_are_cut_to_what_is_used(book: ExcelBook) -> None:
    before = book.engine.office.calls
    found = book.host.read_values([parse_range("A:B", SHEET)])
    assert found[B1] == 2.0
    assert book.host.read_formulas([parse_range("C:C", SHEET)]) == {Cell(SHEET, 1, 3): "=A1+B1"}
    assert book.engine.office.calls - before < 40


def test_a_text_that_looks_like_a_formula_is_none(book: ExcelBook) -> None:
    cell = Cell(SHEET, 20, 1)
    book.host.write({cell: "=A1+1"})
    assert book.host.read_formulas([Range.of_cell(cell)]) == {}
    assert book.host.read().sheets[SHEET].values[20, 1] == "=A1+1"
    book.host.write({cell: 4.0})
    assert book.host.read_values([Range.of_cell(cell)]) == {cell: 4.0}


# --- settings of Excel ------------------------------------------------------------------------------------


def settings(book: ExcelBook) -> dict[str, Any]:
    app = xw.apps[book.engine.pid]
    return {name: getattr(app, name) for name in ("calculation", "enable_events", "screen_updating", "status_bar")}


def test_settings_are_as_before(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings(book)
    book.host.quiet(True)
    book.host.quiet(True)
    assert settings(book) == before  # a trainer that is killed leaves no Excel without events
    during = []

    def put_and_look(*arguments: Any) -> None:
        during.append(settings(book))
        put(*arguments)

    put = host_module.put_values
    monkeypatch.setattr(host_module, "put_values", put_and_look)
    book.host.write({A1: 5.0, Cell(SHEET, 30, 2): 6.0})
    off = {"calculation": "manual", "enable_events": False, "screen_updating": False}
    assert during == [{**before, **off}] * 2
    assert settings(book) == before
    book.host.status("step 1")
    with pytest.raises(HostError):
        book.host.write({A1: 6.0, Cell(SHEET, 1, 3): 6.0})
    book.host.close()
    assert settings(book) == before


def test_a_status_bar_of_a_persons_own_comes_back(book: ExcelBook) -> None:
    app = xw.apps[book.engine.pid]
    app.status_bar = "my macro"
    book.host.status("step 1, loss 0.5")
    book.host.status("step 2, loss 0.4")
    assert app.status_bar == "step 2, loss 0.4"
    book.host.status("")
    assert app.status_bar == "my macro"
    app.status_bar = False


@pytest.mark.parametrize("text", ["step 1,234, loss 0.5, 912 steps/s", "paused at step 7, loss 2", "loss 2 → 1 in 3 s"])
def test_what_a_killed_trainer_left_in_the_status_bar_goes(book: ExcelBook, text: str) -> None:
    app = xw.apps[book.engine.pid]
    app.status_bar = text
    book.host.status("step 2, loss 0.4")
    book.host.close()
    assert app.status_bar is False


def test_manual_calculation_is_kept_and_results_are_fresh(book: ExcelBook) -> None:
    app = xw.apps[book.engine.pid]
    app.calculation = "manual"
    book.host.write({A1: 10.0, Cell(SHEET, 30, 2): 6.0})
    assert book.host.read_values([parse_range("C1", SHEET)]) == {Cell(SHEET, 1, 3): 12.0}
    assert app.calculation == "manual"
    app.calculation = "automatic"


def test_what_could_not_be_restored_is_restored_later(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    put = host_module.put_values
    office_side = book.engine.office

    def and_then_busy(*arguments: Any) -> None:
        put(*arguments)
        if arguments[1].first == Cell(SHEET, 30, 2):
            office_side.busy = 10_000  # from now on a cell is edited

    monkeypatch.setattr(host_module, "put_values", and_then_busy)
    book.host.patience = 0.1
    book.host.write({A1: 10.0, Cell(SHEET, 30, 2): 6.0})
    office_side.busy = 0
    assert settings(book)["calculation"] == "manual"
    book.host.status("")
    monkeypatch.undo()
    book.host.write({A1: 11.0})
    assert settings(book)["calculation"] == "automatic"
    assert settings(book)["screen_updating"] is True


# --- a busy Excel, and one that is gone -------------------------------------------------------------------


@pytest.mark.parametrize("code", [EDITING, REJECTED])
def test_waits_while_a_cell_is_edited(book: ExcelBook, code: int) -> None:
    book.engine.office.busy_code = code
    for rejected in (1, 2, 5, 9):
        book.engine.office.busy = rejected
        book.host.write({A1: float(rejected), B1: 0.0})
        assert book.engine.office.busy == 0
        assert book.host.read_values([parse_range("C1", SHEET)]) == {Cell(SHEET, 1, 3): float(rejected)}


def test_what_is_typed_during_an_exchange_is_told(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person begins to type after the cells were read: Excel rejects the write, until Enter is pressed."""
    put, rejected = host_module.put_values, 0

    def typing(sheet: Any, area: Range, values: Any) -> None:
        nonlocal rejected
        rejected += 1
        if rejected < 3:
            sheet.range("A1").raw_value = 7.0
            raise ComError(EDITING)
        put(sheet, area, values)

    monkeypatch.setattr(host_module, "put_values", typing)
    assert book.host.exchange({A1: 5.0, B1: 6.0}) == {A1: 7.0, B1: 2.0}
    assert rejected == 3
    assert book.host.read_values([parse_range("A1:B1", SHEET)]) == {A1: 5.0, B1: 6.0}


def test_does_not_wait_for_ever(book: ExcelBook) -> None:
    book.host.patience = 0.4
    book.engine.office.busy = 10_000
    for attempt in (
        lambda: book.host.write({A1: 9.0}),
        lambda: book.host.read(),
        lambda: book.host.read_values([Range.of_cell(A1)]),
        lambda: book.host.status("step 1"),
        lambda: book.host.put_sheet(ReportSheet("SGD log", [[1.0]])),
    ):
        start = time.monotonic()
        with refusal(HostBusyError, cause="Excel is busy", remedy="Press Enter or Esc"):
            attempt()
        assert time.monotonic() - start < busy.PATIENCE  # and not for as long as usual
    book.engine.office.busy = 0
    assert book.host.read_values([Range.of_cell(A1)]) == {A1: 1.0}
    assert list(book.host.read().sheets) == [SHEET]


def test_pauses_between_two_tries(book: ExcelBook) -> None:
    book.host.patience = 0.5
    office_side = book.engine.office
    office_side.busy, before = 10_000, office_side.calls
    with pytest.raises(HostBusyError):
        book.host.write({A1: 9.0})
    assert office_side.calls - before < 15


def test_refused_while_a_cell_is_edited_is_busy(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    app = type(book.host._app.api)
    book.host.patience = 0.2
    monkeypatch.setattr(app, "Ready", False)

    def refused() -> None:
        raise ComError(EXCEPTION, "application-defined", APPLICATION_DEFINED)

    with pytest.raises(HostBusyError):
        book.host._call(refused)
    monkeypatch.setattr(app, "Ready", True)
    with refusal(HostError, cause="Excel refuses: application-defined$", remedy="^Check") as caught:
        book.host._call(refused)
    assert type(caught.value) is HostError


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ComError(EDITING), busy.Trouble.BUSY),
        (ComError(EXCEPTION, "", EDITING), busy.Trouble.BUSY),
        (type("ExcelBusyError", (Exception,), {})(), busy.Trouble.BUSY),
        (AttributeError("Property 'Range.Value' can not be set."), busy.Trouble.BUSY),
        (AttributeError("'NoneType' object has no attribute 'Range'"), busy.Trouble.BUSY),
        (AttributeError("'Range' object has no attribute 'Colour'"), None),
        (ComError(UNAVAILABLE), busy.Trouble.GONE),
        (ComError(EXCEPTION, "", REQUIRED), busy.Trouble.GONE),
        (type("CommandError", (Exception,), {"errornumber": -609})(), busy.Trouble.GONE),
        (type("CommandError", (Exception,), {"errornumber": -1712})(), busy.Trouble.BUSY),
        (type("CommandError", (Exception,), {"errornumber": -1743})(), busy.Trouble.FORBIDDEN),
        (type("CommandError", (Exception,), {"errornumber": -50})(), busy.Trouble.REFUSED),
        (xw.XlwingsError("not on macOS"), busy.Trouble.REFUSED),
        (TypeError("a mistake"), None),
    ],
    ids=repr,
)
def test_errors_are_told_apart(error: Exception, trouble: busy.Trouble | None) -> None:
    assert busy.trouble_of(error) is trouble


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        busy.Patience()(lambda: 1 / 0)


def test_xlwings_is_restrained(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("xlwings._xlwindows")
    vars(module).update(N_COM_ATTEMPTS=0, cleanup=lambda: None)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    busy.restrain_xlwings()
    assert vars(module)["N_COM_ATTEMPTS"] == 1


@needs_office
def test_a_killed_office(path: Path) -> None:
    running = ExcelOverLibreOffice()
    try:
        opened = running.open(path)
        opened.host.quiet(True)
        opened.host.status("step 1")
        running.office.kill()
        start = time.monotonic()
        for attempt in (opened.host.read, lambda: opened.host.write({A1: 1.0}), lambda: opened.host.status("x")):
            with refusal(BookClosedError, remedy=r"Open it again"):
                attempt()
        opened.host.close()
        assert time.monotonic() - start < 30
    finally:
        running.stop()


def test_connecting(book: ExcelBook, path: Path) -> None:
    pid = str(book.engine.pid)
    assert str(path) in excel.open_books()
    assert excel.open_books() == excel.open_books(pid)
    assert excel.open_books("1") == []
    assert excel.connect(path.name).key == excel.connect(str(path).upper(), pid).key == str(path)
    for name, where in (("other.xlsx", ""), (str(path), "1")):
        with refusal(BookClosedError, cause="is not open in Excel"):
            excel.connect(name, where)
    with refusal(HostError, cause="is not the number"):
        excel.connect(str(path), "first")


def test_without_excel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xw.engines, "active", None)
    with refusal(HostError, cause="no Excel on this system"):
        excel.connect("book.xlsx")


# --- what a person sees -----------------------------------------------------------------------------------


def test_messages_are_shown_in_turn(book: ExcelBook) -> None:
    book.engine.alerts.clear()
    book.host.message("first")
    until(lambda: book.engine.alerts == ["first"])
    book.host.message("second")
    until(lambda: len(book.engine.alerts) > 1)
    assert book.engine.alerts == ["first", "second"]


def test_heat_is_symmetric_about_zero(book: ExcelBook) -> None:
    Scales.made.clear()
    rows = [["a", "b"], [-1.0, 0.0], [2.0, 4.0]]
    book.host.put_sheet(ReportSheet("SGD gradients", rows, bold=(1,), heat=(Range("", 2, 1, 3, 2),)))
    ((area, criteria),) = Scales.made
    assert area == "SGD gradients!$A$2:$B$3"
    assert [criteria(number).Value for number in (1, 2, 3)] == [-4.0, 0.0, 4.0]
    assert criteria(1).FormatColor.Color == 0xD08B5B  # blue, green and red, as COM has them
    sheet = xw.apps[book.engine.pid].books[0].sheets["SGD gradients"]
    assert sheet.range("A1:B1").font.bold
    assert not sheet.range("A2:B3").font.bold


def test_a_chart_is_told_its_lines(book: ExcelBook) -> None:
    rows = [["step", "loss", "valid"], [0.0, 2.0, 3.0], [1.0, 1.0, 2.0]]
    book.host.put_sheet(ReportSheet("SGD log", rows, bold=(1,), chart=LineChart("Loss of it", 0, (1, 2))))
    book.host.append("SGD log", 4, [[2.0, 0.5, 1.5]])
    (drawn,) = xw.apps[book.engine.pid].books[0].sheets["SGD log"].charts
    assert drawn.chart_type == "xy_scatter_lines_no_markers"
    _, chart = drawn.api
    lines = [chart.SeriesCollection()(number) for number in (1, 2)]
    assert [line.Name for line in lines] == ["='SGD log'!$B$1", "='SGD log'!$C$1"]
    assert [line.area for line in lines] == [[1, 2, 4, 2], [1, 3, 4, 3]]  # with the heading, as LibreOffice wants it
    assert [line.x for line in lines] == [[1, 1, 4, 1]] * 2
    assert (chart.HasTitle, chart.ChartTitle.Text, chart.HasLegend) == (True, "Loss of it", True)


def test_a_report_has_its_formats_and_its_points(book: ExcelBook) -> None:
    rows = [["Report", None], ["Fitted", "Residual"], [1.5, -0.5], [2.5, 0.25], ["Total", 1234.5]]
    chart = LineChart("Residual by fitted value", 0, (1,), points=True, header=2, last=4)
    formats = (("#,##0.0000", (Range("SGD report", 3, 2, 4, 2), Range("SGD report", 5, 2, 5, 2))),)
    book.host.put_sheet(ReportSheet("SGD report", rows, bold=(1, 2), chart=chart, formats=formats))
    sheet = xw.apps[book.engine.pid].books[0].sheets["SGD report"]
    assert [sheet.range(cell).number_format for cell in ("A3", "B3", "B4", "B5")] == ["General", *["#,##0.0000"] * 3]
    (drawn,) = sheet.charts
    assert drawn.chart_type == "xy_scatter"
    series = drawn.api[1].SeriesCollection()(1)
    assert (series.Name, series.area, series.x) == ("='SGD report'!$B$2", [2, 2, 4, 2], [2, 1, 4, 1])


def test_a_sheet_that_cannot_be_named_leaves_nothing_behind(book: ExcelBook) -> None:
    with refusal(HostError, cause="Excel refuses"):
        book.host.put_sheet(ReportSheet("a:b", [[1.0]]))
    found = book.host.read()
    assert (list(found.sheets), found.active) == ([SHEET], SHEET)


def test_our_mark_is_hidden(book: ExcelBook) -> None:
    book.host.put_sheet(ReportSheet("SGD log", [["step"]]))
    (mark,) = [name for name in book.host.read().names if name.sheet == "SGD log"]
    assert mark.hidden


# --- the native parts without a program -------------------------------------------------------------------


class Answers:
    """Stands for a reference of appscript's: `get` answers."""

    def __init__(self, answer: Any = None, **parts: Any) -> None:
        self._answer = answer
        vars(self).update(parts)

    def get(self) -> Any:
        return self._answer


def test_values_of_apple_events() -> None:
    missing = object()  # appscript's k.missing_value
    api = Answers(string_value=Answers([["1", "", "#N/A"], ["29.2.24", "TRUE", "#SPILL!"]]))
    sheet = Answers(book=Answers(api=Answers(date_1904=Answers(False))))
    raw = [[1, "", missing], [datetime(2024, 2, 29, 12), True, missing]]
    cells: Any = Answers(raw_value=raw, shape=(2, 3), api=api, sheet=sheet)
    assert MacNative().values(cells) == [[1.0, None, ExcelError.NA], [45351.5, True, ExcelError.SPILL]]
    column: Any = Answers(raw_value=[1.0, "x"], shape=(2, 1))
    assert MacNative().values(column) == [[1.0], ["x"]]
    assert MacNative().values(Answers(raw_value=2, shape=(1, 1))) == [[2.0]]  # type: ignore[arg-type]


def test_errors_that_are_new_to_us() -> None:
    codes = (-2146826243, -2146826238, -2146826000)  # #SPILL!, #CALC!, one of the future
    cells: Any = Answers(api=Answers(Value2=(codes,)), shape=(1, 3))
    assert ComNative().values(cells) == [[ExcelError.SPILL, ExcelError.CALC, ExcelError.UNKNOWN]]


def test_an_excel_without_dynamic_arrays() -> None:
    class Old:
        HasArray = False

        def __getattr__(self, name: str) -> Any:
            raise ComError(-2147352570, "Unknown name.")

    cells: Any = Answers(api=Old())
    assert ComNative().holds_array(cells) is False
