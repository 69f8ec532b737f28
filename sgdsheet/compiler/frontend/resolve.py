"""From what a formula says to the cells it means: defined names, tables, spills and whole columns.

The result is still relative to the formula's cell, so it is made once per form. Only `Reference` nodes with a
sheet remain of everything that points at cells; what cannot be resolved becomes `NotSupported`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sgdsheet.compiler.frontend.lambdas import TooLarge, applied, expanded, is_lambda
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.places import is_reference
from sgdsheet.compiler.functions.reshaping import trimming
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.formula import other_file, parse, render
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW
from sgdsheet.sheet.syntax import (
    Applied,
    Axis,
    Binary,
    Boolean,
    Call,
    Chain,
    ErrorConstant,
    Name,
    Node,
    NotSupported,
    Omitted,
    Reference,
    Shared,
    SheetSpan,
    TableReference,
    Text,
    Unary,
    Union,
    transform,
)
from sgdsheet.sheet.workbook import ExcelError, Table, Workbook

_VALID_NAME = re.compile(r"[\w\\.?]+")
_FUNCTION_ITSELF = re.compile(r"^_xleta\.", re.IGNORECASE)
_THIS_ROW = "#this row"
_MOST_NODES = 20_000
"""Parts of a formula with all its names written out: names of names grow without limit."""


Measure = Callable[[Node, str, int, int], tuple[int, int] | None]


@dataclass(slots=True)
class Resolver:
    """Resolves formulas of one workbook."""

    workbook: Workbook
    measure: Measure | None = None
    """Tells the size of a calculated array, as the cell of a sheet at a row and column has it."""
    bodies: list[tuple[int, int]] = field(default_factory=list)
    """First and last rows of tables of which the formula reads its own row: in others, `[@x]` is #VALUE!."""
    _open: list[tuple[str, str]] = field(default_factory=list)
    _nodes: int = 0
    _sharing: bool = False
    """Whether what a variable stands for is kept as one part, and not written out wherever the variable stands."""

    def resolve(self, node: Node, sheet: str, row: int, column: int) -> Node:
        """`node` as the cell at `row`, `column` of `sheet` means it.

        Raises FormulaError where it grows too large once its names are written out.
        """
        try:
            return self._started(node, sheet, row, column, sharing=False)
        except (TooLarge, RecursionError):
            pass
        try:
            return self._started(node, sheet, row, column, sharing=True)
        except RecursionError:
            raise FormulaError("the formula is nested too deep", remedy="Put parts of it into cells") from None

    def _started(self, node: Node, sheet: str, row: int, column: int, *, sharing: bool) -> Node:
        self._nodes, self._sharing = 0, sharing
        self.bodies = []
        self._open.clear()
        return self._resolve(node, sheet, row, column)

    def _resolve(self, node: Node, sheet: str, row: int, column: int) -> Node:
        def change(part: Node) -> Node | None:
            self._nodes += 1
            if self._nodes > _MOST_NODES:
                raise TooLarge(
                    "the formula grows too large once its names are written out", remedy="Put parts of it into cells"
                )
            match part:
                case Shared():
                    return part
                case Reference():
                    return self._reference(part, sheet, row, column)
                case SheetSpan():
                    return self._span(part)
                case Binary(operator=","):
                    return Union(tuple(self._resolve(item, sheet, row, column) for item in _listed(part)))
                case Name():
                    return self._name(part, sheet, row, column)
                case TableReference():
                    return self._table_reference(part, sheet, row, column)
                case Unary(operator="#"):
                    return self._spill(self._resolve(part.operand, sheet, row, column), row, column)
                case Binary(operator=":" | " "):
                    left = self._resolve(part.left, sheet, row, column)
                    right = self._resolve(part.right, sheet, row, column)
                    return _combine(part.operator, left, right)
                case Call(name="LET"):
                    return self._let(part, sheet, row, column)
                case Call(name="LAMBDA"):
                    return part  # its parameters mean nothing before it is called
                case Applied():
                    function = self._function(part.function, sheet, row, column, len(part.arguments))
                    arguments = [self._resolve(item, sheet, row, column) for item in part.arguments]
                    return self._resolve(applied(function, arguments), sheet, row, column)
                case Call(name="ISOMITTED", arguments=(argument,)):
                    return Boolean(isinstance(self._resolve(argument, sheet, row, column), Omitted))
                case Call():
                    part = _function_as_text(trimming(part))
                    written = self._expanded(part, sheet, row, column)
                    return written or self._named(part, sheet, row, column) or self._call(part, sheet, row, column)
                case _:
                    return None

        return transform(node, change)

    def _expanded(self, part: Call, sheet: str, row: int, column: int) -> Node | None:
        """MAP and its like written out; None for any other call."""
        *given, last = part.arguments or (Omitted(),)
        if isinstance(last, (Name, Applied)):
            part = Call(
                part.name, (*given, self._function(last, sheet, row, column, _arguments_of(part.name, len(given))))
            )
        measure = self.measure

        def shape(node: Node) -> tuple[int, int] | None:
            return None if measure is None else measure(node, sheet, row, column)

        return expanded(part, lambda item: self._part(self._resolve(item, sheet, row, column)), shape)

    def _function(self, node: Node, sheet: str, row: int, column: int, count: int) -> Node:
        """The LAMBDA that a name or a call stands for; a function's name alone is that of `count` arguments."""
        if isinstance(node, Applied):
            return self._resolve(node, sheet, row, column)
        if not isinstance(node, Name) or node.sheet is not None:
            return node
        found = self.workbook.defined_name(node.name, sheet)
        if found is not None:
            return transform(parse(found.text, 1, 1), lambda part: _wrapped(part, row, column))
        name = _FUNCTION_ITSELF.sub("", node.name).upper()
        variables = tuple(Name(f"x_{number}") for number in range(1, count + 1))
        return Call("LAMBDA", (*variables, Call(name, variables))) if name in REGISTRY else node

    def _part(self, node: Node) -> Node:
        """A part as it may stand at several places: as one that is shared, if that saves something."""
        compound = isinstance(node, (Call, Unary, Binary, Chain)) and not is_reference(node)
        return Shared(node) if self._sharing and compound else node

    def _reference(self, part: Reference, sheet: str, row: int, column: int) -> Node:
        if part.sheet is not None and part.sheet.startswith("["):
            return self._linked(part, part.sheet) or other_file(render(part, row, column).replace("'", ""))
        found = self.workbook.sheet(part.sheet if part.sheet is not None else sheet)
        if found is None:
            return NotSupported("", f"refers to a sheet “{part.sheet}” that is not there", "Mend the reference")
        return replace(part, sheet=found.name)

    def _linked(self, part: Reference, sheet: str) -> Node | None:
        """Cells of another workbook, of which some are saved in this one; None if nothing is known of that workbook."""
        link = self.workbook.link(sheet)
        if link is None:
            return None
        wanted = sheet.partition("]")[2].casefold()
        name = next((name for name in link.sheets if name.casefold() == wanted), None)
        if name is None:
            cause = f"refers to cells of {link.name} whose values are not saved in this workbook"
            return NotSupported("", cause, "Copy the values it needs into this workbook")
        return replace(part, sheet=f"{sheet.partition(']')[0]}]{name}")

    def _linked_name(self, part: Name, scope: str) -> Node:
        """A defined name of another workbook, such as `[1]!rate`."""
        link, _, own = scope.partition("]")
        other = self.workbook.link(scope)
        names = [] if other is None else [item for item in other.names if item.name.casefold() == part.name.casefold()]
        found = next((item for item in names if item.sheet is None or item.sheet.casefold() == own.casefold()), None)
        if found is None or other is None:
            return other_file(f"{scope}!{part.name}")
        meaning = parse(found.text, 1, 1)
        if not isinstance(meaning, Reference) or meaning.sheet is None or meaning.top.relative or meaning.left.relative:
            return other_file(f"{scope}!{part.name}")
        sheet = meaning.sheet.rpartition("]")[2]
        return self._linked(meaning, f"{link}]{sheet}") or other_file(f"{scope}!{part.name}")

    def _span(self, part: SheetSpan) -> Node:
        """The cells of several sheets, in the order of the tabs."""
        names = list(self.workbook.sheets)
        ends = [self.workbook.sheet(name) for name in (part.first, part.last)]
        if not isinstance(part.cells, Reference) or None in ends:
            return ErrorConstant(ExcelError.REF)
        places = sorted(names.index(end.name) for end in ends if end is not None)
        return Union(tuple(replace(part.cells, sheet=name) for name in names[places[0] : places[1] + 1]))

    def _name(self, part: Name, sheet: str, row: int, column: int) -> Node:
        if part.sheet is not None and part.sheet.startswith("["):
            return self._linked_name(part, part.sheet)
        scope = self.workbook.sheet(part.sheet) if part.sheet is not None else None
        found = self.workbook.defined_name(part.name, scope.name if scope else sheet)
        if found is not None:
            key = (found.name.casefold(), found.sheet or "")
            if key in self._open:
                return NotSupported(
                    part.name, "uses defined names that refer to each other in a circle", "Mend them", True
                )
            meaning = parse(found.text, 1, 1)  # relative parts of a name are distances from A1
            around = transform(meaning, lambda part: _wrapped(part, row, column))
            self._open.append(key)
            try:
                return self._resolve(around, found.sheet or sheet, row, column)
            finally:
                self._open.pop()
        table = self.workbook.table(part.name)
        if table is not None:
            return _area_of(table, (), 0, len(table.columns) - 1)
        if not _VALID_NAME.fullmatch(part.name):
            return NotSupported(
                part.name, f"refers to “{part.name}”, which is not understood", "Mend the formula", True
            )
        return ErrorConstant(ExcelError.NAME)

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
        body = table.body
        if [item.casefold() for item in part.items] == [_THIS_ROW]:
            self.bodies.append((body.top, body.bottom))
            if not body.top <= row <= body.bottom:
                return ErrorConstant(ExcelError.VALUE)
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
            sheet = self.workbook.cells_of(target.sheet)
            formula = sheet.formulas.get((top, left)) if sheet is not None else None
            if sheet is not None and (top, left) in sheet.values and (formula is None or formula.array is None):
                return target
            if formula is not None and formula.array is None:
                return target
            if formula is not None and formula.array is not None:
                height, width = formula.array[2] - formula.array[0], formula.array[3] - formula.array[1]
                bottom = Axis(target.top.value + height, target.top.relative)
                return replace(target, bottom=bottom, right=Axis(target.left.value + width, target.left.relative))
        return ErrorConstant(ExcelError.REF)

    def _named(self, part: Call, sheet: str, row: int, column: int) -> Node | None:
        """The call of a defined name that is a LAMBDA; None if it is none."""
        found = None if part.name in REGISTRY else self.workbook.defined_name(part.name, sheet)
        if found is None:
            return None
        meaning = parse(found.text, 1, 1)
        key = (found.name.casefold(), found.sheet or "")
        if not is_lambda(meaning):
            return None
        if key in self._open:
            return NotSupported(part.name, "calls a LAMBDA that calls itself", "Write the calculation out", True)
        around = transform(meaning, lambda item: _wrapped(item, row, column))
        arguments = [self._resolve(item, sheet, row, column) for item in part.arguments]
        self._open.append(key)
        try:
            return self._resolve(applied(around, arguments), found.sheet or sheet, row, column)
        finally:
            self._open.pop()

    def _call(self, part: Call, sheet: str, row: int, column: int) -> Node:
        """Resolve the arguments; of several areas, those that are a function's arguments one by one."""
        found = REGISTRY.get(part.name)
        arguments: list[Node] = []
        for argument in part.arguments:
            resolved = self._resolve(argument, sheet, row, column)
            if not isinstance(resolved, Union) or found is None:
                arguments.append(resolved)
            elif found.takes_areas_apart:
                arguments += resolved.areas
            elif found.takes_areas:
                arguments.append(resolved)
            else:
                cause = f"gives several ranges at once to {part.name}"
                arguments.append(NotSupported("", cause, "Give it one range"))
        return Call(part.name, tuple(arguments))

    def _let(self, part: Call, sheet: str, row: int, column: int) -> Node:
        """`LET(x, 1, x+1)` by putting the meaning in the place of the variable."""
        *pairs, body = part.arguments or (Omitted(),)
        if len(pairs) % 2 or not pairs:
            return NotSupported("", "calls LET with the wrong number of arguments", "Mend the formula", True)
        meanings: dict[str, Node] = {}
        for variable, meaning in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(variable, Name):
                return NotSupported("", "calls LET with something that is not a variable", "Mend the formula", True)
            found = self._resolve(_substituted(meaning, meanings), sheet, row, column)
            known = isinstance(found, Name)  # another function's name
            meanings[variable.name.casefold()] = found if known or is_lambda(found) else self._part(found)
        return self._resolve(_substituted(body, meanings), sheet, row, column)


