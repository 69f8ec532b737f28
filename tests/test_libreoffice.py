"""What is LibreOffice's own: how it writes formulas, what goes wrong with its processes, and what a person sees."""

from __future__ import annotations

import getpass
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import copyfile

import pytest

from sgdsheet.errors import BookClosedError, HostBusyError, HostError
from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.hosts.file import load
from sgdsheet.hosts.libreoffice import LibreOfficeHost, connect, open_books
from sgdsheet.hosts.libreoffice import libreoffice_host as host_module
from sgdsheet.hosts.libreoffice.notation import name_content, to_excel
from sgdsheet.hosts.libreoffice.office_process import AgentProcess, Office
from sgdsheet.sheet.defined_names import areas_of
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Workbook
from tests import office
from tests.errors import refusal
from tests.host_contract import LOG, LOSS, OTHER, PARAMETERS, SHEET, build, one, same_workbook
from tests.live_books import PATIENCE, taken, until

WORKBOOKS = sorted((Path(__file__).parent.parent / "workbooks").glob("[!m]*.xlsx"))  # those of MNIST take long
installed = pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")

# --- formulas ---------------------------------------------------------------------------------------------

FORMULAS = [
    ("=SUM(A1;$B$2:C3)", "SUM(A1,$B$2:C3)"),
    ("=$nnet.$A1+Blätter.B$3", "nnet!$A1+'Blätter'!B$3"),
    ("=SUM($'my sheet'.A1:B2)*'a''b'.A1", "SUM('my sheet'!A1:B2)*'a''b'!A1"),
    ("=SUM($nnet.A:C;$nnet.2:5)", "SUM(nnet!A:C,nnet!2:5)"),
    ("=SUM($one.A1:$two.B2)", "SUM(one:two!A1:B2)"),
    ("=SUM($one.A1:$'my two'.B2)", "SUM('one:my two'!A1:B2)"),
    ("=SUM($one.A1:$one.B2)", "SUM(one!A1:B2)"),
    ("={1;2|3;4}", "{1,2;3,4}"),
    ('=MMULT(A1:B2;{1;"a;b|c"|TRUE();-4})', 'MMULT(A1:B2,{1,"a;b|c";TRUE,-4})'),
    ('=IF(A1>1;;"a;b|~!$x.A1""{1;2}")', 'IF(A1>1,,"a;b|~!$x.A1""{1;2}")'),
    ("=SUM((A1:B2~C3:C4))", "SUM((A1:B2,C3:C4))"),
    ("=SUM(A1:B4!B2:C3)", "SUM(A1:B4 B2:C3)"),
    ("=#N/A+#REF!+#DIV/0!+#NAME?", "#N/A+#REF!+#DIV/0!+#NAME?"),
    ("=$one.#REF!", "one!#REF!"),
    ("=$E$#REF!*A1+#REF!5-$#REF!$#REF!", "#REF!*A1+#REF!-#REF!"),
    ("=SUM($E$#REF!:$F$#REF!;A1:B#REF!;$one.A#REF!:B2)", "SUM(#REF!,#REF!,one!#REF!)"),
    ("=STDEV.S(A1:A3)+NORM.S.DIST(1;TRUE())+FALSE()", "STDEV.S(A1:A3)+NORM.S.DIST(1,TRUE)+FALSE"),
    ("=CEILING.XCL(A1;1)+CEILING(A1;1)+CEILING.MATH(A1)", "CEILING(A1,1)+CEILING.MATH(A1,1)+CEILING.MATH(A1)"),
    ("=EFFECT_ADD(A1;2)+ERRORTYPE(B1)", "EFFECT(A1,2)+ERROR.TYPE(B1)"),
    ("=1E+020*A1-1.5E-007+E10", "1E+20*A1-1.5E-7+E10"),
    ("=Table1[[#This Row];[Age]]+SUM(Table1[Age])", "Table1[[#This Row],[Age]]+SUM(Table1[Age])"),
    ("=$'my sheet'.rate*nnet.rate*rate", "'my sheet'!rate*nnet!rate*rate"),
    ("='file:///x/y%20z.xlsx'#$Sheet1.A1", "'[y%20z.xlsx]Sheet1'!A1"),
    ("=ORG.SGDSHEET.FUNCTIONS.SGDRELU(A1)", "ORG.SGDSHEET.FUNCTIONS.SGDRELU(A1)"),
    ("{=SUM(A1:A3*{1|2|3})}", "SUM(A1:A3*{1;2;3})"),
    ("$nnet.$C$2:$C$4;$nnet.$D$2", "nnet!$C$2:$C$4,nnet!$D$2"),
]


