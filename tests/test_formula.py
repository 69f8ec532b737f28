"""Formulas as text and as trees: parsing, the relative form, and back to text."""

# ruff: noqa: E501 - one case per line reads better

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.formula import parse, relative_key, render
from sgdsheet.sheet.references import (
    MAX_COLUMN,
    MAX_ROW,
    Cell,
    Range,
    RangeIndex,
    address,
    parse_range,
    rectangles,
    split_areas,
)
from sgdsheet.sheet.syntax import (
    ArrayConstant,
    Axis,
    Binary,
    Boolean,
    Call,
    ErrorConstant,
    Name,
    Node,
    NotSupported,
    Number,
    Omitted,
    Reference,
    TableReference,
    Text,
    Unary,
    walk,
)
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal


def here(offset: int) -> Axis:
    return Axis(offset, True)


def fixed(position: int) -> Axis:
    return Axis(position, False)


def cell(row: Axis, column: Axis, sheet: str | None = None) -> Reference:
    return Reference(sheet, row, column, row, column)


ONE, TWO = Number(1.0), Number(2.0)
A1 = cell(here(-4), here(-2))  # as C5 sees it

TREES: list[tuple[str, Node]] = [
    ("A1", A1), ("$A$1", cell(fixed(1), fixed(1))), ("A$1", cell(fixed(1), here(-2))), ("a1", A1), (" A1 ", A1),
    ("Sheet2!A1", cell(here(-4), here(-2), "Sheet2")), ("'my sheet'!A1", cell(here(-4), here(-2), "my sheet")),
    ("'it''s'!A1", cell(here(-4), here(-2), "it's")), ("'A1'!A1", cell(here(-4), here(-2), "A1")),
    ("A1:B2", Reference(None, here(-4), here(-2), here(-3), here(-1))),
    ("B2:A1", Reference(None, here(-4), here(-2), here(-3), here(-1))),
    ("A:A", Reference(None, fixed(1), here(-2), fixed(MAX_ROW), here(-2))),
    ("$A:$C", Reference(None, fixed(1), fixed(1), fixed(MAX_ROW), fixed(3))),
    ("2:$300", Reference(None, here(-3), fixed(1), fixed(300), fixed(MAX_COLUMN))),
    ('"A1"', Text("A1")), ('"say ""hi"""', Text('say "hi"')), ('"#N/A"', Text("#N/A")), ("#N/A", ErrorConstant(ExcelError.NA)),
    ("#DIV/0!", ErrorConstant(ExcelError.DIV0)), ("TRUE", Boolean(True)), ("1.5E+3", Number(1500.0)),
    ("LOG10(A1)", Call("LOG10", (A1,))), ("log10(A1)", Call("LOG10", (A1,))), ("ATAN2(1,2)", Call("ATAN2", (ONE, TWO))),
    ("_xlfn.STDEV.S(A1)", Call("STDEV.S", (A1,))), ("IF(A1,,1)", Call("IF", (A1, Omitted(), ONE))),
    ("-A1^2", Binary("^", Unary("-", A1), TWO)), ("1-A1^2", Binary("-", ONE, Binary("^", A1, TWO))),
    ("A1%%", Unary("%", Unary("%", A1))), ("-A1%", Unary("-", Unary("%", A1))),
    ("2^1^2", Binary("^", Binary("^", TWO, ONE), TWO)), ("1-2-1", Binary("-", Binary("-", ONE, TWO), ONE)),
    ("1&2=1", Binary("=", Binary("&", ONE, TWO), ONE)), ("{1,2;2,1}", ArrayConstant(((ONE, TWO), (TWO, ONE)))),
    ("rate", Name("rate")), ("Sheet2!rate", Name("rate", "Sheet2")), ("ABCD1", Name("ABCD1")),
    ("XFE1", Name("XFE1")), ("A1048577", Name("A1048577")), ("R1C1.x", Name("R1C1.x")),
    ("@A1", Unary("@", A1)), ("_xlfn.SINGLE(A1)", Unary("@", A1)), ("A1#", Unary("#", A1)),
    ("_xlfn.ANCHORARRAY(A1)", Unary("#", A1)),
    ("Data[Age]", TableReference("Data", (), "Age", "Age")),
    ("Data[[#This Row],[Age]]", TableReference("Data", ("#This Row",), "Age", "Age")),
    ("Data[@Age]", TableReference("Data", ("#This Row",), "Age", "Age")),
    ("Data[@[Age]:[Fare]]", TableReference("Data", ("#This Row",), "Age", "Fare")),
    ("Data[#All]", TableReference("Data", ("#All",), None, None)), ("Data[]", TableReference("Data", (), None, None)),
    ("Data[[#Headers],[#Data],[A'#1]]", TableReference("Data", ("#Headers", "#Data"), "A#1", "A#1")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_parse(text: str, tree: Node) -> None:
    assert parse(text, 5, 3) == tree


@pytest.mark.parametrize("text", ["1+", "SUM(", ")", "A1 B1 +", '"open', "1 2"])
def test_what_is_no_formula_is_an_error_with_its_cell(text: str) -> None:
    with refusal(FormulaError, cell="C5") as caught:
        parse(text, 5, 3)
    assert caught.value.cell == "C5"


@pytest.mark.parametrize(
    ("text", "cause", "unseen"),
    [
        ("SUM({})", "array constant that is empty", False),
    ],
)
def test_what_parses_and_cannot_be_compiled(text: str, cause: str, unseen: bool) -> None:
    found = [part for part in walk(parse(f"{text}+1", 1, 1)) if isinstance(part, NotSupported)]
    assert len(found) == 1
    assert cause in found[0].cause
    assert found[0].unseen is unseen


def test_unions_as_libreoffice_writes_them() -> None:
    assert parse("SUM((A1:A2~'a~b'!A4~C3))", 5, 3) == parse("SUM((A1:A2,'a~b'!A4,C3))", 5, 3)


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_render(text: str, tree: Node) -> None:
    assert parse(render(tree, 5, 3), 5, 3) == tree
    assert parse(render(tree, 50, 30), 50, 30) == tree


# --- round trips of random formulas -----------------------------------------------------------------------

rows = st.integers(1, MAX_ROW) | st.integers(1, 30)
columns = st.integers(1, MAX_COLUMN) | st.integers(1, 30)
sheets = st.none() | st.sampled_from(["Data", "my sheet", "it's", "A1", "R1C1", "2024", "Ünï", "a!b"])
HOME = (500_000, 8_000)


@st.composite
def references(draw: st.DrawFn) -> Node:
    """Any rectangle, as the cell HOME sees it."""
    top, bottom = sorted(draw(st.tuples(rows, rows)))
    left, right = sorted(draw(st.tuples(columns, columns)))
    if draw(st.booleans()):
        bottom, right = top, left
    axes = []
    for position, own in ((top, HOME[0]), (left, HOME[1]), (bottom, HOME[0]), (right, HOME[1])):
        relative = draw(st.booleans())
        axes.append(Axis(position - own if relative else position, relative))
    if (top, left) == (bottom, right):
        axes[2:] = axes[:2]
    return Reference(draw(sheets), axes[0], axes[1], axes[2], axes[3])


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
leaves = st.one_of(
    st.floats(0, 1e15, allow_subnormal=False).map(lambda x: Number(float(repr(x)))),
    texts.map(Text),
    st.booleans().map(Boolean),
    st.sampled_from(["A1", "LOG10", "Sheet2!B2", "B$2", 'say "no"']).map(Text),
    references(),
    references(),
    st.just(Name("some_name")),
    st.just(TableReference("Data", ("#This Row",), "Age", "Age")),
)


def bigger(part: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(Binary, st.sampled_from([*"+-*/^&", "=", "<>", "<", ">="]), part, part),
        st.builds(Unary, st.just("-"), part),
        st.builds(Unary, st.just("%"), part),
        st.builds(
            Call,
            st.sampled_from(["SUM", "LOG10", "NORM.S.DIST"]),
            st.lists(part, min_size=1, max_size=3).map(tuple),
        ),
    )


trees = st.recursive(leaves, bigger, max_leaves=8)


@given(trees)
def test_round_trip(tree: Node) -> None:
    assert parse(render(tree, *HOME), *HOME) == tree


@given(trees, trees, st.integers(1, 1000), st.integers(1, 1000))
def test_same_key_means_same_tree(one: Node, two: Node, down: int, across: int) -> None:
    """A formula filled elsewhere keeps its key and its tree; formulas with different trees have different keys."""
    text = render(one, *HOME)
    key = relative_key(text, *HOME)
    try:
        parsed = parse(moved := render(one, HOME[0] - down, HOME[1] - across), HOME[0] - down, HOME[1] - across)
    except FormulaError:
        parsed = None  # a reference has left the grid
    if parsed == one and "#REF" not in moved:
        assert relative_key(moved, HOME[0] - down, HOME[1] - across) == key
    assert (relative_key(render(two, *HOME), *HOME) == key) == (two == one)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A1+$A$1+A$1+$A1", "R[-4]C[-2]+R1C1+R1C[-2]+R[-4]C1"),
        ('IF(A1="A1",LOG10(A1),x1.y)', 'IF(R[-4]C[-2]="A1",LOG10(R[-4]C[-2]),x1.y)'),
        ("'A1 B2'!A1", "'A1 B2'!R[-4]C[-2]"),
        ("Data1!A1", "Data1!R[-4]C[-2]"),
        ("SUM(A:B)+SUM($2:3)", "SUM(C[-2]:C[-1])+SUM(R2:R[-2])"),
        ("Data[[#This Row],[A1]]+Data[@[B2]]", "Data[[#This Row],[A1]]+Data[@[B2]]"),
        ("1E5+E5", "1E5+R[0]C[2]"),
        ("A1#+A1:B2", "R[-4]C[-2]#+R[-4]C[-2]:R[-3]C[-1]"),
        ('{1,2}&"say ""A1"""', '{1,2}&"say ""A1"""'),
    ],
)
def test_relative_key(text: str, key: str) -> None:
    assert relative_key(text, 5, 3) == key