def _arguments_of(caller: str, arrays: int) -> int:
    """How many arguments MAP, REDUCE and their like give to a LAMBDA."""
    return arrays if caller == "MAP" else 2 if caller in ("REDUCE", "SCAN", "MAKEARRAY") else 1


def _listed(node: Node) -> Iterator[Node]:
    """The areas of `(A1:A3,C1:C3,E5)`, in their order."""
    if isinstance(node, Binary) and node.operator == ",":
        yield from _listed(node.left)
        yield from _listed(node.right)
    else:
        yield node


def _substituted(node: Node, meanings: Mapping[str, Node]) -> Node:
    """The formula with the meanings of LET's variables in their place; an inner LET may use a name anew."""

    def change(part: Node) -> Node | None:
        if isinstance(part, Shared):  # it has no variables any more
            return part
        if isinstance(part, Name) and part.sheet is None:
            return meanings.get(part.name.casefold())
        if isinstance(part, Call) and is_lambda(meanings.get(part.name.casefold(), part)) and not is_lambda(part):
            arguments = tuple(_substituted(item, meanings) for item in part.arguments)
            return Applied(meanings[part.name.casefold()], arguments)
        if isinstance(part, Call) and is_lambda(part):
            *parameters, body = part.arguments
            own = {str(getattr(item, "name", getattr(item, "first", ""))).casefold() for item in parameters}
            outer = {name: meaning for name, meaning in meanings.items() if name not in own}
            return Call(part.name, (*parameters, _substituted(body, outer)))
        if not (isinstance(part, Call) and part.name == "LET" and len(part.arguments) % 2):
            return None
        *pairs, body = part.arguments
        known, changed = dict(meanings), []
        for variable, meaning in zip(pairs[::2], pairs[1::2], strict=True):
            changed += [variable, _substituted(meaning, known)]
            if isinstance(variable, Name):
                known.pop(variable.name.casefold(), None)
        return Call("LET", (*changed, _substituted(body, known)))

    return transform(node, change)


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
    if wanted == {_THIS_ROW}:
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