@pytest.mark.parametrize(("theirs", "excel"), FORMULAS, ids=[theirs for theirs, _ in FORMULAS])
def test_formulas_as_excel_writes_them(theirs: str, excel: str) -> None:
    assert to_excel(theirs) == excel
    if ";$nnet" not in theirs:
        parse(excel, 20, 20)


def test_what_names_stand_for() -> None:
    areas = [Range("it's", 1, 1, 2, 28), Range("nnet", 3, 3, 3, 3)]
    assert name_content(areas) == "$'it''s'.$A$1:$AB$2;$'nnet'.$C$3"
    assert to_excel(name_content(areas)) == "'it''s'!$A$1:$AB$2,nnet!$C$3"


# --- with LibreOffice -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Iterator[office.LibreOffice]:
    running = office.LibreOffice()
    yield running
    running.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return build(tmp_path / "my model.xlsx")


@pytest.fixture
def book(program: office.LibreOffice, path: Path) -> Iterator[office.OfficeBook]:
    opened = program.open(path)
    yield opened
    opened.host.close()


@installed
@pytest.mark.parametrize("source", WORKBOOKS, ids=lambda path: path.stem)
def test_reads_the_example_workbooks(program: office.LibreOffice, tmp_path: Path, source: Path) -> None:
    opened = program.open(Path(copyfile(source, tmp_path / source.name)))
    start = time.perf_counter()
    found = opened.host.read()
    assert time.perf_counter() - start < PATIENCE  # 0.8 s for 42,000 formulas
    same_workbook(found, load(source))
    opened.shut()
    opened.host.close()


@installed
def test_how_the_document_calculates_is_known(book: office.OfficeBook) -> None:
    """Numbers rounded to what is shown, days counted from 1904: neither can be seen in the cells."""
    found = book.host.read()
    assert (found.as_displayed, found.date1904) == (False, False)
    book.look("from com.sun.star.util import Date; document.CalcAsShown = True; document.NullDate = Date(1, 1, 1904)")
    found = book.host.read()
    assert (found.as_displayed, found.date1904) == (True, True)


@installed
def test_names_and_values_survive_in_the_file(book: office.OfficeBook, path: Path, tmp_path: Path) -> None:
    book.host.define_name("sgd_params", [Range(SHEET, 1, 6, 2, 6), Range(OTHER, 1, 1, 1, 2)])
    book.host.write({PARAMETERS[0]: 1 / 3, Cell(OTHER, 5, 5): True})
    book.host.put_sheet(ReportSheet(LOG, [["step"], [1.0]]))
    saved = tmp_path / "saved.xlsx"
    script = """
from com.sun.star.beans import PropertyValue
document.storeToURL("%s", (PropertyValue("FilterName", 0, "Calc MS Excel 2007 XML", 0),))
"""
    office.look(book.office, path, script % saved.as_uri())
    found = load(saved)
    name = found.defined_name("sgd_params", SHEET)
    assert name is not None
    assert name.text == f"{SHEET}!$F$1:$F$2,'{OTHER}'!$A$1:$B$1"
    assert found.sheets[SHEET].values[1, 6] == pytest.approx(1 / 3, rel=1e-14)
    assert found.sheets[OTHER].values[5, 5] is True
    assert found.defined_name("sgd_log", LOG) is not None  # known as ours in the file, too


