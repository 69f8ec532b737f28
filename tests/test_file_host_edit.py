"""Saving what a person typed: the cells are edited where they stand, and not one other byte changes."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils import FORMULAE
from openpyxl.worksheet.table import Table

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.cell_edit import CellEdit, Change, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.hosts.xlsx.excerpt import excerpt
from sgdsheet.hosts.xlsx.file_formula import NEWER_FUNCTIONS, in_file
from sgdsheet.hosts.xlsx.patch import patch_sheet
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, address, parse_range
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.xlsx_parts import MAIN, RELATIONSHIPS, TYPES, book_file, member, parts, relationships, sheet, zipped

CLEARED = Cleared()


def edits_at(changes: Mapping[str, CellEdit], name: str = "S1") -> dict[Cell, CellEdit]:
    return {parse_range(a1, name).first: edit for a1, edit in changes.items()}


def edited(folder: Path, text: str, changes: Mapping[str, CellEdit], **options: Any) -> str:
    """The sheet part after the edits."""
    host = FileHost(book_file(folder, text, **options))
    host.edit(edits_at(changes))
    host.save(folder / "out.xlsx")
    return member(folder / "out.xlsx").decode()


# --- one cell ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "edit", "new"),
    [
        ('<c r="A1" s="3"><v>1</v></c>', Constant(2.0), '<c r="A1" s="3"><v>2</v></c>'),
        ('<c r="A1"><v>0.10000000000000001</v></c>', Constant(0.1), '<c r="A1"><v>0.10000000000000001</v></c>'),
        ('<c r="A1" s="3"/>', Constant(True), '<c r="A1" s="3" t="b"><v>1</v></c>'),
        ('<c r="A1" t="s"><v>0</v></c>', Constant(2.5), '<c r="A1"><v>2.5</v></c>'),
        ('<c r="A1"><f>B1</f><v>1</v></c>', Constant(2.0), '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><f>B1</f><v>1</v></c>', Constant(1.0), '<c r="A1"><v>1</v></c>'),
        ('<c r="A1" t="str"><f>B1</f><v>x</v></c>', Constant("x"), '<c r="A1" t="inlineStr"><is><t>x</t></is></c>'),
        (
            '<c r="A1"><f>B1</f><v>1</v></c>',
            Constant(" a\r\n<b>"),
            '<c r="A1" t="inlineStr"><is><t xml:space="preserve"> a_x000D_\n&lt;b&gt;</t></is></c>',
        ),
        ('<c r="A1"><v>1</v></c>', Constant("_x000D_"), '<c r="A1" t="inlineStr"><is><t>_x005F_x000D_</t></is></c>'),
        ('<c r="A1" cm="1" vm="2"><f>B1</f><v>1</v></c>', Constant(2.0), '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><v>1</v></c>', FormulaEdit("b1*2", 18.0), '<c r="A1"><f>B1*2</f><v>18</v></c>'),
        ('<c r="A1" s="3" />', FormulaEdit("B1*2", 18.0), '<c r="A1" s="3"><f>B1*2</f><v>18</v></c>'),
        ('<c r="A1"></c>', FormulaEdit("B1", 9.0), '<c r="A1"><f>B1</f><v>9</v></c>'),
        ('<c r="A1"><f>B1</f><v>9</v></c>', FormulaEdit("B1+1", 10.0), '<c r="A1"><f>B1+1</f><v>10</v></c>'),
        ('<c r="A1"><f>B1</f></c>', FormulaEdit("B1+1", 10.0), '<c r="A1"><f>B1+1</f><v>10</v></c>'),
        (
            '<c r="A1" t="s"><v>0</v></c>',
            FormulaEdit('B1&"<"', "9<"),
            '<c r="A1" t="str"><f>B1&amp;"&lt;"</f><v>9&lt;</v></c>',
        ),
        (
            '<c r="A1" t="inlineStr"><is><t>x</t></is></c>',
            FormulaEdit("1/0", ExcelError.DIV0),
            '<c r="A1" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
        ),
        ('<c r="A1" t="s"><v>0</v></c>', FormulaEdit("B1=9", True), '<c r="A1" t="b"><f>B1=9</f><v>1</v></c>'),
        ('<c r="A1" t="s"><v>0</v></c>', FormulaEdit("B1", None), '<c r="A1"><f>B1</f></c>'),
        ('<c r="A1" s="3"/>', FormulaEdit("B1", None), '<c r="A1" s="3"><f>B1</f></c>'),
        (
            '<c r="A1"><f t="array" ref="A1">B1</f><v>9</v></c>',
            FormulaEdit("B1", 9.0),
            '<c r="A1"><f>B1</f><v>9</v></c>',
        ),
        ('<c r="A1" s="3" t="s"><v>0</v></c>', CLEARED, '<c r="A1" s="3"></c>'),
        ('<c r="A1" s="3" t="str" cm="1"><f>B1</f><v>0</v></c>', CLEARED, '<c r="A1" s="3"></c>'),
        ('<c r="A1" s="3"/>', CLEARED, '<c r="A1" s="3"/>'),
        ('<c r="A1"><f>1</f><v>1</v><extLst/></c>', CLEARED, '<c r="A1"><extLst/></c>'),
        ('<c r="A1"><extLst/></c>', FormulaEdit("1", 1.0), '<c r="A1"><f>1</f><v>1</v><extLst/></c>'),
    ],
)
def test_a_cell_that_is_there(tmp_path: Path, old: str, edit: CellEdit, new: str) -> None:
    rows = '<row r="1" spans="1:2">{}<c r="B1"><v>9</v></c></row>\n<row r="2"><c r="A2"><v>1</v></c></row>'
    found = edited(tmp_path, sheet(rows.format(old)), {"A1": edit}, strings="<si><t>text</t></si>")
    assert found == sheet(rows.format(new))


@pytest.mark.parametrize(
    ("old", "changes", "new"),
    [
        ("", {"B2": FormulaEdit("1+1", 2.0)}, '<row r="2"><c r="B2"><f>1+1</f><v>2</v></c></row>'),
        ("", {"B2": CLEARED}, ""),
        ('<row r="2" spans="2:3"/>', {"B2": CLEARED}, '<row r="2" spans="2:3"/>'),
        (
            '<row r="2" spans="2:3"><c r="C2"/></row>',
            {"A2": Constant(1.0), "E2": FormulaEdit("A2", 1.0), "B3": Constant("x")},
            '<row r="2" spans="1:5"><c r="A2"><v>1</v></c><c r="C2"/><c r="E2"><f>A2</f><v>1</v></c></row>'
            '<row r="3"><c r="B3" t="inlineStr"><is><t>x</t></is></c></row>',
        ),
        (
            '<row r="2" spans="2:3"/>',
            {"D2": Constant(1.0)},
            '<row r="2" spans="2:4"><c r="D2"><v>1</v></c></row>',
        ),
        (
            '<row r="2" s="7" customFormat="1"><c r="A2" s="1"/></row>',
            {"B2": Constant(1.0)},
            '<row r="2" s="7" customFormat="1"><c r="A2" s="1"/><c r="B2" s="7"><v>1</v></c></row>',
        ),
    ],
)
def test_cells_that_are_not_there(tmp_path: Path, old: str, changes: Mapping[str, CellEdit], new: str) -> None:
    assert edited(tmp_path, sheet(old), changes) == sheet(new)


def test_a_new_cell_gets_the_format_of_its_column_and_the_sheet_says_how_far_it_reaches(tmp_path: Path) -> None:
    before = '<dimension ref="B2"/><cols><col min="3" max="4" style="6"/></cols>'
    rows = '<row r="2"><c r="B2"><v>1</v></c></row>'
    found = edited(tmp_path, sheet(rows, before), {"D1": Constant(1.0), "E5": Constant(2.0)})
    assert found == sheet(
        '<row r="1"><c r="D1" s="6"><v>1</v></c></row>' + rows + '<row r="5"><c r="E5"><v>2</v></c></row>',
        before.replace('"B2"', '"B1:E5"'),
    )


def test_a_typed_date_gets_a_format_where_there_is_none(tmp_path: Path) -> None:
    styles = (
        f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><cellXfs count="3">'
        '<xf numFmtId="0" fontId="0"/><xf numFmtId="0" fontId="0" applyFont="1"><alignment horizontal="left"/></xf>'
        '<xf numFmtId="4" fontId="0"/></cellXfs></styleSheet>'
    )
    rows = '<row r="1"><c r="A1"/><c r="B1" s="1"/><c r="C1" s="2"/></row>'
    content = parts(sheet(rows))
    content["xl/styles.xml"] = styles
    links = (("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml"))
    content["xl/_rels/workbook.xml.rels"] = relationships(*links)
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(content))
    host = FileHost(path)
    day = Constant(46355.0, "yyyy-mm-dd")
    host.edit(edits_at({"A1": day, "B1": day, "C1": day, "A2": Constant(46355.0, "mm-dd-yy"), "B2": day}))
    host.save(tmp_path / "out.xlsx")
    assert member(tmp_path / "out.xlsx").decode() == sheet(
        '<row r="1"><c r="A1" s="3"><v>46355</v></c><c r="B1" s="4"><v>46355</v></c><c r="C1" s="2"><v>46355</v></c>'
        '</row><row r="2"><c r="A2" s="5"><v>46355</v></c><c r="B2" s="3"><v>46355</v></c></row>'
    )
    assert member(tmp_path / "out.xlsx", "xl/styles.xml").decode() == styles.replace(
        "<fonts", '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy-mm-dd"/></numFmts><fonts'
    ).replace('count="3"', 'count="6"').replace(
        "</cellXfs>",
        '<xf numFmtId="164" fontId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="164" fontId="0" applyFont="1" applyNumberFormat="1"><alignment horizontal="left"/></xf>'
        '<xf numFmtId="14" fontId="0" applyNumberFormat="1"/></cellXfs>',
    )


def test_results_that_are_written_later_are_those_of_the_formula(tmp_path: Path) -> None:
    host = FileHost(book_file(tmp_path, sheet('<row r="1"><c r="A1"><f>B1</f><v>1</v></c></row>')))
    a1, b1, c1, d1 = (Cell("S1", 1, column) for column in range(1, 5))
    host.edit({a1: FormulaEdit("B1*2"), b1: Constant(3.0), c1: CLEARED, d1: FormulaEdit("B1")})
    host.write({a1: 6.0, b1: 4.0, c1: 5.0})
    host.mark_uncalculated([b1, d1])
    assert load(host.saved_bytes()).sheets["S1"].values == {(1, 1): 6.0, (1, 2): 4.0, (1, 3): 5.0}
    assert load(host.saved_bytes()).stale
    host.edit({a1: Constant("last")})
    assert load(host.saved_bytes()).sheets["S1"].values[1, 1] == "last"


_ROWS = st.dictionaries(st.integers(1, 40), st.sets(st.integers(1, 4)).map(sorted), min_size=3, max_size=15)
_EDITS = st.dictionaries(
    st.tuples(st.integers(1, 45), st.integers(1, 5)),
    st.sampled_from([Constant(1.0), Constant("x"), FormulaEdit("1+1", 2.0), CLEARED, 5.0, None]),
    max_size=6,
)


@given(_ROWS, _EDITS, st.booleans())
def test_a_few_rows_are_patched_as_the_whole_sheet_is(
    rows: dict[int, list[int]], changes: dict[tuple[int, int], Change], arrays: bool
) -> None:
    """A sheet is not parsed as a whole for a few cells: what comes out is the same to the last byte."""

    def written(row: int) -> str:
        formula = f'<f t="array" ref="A{row}:B{row + 2}">1</f>' if arrays and row % 7 == 0 else ""
        cells = "".join(f'<c r="{address(row, column)}">{formula}<v>{row}</v></c>' for column in rows[row])
        return f'<row r="{row}" spans="1:4">{cells}</row>\n' if cells else f'<row r="{row}" ht="20"/>'

    head = '<dimension ref="A1:B2"/><cols><col min="2" max="2" style="3"/></cols>'
    data = sheet("".join(map(written, sorted(rows))), head, "<pageMargins/>").encode()
    part = Part("book", "sheet1.xml", data)
    with pytest.MonkeyPatch.context() as patch:
        few = patch_sheet(part, changes)
        patch.setattr("sgdsheet.hosts.xlsx.patch.excerpt", lambda data, rows: None)
        assert few == patch_sheet(part, changes)


def test_a_large_sheet_is_not_parsed_for_one_cell() -> None:
    rows = "".join(f'<row r="{row}"><c r="A{row}"><v>1</v></c></row>' for row in range(1, 2_000))
    cut = excerpt(sheet(rows).encode(), [1_000, 5_000])
    assert cut is not None
    assert len(cut.data) < 300
    assert sheet(rows).encode()[cut.place(cut.data.index(b'<row r="1000"')) :].startswith(b'<row r="1000"')


# --- formulas that others share, arrays -------------------------------------------------------------------

SHARED = sheet(
    '<row r="1"><c r="A1"><f t="shared" ref="A1:B3" si="4">D1+1</f><v>1</v></c>'
    '<c r="B1"><f t="shared" si="4"/><v>1</v></c></row>'
    '<row r="2"><c r="A2"><f t="shared" si="4"/><v>1</v></c><c r="B2"><f t="shared" si="4"/><v>1</v></c></row>'
    '<row r="3"><c r="A3"><f t="shared" si="4"/><v>1</v></c><c r="B3"><f t="shared" si="4"/><v>1</v></c></row>'
)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        (("A1", "B1"), '<c r="A2"><f t="shared" ref="A2:B3" si="4">D2+1</f>|<c r="B3"><f t="shared" si="4"/>'),
        (("A1", "A2", "A3"), '<c r="B1"><f t="shared" ref="B1:B3" si="4">E1+1</f>|<c r="B3"><f t="shared" si="4"/>'),
        (("A1",), '<c r="B1"><f>E1+1</f>|<c r="A2"><f>D2+1</f>|<c r="B3"><f>E3+1</f>'),
        (("A1", "B1", "A2", "B2", "A3"), '<c r="B3"><f>E3+1</f>'),
        (("A2", "B3"), '<c r="A1"><f t="shared" ref="A1:B3" si="4">D1+1</f>|<c r="B2"><f t="shared" si="4"/>'),
    ],
)
@pytest.mark.parametrize("edit", [Constant(7.0), FormulaEdit("F1", 7.0), CLEARED])
def test_copies_of_a_shared_formula_stay_what_they_are(
    tmp_path: Path, changes: tuple[str, ...], kept: str, edit: CellEdit
) -> None:
    path = book_file(tmp_path, SHARED, name="shared.xlsx")
    before = load(path).sheets["S1"].formulas
    host = FileHost(path)
    host.edit(edits_at(dict.fromkeys(changes, edit)))
    written = load(data := host.saved_bytes()).sheets["S1"].formulas
    host.save(tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx").read_bytes() == data
    for text in kept.split("|"):
        assert text in member(tmp_path / "out.xlsx").decode()
    gone = {cell[1:] for cell in edits_at(dict.fromkeys(changes, edit))}
    for place, formula in before.items():
        if place not in gone:
            assert formula_text(written[place], *place) == formula_text(formula, *place)
    assert {place for place in gone if place in written} == (gone if isinstance(edit, FormulaEdit) else set())


ARRAY = (
    '<row r="1"><c r="A1"{}><f t="array" ref="A1:B2">D1:E2</f><v>1</v></c><c r="B1" s="1"><v>2</v></c></row>'
    '<row r="2"><c r="A2"><v>3</v></c><c r="B2"><v>4</v></c></row>'
)
METADATA = (
    f'<metadata xmlns="{MAIN}"><metadataTypes count="1"><metadataType name="XLDAPR"/></metadataTypes>'
    '<futureMetadata name="XLDAPR" count="1"><bk><extLst><ext><dynamicArrayProperties fDynamic="1"/></ext></extLst>'
    '</bk></futureMetadata><cellMetadata count="1"><bk><rc t="1" v="0"/></bk></cellMetadata></metadata>'
)


def test_an_array_formula_changes_as_a_whole(tmp_path: Path) -> None:
    text = sheet(ARRAY.format(""))
    for place, named in (("A1", "A1"), ("B1", "B1"), ("A2", "A2")):
        with refusal(FileError, cell=f"'S1'!{named}", cause="array formula", remedy="all its cells"):
            edited(tmp_path, text, {place: Constant(1.0)})
    found = edited(tmp_path, text, {"A1": Constant(7.0), "B1": CLEARED, "A2": Constant(7.0), "B2": Constant("x")})
    assert found == sheet(
        '<row r="1"><c r="A1"><v>7</v></c><c r="B1" s="1"></c></row>'
        '<row r="2"><c r="A2"><v>7</v></c><c r="B2" t="inlineStr"><is><t>x</t></is></c></row>'
    )


def test_a_dynamic_array_goes_with_its_formula(tmp_path: Path) -> None:
    text = sheet(ARRAY.format(' cm="1"'))
    with refusal(FileError, cell="'S1'!B2", cause=r"array formula.*A1:B2"):
        edited(tmp_path, text, {"B2": Constant(1.0)}, metadata=METADATA)
    found = edited(tmp_path, text, {"A1": FormulaEdit("D1", 7.0), "B2": Constant(5.0)}, metadata=METADATA)
    assert found == sheet(
        '<row r="1"><c r="A1"><f>D1</f><v>7</v></c><c r="B1" s="1"></c></row>'
        '<row r="2"><c r="A2"></c><c r="B2"><v>5</v></c></row>'
    )


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (Constant("x" * 32_768), "longer than 32,767"),
        (Constant("\ud800"), "surrogates"),
        (Constant(float("nan")), "not a number"),
        (FormulaEdit("1", float("inf")), "not a number"),
    ],
)
def test_what_no_cell_can_hold(tmp_path: Path, edit: CellEdit, cause: str) -> None:
    host = FileHost(book_file(tmp_path, sheet()))
    with refusal(FileError, cell="'S1'!B1", cause=cause, remedy="something else"):
        host.edit(edits_at({"A1": Constant(1.0), "B1": edit}))
    assert host.saved_bytes() == (tmp_path / "book.xlsx").read_bytes()


@pytest.mark.parametrize("text", ['"_x0041_"&B1', '"a\r\nb"&B1'])
def test_a_formula_is_read_as_it_was_typed(tmp_path: Path, text: str) -> None:
    edited(tmp_path, sheet(), {"A1": FormulaEdit(text, "x")})
    assert FileHost(tmp_path / "out.xlsx").read().sheets["S1"].formulas[1, 1].text == text


def test_no_formula_has_a_control_character(tmp_path: Path) -> None:
    with refusal(FileError, cell="'S1'!A1", cause="control character", remedy="CHAR"):
        edited(tmp_path, sheet(), {"A1": FormulaEdit('"a\x0bb"', "x")})


def test_an_array_as_large_as_the_sheet_is_no_more_work(tmp_path: Path) -> None:
    text = sheet('<row r="1"><c r="B1"><f t="array" ref="B1:XFD1048576">A2:A3</f><v>1</v></c></row>')
    found = edited(tmp_path, text, {"A1": Constant(1.0)})
    assert found == text.replace('<c r="B1">', '<c r="A1"><v>1</v></c><c r="B1">')
    with refusal(FileError, cell="'S1'!B2", cause="array formula"):
        edited(tmp_path, text, {"B1": Constant(1.0), "B2": Constant(1.0)})


@pytest.mark.parametrize("text", ["1+", "SUM(", ")", ""])
def test_what_is_no_formula(tmp_path: Path, text: str) -> None:
    with refusal(FormulaError, cell="'S1'!B1", cause="cannot be read"):
        edited(tmp_path, sheet(), {"B1": FormulaEdit(text, 1.0)})


def test_hidden_cells_headers_of_tables_and_what_if_tables(tmp_path: Path) -> None:
    merged = sheet('<row r="1"><c r="A1"/></row>', after='<mergeCells count="1"><mergeCell ref="A1:B2"/></mergeCells>')
    with refusal(FileError, cell="'S1'!B2", cause="merged"):
        edited(tmp_path, merged, {"B2": Constant(1.0)})
    assert '<c r="A1"><v>1</v></c>' in edited(tmp_path, merged, {"A1": Constant(1.0), "B2": CLEARED})
    what_if = sheet('<row r="2"><c r="B2"><f t="dataTable" ref="B2:C3" dt2D="1" r1="A1" r2="A2"/><v>1</v></c></row>')
    for place in ("B2", "C3"):
        with refusal(FileError, cell=f"'S1'!{place}", cause="what-if"):
            edited(tmp_path, what_if, {place: Constant(1.0)})


@pytest.fixture
def table_book(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    page = book.create_sheet("Sheet", 0)
    for row in (["x", "y"], [1, 2], [3, 4]):
        page.append(row)
    page.add_table(Table(displayName="Tab", ref="A1:B3"))
    path = tmp_path / "table.xlsx"
    book.save(path)
    return path


def test_tables(table_book: Path) -> None:
    host = FileHost(table_book)
    host.edit({Cell("Sheet", 2, 2): FormulaEdit("[@x]*2", 2.0), Cell("Sheet", 1, 1): Constant("x")})
    assert openpyxl.load_workbook(_bytes(host))["Sheet"]["B2"].value == "=Tab[[#This Row],[x]]*2"
    host.edit({Cell("Sheet", 1, 1): Constant("z")})
    with refusal(FileError, cell="Sheet!A1", cause="header of the table Tab"):
        host.saved_bytes()
    outside = FileHost(table_book)
    outside.edit({Cell("Sheet", 9, 9): FormulaEdit("[@x]*2", 2.0)})
    with refusal(FileError, cell="Sheet!I9", cause="lies in none"):
        outside.saved_bytes()


def _bytes(host: FileHost) -> BytesIO:
    return BytesIO(host.saved_bytes())


# --- formulas in the words of files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("sum(a1:b2)+1e5", "SUM(A1:B2)+1E5"),
        ("xlookup(3,A:A,b:B)", "_xlfn.XLOOKUP(3,A:A,B:B)"),
        ("Sort(FILTER(A1:A3,A1:A3>1))", "_xlfn._xlws.SORT(_xlfn._xlws.FILTER(A1:A3,A1:A3>1))"),
        ("LET(x,1,x+y)", "_xlfn.LET(_xlpm.x,1,_xlpm.x+y)"),
        ("LET(f,LAMBDA(z,z*2),f(y))", "_xlfn.LET(_xlpm.f,_xlfn.LAMBDA(_xlpm.z,_xlpm.z*2),_xlpm.f(y))"),
        ("SUM(@A1:A3)", "SUM(_xlfn.SINGLE(A1:A3))"),
        ("SUM('my sheet'!A1#)", "SUM(_xlfn.ANCHORARRAY('my sheet'!A1))"),
        ('"sort("&norm.s.dist(A1,true)&"a1"', '"sort("&_xlfn.NORM.S.DIST(A1,TRUE)&"a1"'),
        ("_xlfn.NORM.S.DIST(1,TRUE)", "_xlfn.NORM.S.DIST(1,TRUE)"),
        ("'sort('!a1+Jan:Dec!B2+name", "'sort('!A1+Jan:Dec!B2+name"),
        ("SGD_MSE(A1:A2,B1:B2)", "SGD_MSE(A1:A2,B1:B2)"),
        ("#REF!+IFERROR(A1,#N/A)", "#REF!+IFERROR(A1,#N/A)"),
        ("T[@[Age x]]*T[[#Totals],[x]]", "T[[#This Row],[Age x]]*T[[#Totals],[x]]"),
        ("LOG10(3)+$a$1+2:3", "LOG10(3)+$A$1+2:3"),
    ],
)  # fmt: skip
def test_a_formula_in_the_words_of_a_file(typed: str, written: str) -> None:
    assert in_file(typed, Cell("S1", 5, 5)) == written
    assert in_file(written, Cell("S1", 5, 5)) == written


def test_every_function_is_an_old_one_or_a_newer_one() -> None:
    """openpyxl lists those of Excel 2007, which have no prefix."""
    ours = {name for name in REGISTRY if not name.startswith("SGD_")}
    assert ours - FORMULAE - NEWER_FUNCTIONS == {"EUROCONVERT", "USDOLLAR"}  # of an add-in, and never in a file
    assert not FORMULAE & NEWER_FUNCTIONS


@pytest.mark.parametrize("text", ["[Book.xlsx]S!A1", "'[Book.xlsx]S'!A1", "'C:\\[Book.xlsx]S'!A1"])
def test_no_formula_refers_to_a_file_that_is_not_linked(text: str) -> None:
    with refusal(FileError, cell="'S1'!E5", cause="another workbook"):
        in_file(text, Cell("S1", 5, 5))


@pytest.mark.parametrize("text", ["Gone!A1+1", "SUM('gone too'!A:A)", "S1:Gone!A1", "Gone!name"])
def test_no_formula_refers_to_a_sheet_that_is_not_there(tmp_path: Path, text: str) -> None:
    with refusal(FileError, cell="'S1'!B1", cause="there is no sheet"):
        edited(tmp_path, sheet(), {"B1": FormulaEdit(text)})
    edited(tmp_path, sheet(), {"B1": FormulaEdit("'S1'!A1+s1!A2+undefined+UNKNOWN(1)")})


def test_no_formula_refers_to_a_link_that_is_not_there_or_holds_what_is_no_number(tmp_path: Path) -> None:
    with refusal(FileError, cell="'S1'!B1", cause="another workbook"):
        edited(tmp_path, sheet(), {"B1": FormulaEdit("[2]S1!A1")})
    with refusal(FileError, cell="'S1'!B1", cause="too large"):
        edited(tmp_path, sheet(), {"B1": FormulaEdit("1+1e400")})


def test_no_formula_refers_to_a_table_that_is_not_there(table_book: Path) -> None:
    host = FileHost(table_book)
    host.edit({Cell("Sheet", 9, 9): FormulaEdit("SUM(TAB[y])")})
    host.saved_bytes()
    host.edit({Cell("Sheet", 9, 9): FormulaEdit("SUM(Gone[y])")})
    with refusal(FileError, cell="Sheet!I9", cause="no table"):
        host.saved_bytes()


# --- the list of all formulas, names ----------------------------------------------------------------------


def chain_parts() -> dict[str, str | bytes]:
    content = parts(sheet('<row r="1"><c r="A1"><f>1</f><v>1</v></c><c r="B1"><f>2</f><v>2</v></c></row>'))
    content["xl/calcChain.xml"] = f'<calcChain xmlns="{MAIN}"><c r="A1" i="1"/><c r="B1"/></calcChain>'
    content["[Content_Types].xml"] = str(content["[Content_Types].xml"]).replace(
        "</Types>", f'<Override PartName="/xl/calcChain.xml" ContentType="{TYPES}.calcChain+xml"/></Types>'
    )
    links = (("worksheet", "worksheets/sheet1.xml"), ("calcChain", "calcChain.xml"))
    content["xl/_rels/workbook.xml.rels"] = relationships(*links)
    return content


def chain_book(folder: Path) -> Path:
    path = folder / "chain.xlsx"
    path.write_bytes(zipped(chain_parts()))
    return path


@pytest.mark.parametrize(
    ("changes", "chain"),
    [
        ({"A1": FormulaEdit("3", 3.0)}, '<c r="A1" i="1"/><c r="B1"/>'),
        ({"C1": Constant(3.0)}, '<c r="A1" i="1"/><c r="B1"/>'),
        ({"A1": CLEARED}, '<c i="1" r="B1"/>'),
        ({"A1": CLEARED, "B1": Constant(1.0)}, None),
        ({"C1": FormulaEdit("3", 3.0)}, None),
    ],
)
def test_the_calculation_chain(tmp_path: Path, changes: Mapping[str, CellEdit], chain: str | None) -> None:
    path = chain_book(tmp_path)
    host = FileHost(path)
    host.edit(edits_at(changes))
    host.save()
    types, links = (member(path, name).decode() for name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"))
    assert ("calcChain" in types) == ("calcChain" in links) == (chain is not None)
    if chain is None:
        with pytest.raises(KeyError):
            member(path, "xl/calcChain.xml")
    else:
        assert member(path, "xl/calcChain.xml").decode() == f'<calcChain xmlns="{MAIN}">{chain}</calcChain>'


def test_the_calculation_chain_lists_no_cell_of_an_array_that_is_gone(tmp_path: Path) -> None:
    content = chain_parts()
    content["xl/worksheets/sheet1.xml"] = sheet(
        '<row r="1"><c r="A1"><f t="array" ref="A1:B1">{1,2}</f><v>1</v></c><c r="B1"><v>2</v></c>'
        '<c r="C1"><f>1</f><v>1</v></c></row>'
    )
    chain = '<c r="A1" i="1" a="1"/><c r="B1" a="1"/><c r="C1"/>'
    content["xl/calcChain.xml"] = f'<calcChain xmlns="{MAIN}">{chain}</calcChain>'
    (tmp_path / "array.xlsx").write_bytes(zipped(content))
    host = FileHost(tmp_path / "array.xlsx")
    host.edit(edits_at({"A1": Constant(1.0), "B1": Constant(2.0)}))
    host.save(tmp_path / "out.xlsx")
    assert member(tmp_path / "out.xlsx", "xl/calcChain.xml").decode() == (
        f'<calcChain xmlns="{MAIN}"><c i="1" r="C1"/></calcChain>'
    )


NAMES = '<definedNames>{}</definedNames><calcPr calcId="1"/>'
LOSS = '<definedName name="sgd_loss" localSheetId="0">\'S1\'!$B$1</definedName>'
OTHERS = '<definedName name="Alpha">S1!$A$1</definedName>', '<definedName name="zeta" hidden="1">3</definedName>'


def test_names(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet(), sheet(), book=NAMES.format(OTHERS[0] + LOSS + OTHERS[1]))
    host = FileHost(path)
    host.define_name("SGD_LOSS", [parse_range("C3", "s1")])
    host.define_name("sgd_params", [parse_range("A1:B2", "S2"), parse_range("D4", "S1")])
    host.save(tmp_path / "out.xlsx")
    new = "<definedName name=\"sgd_params\" localSheetId=\"1\">'S2'!$A$1:$B$2,'S1'!$D$4</definedName>"
    changed = LOSS.replace("'S1'!$B$1", "'S1'!$C$3")
    book = member(path, "xl/workbook.xml").decode()
    expected = book.replace(LOSS + OTHERS[1], changed + new + OTHERS[1])
    assert member(tmp_path / "out.xlsx", "xl/workbook.xml").decode() == expected
    again = FileHost(tmp_path / "out.xlsx")
    again.remove_name("sgd_loss", "S1")
    again.remove_name("sgd_params", "S2")
    again.remove_name("sgd_metric", "S2")
    again.save()
    assert member(tmp_path / "out.xlsx", "xl/workbook.xml").decode() == book.replace(LOSS, "")


def test_first_and_last_name(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet(), book='<calcPr calcId="1"/>')
    before = member(path, "xl/workbook.xml").decode()
    host = FileHost(path)
    host.define_name("sgd_loss", [parse_range("B1", "S1")])
    host.save()
    assert member(path, "xl/workbook.xml").decode() == before.replace(
        "</sheets>", f"</sheets><definedNames>{LOSS}</definedNames>"
    )
    host.remove_name("sgd_loss", "S1")
    host.save()
    assert member(path, "xl/workbook.xml").decode() == before
    assert RELATIONSHIPS in before