def _function_as_text(call: Call) -> Call:
    """A call with the name of a function that it is given, `SUM`, as a text."""
    declared = REGISTRY.get(call.name)
    place = declared.takes_function if declared is not None else None
    if place is None or place >= len(call.arguments):
        return call
    by: Node = call.arguments[place]
    text: Node | None = None
    if isinstance(by, Name) and by.sheet is None:
        text = Text(_FUNCTION_ITSELF.sub("", by.name).upper())
    elif isinstance(by, Call) and by.arguments and all(isinstance(item, Name) for item in by.arguments):
        text = NotSupported("", f"calls {call.name} with several functions at once", "Call it once for each")
    return call if text is None else Call(call.name, (*call.arguments[:place], text, *call.arguments[place + 1 :]))


def _combine(operator: str, left: Node, right: Node) -> Node:
    """`Sheet1!A1:Sheet1!B2`, `A1:B2:C3` and `A1:C3 B2:D4` are fixed ranges; `A1:INDEX(…)` stays to be calculated."""
    for side in (left, right):
        if isinstance(side, (ErrorConstant, NotSupported)):
            return side
    if operator == " " and (isinstance(left, Union) or isinstance(right, Union)):
        return _common_areas(_areas(left), _areas(right))
    if isinstance(left, Reference) and isinstance(right, Reference) and left.sheet == right.sheet:
        combined = _hull if operator == ":" else _common
        rows = combined((left.top, left.bottom), (right.top, right.bottom))
        columns = combined((left.left, left.right), (right.left, right.right))
        if rows is not None and columns is not None:
            (top, bottom), (start, end) = rows, columns
            empty = operator == " " and (top > bottom or start > end)
            return ErrorConstant(ExcelError.NULL) if empty else Reference(left.sheet, top, start, bottom, end)
    return Binary(operator, left, right)