@installed
def test_undo_is_one_entry_or_none(book: office.OfficeBook, path: Path) -> None:
    titles = """
import json
undo = document.UndoManager
print(json.dumps([len(undo.AllUndoActionTitles), undo.isLocked()]))
"""
    book.host.put_sheet(ReportSheet(LOG, [["step"], [1.0]], bold=(1,), chart=LineChart("Loss", 0, (0,))))
    assert office.look(book.office, path, titles) == [1, False]
    book.host.quiet(True)
    counts = []
    for value in (0.0, 1.0, 2.0):
        book.host.write(dict.fromkeys([*PARAMETERS, Cell(OTHER, 1, 1), Cell(SHEET, 5, 6)], value))
        book.host.write({Cell(SHEET, 5, 6): True})
        book.host.append(LOG, 3, [[value]])
        counts.append(office.look(book.office, path, titles)[0])
    assert counts[0] == counts[1] == counts[2] <= 3  # LibreOffice records the very first in spite of its lock
    book.host.quiet(False)
    book.host.write(dict.fromkeys([*PARAMETERS, Cell(OTHER, 1, 1)], 1.0))
    book.host.write(dict.fromkeys([*PARAMETERS, Cell(OTHER, 1, 1)], 3.0))
    book.host.append(LOG, 3, [[5.0], [6.0]])
    assert office.look(book.office, path, titles) == [counts[0] + 3, False]
    office.look(book.office, path, "document.UndoManager.undo()")
    office.look(book.office, path, "document.UndoManager.undo()")
    assert [one(book.host, cell) for cell in [*PARAMETERS, Cell(OTHER, 1, 1)]] == [1.0, 1.0, 1.0]


@installed
def test_a_message_is_seen(book: office.OfficeBook, path: Path) -> None:
    book.host.message("Use a lower learning rate")
    script = """
import json
def texts(item, depth):
    found = [item.AccessibleName]
    for number in range(min(item.AccessibleChildCount, 30) if depth else 0):
        found += texts(item.getAccessibleChild(number).AccessibleContext, depth - 1)
    return found
print(json.dumps(texts(document.CurrentController.Frame.ContainerWindow.AccessibleContext, 9)))
"""
    assert "Use a lower learning rate" in office.look(book.office, path, script)


@installed
def test_a_heat_map_has_its_colours(book: office.OfficeBook, path: Path) -> None:
    heat = (Range("SGD gradients", 2, 1, 3, 2), Range("SGD gradients", 5, 1, 5, 3))
    rows = [["a", "b", "c"], [-1.0, 0.0], [2.0, 4.0], [], [1.0, 2.0, 3.0]]
    book.host.put_sheet(ReportSheet("SGD gradients", rows, heat=heat))
    script = """
import json
formats = document.Sheets.getByName("SGD gradients").ConditionalFormats.ConditionalFormats
print(json.dumps([[item.Range.RangeAddressesAsString, [[entry.Type, entry.Formula, entry.Color & 0xFFFFFF]
    for entry in item.getByIndex(0).ColorScaleEntries]] for item in formats]))
"""
    colours = [[0, "0", 0x5A8AC6], [3, "0", 0xFFFFFF], [1, "0", 0xF8696B]]
    areas = ["$'SGD gradients'.A2:B3", "$'SGD gradients'.A5:C5"]
    found = office.look(book.office, path, script)
    assert [[area.replace("$", ""), entries] for area, entries in found] == [
        [area.replace("$", ""), colours] for area in areas
    ]