# --- references -------------------------------------------------------------------------------------------


def test_ranges() -> None:
    assert parse_range("'it''s'!$B$2:A1", "x") == Range("it's", 1, 1, 2, 2)
    assert parse_range("A:C", "x").a1 == "A1:C1048576"
    assert parse_range("=2:5", "x") == Range("x", 2, 1, 5, MAX_COLUMN)
    assert str(Range("my sheet", 1, 1, 2, 2)) == "'my sheet'!A1:B2"
    assert Range("2 x", 1, 1, 1, 1).identifier.isidentifier()
    for sheet, name in (("m²", "m2_A1"), ("①", "_1_A1"), ("ﬁt", "fit_A1"), ("a - b", "a_b_A1"), ("class", "class_A1")):
        assert Range(sheet, 1, 1, 1, 1).identifier == name
    assert split_areas("='a,b'!A1:A2, B1") == ["'a,b'!A1:A2", "B1"]
    for wrong in ("", "A", "A0", "A1:B2:C3", "XFE1", "A1048577", "1", "hello world"):
        with pytest.raises(FormulaError):
            parse_range(wrong, "x")


@given(rows, columns)
def test_addresses(row: int, column: int) -> None:
    assert parse_range(address(row, column), "s").first == Cell("s", row, column)


@given(st.sets(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1))
def test_rectangles_cover_every_cell_once(cells: set[tuple[int, int]]) -> None:
    covered = [
        (top + i, left + j)
        for top, left, height, width in rectangles(cells)
        for i in range(height)
        for j in range(width)
    ]
    assert sorted(covered) == sorted(cells)