def _areas(node: Node) -> tuple[Node, ...]:
    return node.areas if isinstance(node, Union) else (node,)


def _common_areas(ones: Sequence[Node], others: Sequence[Node]) -> Node:
    """`(A1:A3,C1:C3) 2:2`: what each of several ranges has in common with each of others."""
    found = [_combine(" ", one, other) for one in ones for other in others]
    kept = tuple(node for node in found if node != ErrorConstant(ExcelError.NULL))
    if not all(isinstance(node, Reference) for node in kept):
        return NotSupported("", "intersects ranges that are calculated", "Refer to the cells directly", True)
    return Union(kept) if len(kept) > 1 else kept[0] if kept else ErrorConstant(ExcelError.NULL)


_Ends = tuple[Axis, Axis]


def _hull(one: _Ends, two: _Ends) -> _Ends | None:
    """The rows (or columns) from the first to the last of two ranges; None if that depends on the formula's cell."""
    if _alike(*one, *two):
        return min(*one, *two), max(*one, *two)
    return (one[0], two[0]) if one[0] == one[1] and two[0] == two[1] else None


def _common(one: _Ends, two: _Ends) -> _Ends | None:
    """The rows (or columns) that two ranges have in common."""
    return (max(min(one), min(two)), min(max(one), max(two))) if _alike(*one, *two) else None


def _alike(*ends: Axis) -> bool:
    return len({axis.relative for axis in ends}) == 1