@installed
def test_a_person_changes_the_sheets(book: office.OfficeBook, path: Path) -> None:
    assert one(book.host, PARAMETERS[0]) == 0.5
    sheet = f"sheet = document.Sheets.getByName({SHEET!r}); "
    office.look(book.office, path, sheet + "sheet.Name = 'renamed'")
    with refusal(BookClosedError, remedy="renamed or deleted"):
        book.host.write({PARAMETERS[0]: 1.0})
    assert one(book.host, Cell("renamed", 1, 6)) == 0.5
    office.look(book.office, path, f"document.Sheets.insertNewByName({SHEET!r}, 0)")
    assert one(book.host, PARAMETERS[0]) is None  # a new sheet has the name now
    office.look(book.office, path, "document.Sheets.removeByName('renamed')")
    with refusal(BookClosedError, remedy="renamed or deleted"):
        book.host.read_values([Range("renamed", 1, 1, 1, 1)])


@installed
def test_a_person_has_switched_automatic_calculation_off(book: office.OfficeBook, path: Path) -> None:
    office.look(book.office, path, "document.enableAutomaticCalculation(False)")
    book.host.write({PARAMETERS[0]: 2.0, PARAMETERS[1]: 1.0})
    assert one(book.host, LOSS) == pytest.approx(0, abs=1e-12)


@installed
def test_books_are_found(book: office.OfficeBook, path: Path) -> None:
    pipe = book.office.pipe
    assert str(path) in open_books(pipe)
    assert str(path) in open_books()
    for where in (pipe, ""):
        other = connect(str(path), where)
        assert other.key == book.host.key
        other.write({PARAMETERS[0]: 4.0})
        assert one(book.host, PARAMETERS[0]) == 4.0
        other.close()
    assert one(book.host, PARAMETERS[0]) == 4.0  # the book stayed open
    with refusal(BookClosedError, cause="not open in LibreOffice"):
        connect(str(path.with_name("other.xlsx")), pipe)
    with refusal(BookClosedError, cause="not open in LibreOffice"):
        connect(str(path), "no such pipe")
    assert open_books("no such pipe") == []


@installed
def test_what_a_person_types_between_two_refreshes_is_never_lost(book: office.OfficeBook, path: Path) -> None:
    """Two programs write to one cell as fast as they can; each text is either told of, or still there."""
    person = connect(str(path), book.office.pipe)
    told: set[object] = set()
    over = threading.Event()

    def refresh() -> None:
        number = 0.0
        while not over.is_set():
            number += 1.0
            told.update(book.host.exchange({PARAMETERS[0]: number}).values())

    trainer = threading.Thread(target=refresh)
    trainer.start()
    try:
        for text in (f"typed {number}" for number in range(60)):
            person.write({PARAMETERS[0]: text})
            until(lambda text=text: text in told)
    finally:
        over.set()
        trainer.join()
        person.close()


_MOVES = f"""
import os, time
sheet = document.Sheets.getByName({SHEET!r})
while not os.path.exists({{over!r}}):
    sheet.Columns.insertByIndex(0, 2)
    time.sleep(0.02)
    sheet.Columns.removeByIndex(0, 2)
    time.sleep(0.02)
"""


@installed
def test_cells_that_a_person_moves_are_met_once(book: office.OfficeBook, path: Path) -> None:
    """Each reading is of one moment: what names mean, where formulas stand, and their values."""
    count = len(book.host.read().sheets[SHEET].formulas)
    over = path.with_name("over")
    person = threading.Thread(target=office.look, args=(book.office, path, _MOVES.format(over=str(over))))
    person.start()
    readings: list[Workbook] = []

    def read() -> bool:
        """Whether enough was read, and something of it while the cells stood elsewhere."""
        readings.append(book.host.read())
        book.host.read_formulas([Range(SHEET, 1, 1, 40, 20)])
        book.host.read_values([Range(SHEET, 1, 1, 40, 20)])
        book.host.exchange({Cell(OTHER, 30, 20): 1.0})
        return len(readings) > 20 and len({found.defined_name("sgd_params", SHEET) for found in readings}) > 1

    try:
        until(read)
    finally:
        over.touch()
        person.join()
    for found in readings:
        sheet = found.sheets[SHEET]
        parameters = found.defined_name("sgd_params", SHEET)
        assert parameters is not None
        (area,) = areas_of(found, parameters.text, SHEET, "the parameters")
        assert [sheet.values[area.top + row, area.left] for row in (0, 1)] == [0.5, 0.25]
        assert sheet.formulas[area.top + 2, area.left].text.startswith("AVERAGE")
        assert len(sheet.formulas) == count
        assert sheet.formulas.keys() <= sheet.values.keys()


