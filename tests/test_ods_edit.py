"""Saving what a person typed into an OpenDocument spreadsheet; LibreOffice reads it as it was meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import sgdsheet
from sgdsheet.errors import FileError
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.cell_edit import CellEdit, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import DefinedName, Workbook
from tests.errors import refusal
from tests.ods_parts import content, content_of, empty, number, ods, row
from tests.office import LibreOffice
from tests.test_file_host_edit import edits_at

EXCELS = ' xmlns:msoxl="http://schemas.microsoft.com/office/excel/formula"'


def edited(folder: Path, rows: str, changes: Mapping[str, CellEdit]) -> str:
    """The rows after the edits."""
    host = FileHost(ods(folder / "a.ods", content(rows)))
    host.edit(edits_at(changes))
    host.save(folder / "out.ods")
    before, after = content("|").split("|")
    return content_of(folder / "out.ods").removeprefix(before).removesuffix(after)


@pytest.mark.parametrize(
    ("old", "edit", "new"),
    [
        (number(1, "of:=1"), Constant(2.0), number(2)),
        (number(1, "of:=1"), Cleared(), "<table:table-cell></table:table-cell>"),
        (empty(), Cleared(), empty()),
        (
            '<table:table-cell table:style-name="ce1"/>',
            FormulaEdit('b1&"<"', "x<"),
            f'<table:table-cell table:style-name="ce1"{EXCELS} table:formula="msoxl:=B1&amp;&quot;&lt;&quot;" '
            'office:value-type="string" office:string-value="x&lt;"><text:p>x&lt;</text:p></table:table-cell>',
        ),
        (
            empty(),
            FormulaEdit("1+1", None),
            f'<table:table-cell{EXCELS} table:formula="msoxl:=1+1"/>',
        ),
        (
            number(1, "of:=1"),
            Constant(46355.0, "yyyy-mm-dd"),
            '<table:table-cell office:value-type="date" office:date-value="2026-11-29"><text:p>46355</text:p>'
            "</table:table-cell>",
        ),
        (
            number(1),
            Constant(46355.5, "mm-dd-yy"),
            '<table:table-cell office:value-type="date" office:date-value="2026-11-29T12:00:00"><text:p>46355.5'
            "</text:p></table:table-cell>",
        ),
        (
            empty(),
            Constant(1.75, "[h]:mm"),
            '<table:table-cell office:value-type="time" office:time-value="PT42H00M00S"><text:p>1.75</text:p>'
            "</table:table-cell>",
        ),
        (
            empty(),
            Constant(0.05, "0%"),
            '<table:table-cell office:value-type="percentage" office:value="0.05"><text:p>0.05</text:p>'
            "</table:table-cell>",
        ),
    ],
)
def test_a_cell(tmp_path: Path, old: str, edit: CellEdit, new: str) -> None:
    assert edited(tmp_path, row(old, number(7)), {"A1": edit}) == row(new, number(7))


def test_a_number_that_no_date_can_hold_stays_a_number(tmp_path: Path) -> None:
    found = edited(tmp_path, row(empty()), {"A1": Constant(46355.123456789, "yyyy-mm-dd")})
    assert 'office:value="46355.123456789"' in found


def test_a_formula_is_typed_over_one_that_was_typed_before(tmp_path: Path) -> None:
    typed = edited(tmp_path, row(empty()), {"A1": FormulaEdit("1+1", 2.0)})
    assert edited(tmp_path, typed, {"A1": FormulaEdit("1+1", 2.0)}) == typed
    assert edited(tmp_path, typed, {"A1": Cleared()}) == row("<table:table-cell></table:table-cell>")


@pytest.mark.parametrize("text", ["a\tb", "a\rb", "a\r\nb", "\n", " a  b "])
def test_spaces_of_all_kinds_stay(tmp_path: Path, text: str) -> None:
    edited(tmp_path, row(empty()), {"A1": Constant(text)})
    assert FileHost(tmp_path / "out.ods").read().sheets["S1"].values == {(1, 1): text}


def test_a_result_that_no_file_of_this_kind_can_hold_is_left_out(tmp_path: Path) -> None:
    host = FileHost(ods(tmp_path / "a.ods", content(row(number(1, "of:=CHAR(7)"), number(1)))))
    host.write({parse_range("A1", "S1").first: "\x07", parse_range("B1", "S1").first: 2.0})
    host.save(tmp_path / "out.ods")
    found = FileHost(tmp_path / "out.ods").read().sheets["S1"]
    assert found.values == {(1, 2): 2.0}
    assert found.formulas[1, 1].text == "CHAR(7)"


def test_what_is_refused(tmp_path: Path) -> None:
    for edit in (Constant("a\x0bb"), FormulaEdit('"\x07"', "x")):
        with refusal(FileError, cell="'S1'!A1", cause="control character"):
            edited(tmp_path, row(empty()), {"A1": edit})
    merged = row(number(1, more=' table:number-columns-spanned="2"'), "<table:covered-table-cell/>")
    with refusal(FileError, cell="'S1'!B1", cause="merged"):
        edited(tmp_path, merged, {"B1": Constant(1.0)})
    array = row(number(1, "of:={1;2}", ' table:number-matrix-columns-spanned="2"'), number(2))
    with refusal(FileError, cell="'S1'!B1", cause="array formula"):
        edited(tmp_path, array, {"B1": Constant(1.0)})
    for text in ("A1#", "IF(A1,#VALUE!,1)"):
        with refusal(FileError, cell="'S1'!A1", cause=r"\.ods", remedy=r"\.xlsx"):
            edited(tmp_path, row(empty()), {"A1": FormulaEdit(text, 1.0)})


FORMULAS = {
    "C1": ("sum(a1:b2)*2", 20.0),
    "C2": ('IF(A1>0,"a;b",1)', "a;b"),
    "C3": ("SUMPRODUCT((A1:A2>1)*{1;2})", 2.0),
    "C4": ("norm.s.dist(0,TRUE)", 0.5),
    "C5": ("'my sheet'!A1%+$A$1", 1.05),
    "C6": ("IFERROR(#N/A,7)", 7.0),
    "C7": ("CEILING(2.3,1)&CEILING.MATH(2.3)", "33"),
    "C8": ("SUM(A:A)", 4.0),
    "C9": ("TDIST(0,3,2)", 1.0),
}


def test_libreoffice_reads_what_was_typed(tmp_path: Path, converter: LibreOffice) -> None:
    more = f'<table:table table:name="my sheet">{row(number(5))}</table:table>'
    path = ods(tmp_path / "a.ods", content(row(number(1), number(2)) + row(number(3), number(4)), more=more))
    host = FileHost(path)
    host.edit(edits_at({place: FormulaEdit(text) for place, (text, _) in FORMULAS.items()}))
    host.edit(edits_at({"B2": Constant(4.0), "F1": Constant("  two  lines\n & more "), "F2": Constant(True)}))
    host.edit(edits_at({"G1": Constant(46355.0, "yyyy-mm-dd"), "G2": Constant("=1+1"), "A9": Constant(0.0)}))
    host.define_name("sgd_loss", [parse_range("C1", "S1")])
    host.define_name("sgd_params", [parse_range("A1:B1", "S1"), parse_range("A2", "my sheet")])
    host.define_name("sgd_metric", [parse_range("A1", "my sheet")])
    host.put_sheet(ReportSheet("SGD gradients", [["a", None, 1.5], [True]], bold=(1,), heat=(Range("", 1, 3, 1, 3),)))
    host.save(tmp_path / "out.ods")
    ours = sgdsheet.load(tmp_path / "out.ods")
    assert _names(ours) == {
        ("sgd_loss", "S1"): "'S1'!$C$1",
        ("sgd_params", "S1"): "'S1'!$A$1:$B$1,'my sheet'!$A$2",
        ("sgd_metric", "my sheet"): "'my sheet'!$A$1",
    }
    for target in ("again.ods", "again.xlsx"):
        again = sgdsheet.load(converter.convert(tmp_path / "out.ods", tmp_path / target))
        values = again.sheets["S1"].values
        wanted = {parse_range(place, "").first[1:]: value for place, (_, value) in FORMULAS.items()}
        assert {place: values.get(place) for place in wanted} == pytest.approx(wanted)
        assert (values[1, 6], values[2, 6], values[1, 7]) == ("  two  lines\n & more ", True, 46355.0)
        assert values[2, 7] == "=1+1"
        assert again.sheets["SGD gradients"].values == {(1, 1): "a", (1, 3): 1.5, (2, 1): True}
        assert _names(again).keys() == _names(ours).keys()
        assert formula_text(again.sheets["S1"].formulas[1, 3], 1, 3) == "SUM(A1:B2)*2"


def test_names_are_changed_and_taken_away(tmp_path: Path) -> None:
    named = (
        '<table:named-range table:name="{}" table:base-cell-address="$S1.$A$1" table:cell-range-address="$S1.$B$1"/>'
    )
    listed = f"<table:named-expressions>{named.format('sgd_loss')}{named.format('x')}</table:named-expressions>"
    path = ods(tmp_path / "a.ods", content(row(number(1)), names=listed))
    host = FileHost(path)
    host.define_name("sgd_loss", [parse_range("A1", "S1")])
    host.save()
    assert _names(sgdsheet.load(path)) == {("sgd_loss", "S1"): "'S1'!$A$1", ("x", "S1"): "'S1'!$B$1"}
    host.remove_name("sgd_loss", "S1")
    host.save()
    assert content_of(path) == content(row(number(1)), names=listed.replace(named.format("sgd_loss"), ""))


def _names(book: Workbook) -> dict[tuple[str, str | None], str]:
    def key(item: DefinedName) -> tuple[str, str | None]:
        return item.name, item.sheet

    return {key(item): item.text for item in book.names if item.name != "sgd_log"}
