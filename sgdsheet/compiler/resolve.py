"""From what a formula says to the cells it means: defined names, tables, spills and whole columns.

The result is still relative to the formula's cell, so it is made once per form. Only `Reference` nodes with a
sheet remain of everything that points at cells; what cannot be resolved becomes `NotSupported`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sgdsheet.errors import FormulaError
from sgdsheet.formula import parse
from sgdsheet.references import MAX_COLUMN, MAX_ROW
from sgdsheet.syntax import (
    Axis,
    Binary,
    Call,
    ErrorConstant,
    Name,
    Node,
    NotSupported,
    Reference,
    TableReference,
    Unary,
    transform,
)
from sgdsheet.workbook import ExcelError, Position, Sheet, Table, Workbook

_DEEPEST_NAME = 20


@dataclass(slots=True)
class Resolver:
    """Resolves formulas of one workbook."""

    workbook: Workbook
    _extents: dict[str, Position] = field(default_factory=dict)

    def resolve(self, node: Node, sheet: str, row: int, column: int, depth: int = 0) -> Node:
        """`node` as the cell at `row`, `column` of `sheet` means it."""
        if depth > _DEEPEST_NAME:
            return NotSupported("", "uses defined names that refer to each other in a circle", "Mend the names")

        def change(part: Node) -> Node | None:
            match part:
                case Reference():
                    return self._reference(part, sheet)
                case Name():
                    return self._name(part, sheet, row, column, depth)
                case TableReference():
                    return self._table_reference(part, sheet, row, column)
                case Unary(operator="#"):
                    return self._spill(self.resolve(part.operand, sheet, row, column, depth), row, column)
                case Binary(operator=":" | " "):
                    left = self.resolve(part.left, sheet, row, column, depth)
                    right = self.resolve(part.right, sheet, row, column, depth)
                    return _combine(part.operator, left, right)
                case Call(name="LET"):
                    return self._let(part, sheet, row, column, depth)
                case Call():
                    return self._call(part, sheet, row, column, depth)
                case _:
                    return None

        return transform(node, change)

    def _reference(self, part: Reference, sheet: str) -> Node:
        found = self.workbook.sheet(part.sheet if part.sheet is not None else sheet)
        if found is None:
            return NotSupported("", f"refers to a sheet “{part.sheet}” that is not there", "Mend the reference")
        last_row, last_column = self._extent(found)
        bottom, right = part.bottom, part.right
        if bottom == Axis(MAX_ROW, False):
            bottom = Axis(max(last_row, part.top.value, 1), False)
        if right == Axis(MAX_COLUMN, False):
            right = Axis(max(last_column, part.left.value, 1), False)
        return Reference(found.name, part.top, part.left, bottom, right)

    def _extent(self, sheet: Sheet) -> Position:
        if sheet.name not in self._extents:
            self._extents[sheet.name] = sheet.extent
        return self._extents[sheet.name]

    def _name(self, part: Name, sheet: str, row: int, column: int, depth: int) -> Node:
        scope = self.workbook.sheet(part.sheet) if part.sheet is not None else None
        found = self.workbook.defined_name(part.name, scope.name if scope else sheet)
        if found is not None:
            meaning = parse(found.text, 1, 1)  # relative parts of a name are distances from A1
            around = transform(meaning, lambda part: _wrapped(part, row, column))
            return self.resolve(around, found.sheet or sheet, row, column, depth + 1)
        table = self.workbook.table(part.name)
        if table is not None:
            return _area_of(table, (), 0, len(table.columns) - 1)
        return NotSupported(part.name, f"uses the name “{part.name}” that is not defined", "Define it or mend the name")

    def _table_reference(self, part: TableReference, sheet: str, row: int, column: int) -> Node:
        table = self.workbook.table(part.table) if part.table is not None else self._table_at(sheet, row, column)
        if table is None:
            return NotSupported("", f"refers to a table “{part.table}” that is not there", "Mend the table's name")
        names = [name.casefold() for name in table.columns]
        try:
            first = names.index(part.first.casefold()) if part.first is not None else 0
            last = names.index(part.last.casefold()) if part.last is not None else len(names) - 1
        except ValueError:
            return NotSupported(
                "",
                f"refers to a column “{part.first}” that table {table.name} does not have",
                f"Its columns are {', '.join(table.columns)}",
            )
        return _area_of(table, part.items, min(first, last), max(first, last))

    def _table_at(self, sheet: str, row: int, column: int) -> Table | None:
        for table in self.workbook.tables.values():
            area = table.area
            if area.sheet == sheet and area.top <= row <= area.bottom and area.left <= column <= area.right:
                return table
        return None

    def _spill(self, target: Node, row: int, column: int) -> Node:
        if isinstance(target, Reference) and target.sheet is not None:
            top = target.top.value + (row if target.top.relative else 0)
            left = target.left.value + (column if target.left.relative else 0)
            formula = self.workbook.sheets[target.sheet].formulas.get((top, left))
            if formula is not None and formula.array is not None:
                height, width = formula.array[2] - formula.array[0], formula.array[3] - formula.array[1]
                bottom = Axis(target.top.value + height, target.top.relative)
                return replace(target, bottom=bottom, right=Axis(target.left.value + width, target.left.relative))
        return ErrorConstant(ExcelError.REF)

    def _call(self, part: Call, sheet: str, row: int, column: int, depth: int) -> Node:
        """Resolve the arguments; a union of areas becomes one argument per area."""
        arguments: list[Node] = []
        for argument in part.arguments:
            pending = [argument]
            while pending:
                item = pending.pop()
                if isinstance(item, Binary) and item.operator == ",":
                    pending += [item.right, item.left]
                else:
                    arguments.append(self.resolve(item, sheet, row, column, depth))
        return Call(part.name, tuple(arguments))

    def _let(self, part: Call, sheet: str, row: int, column: int, depth: int) -> Node:
        """`LET(x, 1, x+1)` by putting the meaning in the place of the variable."""
        *pairs, body = part.arguments
        if len(pairs) % 2 or not pairs:
            return NotSupported("", "calls LET with the wrong number of arguments", "Mend the formula")
        meanings: dict[str, Node] = {}

        def put(node: Node) -> Node | None:
            return meanings.get(node.name.casefold()) if isinstance(node, Name) else None

        for variable, meaning in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(variable, Name):
                return NotSupported("", "calls LET with something that is not a variable", "Mend the formula")
            meanings[variable.name.casefold()] = self.resolve(transform(meaning, put), sheet, row, column, depth)
        return self.resolve(transform(body, put), sheet, row, column, depth + 1)


def _wrapped(part: Node, row: int, column: int) -> Node | None:
    """A relative name that points up or left does so around the edge of the sheet: XFD1 is left of A1."""
    if not isinstance(part, Reference):
        return None

    def around(axis: Axis, here: int, last: int) -> Axis:
        return axis._replace(value=axis.value - last) if axis.relative and axis.value + here > last else axis

    top, bottom = (around(axis, row, MAX_ROW) for axis in (part.top, part.bottom))
    left, right = (around(axis, column, MAX_COLUMN) for axis in (part.left, part.right))
    return replace(part, top=top, bottom=bottom, left=left, right=right)


def _area_of(table: Table, items: tuple[str, ...], first: int, last: int) -> Node:
    area, body = table.area, table.body
    left, right = Axis(area.left + first, False), Axis(area.left + last, False)
    wanted = {item.casefold() for item in items} or {"#data"}
    if wanted == {"#this row"}:
        return Reference(area.sheet, Axis(0, True), left, Axis(0, True), right)
    spans = {
        "#all": (area.top, area.bottom),
        "#headers": (area.top, body.top - 1),
        "#data": (body.top, body.bottom),
        "#totals": (body.bottom + 1, area.bottom),
    }
    if not wanted <= spans.keys():
        raise FormulaError(f"the table reference {', '.join(items)} is not known", remedy="Mend the formula")
    top = min(spans[item][0] for item in wanted)
    bottom = max(spans[item][1] for item in wanted)
    if bottom < top:
        return ErrorConstant(ExcelError.REF)
    return Reference(area.sheet, Axis(top, False), left, Axis(bottom, False), right)


def _combine(operator: str, left: Node, right: Node) -> Node:
    """`A1:INDEX(…)` is not static; `Sheet1!A1:Sheet1!B2` and `A1:C3 B2:D4` are."""
    if isinstance(left, Reference) and isinstance(right, Reference) and left.sheet == right.sheet:
        if operator == ":":
            return Reference(left.sheet, left.top, left.left, right.bottom, right.right)
        axes = [
            left.top,
            left.left,
            left.bottom,
            left.right,
            right.top,
            right.left,
            right.bottom,
            right.right,
        ]
        if not any(axis.relative for axis in axes):
            top, start = max(left.top, right.top), max(left.left, right.left)
            bottom, end = min(left.bottom, right.bottom), min(left.right, right.right)
            empty = top.value > bottom.value or start.value > end.value
            return ErrorConstant(ExcelError.NULL) if empty else Reference(left.sheet, top, start, bottom, end)
    return NotSupported(
        "",
        "uses a range whose corners are calculated" if operator == ":" else "uses an intersection of relative ranges",
        "Write the range with fixed corners",
        unseen=True,
    )
