"""Rows that are read by regular expressions are read as the parser reads them: the same cells, or the same error."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import sgdsheet
from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.xlsx import worksheet
from sgdsheet.hosts.xlsx.worksheet import Context, read_sheet
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.formula import filled_down, formula_text, moved, parse
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Sheet
from tests.xlsx_parts import MAIN, book_file, member, sheet

WORKBOOKS = Path(__file__).parent.parent / "workbooks"


@contextmanager
def by_the_parser_alone() -> Iterator[None]:
    """No row is taken for plain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worksheet, "layout_of", lambda data: None)
        yield


def contents(found: Sheet) -> dict[str, Any]:
    """All that was read; formulas as each cell shows them."""
    formulas = {
        place: (formula_text(formula, *place), formula.array, formula.dynamic)
        for place, formula in found.formulas.items()
    }
    values = {place: (type(value), value) for place, value in found.values.items()}
    places = {"merged": found.merged, "hidden": found.hidden_rows, "filtered": found.filtered_rows}
    return {"values": values, "formulas": formulas, "protected": found.protected, "order": list(found.values), **places}


def outcome(text: str | bytes) -> dict[str, Any] | str:
    data = text.encode() if isinstance(text, str) else text
    try:
        return contents(read_sheet("S", Part("book", "part", data), Context(strings=("one", "two"))))
    except SgdSheetError as error:
        return re.sub(r"\(([^()]*): line \d+, column \d+\)", r"(\1)", str(error))


def both(text: str | bytes) -> tuple[Any, Any]:
    with by_the_parser_alone():
        wanted = outcome(text)
    return outcome(text), wanted


@pytest.mark.parametrize("path", sorted(WORKBOOKS.glob("*.xlsx")), ids=lambda path: path.stem)
def test_our_workbooks(path: Path) -> None:
    with by_the_parser_alone():
        wanted = {name: contents(found) for name, found in sgdsheet.load(path).sheets.items()}
    assert {name: contents(found) for name, found in sgdsheet.load(path).sheets.items()} == wanted


FORMS = [
    '<c r="{}"><v>1.5</v></c>',
    '<c r="{}" s="4"/>',
    '<c r="{}" t="s"><v>1</v></c>',
    '<c r="{}" s="1" t="b"><v>0</v></c>',
    '<c r="{}" t="str"><f>IF(A1&lt;2,&quot;A1&quot;,"a&amp;b")</f><v>a&lt;b</v></c>',
    '<c r="{}" t="str"><f>""</f><v></v></c>',
    '<c r="{}" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
    '<c r="{}"><f>B{{row}}*$A$1+SUM(A$1:A{{row}})+"A{{row}}"</f><v>2</v></c>',
    '<c r="{}"><f aca="false">A{{row}}%+2:{{row}}</f><v>2</v></c>',
    '<c r="{}"><f t="shared" ref="A1:A9" si="{{column}}">A{{row}}+1</f><v>2</v></c>',
    '<c r="{}"><f t="shared" si="{{column}}"/><v>3</v></c>',
    '<c r="{}"><f t="array" ref="{}">A1:A2*2</f><v>3</v></c>',
    '<c r="{}" t="inlineStr"><is><t>x &amp; _x0041_ y</t></is></c>',
    '<c r="{}" s="2" t="inlineStr"><is><t xml:space="preserve"> é\n</t></is></c>',
    '<c r="{}" t="inlineStr"><is><t></t></is></c>',
    '<c r="{}" t="inlineStr"><is><r><t>bold</t></r><r><t> not</t></r></is></c>',
    '<c r="{}" t="inlineStr"><is><t>x</t><rPh sb="0" eb="1"><t>y</t></rPh></is></c>',
    '<c r="{}"><v>1</v><extLst/></c>',
    "<c><v>7</v></c>",
]
ROWS = [
    '<row r="{}">',
    '<row r="{}" spans="1:9" hidden="1">',
    '<row r="{}" ht="15.75" customHeight="1">',
    '<row r="{}" other="1">',
    "<row>",
]


def random_rows(chance: random.Random) -> str:
    """A few rows of a few cells of all forms, filled down as often as not."""
    forms = [chance.choice(FORMS) for _ in range(4)]
    pieces, row = [], 0
    for _ in range(chance.randint(1, 6)):
        row += chance.choice((1, 1, 1, 2))
        cells = []
        for column, kept in zip("ABCD", forms, strict=True):
            form = kept if chance.random() < 0.8 else chance.choice(FORMS)
            text = form.replace("{}", f"{column}{row}")
            cells.append(text.replace("{{row}}", str(row)).replace("{{column}}", str(ord(column))))
        pieces.append(chance.choice(ROWS[:1] * 5 + ROWS).format(row) + "".join(cells) + "</row>")
    return "".join(pieces)


def test_rows_of_all_forms() -> None:
    for seed in range(1_500):
        text = sheet(random_rows(random.Random(seed)), after='<mergeCells><mergeCell ref="A1:B2"/></mergeCells>')
        found, wanted = both(text)
        assert found == wanted, (seed, text)


_PIECES = (
    *("<", ">", "&", '"', "/", " ", "\r", "\x01", "]]>", "<!-- -->", "<row>", "</row>", "</c>", "<v>", "é", "_", "1"),
    *("A", "&#65;", "&x;", "<![CDATA[1]]>", "<?a?>", "%", "%d", "'", 't="s"', "</sheetData>", "\ud7ff", "e9", "-", ""),
)