@given(st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1), st.tuples(*[st.integers(1, 8)] * 4))
def test_range_index(cells: set[tuple[int, int]], wanted: tuple[int, int, int, int]) -> None:
    found: RangeIndex[int] = RangeIndex()
    areas = [Range("s", t, c, t + h - 1, c + w - 1) for t, c, h, w in rectangles(cells)]
    for number, area in enumerate(areas):
        found.add(area, number)
    top, left, bottom, right = wanted
    window = Range("s", min(top, bottom), min(left, right), max(top, bottom), max(left, right))
    expected = [(area, number) for number, area in enumerate(areas) if area.intersection(window)]
    assert found.overlapping(window) == expected
    assert found.overlapping(window._replace(sheet="other")) == []


@pytest.mark.parametrize(
    ("written", "excel"),
    [
        ("MONTH([[#This Row],Date])", "MONTH([[#This Row],[Date]])"),
        ('Exp[[#This Row],Net Price]&"[[#This Row],x]"', 'Exp[[#This Row],[Net Price]]&"[[#This Row],x]"'),
        ("SUM(Exp[[#Totals], A1])", "SUM(Exp[[#Totals],[A1]])"),
    ],
)
def test_columns_as_xlsxwriter_writes_them(written: str, excel: str) -> None:
    assert parse(written, 3, 3) == parse(excel, 3, 3)
