"""What a formula may ask about sheets, cells and their formulas."""

from __future__ import annotations

from sgdsheet.compiler.functions.plain import cells_of, value_of_cells
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, fixed, function
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import column_letters
from sgdsheet.sheet.syntax import Area, Node
from sgdsheet.sheet.workbook import ExcelError


def _text(context: Context, node: Node) -> str:
    """An argument that must be one text."""
    found = cells_of(context.builder, fixed(context, node, array=False))
    if len(found) != 1 or not isinstance(found[0], str):
        raise FormulaError("asks by something that is no single text", remedy="Write a text there")
    return found[0]


def _formulas(context: Context, reference: Node) -> Value:
    """The formulas of cells as texts."""
    if not isinstance(reference, Area):
        raise FormulaError("asks for the formula of something that is no range", remedy="Refer to a cell")
    (area,) = context.filled(reference)
    assert isinstance(area, Area)
    single = not context.array and area.top == area.bottom and area.left == area.right
    if not (single or context.array):
        raise FormulaError("asks for the formulas of a whole range", remedy="Refer to one cell")
    return context.formulas(area)


@function(
    "FORMULATEXT",
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.NONE,
    reference_arguments=[0],
    over_samples=OverSamples.ELEMENTWISE,
    examples={"FORMULATEXT(Z1)": "=FORMULATEXT(Z1)", "FORMULATEXT(A1)": "#N/A"},
)
def formulatext(context: Context, reference: Node) -> Value:
    """The formula of a cell as a text."""
    found = _formulas(context, reference)
    cells = [text if text else ExcelError.NA for text in cells_of(context.builder, found)]
    return value_of_cells(context.builder, cells, found.axes, found.sizes)


@function(
    "ISFORMULA",
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    reference_arguments=[0],
    over_samples=OverSamples.ELEMENTWISE,
    examples={"ISFORMULA(Z1)": True, "ISFORMULA(A1)": False},
)
def isformula(context: Context, reference: Node) -> Value:
    """Whether a cell holds a formula."""
    found = _formulas(context, reference)
    there = found.tensor != context.builder.text_code("")
    return Value(there, found.axes, found.sizes, Kind.BOOLEAN)


@function(
    "SHEET",
    arguments=(0, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.NONE,
    reference_arguments=[0],
    examples={"SHEET()": 1, "SHEET(A1)": 1, 'SHEET("sheet1")': 1, 'SHEET("none")': "#N/A"},
)
def sheet(context: Context, reference: Node | None = None) -> Value:
    """The number of a sheet: the formula's own, that of a reference, or that of a name in a text."""
    own, numbers = context.sheet_numbers()
    if reference is None:
        return context.builder.number(float(own))
    name = reference.sheet if isinstance(reference, Area) else _text(context, reference)
    number = numbers.get(name.upper())
    return context.builder.error(Fault.NA) if number is None else context.builder.number(float(number))


_KNOWN = ("row", "col", "address", "contents", "type")


@function(
    "CELL",
    arguments=(1, 2),
    takes=Takes.FORMULAS,
    derivative=Derivative.NONE,
    range_arguments=[1],
    reads_for=("contents", "type"),
    names=("what", "reference"),
    note="It tells row, col, address, contents and type; formats, widths and file names are refused.",
    examples={'CELL("row",A3)': 3, 'CELL("address",B2)': "$B$2", 'CELL("contents",A1)': 10, 'CELL("type",B1)': "l"},
)
def cell(context: Context, what: Node, reference: Node | None = None) -> Value:
    """The row, column, address, contents or type of a cell."""
    asked = _text(context, what).lower()
    if asked not in _KNOWN or not isinstance(reference, Area):
        cause = f"asks for the {asked[:20]} of a cell"
        raise FormulaError(cause, remedy=f"It may ask for {', '.join(_KNOWN)} of a cell")
    first = context.part(reference, 1, 1)
    assert isinstance(first, Area)
    row, column = context.position(first)
    if asked in ("row", "col"):
        return row if asked == "row" else column
    if asked == "address":
        return _address(context, first, row, column)
    value = context.lower(first, array=False)
    if asked == "contents":
        return value
    if not value.constant:
        raise FormulaError("asks for the type of a cell that depends on a parameter", remedy="Use ISNUMBER there")
    letters = {Kind.TEXT: "l", Kind.BLANK: "b"}
    found = [letters.get(Kind(kind), "v") for kind in value.kind_tensor().flatten().tolist()]
    return value_of_cells(context.builder, found, value.axes, value.sizes)


def _address(context: Context, first: Area, row: Value, column: Value) -> Value:
    own, numbers = context.sheet_numbers()
    if numbers.get(first.sheet.upper()) != own:
        raise FormulaError("asks for the address of a cell of another sheet", remedy="Use ADDRESS")
    builder = context.builder
    axes, sizes = builder.union_axes([row, column])
    pairs = zip(*(builder.expanded(item, axes, sizes).tensor.flatten().tolist() for item in (row, column)), strict=True)
    texts = [f"${column_letters(int(right))}${int(down)}" for down, right in pairs]
    return value_of_cells(builder, texts, axes, sizes)
