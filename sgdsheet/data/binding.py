"""Which cells of the sheet show which fields of a source.

In the form *rows*, the columns of `sgd_data` that hold no formulas are filled by the source: by `sgd_input_<field>`
names, else by the headers above them, else by position. In the form *one example* each `sgd_input_<field>` range shows
one sample of its field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sgdsheet.compiler.frontend.planning import Planner
from sgdsheet.data.filled_cells import reader_of, refuse_overlaps
from sgdsheet.data.formats import Source, field_called
from sgdsheet.errors import DataError, ProblemError, quoted
from sgdsheet.problem.definition import Input, Problem
from sgdsheet.sheet.references import Range, column_letters
from sgdsheet.sheet.workbook import Sheet, Workbook


@dataclass(frozen=True, slots=True)
class Piece:
    """Some columns of a field, whose samples are laid out flat."""

    field: str
    first: int
    width: int
    read: bool = True
    """Whether formulas read the columns. If not, they are only shown, and may be text."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Cells that are filled from a source, all at once; `name` is an identifier for the program."""

    name: str
    area: Range
    pieces: tuple[Piece, ...]

    def columns(self) -> Iterator[tuple[Piece, Range]]:
        """The pieces with the cells that each of them fills."""
        if len(self.pieces) == 1:  # which may be laid out in several rows
            yield self.pieces[0], self.area
            return
        left = self.area.left
        for piece in self.pieces:
            yield piece, self.area._replace(left=left, right=left + piece.width - 1)
            left += piece.width


def bind(planner: Planner, problem: Problem, source: Source, wanted: Sequence[Range] = ()) -> list[Binding]:
    """Which cells show what. DataError or ProblemError, with the cell, where sheet and source do not fit.

    `planner` is one for the workbook; `wanted` are cells that are of interest besides loss, metric and `sgd_output`.
    """
    _refuse_unknown(problem, source)
    found = list(_filled(planner.workbook, problem, source))
    names = [f"sgd_input_{item.field}" for item in problem.inputs] or [quoted(source.name)] * len(found)
    areas = [area for area, _ in found]
    refuse_overlaps(planner.workbook, problem, list(zip(names, areas, strict=True)))
    is_read = reader_of(planner, problem, areas, wanted)
    return [
        replace(binding, pieces=tuple(replace(piece, read=is_read(area)) for piece, area in binding.columns()))
        for binding in _named(found)
    ]


def _filled(workbook: Workbook, problem: Problem, source: Source) -> Iterator[tuple[Range, tuple[Piece, ...]]]:
    """The areas that a source fills, and with what."""
    if problem.data is None:
        if not problem.inputs:
            raise ProblemError(
                "the sheet names a source, but no cells that show its data",
                cell=problem.origin_cell or problem.sheet,
                remedy="Name the rows sgd_data, or the cells of one example sgd_input_<field>",
            )
        return _example(problem, source)
    return _rows(workbook, problem, problem.data, source)


def _named(found: Iterable[tuple[Range, tuple[Piece, ...]]]) -> list[Binding]:
    bindings: list[Binding] = []
    for area, pieces in found:
        label = pieces[0].field if len({piece.field for piece in pieces}) == 1 else "columns"
        base = name = "data_" + re.sub(r"\W", "_", label, flags=re.ASCII)
        number = 1
        while any(item.name == name for item in bindings):
            number += 1
            name = f"{base}_{number}"
        bindings.append(Binding(name, area, pieces))
    return bindings


def width_of(source: Source, field: str) -> int:
    """How many numbers a sample of a field has."""
    return math.prod(source.fields[field].shape[1:])


def inputs_absent(problem: Problem, source: Source) -> list[Input]:
    """The `sgd_input_` names whose fields a source does not have."""
    return [item for item in problem.inputs if field_called(source, item.field, item.area) is None]


def _refuse_unknown(problem: Problem, source: Source) -> None:
    for item in problem.inputs:
        if field_called(source, item.field, item.area) is None:
            raise DataError(
                f"the name sgd_input_{item.field} asks for a field that {quoted(source.name)} does not have",
                cell=item.area,
                remedy=f"Its fields are {_listed(source)}",
            )


def _listed(source: Source) -> str:
    names = list(source.fields)
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


# --- one example ------------------------------------------------------------------------------------------


def _example(problem: Problem, source: Source) -> Iterator[tuple[Range, tuple[Piece, ...]]]:
    for item in problem.inputs:
        name = field_called(source, item.field, item.area)
        assert name is not None
        shape = tuple(size for size in source.fields[name].shape[1:] if size > 1)
        own = tuple(size for size in (item.area.height, item.area.width) if size > 1)
        if shape != own and not (math.prod(shape) == item.area.size and 1 in (len(shape), len(own))):
            raise DataError(
                f"a sample of {quoted(name)} is {_shape(shape)}, and its cells are"
                f" {item.area.height} x {item.area.width}",
                cell=item.area,
                remedy=f"Point sgd_input_{item.field} to a range of that shape",
            )
        yield item.area, (Piece(name, 0, math.prod(shape)),)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) if shape else "a single number"


# --- rows -------------------------------------------------------------------------------------------------


