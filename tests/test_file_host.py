"""Reading workbook files: every way the format has to say a thing, and agreement with other readers."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from openpyxl.formula.translate import Translator
from openpyxl.worksheet.formula import ArrayFormula

from sgdsheet.errors import FileError
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.references import Range, address
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Formula, Sheet, Table, Workbook
from tests.shared_data import SOLVED, shared_data
from tests.xlsx_parts import (
    MAIN,
    STRICT,
    STRICT_RELATIONSHIPS,
    book_file,
    openpyxl_book,
    parts,
    relationships,
    sheet,
    zipped,
)

DYNAMIC = (
    f'<metadata xmlns="{MAIN}" xmlns:xda="urn:xda">'
    '<metadataTypes count="2"><metadataType name="XLRICHVALUE"/>'
    '<metadataType name="XLDAPR"/></metadataTypes><futureMetadata name="XLDAPR" count="2">'
    '<bk><extLst><ext uri="u"><xda:dynamicArrayProperties fDynamic="0" fCollapsed="0"/></ext></extLst></bk>'
    '<bk><extLst><ext uri="u"><xda:dynamicArrayProperties fDynamic="1" fCollapsed="0"/></ext></extLst></bk>'
    '</futureMetadata><cellMetadata count="3"><bk><rc t="2" v="0"/></bk><bk><rc t="1" v="1"/></bk>'
    '<bk><rc t="2" v="1"/></bk></cellMetadata></metadata>'
)


def read_rows(folder: Path, rows: str, **options: Any) -> Sheet:
    return FileHost(book_file(folder, sheet(rows), **options)).read().sheets["S1"]


def read_cell(folder: Path, cell: str, **options: Any) -> object:
    return read_rows(folder, f'<row r="1">{cell}</row>', **options).values.get((1, 1))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('<c r="A1"><v>1.5</v></c>', 1.5),
        ('<c r="A1" t="n"><v> 12\n</v></c>', 12.0),
        ('<c r="A1"><v>-1.7756696420932062E-2</v></c>', -0.017756696420932062),
        ('<c r="A1"><v></v></c>', None),
        ('<c r="A1"><v/></c>', None),
        ('<c r="A1"><v>  </v></c>', None),
        ('<c r="A1" s="3"/>', None),
        ('<c r="A1" t="b"><v>1</v></c>', True),
        ('<c r="A1" t="b"><v> 0 </v></c>', False),
        ('<c r="A1" t="b"><v>true</v></c>', True),
        ('<c r="A1" t="e"><v>#DIV/0!</v></c>', ExcelError.DIV0),
        ('<c r="A1" t="e"><v>#N/A</v></c>', ExcelError.NA),
        ('<c r="A1" t="e"><v>Err:502</v></c>', ExcelError.UNKNOWN),
        ('<c r="A1" t="str"><v> a &lt; b </v></c>', " a < b "),
        ('<c r="A1" t="str"><f>""</f><v></v></c>', ""),
        ('<c r="A1" t="str"><v><![CDATA[<x>]]></v></c>', "<x>"),
        ('<c r="A1" t="str"><v>a_x000D_b_x005F_x0041_</v></c>', "a\rb_x0041_"),
        ('<c r="A1" t="str"><v>_xD83D__xDE00_ _xD83D_</v></c>', "\U0001f600 \ufffd"),
        ('<c r="A1" t="inlineStr"><is><t xml:space="preserve"> x </t></is></c>', " x "),
        (
            '<c r="A1" t="inlineStr"><is><r><rPr><b/></rPr><t>one</t></r><r><t> two</t></r></is></c>',
            "one two",
        ),
        ('<c r="A1" t="inlineStr"><is><t>kanji</t><rPh sb="0" eb="1"><t>kana</t></rPh></is></c>', "kanji"),
        ('<c r="A1" t="inlineStr"><is><t/></is></c>', ""),
        ('<c r="A1" t="d"><v>2024-01-31</v></c>', 45322.0),
        ('<c r="A1" t="d"><v>2024-01-31T12:00:00.000Z</v></c>', 45322.5),
        ('<c r="A1" t="d"><v>06:00:00</v></c>', 0.25),
        ('<c r="A1" t="d"><v>1900-02-28</v></c>', 59.0),
        ('<c r="A1" t="d"><v>1900-03-01</v></c>', 61.0),
    ],
)
def test_value(tmp_path: Path, cell: str, value: object) -> None:
    found = read_cell(tmp_path, cell)
    assert found == value
    assert type(found) is type(value)


def test_date_of_the_1904_system(tmp_path: Path) -> None:
    before = '<workbookPr date1904="1"/>'
    assert read_cell(tmp_path, '<c r="A1" t="d"><v>1904-01-02</v></c>', before=before) == 1.0


@pytest.mark.parametrize(
    ("settings", "known"), [('fullPrecision="0"', True), ('fullPrecision="1"', False), ("", False)]
)
def test_precision_as_displayed_is_known(tmp_path: Path, settings: str, known: bool) -> None:
    path = book_file(tmp_path, sheet(), book=f"<calcPr {settings}/>")
    assert load(path).as_displayed == known


def test_shared_strings(tmp_path: Path) -> None:
    strings = (
        "<si><t>plain</t></si><si><r><t>rich </t></r><r><t>text</t></r></si><si/>"
        "<si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh><phoneticPr fontId='1'/></si>"
        "<si><t xml:space='preserve'> a_x000D_\n</t></si>"
    )
    cells = "".join(f'<c t="s"><v>{index}</v></c>' for index in range(5))
    found = read_rows(tmp_path, f"<row>{cells}</row>", strings=strings)
    assert list(found.values.values()) == ["plain", "rich text", "", "東京", " a\r\n"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('<c r="A1"><v>abc</v></c>', "'S1'!A1: “book.xlsx” cannot be used"),
        ('<c r="A1"><v>1_000</v></c>', "value that cannot be read: '1_000'"),
        ('<c r="A1"><v>NaN</v></c>', "value that cannot be read: 'NaN'"),
        ('<c r="A1"><v>1e999</v></c>', "value that cannot be read: '1e999'"),
        ('<c r="A1" t="s"><v>7</v></c>', "value that cannot be read: '7'"),
        ('<c r="A1" t="s"><v>-1</v></c>', "value that cannot be read: '-1'"),
        ('<c r="A1" t="b"><v>2</v></c>', "value that cannot be read: '2'"),
        ('<c r="A1" t="d"><v>2024-13-01</v></c>', "value that cannot be read: '2024-13-01'"),
        ('<c r="A1" t="x"><v>2</v></c>', "is of an unknown type: 'x'"),
        ('<c r="A1"><f t="shared" si="9"/></c>', "shares a formula that is missing"),
        ('<c r="A1"><f t="array" ref="?">1</f></c>', "is not a range"),
        ('<c r="A2"><v>2</v></c>', "cell 'A2' in row 1"),
        ('<c r="XFE1"><v>2</v></c>', "cell XFE1 lies outside the grid"),
        ('<c r="1A"><v>2</v></c>', "cell '1A' in row 1"),
    ],
)
def test_damaged_cell(tmp_path: Path, cell: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        read_cell(tmp_path, cell, strings="<si><t>one</t></si>")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_positions_may_be_implied(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path,
        '<row><c><v>1</v></c><c r="D1"><v>2</v></c><c><v>3</v></c></row><row r="7"><c><v>4</v></c></row>'
        "<row><c><v>5</v></c></row>",
    )
    assert found.values == {(1, 1): 1.0, (1, 4): 2.0, (1, 5): 3.0, (7, 1): 4.0, (8, 1): 5.0}
    assert found.extent == (8, 5)


def test_formulas(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path,
        '<row r="1"><c r="A1"><f>IF(B1&lt;0,"&amp;",1)</f><v>1</v></c><c r="B1"><f/><v>2</v></c></row>'
        '<row r="2"><c r="A2"><f t="shared" ref="A2:A4" si="0">B2+1</f><v>1</v></c></row>'
        '<row r="3"><c r="A3"><f t="shared" si="0"/><v>2</v></c><c r="B3"><f ca="1">=RAND()</f></c></row>'
        '<row r="4"><c r="A4"><f t="shared" si="0"></f></c><c r="B4"><f t="shared" si="1"/></c></row>'
        '<row r="5"><c r="A5"><f t="shared" ref="A5:A6" si="0">C5</f></c>'
        '<c r="B5"><f t="shared" si="0"/></c></row>'
        '<row r="6"><c r="A6"><f t="shared" ref="A6:B6" si="1">D6</f></c></row>'
        '<row r="8"><c r="B8"><f t="dataTable" ref="B8:C8" dt2D="1" r1="C1" r2="C2"/><v>7</v></c></row>',
    )
    shared = Formula("B2+1", 2, 1)
    assert found.formulas == {
        (1, 1): Formula('IF(B1<0,"&",1)', 1, 1),
        (2, 1): shared,
        (3, 1): shared,
        (3, 2): Formula("RAND()", 3, 2),
        (4, 1): shared,
        (4, 2): Formula("D6", 6, 1),
        (5, 1): Formula("C5", 5, 1),
        (5, 2): Formula("C5", 5, 1),
        (6, 1): Formula("D6", 6, 1),
        **dict.fromkeys([(8, 2), (8, 3)], Formula("MULTIPLE.OPERATIONS($A$7,$C$1,B$7,$C$2,$A8)", 8, 2)),
    }
    assert found.formulas[(3, 1)] is found.formulas[(2, 1)]
    assert found.values[(8, 2)] == 7.0
    assert (3, 2) not in found.values


def test_array_formulas(tmp_path: Path) -> None:
    row = "".join(
        f'<c r="{letter}1"{mark}><f t="array" ref="{letter}1:{letter}2">X1:X2*2</f><v>1</v></c>'
        for letter, mark in zip("ABCDE", ("", ' cm="1"', ' cm="2"', ' cm="3"', ' cm="4"'), strict=True)
    )
    found = read_rows(tmp_path, f'<row r="1">{row}</row>', metadata=DYNAMIC)
    assert [formula.dynamic for formula in found.formulas.values()] == [False, False, False, True, False]
    assert found.formulas[(1, 4)].array == (1, 4, 2, 4)


@pytest.mark.parametrize(("namespace", "base"), [(STRICT, STRICT_RELATIONSHIPS)])
def test_strict_workbook(tmp_path: Path, namespace: str, base: str) -> None:
    text = sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>', namespace=namespace)
    path = book_file(tmp_path, text, strings="<si><t>a</t></si>", namespace=namespace, base=base)
    assert FileHost(path).read().sheets["S1"].values == {(1, 1): "a"}


def test_prefixed_part_with_byte_order_mark(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<x:worksheet xmlns:x="{MAIN}" xmlns:c="urn:c"><x:sheetData><x:row r="1"><x:c r="A1"><x:f>1+1</x:f>'
        '<x:v>2</x:v></x:c></x:row></x:sheetData><c:c r="?"/></x:worksheet>'
    )
    found = FileHost(book_file(tmp_path, b"\xef\xbb\xbf" + text.encode())).read().sheets["S1"]
    assert found.values == {(1, 1): 2.0}
    assert found.formulas[(1, 1)].text == "1+1"


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = sheet('<row r="1"><c r="A1" t="str"><v>é</v></c></row>')
    data = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
    assert FileHost(book_file(tmp_path, data)).read().sheets["S1"].values == {(1, 1): "é"}


def test_part_names_are_found_however_they_are_written(tmp_path: Path) -> None:
    """Absolute and relative targets, another case, percent signs, a workbook that lies elsewhere."""
    content = parts(sheet(), sheet(), sheet())
    for index in (1, 2, 3):
        del content[f"xl/worksheets/sheet{index}.xml"]
    content["odd/Book.xml"] = content.pop("xl/workbook.xml")
    del content["xl/_rels/workbook.xml.rels"]
    content["_rels/.rels"] = relationships(("officeDocument", "/odd/book.xml"))
    targets = ("/Sheets/one.xml", "../sheets/./two.xml", "my%20sheet.xml")
    content["odd/_rels/Book.xml.rels"] = relationships(*(("worksheet", target) for target in targets))
    for name, value in (("sheets/One.xml", 1), ("sheets/two.xml", 2), ("odd/my sheet.xml", 3)):
        content[name] = sheet(f'<row r="1"><c r="A1"><v>{value}</v></c></row>')
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(content))
    found = [item.values for item in FileHost(path).read().sheets.values()]
    assert found == [{(1, 1): 1.0}, {(1, 1): 2.0}, {(1, 1): 3.0}]


def test_names_and_views_count_chart_sheets(tmp_path: Path) -> None:
    book = (
        '<definedNames><definedName name="all">S1!$A$1</definedName>'
        '<definedName name="own" localSheetId="2" hidden="1">\'S3\'!$A$1:$B$2</definedName>'
        '<definedName name="chart" localSheetId="1">&quot;x&quot;&amp;1</definedName></definedNames>'
    )
    before = '<bookViews><workbookView activeTab="2"/></bookViews>'
    content = parts(sheet(), "<chartsheet/>", sheet(), book=book, before=before)
    rels = str(content["xl/_rels/workbook.xml.rels"])
    content["xl/_rels/workbook.xml.rels"] = rels.replace(
        'worksheet" Target="worksheets/sheet2', 'chartsheet" Target="worksheets/sheet2'
    )
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(content))
    found = FileHost(path).read()
    assert found.name == "book.xlsx"
    assert list(found.sheets) == ["S1", "S3"]
    assert found.active == "S3"
    assert found.names == [
        DefinedName("all", "S1!$A$1"),
        DefinedName("own", "'S3'!$A$1:$B$2", "S3", hidden=True),
        DefinedName("chart", '"x"&1', "S2"),
    ]


def test_merged_cells_and_protection(tmp_path: Path) -> None:
    after = '<sheetProtection sheet="1" objects="1"/><mergeCells><mergeCell ref="A1:B2"/></mergeCells>'
    path = book_file(tmp_path, sheet(after=after), sheet(after='<sheetProtection objects="1"/>'))
    found = FileHost(path).read()
    assert found.sheets["S1"].protected
    assert found.sheets["S1"].merged == [Range("S1", 1, 1, 2, 2)]
    assert not found.sheets["S2"].protected
    assert found.active == "S1"


def xlsxwriter_book(path: Path) -> None:
    book = xlsxwriter.Workbook(path)
    first = book.add_worksheet("first & last")
    first.write_row("A1", [1, 2.5, "text", True])
    first.write_formula("E1", '=A1&"é"', None, "1é")
    first.write_formula("F1", "=A1/0", None, "#DIV/0!")
    first.write_array_formula("A3:B4", "{=A1:B1*2}", None, 2)
    first.write_dynamic_array_formula("D3:D4", "=UNIQUE(A1:A9)", None, 1)
    first.write_rich_string("A6", "a ", book.add_format({"bold": True}), "bold", " word")
    first.write_datetime("A7", datetime(2024, 1, 31, 6), book.add_format({"num_format": "yyyy"}))
    columns = [{"header": "x"}, {"header": "two\nlines", "total_function": "sum"}]
    first.add_table("H2:I6", {"name": "Sales", "columns": columns, "total_row": True})
    first.add_table("K2:L6", {"name": "Bare", "header_row": False})
    first.merge_range("A9:C9", "wide")
    first.protect()
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "='first & last'!$A$1:$B$1"})
    book.add_chartsheet("chart").set_chart(chart)
    last = book.add_worksheet("Ütf")
    last.activate()
    book.define_name("rate", "=0.5")
    book.define_name("Ütf!local", "='first & last'!$A$1")
    book.close()


def test_workbook_of_xlsxwriter(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    xlsxwriter_book(path)
    found = load(path)
    first = found.sheets["first & last"]
    assert list(found.sheets) == ["first & last", "Ütf"]
    assert found.active == "Ütf"
    assert [first.values[(1, column)] for column in range(1, 7)] == [
        1,
        2.5,
        "text",
        True,
        "1é",
        ExcelError.DIV0,
    ]
    assert first.formulas[(3, 1)] == Formula("A1:B1*2", 3, 1, (3, 1, 4, 2))
    assert first.formulas[(3, 4)] == Formula("_xlfn.UNIQUE(A1:A9)", 3, 4, (3, 4, 4, 4), dynamic=True)
    assert first.values[(6, 1)] == "a bold word"
    assert first.values[(7, 1)] == 45322.25
    assert first.merged == [Range("first & last", 9, 1, 9, 3)]
    assert first.protected
    assert found.tables == {
        "Sales": Table("Sales", Range("first & last", 2, 8, 6, 9), ("x", "two\nlines"), 1, 1),
        "Bare": Table("Bare", Range("first & last", 2, 11, 6, 12), ("Column1", "Column2"), 0, 0),
    }
    assert found.names == [
        DefinedName("local", "'first & last'!$A$1", "Ütf"),
        DefinedName("rate", "0.5"),
    ]


@pytest.fixture(scope="module")
def read() -> Workbook:
    return FileHost(SOLVED).read()


@shared_data("workbooks")
def test_values_agree_with_openpyxl(read: Workbook) -> None:
    other = openpyxl_book(SOLVED, values=True)
    assert list(read.sheets) == other.sheetnames
    for found in read.sheets.values():
        values = {
            (cell.row, cell.column): cell.value
            for row in other[found.name].iter_rows()
            for cell in row
            if cell.value is not None
        }
        assert not any(isinstance(value, date | datetime | time) for value in values.values())
        ours = {key: v.value if isinstance(v, ExcelError) else v for key, v in found.values.items()}
        assert ours == values


@shared_data("workbooks")
def test_formulas_agree_with_openpyxl(read: Workbook) -> None:
    other, count = openpyxl_book(SOLVED), 0
    for found in read.sheets.values():
        theirs = {}
        for row in other[found.name].iter_rows():
            for cell in row:
                if isinstance(cell.value, ArrayFormula):
                    theirs[(cell.row, cell.column)] = str(cell.value.text).removeprefix("=")
                elif cell.data_type == "f":
                    theirs[(cell.row, cell.column)] = cell.value.removeprefix("=")
        ours = {}
        for position, formula in found.formulas.items():
            ours[position] = formula.text
            if (formula.row, formula.column) != position:
                start = Translator("=" + formula.text, origin=address(formula.row, formula.column))
                ours[position] = start.translate_formula(address(*position)).removeprefix("=")
        assert ours == theirs
        count += len(ours)
    assert count > 5000


def test_titanic(read: Workbook) -> None:
    assert read.active == "nnet"
    arrays = {key: formula for key, formula in read.sheets["mmult"].formulas.items() if formula.array}
    assert arrays[(4, 22)] == Formula("MMULT(G4:P715,S4:T13)", 4, 22, (4, 22, 715, 23), dynamic=True)
    assert all(formula.dynamic for formula in arrays.values())
    found = read.defined_name("solver_adj", "nnet")
    assert found == DefinedName("solver_adj", "nnet!$R$4:$AA$5", "nnet", hidden=True)
    assert sum(name.name.startswith("solver_") and name.hidden for name in read.names) > 50
    table = read.table("table134")
    assert table is not None
    assert table.body == Range("nnet", 4, 1, 715, 16)
    assert table.columns[:3] == ("Survived", "Embarked", "Pclass")


def test_import_stays_light() -> None:
    code = "import sgdsheet.hosts.file, sys; print({'torch', 'numpy', 'openpyxl', 'lxml'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "set()"