@installed
def test_a_large_workbook_is_read_while_a_person_works(book: office.OfficeBook, path: Path) -> None:
    """It takes many turns, and is read again when rows are inserted."""
    rows = 50_000
    fill = """
sheet = document.Sheets.getByName({!r})
sheet.getCellRangeByName("A1:J{}").setDataArray(tuple((number,) * 10 for number in range(1, {} + 1)))
"""
    office.look(book.office, path, fill.format(OTHER, rows, rows))
    person = connect(str(path), book.office.pipe)
    readings: list[Workbook] = []
    reader = threading.Thread(target=lambda: readings.append(book.host.read()))
    seconds, waits = time.perf_counter(), []
    reader.start()
    office.look(book.office, path, f"document.Sheets.getByName({OTHER!r}).Rows.insertByIndex(0, 1)")
    while reader.is_alive():
        waits.append(taken(lambda: one(person, PARAMETERS[0])))
    seconds = time.perf_counter() - seconds
    person.close()
    values = readings[0].sheets[OTHER].values
    assert {row - value for (row, _), value in values.items() if isinstance(value, float)} == {1.0}
    assert len(waits) > 4  # the office had time for a person in between
    assert sorted(waits)[len(waits) // 2] < seconds / 4


@installed
def test_errors_in_many_cells(book: office.OfficeBook, path: Path) -> None:
    """Each is told from the others, and that takes no longer than cells without errors."""
    formulas = {"1/0": "DIV0", "NA()": "NA", '"a"+1': "VALUE", "SQRT(-1)": "VALUE", "nosuch(1)": "NAME", '"#N/A"': ""}
    fill = f"""
sheet = document.Sheets.getByName({OTHER!r})
formulas = {list(formulas)!r}
sheet.getCellRangeByName("H1:I3000").setFormulaArray(
    tuple(tuple("=" + formulas[(row + column) % len(formulas)] for column in range(2)) for row in range(3000))
)
sheet.getCellRangeByName("K1:L3000").setDataArray(((1.0, 2.0),) * 3000)
sheet.Rows.getByIndex(1).IsVisible = False
"""
    office.look(book.office, path, fill)
    area, plain = Range(OTHER, 1, 8, 3000, 9), Range(OTHER, 1, 11, 3000, 12)
    found = book.host.read_values([area])
    names = list(formulas.values())
    for cell in area.cells():
        name = names[(cell.row - 1 + cell.column - 8) % len(names)]
        assert found[cell] == (getattr(ExcelError, name) if name else "#N/A"), cell
    quickest = [min(taken(partial(book.host.read_values, [each])) for _ in range(3)) for each in (area, plain)]
    assert quickest[0] < 12 * quickest[1] + 0.1, quickest  # one by one it is 60 times as long


def _exchange_for_ever(host: LibreOfficeHost) -> None:
    while True:
        host.exchange({PARAMETERS[0]: 1.0})


@installed
def test_the_office_is_killed_while_it_is_written_to(path: Path) -> None:
    with Office() as own:
        assert all(place.exists() for place in own._pipes())
        host = connect(own.open(path), own.pipe)
        threading.Timer(0.5, own.kill).start()
        with pytest.raises(BookClosedError):
            _exchange_for_ever(host)
        host.close()
    assert not any(place.exists() for place in own._pipes())


@installed
def test_an_agent_that_is_killed_does_not_hold_the_office(book: office.OfficeBook) -> None:
    """Killed in the middle of an exchange, it leaves an office that goes on."""
    for wait in (0.05, 0.1, 0.15):
        agent = AgentProcess(book.office.pipe)
        host = LibreOfficeHost(agent, book.host.key)
        threading.Timer(wait, agent._process.kill).start()
        with pytest.raises(BookClosedError):
            _exchange_for_ever(host)
        host.close()
        start = time.perf_counter()
        book.host.write({PARAMETERS[0]: 0.5})
        assert time.perf_counter() - start < PATIENCE / 4


@installed
def test_a_file_that_is_locked(program: office.LibreOffice, path: Path) -> None:
    lock = path.with_name(f".~lock.{path.name}#")
    lock_line = ",{},elsewhere,20.11.2025 10:00,{};"
    lock.write_text(lock_line.format(getpass.getuser(), "file:///nowhere/profile/4"), encoding="utf-8")
    with refusal(HostError, cause="another program seems to have it"):
        program.open(path)
    gone = program.office.profile.with_name("sgdsheet-office-gone").as_uri()  # one that we left behind
    lock.write_text(lock_line.format(getpass.getuser(), gone), encoding="utf-8")
    opened = program.open(path)
    assert one(opened.host, PARAMETERS[0]) == 0.5
    opened.shut()
    opened.host.close()
    with refusal(HostError, cause="cannot open"):
        program.office.open(Path(__file__))


@installed
def test_a_file_that_somebody_else_has(program: office.LibreOffice, path: Path) -> None:
    lock = path.with_name(f".~lock.{path.name}#")
    lock.write_text(",someone,elsewhere,20.11.2025 10:00,file:///nowhere/profile/4;", encoding="utf-8")
    opened = program.open(path)
    assert one(opened.host, PARAMETERS[0]) == 0.5
    with refusal(HostError, cause="reading only"):
        opened.host.write({PARAMETERS[0]: 1.0})
    with refusal(HostError, cause="reading only"):
        opened.host.put_sheet(ReportSheet(LOG, [[1.0]]))
    assert one(opened.host, PARAMETERS[0]) == 0.5
    opened.host.close()


@installed
def test_an_office_that_hangs_and_is_killed(path: Path) -> None:
    with Office() as own:
        key = own.open(path)
        agent = AgentProcess(own.pipe, timeout=1.0)
        host = LibreOfficeHost(agent, key)
        os.killpg(own.process.pid, signal.SIGSTOP)
        with refusal(HostBusyError, cause="has not answered for 1 seconds"):
            one(host, LOSS)
        os.killpg(own.process.pid, signal.SIGCONT)
        agent.timeout = 30.0
        assert one(host, PARAMETERS[0]) == 0.5  # the late answer is not taken for this one
        os.killpg(own.process.pid, signal.SIGSTOP)
        threading.Timer(0.5, own.kill).start()
        start = time.perf_counter()
        with pytest.raises(BookClosedError):
            host.read()  # underway when the office dies
        assert time.perf_counter() - start < PATIENCE / 4
        for _ in range(2):
            with pytest.raises(BookClosedError):
                host.write({PARAMETERS[0]: 1.0})
        host.close()
    assert not own.profile.exists()


@installed
def test_an_agent_that_is_killed(book: office.OfficeBook) -> None:
    agent = AgentProcess(book.office.pipe)
    host = LibreOfficeHost(agent, book.host.key)
    agent._process.kill()
    with refusal(BookClosedError, cause="LibreOffice is gone"):
        host.read()
    host.close()
    assert one(book.host, PARAMETERS[0]) == 0.5


def test_without_libreoffice(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(pipe: str, patience: float = 0.0) -> AgentProcess:
        raise HostError("LibreOffice was not found")

    monkeypatch.setattr(host_module, "AgentProcess", missing)
    monkeypatch.setattr(host_module, "invite", lambda: None)
    assert open_books() == []