def test_damaged_rows() -> None:
    """What is wrong is said by the parser, whatever it is; line and column aside."""
    errors = 0
    for seed in range(3_000):
        chance = random.Random(seed)
        text = sheet(random_rows(chance))
        for _ in range(chance.randint(1, 2)):
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice(_PIECES) + text[place + chance.choice((0, 0, 1, 3)) :]
        found, wanted = both(text)
        if isinstance(wanted, str):
            errors += 1
            assert isinstance(found, str), (seed, text)
        else:
            assert found == wanted, (seed, text)
    assert 300 < errors < 2_900


@pytest.mark.parametrize(
    "text",
    [
        sheet('<row r="1"><c r="A1"><v>1</v></c></row>').encode("utf-16"),
        "\ufeff" + sheet('<row r="1"><c r="A1"><v>1</v></c></row>'),
        '<?xml version="1.0" encoding="iso-8859-1"?>' + sheet('<row r="1"><c r="A1" t="str"><v>é</v></c></row>'),
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c></x:row></x:sheetData>'
        "</x:worksheet>",
        '<worksheet xmlns="other"><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>',
        sheet('<row r="1"><c r="A2"><v>1</v></c></row>'),
        sheet('<row r="1"><c r="XFE1"><v>1</v></c></row>'),
        sheet('<row r="1048577"><c r="A1048577"><v>1</v></c></row>'),
        sheet('<row r="1"><c r="A1"><v>1_0</v></c><c r="B1"><v>nan</v></c></row>'),
        sheet('<row r="1"><c r="A1" t="s"><v>2</v></c></row>'),
        sheet('<row r="1" x14ac:dyDescent="0.25"><c r="A1"><v>2</v></c></row>'),
        sheet('<row r="1" ht="1" ht="2"><c r="A1"><v>2</v></c></row>'),
        sheet("<!-- <sheetData> --><row r='1'><c r='A1'><v>2</v></c></row>"),
        sheet('<row r="1"><c r="A1"><v>2</v></c></row>stray<row r="2"><c r="A2"><v>2</v></c></row>  '),
        sheet(
            '<row r="2"><c r="A2"><f t="shared" si="0"/><v>2</v></c></row>'
            '<row r="1"><c r="A1"><f t="shared" ref="A1:A2" si="0">B1</f></c></row>'
        ),
        sheet('<row r="1"><c r="A1"><f t="shared" si="0"/></c></row>'),
    ],
)  # fmt: skip
def test_odd_sheets(text: str | bytes) -> None:
    found, wanted = both(text)
    if isinstance(wanted, str):
        assert isinstance(found, str)
    else:
        assert found == wanted


def filled(formula: str, rows: int = 3) -> str:
    """A formula written out in B1 and below."""
    written = (moved(formula, 1, 2, row, 2) for row in range(1, rows + 1))
    return "".join(
        f'<row r="{row}"><c r="A{row}"><v>{row}</v></c><c r="B{row}"><f>{text}</f><v>0</v></c></row>'
        for row, text in enumerate(written, 1)
    )


@pytest.mark.parametrize(
    "text", ["A1*2", "$A$1+A1", 'A1+"A5"+50%', "SUM(1:1)", "SUM(A$1:A1)", "'A1'!B2+SUM(2:3)", "LOG10(A1)"]
)
def test_a_formula_that_was_filled_down_is_one_object(tmp_path: Path, text: str) -> None:
    found = sgdsheet.load(book_file(tmp_path, sheet(filled(text)))).sheets["S1"].formulas
    assert len({id(formula) for formula in found.values()}) == 1
    assert [formula_text(formula, *place) for place, formula in found.items()] == [
        moved(text, 1, 2, row, 2) for row in (1, 2, 3)
    ]
    layout, offsets = filled_down(text, 1)
    assert parse(layout % tuple(4 + offset for offset in offsets), 4, 2) == parse(text, 1, 2)


def test_text_that_looks_like_a_reference_is_none(tmp_path: Path) -> None:
    """`"A1"` in the first row and `"A2"` in the second are two formulas, however the quotes are written."""
    for quote in ('"', "&quot;"):
        rows = "".join(
            f'<row r="{row}"><c r="B{row}"><f>INDIRECT({quote}A{row}{quote})</f></c></row>' for row in (1, 2)
        )
        found = sgdsheet.load(book_file(tmp_path, sheet(rows))).sheets["S1"].formulas
        assert [formula.text for formula in found.values()] == ['INDIRECT("A1")', 'INDIRECT("A2")']


def test_a_formula_that_gives_way_leaves_those_below_as_they_are(tmp_path: Path) -> None:
    """They are one object here, but each is written out in the file."""
    path = book_file(tmp_path, sheet(filled("A1 * 2")))
    host = FileHost(path)
    host.write({Cell("S1", 1, 2): 9.0})
    host.replace_formulas([Cell("S1", 1, 2)])
    host.save(tmp_path / "out.xlsx")
    assert member(tmp_path / "out.xlsx").decode() == sheet(filled("A1 * 2")).replace(
        "<f>A1 * 2</f><v>0</v>", "<v>9</v>"
    )