def _rows(
    workbook: Workbook, problem: Problem, data: Range, source: Source
) -> Iterator[tuple[Range, tuple[Piece, ...]]]:
    sheet = workbook.sheets[data.sheet]
    if problem.inputs:
        yield from _named_columns(problem, data, source)
        return
    runs = list(_runs(sheet, data))
    if not runs:
        raise ProblemError("sgd_data has no columns for data", cell=data, remedy="Let some hold no formulas")
    pieces = _by_header(sheet, data, runs, source)
    if pieces is None:
        pieces = _by_position(data, runs, source)
    for left, right in runs:
        run = [(column, piece) for column, piece in pieces.items() if left <= column <= right]
        start = 0
        while start < len(run):  # a column that no field fills ends a run
            end = start
            while end + 1 < len(run) and run[end + 1][0] == run[end][0] + 1:
                end += 1
            area = data._replace(left=run[start][0], right=run[end][0])
            yield area, tuple(_merged([piece for _, piece in run[start : end + 1]]))
            start = end + 1


def _named_columns(problem: Problem, data: Range, source: Source) -> Iterator[tuple[Range, tuple[Piece, ...]]]:
    for item in problem.inputs:
        name = field_called(source, item.field, item.area)
        assert name is not None
        inside = item.area.sheet == data.sheet and data.left <= item.area.left and item.area.right <= data.right
        if not inside:
            raise ProblemError(
                f"sgd_input_{item.field} lies outside the columns of sgd_data ({data.a1})",
                cell=item.area,
                remedy="Point it to columns of sgd_data",
            )
        width = width_of(source, name)
        if item.area.width != width:
            raise DataError(
                f"a sample of {quoted(name)} has {_numbers(width)}, and there are {item.area.width} columns for it",
                cell=item.area,
                remedy="Make them as many",
            )
        yield data._replace(left=item.area.left, right=item.area.right), (Piece(name, 0, width),)


def _numbers(count: int) -> str:
    return "one number" if count == 1 else f"{count:,} numbers"


def _runs(sheet: Sheet, data: Range) -> Iterator[tuple[int, int]]:
    """The columns without formulas, as runs of neighbours."""
    covered = {column for (row, column) in sheet.formulas if row in (data.top, data.bottom)}
    for formula in sheet.formulas.values():
        if formula.array is not None and formula.array[0] <= data.bottom and formula.array[2] >= data.top:
            covered.update(range(formula.array[1], formula.array[3] + 1))
    start: int | None = None
    for column in range(data.left, data.right + 2):
        free = column <= data.right and column not in covered
        if free and start is None:
            start = column
        elif not free and start is not None:
            yield start, column - 1
            start = None


def _by_header(sheet: Sheet, data: Range, runs: Sequence[tuple[int, int]], source: Source) -> dict[int, Piece] | None:
    """Columns whose header names a field (of several numbers: the first of its columns); None without a header."""
    found: dict[int, Piece] = {}
    for left, right in runs:
        column = left
        while column <= right:
            header = sheet.values.get((data.top - 1, column))
            above = data._replace(top=data.top - 1, left=column, bottom=data.top - 1, right=column)
            name = field_called(source, header, above) if isinstance(header, str) else None
            if name is None:
                column += 1
                continue
            width = width_of(source, name)
            if column + width - 1 > right:
                raise DataError(
                    f"{quoted(name)} has {_numbers(width)} per sample, and from its header on there are only"
                    f" {right - column + 1} columns without formulas",
                    cell=data._replace(left=column, right=right),
                    remedy="Make room, or name its columns sgd_input_" + name,
                )
            found.update((column + index, Piece(name, index, 1)) for index in range(width))
            column += width
    if found and not source.columns:
        found.update(_left_over(sheet, data, found, runs, source))
    return found or None


def _left_over(
    sheet: Sheet, data: Range, found: dict[int, Piece], runs: Sequence[tuple[int, int]], source: Source
) -> Iterator[tuple[int, Piece]]:
    """The fields without a header fill the columns without one (or with a number), if there are exactly as many."""
    columns = [
        column
        for left, right in runs
        for column in range(left, right + 1)
        if column not in found and not isinstance(sheet.values.get((data.top - 1, column)), str)
    ]
    known = {piece.field for piece in found.values()}
    numbers = [
        Piece(name, index, 1) for name in source.fields if name not in known for index in range(width_of(source, name))
    ]
    if len(columns) == len(numbers):
        yield from zip(columns, numbers, strict=True)


def _by_position(data: Range, runs: Sequence[tuple[int, int]], source: Source) -> dict[int, Piece]:
    columns = [column for left, right in runs for column in range(left, right + 1)]
    numbers = [Piece(name, index, 1) for name in source.fields for index in range(width_of(source, name))]
    if len(columns) != len(numbers):
        raise DataError(
            f"the source {quoted(source.name)} has {_numbers(len(numbers))} per sample ({_listed(source)}), and"
            f" sgd_data has {len(columns)} columns without formulas",
            cell=data,
            remedy="Write the fields' names as headers above sgd_data, or name the columns sgd_input_<field>",
        )
    return dict(zip(columns, numbers, strict=True))


def _merged(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbouring columns of one field as one piece."""
    current = pieces[0]
    for piece in pieces[1:]:
        if piece.field == current.field and piece.first == current.first + current.width:
            current = Piece(current.field, current.first, current.width + piece.width)
        else:
            yield current
            current = piece
    yield current


class UnboundColumnError(DataError):
    """A formula reads a column which the source does not fill."""


def unbound_column(data: Range, column: int, source_name: str) -> UnboundColumnError:
    """The error for a column of the samples."""
    return UnboundColumnError(
        f"column {column_letters(column)} is read by the formulas, but nothing in {quoted(source_name)} fills it",
        cell=data._replace(left=column, right=column),
        remedy="Write the name of a field above it, or name it sgd_input_<field>",
    )
