"""OpenDocument spreadsheets: what is read, and what is written where every other byte stays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import xlsxwriter

import sgdsheet
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.errors import FileError
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.ods import ods_reader
from sgdsheet.hosts.ods.open_formula import areas_in_excel, formula_in_excel
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import MAX_COLUMN, Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from sgdsheet.train.logbook import Record
from tests.cli_books import run
from tests.errors import ANYWHERE, refusal
from tests.ods_parts import MIME, content, content_of, empty, number, ods, row
from tests.office import LibreOffice

WORKBOOKS = Path(__file__).parent.parent / "workbooks"


# --- formulas ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("of:=SUM([.A1:.B2];2)", "SUM(A1:B2,2)"),
        ("of:=[.$A$1]*[$Sheet1.B2:.C3]", "$A$1*Sheet1!B2:C3"),
        ("of:=SUM([$'it''s ]here'.A1:.A4])", "SUM('it''s ]here'!A1:A4)"),
        ("of:=COM.MICROSOFT.CEILING(1;2)+CEILING(1;2)", "CEILING(1,2)+CEILING.MATH(1,2)"),
        ("of:=LEGACY.FDIST(1;2;3)+FDIST(1;2;3;TRUE())", "FDIST(1,2,3)+F.DIST(1,2,3,TRUE)"),
        ("of:=B(60;0.75;48)", "BINOM.DIST.RANGE(60,0.75,48)"),
        ("of:=[.#REF!]+[$S.#REF!$1]+[#REF!.A1]", "#REF!+S!#REF!+#REF!"),
        ("of:=['file:///x/y.ods'#$S.A1]", "'[y.ods]S'!A1"),
        ('of:={1;2|3;4}&"[.A1];"', '{1,2;3,4}&"[.A1];"'),
        ("of:=SUM([.A:.A])+SUM([.1:.7])", "SUM(A:A)+SUM(1:7)"),
        ("of:=IF([.A1]=TRUE();b!c;1E5)", "IF(A1=TRUE,b c,1E+5)"),
        ("oooc:=SUM([.A1];[.B2])", "SUM(A1,B2)"),
        ("msoxl:=SUM(A1,B1)", "SUM(A1,B1)"),
        ("of:=_xlfn._xlws.filter([.A1:.A4];[.A1:.A4]>15)", "_xlfn._xlws.filter(A1:A4,A1:A4>15)"),
    ],
)
def test_a_formula_as_excel_writes_it(text: str, expected: str) -> None:
    assert formula_in_excel(text) == expected


def test_named_ranges() -> None:
    assert areas_in_excel("$'a b'.$A$1:.$B$2") == "'a b'!$A$1:$B$2"


_WRITTEN_OTHERWISE = {
    *("NORMSDIST", "NORMSINV"),  # XlsxWriter takes them for newer ones
    *("SERIESSUM", "BETA.INV", "BETAINV"),  # LibreOffice keeps 15 digits of the example's numbers
    "WEEKNUM",  # LibreOffice adds the argument that is left out
    *("TRUE", "FALSE"),  # values, where OpenFormula has functions
}


def test_every_function_comes_back_from_libreoffices_names(tmp_path: Path, converter: LibreOffice) -> None:
    """LibreOffice reads each example from an .xlsx and writes it as OpenFormula; ours is the way back."""
    examples = {name: next(iter(found.examples)) for name, found in REGISTRY.items() if not name.startswith("SGD_")}
    with xlsxwriter.Workbook(tmp_path / "all.xlsx", {"use_future_functions": True}) as book:
        page = book.add_worksheet("S")
        for place, (name, example) in enumerate(examples.items()):
            if name not in _WRITTEN_OTHERWISE:
                page.write_formula(place, 0, f"={example}")
    wanted = sgdsheet.load(tmp_path / "all.xlsx").sheets["S"].formulas
    found = sgdsheet.load(converter.convert(tmp_path / "all.xlsx", tmp_path / "all.ods")).sheets["S"].formulas
    assert len(wanted) > 300
    different = {
        wanted[place].text: formula.text
        for place, formula in found.items()
        if parse(wanted[place].text.upper(), *place) != parse(formula.text.upper(), *place)
    }
    assert different == {}
    assert wanted.keys() == found.keys()


# --- reading ----------------------------------------------------------------------------------------------


def read(folder: Path, rows: str, **more: str) -> Workbook:
    return sgdsheet.load(ods(folder / "a.ods", content(rows, **more)))


def cell(attributes: str, text: str = "") -> str:
    return f"<table:table-cell {attributes}>{text}</table:table-cell>"


@pytest.mark.parametrize(
    ("attributes", "text", "value"),
    [
        ('office:value-type="float" office:value="-1.5E-3"', "", -0.0015),
        ('office:value-type="percentage" office:value="0.25"', "<text:p>25 %</text:p>", 0.25),
        ('office:value-type="currency" office:currency="EUR" office:value="3"', "<text:p>3 €</text:p>", 3.0),
        ('office:value-type="boolean" office:boolean-value="true"', "", True),
        ('office:value-type="date" office:date-value="2024-02-29"', "", 45351.0),
        ('office:value-type="date" office:date-value="2024-02-29T12:00:00"', "", 45351.5),
        ('office:value-type="date" office:date-value="10000-01-01"', "", 2958466.0),
        ('office:value-type="time" office:time-value="PT36H30M00S"', "", 36.5 / 24),
        ('office:value-type="string"', "<text:p>two<text:s text:c='2'/>spaces</text:p>", "two  spaces"),
        ('office:value-type="string"', "<text:p>one</text:p><text:p>two</text:p>", "one\ntwo"),
        ('office:value-type="string" office:string-value="a&amp;b"', "<text:p>shown</text:p>", "a&b"),
        (
            'office:value-type="string"',
            "<office:annotation><text:p>no</text:p></office:annotation><text:p>x</text:p>",
            "x",
        ),
        ('office:value-type="string" office:string-value="" table:formula="of:=&quot;&quot;"', "", ""),
        ('office:value-type="string" calcext:value-type="error"', "<text:p>#DIV/0!</text:p>", ExcelError.DIV0),
        ('office:value-type="string" calcext:value-type="error"', "<text:p>Err:503</text:p>", ExcelError.NUM),
        ('office:value-type="string" calcext:value-type="error"', "<text:p>#WERT!</text:p>", ExcelError.UNKNOWN),
        ('office:value-type="void"', "", None),
        ("", "<text:p>no type</text:p>", None),
    ],
)
def test_value(tmp_path: Path, attributes: str, text: str, value: Value | None) -> None:
    assert read(tmp_path, row(cell(attributes, text))).sheets["S1"].values.get((1, 1)) == value


@pytest.mark.parametrize(
    "attributes",
    [
        'office:value-type="float"',
        'office:value-type="float" office:value="1_0"',
        'office:value-type="float" office:value="INF"',
        'office:value-type="boolean" office:boolean-value="yes"',
        'office:value-type="date" office:date-value="today"',
        'office:value-type="date" office:date-value="2024-02-30"',
        'office:value-type="time" office:time-value="P"',
        'office:value-type="colour"',
    ],
)
def test_a_damaged_value_is_named(tmp_path: Path, attributes: str) -> None:
    with refusal(FileError, cell="'S1'!B1", cause="damaged", remedy="save it again"):
        read(tmp_path, row(empty(), cell(attributes)))


def test_repeated_rows_and_cells(tmp_path: Path) -> None:
    three = number(7, more=' table:number-columns-repeated="3"')
    found = read(tmp_path, row(empty(2), three, times=2) + row(empty(16384), times=1000) + row(number(1)))
    values = found.sheets["S1"].values
    assert values == {**{(y, x): 7.0 for y in (1, 2) for x in (3, 4, 5)}, (1003, 1): 1.0}


def test_arrays_merged_hidden_and_protected(tmp_path: Path) -> None:
    array = 'table:formula="of:=MMULT([.A1:.B2];[.A1:.B2])" table:number-matrix-columns-spanned="2"'
    array += ' table:number-matrix-rows-spanned="2" office:value-type="float" office:value="1"'
    merged = cell('table:number-columns-spanned="3" table:number-rows-spanned="2"')
    hidden = row(empty(), times=2).replace("-row ", '-row table:visibility="filter" ', 1)
    text = content(row(cell(array)) + row(merged) + hidden).replace('name="S1"', 'name="S1" table:protected="true"')
    sheet = sgdsheet.load(ods(tmp_path / "a.ods", text)).sheets["S1"]
    assert sheet.formulas[1, 1].array == (1, 1, 2, 2)
    assert sheet.merged == [Range("S1", 2, 1, 3, 3)]
    assert sheet.hidden_rows == {3, 4}
    assert sheet.protected


def test_names_and_tables(tmp_path: Path) -> None:
    own = (
        '<table:named-expressions><table:named-range table:name="sgd_loss" table:base-cell-address="$S1.$A$1" '
        'table:cell-range-address="$S1.$A$2"/></table:named-expressions>'
    )
    everywhere = (
        '<table:named-expressions><table:named-expression table:name="twice" table:base-cell-address="$S1.$A$1" '
        'table:expression="of:=2*[$S1.$A$2]"/></table:named-expressions><table:database-ranges><table:database-range '
        'table:name="T" table:target-range-address="S1.A1:S1.A2"/></table:database-ranges>'
    )
    head = cell('office:value-type="string"', "<text:p>speed</text:p>")
    book = read(tmp_path, row(head) + row(number(3)), names=own, after=everywhere)
    assert [(name.name, name.text, name.sheet) for name in book.names] == [
        ("sgd_loss", "'S1'!$A$2", "S1"),
        ("twice", "2*'S1'!$A$2", None),
    ]
    assert book.tables["T"].area == parse_range("A1:A2", "S1")
    assert book.tables["T"].columns == ("speed",)


def test_the_sheet_on_top_is_known(tmp_path: Path) -> None:
    settings = (
        '<office:document-settings xmlns:office="o" xmlns:config="c"><config:config-item config:name="ActiveTable">'
        "S1</config:config-item></office:document-settings>"
    )
    assert sgdsheet.load(ods(tmp_path / "a.ods", content(row(number(1))), settings_xml=settings)).active == "S1"


def test_old_macs_count_from_1904(tmp_path: Path) -> None:
    before = '<table:calculation-settings><table:null-date table:date-value="{}"/></table:calculation-settings>'
    day = row(cell('office:value-type="date" office:date-value="1904-01-02"'))
    book = read(tmp_path, day, before=before.format("1904-01-01"))
    assert book.date1904
    assert book.sheets["S1"].values == {(1, 1): 1.0}
    with refusal(FileError, cause="counts days from 1900-01-01", remedy="30/12/1899"):
        read(tmp_path, day, before=before.format("1900-01-01"))


@pytest.mark.parametrize("said", ["true", "false"])
def test_precision_as_shown_is_known(tmp_path: Path, said: str) -> None:
    before = f'<table:calculation-settings table:precision-as-shown="{said}"/>'
    assert read(tmp_path, row(number(1)), before=before).as_displayed == (said == "true")


def test_a_file_cannot_grow_without_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ods_reader, "MAX_CELLS", 1000)
    with refusal(FileError, cause="more than 1,000 cells"):
        read(tmp_path, row(number(1), times=1001))
    with refusal(FileError, cause="outside the grid"):
        read(tmp_path, row(empty(16384), number(1)))
    with refusal(FileError, cause="outside the grid"):
        read(tmp_path, row(empty(), times=1048576) + row(number(1)))
    with refusal(FileError, cause="no number of cells"):
        read(tmp_path, row(cell('table:number-columns-repeated="0"')))


def test_columns_beyond_the_sheet_are_not_looked_at(tmp_path: Path) -> None:
    columns = '<table:table-column table:visibility="collapse" table:number-columns-repeated="900"/>' * 100
    path = ods(tmp_path / "a.ods", content(columns + row(number(1))), styles_xml="<a/>")
    hidden = FileHost(path).appearance().sheet("S1").hidden_columns
    assert MAX_COLUMN - 1_000 < max(hidden) < MAX_COLUMN + 1_000


def test_a_file_that_does_not_begin_with_its_type(tmp_path: Path) -> None:
    path = ods(tmp_path / "a.ods", content(row(number(1))))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.ods", "w") as new:
        for name in old.namelist():
            if name != "mimetype":
                new.writestr(name, old.read(name))
    assert sgdsheet.load(tmp_path / "b.ods").sheets["S1"].values == {(1, 1): 1.0}


def test_what_is_refused(tmp_path: Path) -> None:
    entity = content(row(number(1))).replace("<office:doc", '<!DOCTYPE a [<!ENTITY b "c">]><office:doc', 1)
    with refusal(FileError, cause="document type"):
        sgdsheet.load(ods(tmp_path / "a.ods", entity))
    with refusal(FileError, cause="password", remedy="without a password"):
        sgdsheet.load(ods(tmp_path / "b.ods", "x", **{"META-INF__manifest_xml": "<m><encryption-data/></m>"}))
    with refusal(FileError, cause="two sheets"):
        read(tmp_path, row(number(1)), more='<table:table table:name="s1"/>')


# --- writing ----------------------------------------------------------------------------------------------

A1 = Cell("S1", 1, 1)


def patched(folder: Path, rows: str, values: dict[str, Value], **more: str) -> str:
    """The rows after these values were written, without what stands around them."""
    host = FileHost(ods(folder / "a.ods", content(rows, **more)))
    host.write({parse_range(a1, "S1").first: value for a1, value in values.items()})
    host.save(folder / "out.ods")
    written = sgdsheet.load(folder / "out.ods").sheets["S1"].values
    assert {a1: written.get(parse_range(a1, "S1").first[1:]) for a1 in values} == values
    before, after = content("|", **more).split("|")
    return content_of(folder / "out.ods").removeprefix(before).removesuffix(after)


def test_a_number_and_the_result_of_a_formula(tmp_path: Path) -> None:
    formula = number(3, "of:=[.A1]+1")
    found = patched(tmp_path, row(number(2), formula), {"A1": 0.1, "B1": 1.1})
    assert found == row(number(0.1), number(1.1, "of:=[.A1]+1"))


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        (
            empty(),
            2.0,
            '<table:table-cell office:value-type="float" office:value="2"><text:p>2</text:p></table:table-cell>',
        ),
        (
            cell('table:style-name="p" office:value-type="percentage" office:value="0.5"', "<text:p>50%</text:p>"),
            0.25,
            cell('table:style-name="p" office:value-type="percentage" office:value="0.25"', "<text:p>0.25</text:p>"),
        ),
        (
            cell('office:value-type="date" office:date-value="2024-01-01"', "<text:p>1/1</text:p>"),
            5.0,
            cell('office:value-type="float" office:value="5"', "<text:p>5</text:p>"),
        ),
        (
            cell(
                'office:value-type="float" office:value="1"', "<office:annotation/><text:p>1</text:p><text:p>x</text:p>"
            ),
            5.0,
            cell('office:value-type="float" office:value="5"', "<office:annotation/><text:p>5</text:p>"),
        ),
        (
            cell('office:value-type="float" office:value="1"'),
            "a  <b>\n'",
            cell(
                'office:value-type="string" office:string-value="a  &lt;b&gt;&#10;\'"',
                "<text:p>a <text:s/>&lt;b&gt;</text:p><text:p>'</text:p>",
            ),
        ),
        (
            number(1, "of:=1/0"),
            ExcelError.DIV0,
            cell(
                'table:formula="of:=1/0" office:value-type="string" office:string-value="" calcext:value-type="error"',
                "<text:p>#DIV/0!</text:p>",
            ),
        ),
        (
            cell('office:value-type="float" office:value="1"'),
            True,
            cell('office:value-type="boolean" office:boolean-value="true"', "<text:p>TRUE</text:p>"),
        ),
    ],
)
def test_written_value(tmp_path: Path, old: str, value: Value, new: str) -> None:
    assert patched(tmp_path, row(old), {"A1": value}) == row(new)


def test_one_of_many_cells_alike(tmp_path: Path) -> None:
    seven = number(7, more=' table:number-columns-repeated="5"')
    two = number(7, more=' table:number-columns-repeated="2"')
    assert patched(tmp_path, row(seven), {"C1": 1.0}) == row(two, number(1), two)
    assert patched(tmp_path, row(seven), {"A1": 1.0, "E1": 2.0}) == row(
        number(1), number(7, more=' table:number-columns-repeated="3"'), number(2)
    )


def test_one_of_many_rows_alike(tmp_path: Path) -> None:
    one = '<table:table-cell office:value-type="float" office:value="1"><text:p>1</text:p></table:table-cell>'
    found = patched(tmp_path, row(number(7), times=10), {"A1": 1.0, "B4": 1.0})
    assert found == row(number(1)) + row(number(7), times=2) + row(number(7), one) + row(number(7), times=6)


def test_rows_and_cells_that_are_not_in_the_file(tmp_path: Path) -> None:
    found = patched(tmp_path, row(number(7)) + "<table:table-row/>", {"C1": 1.0, "B2": 2.0, "A5": 3.0})
    new = '<table:table-cell office:value-type="float" office:value="{0}"><text:p>{0}</text:p></table:table-cell>'
    assert found == (
        row(number(7), empty(), new.format(1))
        + row(empty(), new.format(2))
        + row(empty(), times=2)
        + row(new.format(3))
    )


def test_a_sheet_in_the_sheet_is_left_alone(tmp_path: Path) -> None:
    frame = f'<table:shapes><table:table table:name="S1">{row(empty())}</table:table></table:shapes>'
    assert patched(tmp_path, frame + row(number(7)), {"A1": 1.0}) == frame + row(number(1))


def test_results_that_are_not_known_go_and_formulas_can_give_way(tmp_path: Path) -> None:
    host = FileHost(ods(tmp_path / "a.ods", content(row(number(2, "of:=[.B1]"), number(3, "of:=1+2")))))
    host.mark_uncalculated([A1])
    host.write({Cell("S1", 1, 2): 4.0})
    host.replace_formulas([Cell("S1", 1, 2)])
    host.save(tmp_path / "out.ods")
    assert content_of(tmp_path / "out.ods") == content(
        row('<table:table-cell table:formula="of:=[.B1]"></table:table-cell>', number(4))
    )


def test_other_parts_keep_their_bytes(tmp_path: Path) -> None:
    path = ods(tmp_path / "a.ods", content(row(number(1))), styles_xml="<a/>", Pictures__x="\x00picture")
    host = FileHost(path)
    host.write({A1: 2.0})
    host.save()
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        assert package.namelist() == ["mimetype", "content.xml", "META-INF/manifest.xml", "styles.xml", "Pictures/x"]
        assert package.infolist()[0].compress_type == zipfile.ZIP_STORED
        assert package.read("Pictures/x") == b"\x00picture"
    assert sgdsheet.load(path).sheets["S1"].values == {(1, 1): 2.0}


def test_a_log_of_ours_is_replaced_and_a_persons_sheet_is_kept(tmp_path: Path) -> None:
    record = Record(1, None, 0.5, None, None, 0.1, None, 0.01)
    path = ods(
        tmp_path / "a.ods",
        content(row(number(1)), more='<table:table table:name="sgd LOG"><table:table-row/></table:table>'),
    )
    for loss in (0.5, 0.25):
        host = FileHost(path)
        host.write_log([record, Record(2, None, loss, None, None, 0.1, None, 0.02)], "Training & more", ["A note."])
        host.save()
    book = sgdsheet.load(path)
    assert list(book.sheets) == ["S1", "sgd LOG", "SGD log 2"]
    values = book.sheets["SGD log 2"].values
    assert values[1, 1] == "Training & more"
    assert [values[3, column] for column in range(1, 5)] == ["step", "training loss", "learning rate", "seconds"]
    assert values[5, 2] == 0.25
    assert values[7, 1] == "A note."


# --- there and back ---------------------------------------------------------------------------------------


def test_train_a_lesson_that_libreoffice_saved(tmp_path: Path, converter: LibreOffice) -> None:
    """The values of every sheet are those of the .xlsx; what is trained is read by LibreOffice with equal results."""
    path = converter.convert(WORKBOOKS / "quadratic.xlsx", tmp_path / "quadratic.ods")
    done = run("train", path, "--sheet", "raw", "--log-sheet", "--json")
    assert done.status == 0, done.err
    assert done.json["output"] == str(tmp_path / "quadratic-trained.ods")
    trained = sgdsheet.load(tmp_path / "quadratic-trained.ods")
    again = sgdsheet.load(converter.convert(tmp_path / "quadratic-trained.ods", tmp_path / "again.xlsx"))
    assert list(again.sheets) == [*sgdsheet.load(path).sheets, "SGD log"]
    for name in ("raw", "centred"):
        numbers = {place: value for place, value in trained.sheets[name].values.items() if isinstance(value, float)}
        assert {place: again.sheets[name].values[place] for place in numbers} == pytest.approx(numbers)
    assert trained.sheets["raw"].values != sgdsheet.load(path).sheets["raw"].values


def test_libreoffice_calculates_what_was_marked(tmp_path: Path, converter: LibreOffice) -> None:
    host = FileHost(ods(tmp_path / "a.ods", content(row(number(2), number(9, "of:=[.A1]*10")))))
    host.mark_uncalculated([Cell("S1", 1, 2)])
    host.save()
    assert sgdsheet.load(converter.convert(tmp_path / "a.ods", tmp_path / "a.xlsx")).sheets["S1"].values[1, 2] == 20.0


def test_the_output_is_an_ods_too(tmp_path: Path) -> None:
    host = FileHost(ods(tmp_path / "a.ods", content(row(number(1)))))
    with refusal(FileError, cell=ANYWHERE, cause="another kind", remedy=r"\.ods"):
        host.check_output(tmp_path / "b.xlsx")


# --- one piece of XML -------------------------------------------------------------------------------------


_SETTINGS = '<c:item xmlns:c="urn:x" config:name="ActiveTable" xmlns:config="urn:c">S1</c:item>'


def flat(rows: str) -> str:
    """The document with one sheet S1 of these rows, in one piece."""
    text = content(rows, before=_SETTINGS)
    text = text.replace("<office:document-content", f'<office:document office:mimetype="{MIME}"', 1)
    return text.removesuffix("</office:document-content>") + "</office:document>\n<!-- end -->"


def test_a_flat_file_is_read_and_patched(tmp_path: Path) -> None:
    """A document may hold others, such as charts with tables of their own: they are left alone."""
    chart = f"<table:shapes>{content(row(number(7))).partition('?>')[2]}</table:shapes>"
    path, formula = tmp_path / "book.fods", "of:=[.A1]+2"
    path.write_text(flat(chart + row(number(1), number(3, formula)) + row(number("2E0"), times=3)))
    host = FileHost(path)
    book = host.read()
    assert book.active == "S1"
    sheet = book.sheets["S1"]
    assert sheet.values == {(1, 1): 1.0, (1, 2): 3.0, (2, 1): 2.0, (3, 1): 2.0, (4, 1): 2.0}
    assert sheet.formulas[1, 2].text == "A1+2"
    host.write({Cell("S1", 1, 1): 5.0, Cell("S1", 1, 2): 7.0})
    host.save(tmp_path / "out.fods")
    patched = chart + row(number(5), number(7, formula)) + row(number("2E0"), times=3)
    assert (tmp_path / "out.fods").read_text() == flat(patched)
    with refusal(FileError, cause="another kind", remedy=r"\.fods"):
        host.save(tmp_path / "out.ods")


@pytest.mark.parametrize("start", ["", "\ufeff", "<!-- a --> "])
def test_what_tells_a_flat_file(tmp_path: Path, start: str) -> None:
    """Its contents, not its name."""
    space = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
    with refusal(FileError, cause="no spreadsheet"):
        sgdsheet.load(f'{start}<office:document xmlns:office="{space}"></office:document>'.encode())
    with refusal(FileError, cause="not an xlsx workbook"):
        sgdsheet.load(b"<?xml version='1.0'?><Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'/>")


def test_train_a_flat_file_of_libreoffice(tmp_path: Path, converter: LibreOffice) -> None:
    """A lesson, saved by LibreOffice, trained, with the log; and LibreOffice calculates what we did."""
    source = converter.convert(WORKBOOKS / "linear_regression.xlsx", tmp_path / "line.fods")
    assert sgdsheet.load(source).from_office
    found = run("train", source, "--sheet", "fit", "--json", "--log-sheet", "-o", tmp_path / "out.fods")
    assert found.json["loss"] < 0.1
    again = converter.convert(tmp_path / "out.fods", tmp_path / "again.xlsx")
    assert sgdsheet.load(again).sheets["fit"].values[6, 5] == pytest.approx(found.json["loss"], rel=1e-9)
    assert "SGD log" in sgdsheet.load(again).sheets
    assert run("check", tmp_path / "out.fods", "--all").status == 0
