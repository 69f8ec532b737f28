"""Formulas as text: their relative form, from text to a syntax tree (with formualizer's parser), and back.

`relative_key` gives the same identity as the tree by text work alone, which is why a sheet is parsed once per
form and not once per cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import formualizer

from sgdsheet.errors import FormulaError, quoted
from sgdsheet.sheet.references import (
    MAX_COLUMN,
    MAX_ROW,
    address,
    column_letters,
    column_number,
    quote_sheet,
    split_sheet,
)
from sgdsheet.sheet.syntax import (
    Applied,
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
    SheetSpan,
    TableReference,
    Text,
    Unary,
)
from sgdsheet.sheet.workbook import ExcelError, Formula

# --- the relative form, as text ---------------------------------------------------------------------------

_KEY_TOKENS = re.compile(
    r"""
    "(?:[^"]|"")*"                                                # text
    |'(?:[^']|'')*'                                               # quoted sheet name
    |(?<![\w.\\$!])(?![A-Za-z]{1,3}[0-9]+:)[^\W\d][\w.]*:[^\W\d][\w.]*!     # Jan:Dec!
    |\[(?:[^\[\]']|'.|\[(?:[^\[\]']|'.)*\])*\]                    # [table column], [1] of another file
    |(?<![\w.\\$])(\$?)([A-Za-z]{1,3})(\$?)([1-9][0-9]{0,6})(?![\w.(\[!\\])     # A1
    |(?<![\w.\\$:])(\$?)([A-Za-z]{1,3}):(\$?)([A-Za-z]{1,3})(?![\w.(\[!\\])     # A:C
    |(?<![\w.\\$:])(\$?)([1-9][0-9]{0,6}):(\$?)([1-9][0-9]{0,6})(?![\w.(\[!\\]) # 2:5
    """,
    re.VERBOSE,
)


def relative_key(text: str, row: int, column: int) -> str:
    """The formula in a form that is the same for all cells it was filled into (in the manner of R1C1)."""

    def row_form(dollar: str, number: str) -> str:
        return f"R{number}" if dollar else f"R[{int(number) - row}]"

    def column_form(dollar: str, letters: str) -> str:
        return f"C{column_number(letters)}" if dollar else f"C[{column_number(letters) - column}]"

    def replace(match: re.Match[str]) -> str:
        groups = match.groups()
        if groups[1]:
            return row_form(groups[2], groups[3]) + column_form(groups[0], groups[1])
        if groups[5]:
            return column_form(groups[4], groups[5]) + ":" + column_form(groups[6], groups[7])
        if groups[9]:
            return row_form(groups[8], groups[9]) + ":" + row_form(groups[10], groups[11])
        return match.group()

    return _KEY_TOKENS.sub(replace, text)


def filled_down(text: str, row: int) -> tuple[str, tuple[int, ...]]:
    """How a formula of a row reads in the other rows of its column: a format, and how far each of its rows is away.

    `format % tuple(row + offset for offset in offsets)` is the formula as it is written in another row.
    """
    offsets: list[int] = []

    def row_text(dollar: str, number: str) -> str:
        if dollar:
            return f"${number}"
        offsets.append(int(number) - row)
        return "%d"

    def replace(match: re.Match[str]) -> str:
        groups = match.groups()
        if groups[1]:
            return groups[0] + groups[1] + row_text(groups[2], groups[3])
        if groups[9]:
            return row_text(groups[8], groups[9]) + ":" + row_text(groups[10], groups[11])
        return match.group()

    return _KEY_TOKENS.sub(replace, text.replace("%", "%%")), tuple(offsets)


def moved(text: str, row: int, column: int, to_row: int, to_column: int) -> str:
    """A formula that is written for one cell as it reads in another that it is filled into; all else stays as written.

    Raises FormulaError where a reference would leave the grid.
    """

    def row_text(dollar: str, number: str) -> str:
        return f"${number}" if dollar else str(_inside_grid(int(number) + to_row - row, MAX_ROW))

    def column_text(dollar: str, letters: str) -> str:
        if dollar:
            return f"${letters}"
        return column_letters(_inside_grid(column_number(letters) + to_column - column, MAX_COLUMN))

    def replace(match: re.Match[str]) -> str:
        groups = match.groups()
        if groups[1]:
            return column_text(groups[0], groups[1]) + row_text(groups[2], groups[3])
        if groups[5]:
            return column_text(groups[4], groups[5]) + ":" + column_text(groups[6], groups[7])
        if groups[9]:
            return row_text(groups[8], groups[9]) + ":" + row_text(groups[10], groups[11])
        return match.group()

    return _KEY_TOKENS.sub(replace, text)


def _inside_grid(number: int, last: int) -> int:
    if not 1 <= number <= last:
        raise FormulaError("a shared formula leaves the grid", remedy="Write the formula anew in its cells")
    return number


# --- parsing ----------------------------------------------------------------------------------------------

_PREFIX = re.compile(r"^(?:_xlfn\.|_xlws\.|_xludf\.|_xlpm\.)+", re.IGNORECASE)
_OWN_FUNCTION = re.compile(
    r"(?:.*!)?"  # [1]! or 'C:\\…\\sgdsheet.xlam'!, where Excel writes the add-in in front of its function
    r"(?:SGD[._]|(?:ORG|COM)\.(?:\w+\.)*FUNCTIONS\.SGD_?)"  # how LibreOffice writes the functions of an extension
    r"([A-Z0-9]+)",
    re.IGNORECASE | re.DOTALL,
)
_NAMES = re.compile(
    r"""
    "(?:[^"]|"")*" | '(?:[^']|'')*'!? | \[[^\[\]]*\]
    |(?<![\w.\\$!#\]])(?!\$?[A-Za-z]{1,3}\$?[0-9]+(?![\w.])|TRUE\b|FALSE\b)([^\W\d][\w.\\]*)(?![\w.(!:\[])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_UNION = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*'!|\[[^\]]*\])|~""")
"""LibreOffice writes `(A1:A2~A4)` for the union `(A1:A2,A4)`. Texts, quoted sheets and columns of tables stay."""

_BARE_COLUMN = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*'!)|(\[\[\#[A-Za-z ]+\]\s*,\s*)([^\[\]"]+)\]""")
"""XlsxWriter writes `[[#This Row],Date]` for `[@Date]`, where Excel writes `[[#This Row],[Date]]`."""

_STAND_IN, _STOOD_IN = "$XFD$1048{:03d}", re.compile(r"\$XFD\$1048(\d{3})")
_CELL = re.compile(r"(\$?)([A-Za-z]{1,3})(\$?)([0-9]{1,7})")
_COLUMN = re.compile(r"(\$?)([A-Za-z]{1,3})")
_ROW = re.compile(r"(\$?)([0-9]{1,7})")
TRIMMING = {"_TRO_LEADING": 1, "_TRO_TRAILING": 2, "_TRO_ALL": 3}
"""How a file holds the operators that trim a range (`A1.:A9`, `A1:.A9`, `A1.:.A9`): as functions; 1 is the first end,
2 the last one, 3 both."""

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")

_OF_GOOGLE = "__XLUDF.DUMMYFUNCTION"
"""What Google Sheets writes for a function that Excel lacks, in an IFERROR with its result; in Excel it is #NAME?."""

_BRACKETED = re.compile(r"\s*\[((?:'.|[^\[\]'])*)\]\s*([,:]?)")
_ERRORS = {error.value: error for error in ExcelError}


def parse(text: str, row: int, column: int) -> Node:
    """Parse a formula (without `=`) that is written for the cell at `row`, `column`.

    Raises FormulaError where the text is not a formula. What parses and cannot be compiled, such as a
    reference to another file, becomes a `NotSupported` node, because it only matters on the way to the loss.
    """
    try:
        tree, names = _tree(text)
    except Exception as error:  # the parser's own exception types are not public
        reason = ": it is nested too deep, or has more than 256 terms" if "height limit" in str(error) else ""
        raise FormulaError(
            f"the formula {quoted('=' + text)} cannot be read{reason}",
            cell=address(row, column),
            remedy="Check it in the spreadsheet",
        ) from error
    return _Converter(row, column, tuple(names)).convert(tree)


def _tree(text: str) -> tuple[formualizer.ASTNode, list[str]]:
    """The parser's tree, and the names for which cells stand in it: see `_STAND_IN`."""
    if "~" in text:
        text = _UNION.sub(lambda match: match[1] or ",", text)
    try:
        return formualizer.parse("=" + text), []
    except Exception:
        # The parser does not know `A:A 2:3`, nor a space between a name and cells.
        original, text = text, _BARE_COLUMN.sub(lambda match: match[1] or f"{match[2]}[{match[3]}]]", text)
        names: list[str] = []

        def stand_in(match: re.Match[str]) -> str:
            if match[1] is None:
                return match.group()
            names.append(match[1])
            return _STAND_IN.format(len(names))

        written_out = _NAMES.sub(stand_in, _KEY_TOKENS.sub(_with_corners, text))
        if written_out == original:
            raise
        return formualizer.parse("=" + written_out), names


def _with_corners(match: re.Match[str]) -> str:
    """Whole columns and rows with their first and last cell: `A:C` as `A$1:C$1048576`."""
    groups = match.groups()
    if groups[5]:
        return f"{groups[4]}{groups[5]}$1:{groups[6]}{groups[7]}${MAX_ROW}"
    if groups[9]:
        return f"$A{groups[8]}{groups[9]}:${column_letters(MAX_COLUMN)}{groups[10]}{groups[11]}"
    return match.group()


def other_file(text: str) -> NotSupported:
    """A reference to a workbook of which nothing is known."""
    return NotSupported(text, f"refers to another file ({text})", "Copy the values it needs into this workbook")


def function_name(text: str) -> str:
    """A function's name as the registry has it, for all ways in which programs write it.

    Our own functions come as `SGD_RELU`, `SGD.RELU`, `[1]!SGD_RELU` or `ORG.SGDSHEET.FUNCTIONS.SGDRELU`.
    """
    plain = _PREFIX.sub("", text).upper()
    own = _OWN_FUNCTION.fullmatch(plain)
    return f"SGD_{own[1]}" if own else plain


@dataclass(frozen=True, slots=True)
class _Converter:
    row: int
    column: int
    names: tuple[str, ...] = ()
    """The names for which cells stand in the parser's tree."""

    def convert(self, tree: formualizer.ASTNode) -> Node:
        kind = tree.node_type()
        if kind == "Literal":
            return self._literal(tree)
        if kind == "Reference":
            return self._reference(str(tree.get_reference_string()))
        if kind == "Omitted":
            return Omitted()
        parts = tuple(self.convert(child) for child in tree.children())
        if kind == "UnaryOp":
            return Unary(str(tree.get_operator()), parts[0])
        if kind == "BinaryOp":
            if tree.get_operator() == ":" and (trimmed := self._trimming(tree.to_dict())) is not None:
                return trimmed
            return Binary(str(tree.get_operator()), parts[0], parts[1])
        if kind == "Function":
            return self._call(str(tree.get_function_name()), parts)
        if kind == "Array":
            rows = tree.to_dict()["rows"]
            if not parts:
                return NotSupported("{}", "has an array constant that is empty", "Mend the formula")
            width = len(rows[0])
            return ArrayConstant(tuple(parts[start : start + width] for start in range(0, len(parts), width)))
        function, *arguments = parts
        return Applied(function, tuple(arguments))

    def _trimming(self, tree: dict[str, Any]) -> Node | None:
        """A range that is trimmed at its ends, as `A1:.B9`; the parser leaves the points with the corners."""
        first, last = (str(tree[side].get("reference", "")) for side in ("left", "right"))
        ends = first.endswith(".") + 2 * last.startswith(".")
        name = next((name for name, which in TRIMMING.items() if which == ends), None)
        if name is None or not (first and last):
            return None
        return Call(name, (self._reference(f"{first.removesuffix('.')}:{last.removeprefix('.')}"),))

    def _literal(self, tree: formualizer.ASTNode) -> Node:
        value = tree.get_literal_value()
        if isinstance(value, bool):
            return Boolean(value)
        if isinstance(value, str):
            token = tree.get_source_token()
            if value in _ERRORS and token is not None and "Error" in str(token.subtype):
                return ErrorConstant(_ERRORS[value])
            return Text(value)
        assert isinstance(value, (int, float)), value
        return Number(float(value))

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Node:
        plain = function_name(name)
        if plain == "SINGLE" and len(arguments) == 1:
            return Unary("@", arguments[0])
        if plain == "ANCHORARRAY" and len(arguments) == 1:
            return Unary("#", arguments[0])
        if plain == _OF_GOOGLE:
            return ErrorConstant(ExcelError.NAME)
        return Call(plain, arguments)

    def _reference(self, text: str) -> Node:
        sheet, body = split_sheet(text)
        if sheet is not None and "[" in sheet and ("[" in body or ":" in sheet or not sheet.startswith("[")):
            return other_file(text)
        if "[" in body:
            return parse_structured(body)
        if sheet is not None and ":" in sheet:
            first, _, last = sheet.partition(":")
            cells = self._reference(body)
            return SheetSpan(first, last, cells) if isinstance(cells, (Reference, ErrorConstant)) else Name(body, sheet)
        stood_in = _STOOD_IN.fullmatch(text)
        if stood_in and int(stood_in[1]) <= len(self.names):
            return Name(_PREFIX.sub("", self.names[int(stood_in[1]) - 1]))
        corners = body.split(":")
        if "#REF!" in body:
            return ErrorConstant(ExcelError.REF)
        if len(corners) <= 2:
            found = self._rectangle(corners[0], corners[-1], sheet, whole=len(corners) == 2)
            if found is not None:
                return found
        return Name(_PREFIX.sub("", body), sheet)

    def _rectangle(self, start: str, end: str, sheet: str | None, *, whole: bool) -> Reference | None:
        """The cells from `start` to `end`; `whole` allows whole columns and rows."""
        first, last = _CELL.fullmatch(start), _CELL.fullmatch(end)
        if first and last:
            rows = _ordered(self._row(first[3], first[4]), self._row(last[3], last[4]), self.row)
            columns = _ordered(self._column(first[1], first[2]), self._column(last[1], last[2]), self.column)
            return self._inside(Reference(sheet, rows[0], columns[0], rows[1], columns[1]))
        first, last = _COLUMN.fullmatch(start), _COLUMN.fullmatch(end)
        if whole and first and last:
            columns = _ordered(self._column(*first.groups()), self._column(*last.groups()), self.column)
            return Reference(sheet, Axis(1, False), columns[0], Axis(MAX_ROW, False), columns[1])
        first, last = _ROW.fullmatch(start), _ROW.fullmatch(end)
        if whole and first and last:
            rows = _ordered(self._row(*first.groups()), self._row(*last.groups()), self.row)
            return Reference(sheet, rows[0], Axis(1, False), rows[1], Axis(MAX_COLUMN, False))
        return None

    def _row(self, dollar: str, digits: str) -> Axis:
        return Axis(int(digits), False) if dollar else Axis(int(digits) - self.row, True)

    def _column(self, dollar: str, letters: str) -> Axis:
        number = column_number(letters)
        return Axis(number, False) if dollar else Axis(number - self.column, True)

    def _inside(self, found: Reference) -> Reference | None:
        """The reference, or None for text such as XYZ9999999 or S0 that only looks like a cell: it may be a name."""
        top = found.top.value + (self.row if found.top.relative else 0)
        bottom = found.bottom.value + (self.row if found.bottom.relative else 0)
        right = found.right.value + (self.column if found.right.relative else 0)
        return found if top >= 1 and bottom <= MAX_ROW and right <= MAX_COLUMN else None


def _ordered(first: Axis, last: Axis, here: int) -> tuple[Axis, Axis]:
    """`C3:A1` means `A1:C3`."""
    start = first.value + (here if first.relative else 0)
    end = last.value + (here if last.relative else 0)
    return (first, last) if start <= end else (last, first)


def parse_structured(text: str) -> Node:
    """Parse a structured reference such as `Table1[[#This Row],[Age]:[Fare]]` or `Table1[@Age]`."""
    table, _, rest = text.partition("[")
    inner = rest[:-1].strip()
    items: list[str] = []
    columns: list[str] = []
    if inner.startswith("@"):
        items.append("#This Row")
        inner = inner[1:].strip()
    if inner.startswith("["):
        position = 0
        while position < len(inner):
            match = _BRACKETED.match(inner, position)
            if match is None:
                raise FormulaError(f"the table reference “{text}” cannot be read", remedy="Check it in the spreadsheet")
            part = match[1]
            (items if part.startswith("#") else columns).append(re.sub(r"'(.)", r"\1", part))
            position = match.end()
    elif inner.startswith("#"):
        items.append(inner)
    elif inner:
        columns.append(re.sub(r"'(.)", r"\1", inner))
    if len(columns) > 2 or (len(columns) == 2 and "]:[" not in re.sub(r"\s", "", inner)):
        raise FormulaError(f"the table reference “{text}” cannot be read", remedy="Check it in the spreadsheet")
    first = columns[0] if columns else None
    return TableReference(table or None, tuple(items), first, columns[-1] if columns else None)


# --- back to text -----------------------------------------------------------------------------------------

_PLAIN_SHEETS = re.compile(r"[A-Za-z_]{4}[A-Za-z0-9_]*:[A-Za-z_]{4}[A-Za-z0-9_]*")
"""Names of sheets that surely need no quotes: longer than those of columns."""

_PRECEDENCE = {":": 9, " ": 8, ",": 7, "^": 5, "*": 4, "/": 4, "+": 3, "-": 3, "&": 2}


def render(node: Node, row: int, column: int) -> str:
    """The formula's A1 text (without `=`) as the cell at `row`, `column` has it."""
    match node:
        case Number():
            return repr(node.value).removesuffix(".0")
        case Text():
            return '"' + node.value.replace('"', '""') + '"'
        case Boolean():
            return str(node.value).upper()
        case ErrorConstant():
            return node.value.value
        case ArrayConstant():
            return "{" + ";".join(",".join(render(i, row, column) for i in r) for r in node.rows) + "}"
        case Reference():
            return _render_reference(node, row, column)
        case SheetSpan():
            sheets = f"{node.first}:{node.last}"
            quoted_sheets = sheets if _PLAIN_SHEETS.fullmatch(sheets) else "'" + sheets.replace("'", "''") + "'"
            return f"{quoted_sheets}!{render(node.cells, row, column)}"
        case Name():
            return node.name if node.sheet is None else f"{quote_sheet(node.sheet)}!{node.name}"
        case TableReference():
            return _render_structured(node)
        case Call():
            return f"{node.name}({','.join(render(item, row, column) for item in node.arguments)})"
        case Applied():
            arguments = ",".join(render(item, row, column) for item in node.arguments)
            return f"{render(node.function, row, column)}({arguments})"
        case Unary():
            inner = _render_operand(node.operand, 6, row, column)
            if node.operator not in "%#":
                return node.operator + inner
            behind_sign = isinstance(node.operand, Unary) and node.operand.operator not in "%#"
            return (f"({inner})" if behind_sign else inner) + node.operator
        case Binary():
            level = _PRECEDENCE.get(node.operator, 1)
            left = _render_operand(node.left, level, row, column)
            return left + node.operator + _render_operand(node.right, level + 1, row, column)
        case NotSupported():
            return node.text
        case _:
            return ""


def _render_operand(node: Node, level: int, row: int, column: int) -> str:
    text = render(node, row, column)
    weaker = isinstance(node, Binary) and _PRECEDENCE.get(node.operator, 1) < level
    return f"({text})" if weaker else text


def _render_reference(node: Reference, row: int, column: int) -> str:
    def row_text(axis: Axis) -> str:
        return str(axis.value + row) if axis.relative else f"${axis.value}"

    def column_text(axis: Axis) -> str:
        return column_letters(axis.value + column) if axis.relative else f"${column_letters(axis.value)}"

    rows = [axis.value + row if axis.relative else axis.value for axis in (node.top, node.bottom)]
    columns = [axis.value + column if axis.relative else axis.value for axis in (node.left, node.right)]
    if min(rows + columns) < 1 or max(rows) > MAX_ROW or max(columns) > MAX_COLUMN:
        return ExcelError.REF.value
    prefix = f"{quote_sheet(node.sheet)}!" if node.sheet is not None else ""
    if (node.top, node.bottom) == (Axis(1, False), Axis(MAX_ROW, False)):
        return f"{prefix}{column_text(node.left)}:{column_text(node.right)}"
    if (node.left, node.right) == (Axis(1, False), Axis(MAX_COLUMN, False)):
        return f"{prefix}{row_text(node.top)}:{row_text(node.bottom)}"
    start = column_text(node.left) + row_text(node.top)
    end = column_text(node.right) + row_text(node.bottom)
    return prefix + (start if (node.top, node.left) == (node.bottom, node.right) else f"{start}:{end}")


def _render_structured(node: TableReference) -> str:
    parts = [f"[{item}]" for item in node.items]
    if node.first is not None:
        parts.append(f"[{node.first}]" if node.first == node.last else f"[{node.first}]:[{node.last}]")
    inner = ",".join(parts)
    if len(parts) == 1 and inner.count("[") == 1:
        inner = inner[1:-1]
    return f"{node.table or ''}[{inner}]"


def in_parentheses(text: str) -> bool:
    """Whether the whole of a formula (without `=`) stands in parentheses, as `(A1-B1)`; `(A1)-(B1)` does not."""
    bare = _QUOTED.sub("", text).strip()
    if not (bare.startswith("(") and bare.endswith(")")):
        return False
    depth = 0
    for place, letter in enumerate(bare):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place == len(bare) - 1
    return False


def formula_text(formula: Formula, row: int, column: int) -> str:
    """The formula as the cell at `row`, `column` shows it, without `=`."""
    if (formula.row, formula.column) == (row, column):
        return formula.text
    try:
        return moved(formula.text, formula.row, formula.column, row, column)
    except FormulaError:  # what leaves the grid
        pass
    try:
        return render(parse(formula.text, formula.row, formula.column), row, column)
    except FormulaError:
        return formula.text
