"""The loss as a function of one or two parameters, with the others held where they are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from sgdsheet.analysis.diagnosis.weights import header
from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.sample_choice import bind_samples
from sgdsheet.errors import ProblemError
from sgdsheet.problem.settings import combine
from sgdsheet.sheet.defined_names import areas_of
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.train.session import threads
from sgdsheet.train.tensors import copies, put

_NUMBERS_AT_ONCE = 4_000_000
"""Intermediate numbers of the points that are calculated together."""

_SAMPLES = 2_000
"""Samples of a source that the loss is taken over."""

_DIFFERENCE = 0.02
"""Width of a finite difference to either side, as a share of the slice."""

_VALLEY = 1.6
_STEP = 0.1
_NEAREST, _FARTHEST = 0.5, 1000.0

_MARKS = "①②③④⑤⑥⑦"
"""The signs for the steps of training with which our lessons mark their headers."""

_LONGEST_LABEL = 24

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ParameterAxis:
    """A parameter cell along an axis: its label in the sheet, if it has one, and the values that were tried."""

    cell: Cell
    label: str
    values: list[float]

    @property
    def title(self) -> str:
        """`F6 (slope)`."""
        name = Range.of_cell(self.cell).a1
        return f"{name} ({self.label})" if self.label else name


@dataclass(frozen=True, slots=True)
class LossSlice:
    """The loss over one parameter: `losses[i]` is the loss at `axis.values[i]`; NaN where it is not finite.

    At the value `at` the loss is `loss`; `gradient` is its exact derivative there, `difference` that by central
    differences: (loss(at + width) − loss(at − width)) / 2 width, whose losses are `sides`.
    """

    axis: ParameterAxis
    losses: list[float]
    at: float
    loss: float
    gradient: float
    width: float
    sides: tuple[float, float]

    @property
    def difference(self) -> float:
        return (self.sides[1] - self.sides[0]) / (2 * self.width)


@dataclass(frozen=True, slots=True)
class LossSurface:
    """The loss over two parameters: `losses[j][i]` at `x.values[i]` and `y.values[j]`; what is not finite is NaN."""

    x: ParameterAxis
    y: ParameterAxis
    losses: list[list[float]]


def chosen_cells(model: SheetModel, params: str | None) -> list[Cell]:
    """The one or two parameter cells that a reference names; without a reference, all parameters if there are no more.

    Raises ProblemError if the reference names other cells than parameters, or more than two.
    """
    problem = model.problem
    listed = ", ".join(area.a1 if area.sheet == problem.sheet else str(area) for area in problem.parameters)
    if params is None:
        cells = [cell for area in problem.parameters for cell in area.cells()]
        if len(cells) > 2:
            raise ProblemError(
                f"there are {len(cells):,} parameters", remedy=f"Choose one or two of {listed}: --params"
            )
        return cells
    areas = areas_of(model.workbook, params, problem.sheet, "the reference to the parameters")
    cells = list(dict.fromkeys(cell for area in areas for cell in area.cells()))
    for cell in cells:
        if not any(area.contains(Range.of_cell(cell)) for area in problem.parameters):
            raise ProblemError("the cell is not a parameter", cell=cell, remedy=f"Parameters are {listed}")
    if len(cells) > 2:
        raise ProblemError(f"a picture has room for two parameters, not {len(cells):,}", remedy="Name one or two cells")
    return cells


def loss_slice(model: SheetModel, cell: Cell, span: Span, count: int) -> LossSlice:
    """The loss at `count` values of one parameter, at equal distances from end to end of a span.

    The other parameters keep the values that they have in the model, and so does this one in the end. Raises
    ProblemError if the cell is no parameter.
    """
    at = model.parameter_cells()[cell]
    width = _DIFFERENCE * (span[1] - span[0])
    values = _between(span, count)
    losses = losses_at(model, [cell], [[value] for value in (*values, at, at - width, at + width)])
    axis = ParameterAxis(cell, _label(model, cell), values)
    gradient = _gradient(model, cell)
    return LossSlice(axis, losses[:-3], at, losses[-3], gradient, width, (losses[-2], losses[-1]))


def loss_surface(model: SheetModel, cells: Sequence[Cell], spans: Sequence[Span], count: int) -> LossSurface:
    """The loss at `count` values of each of two parameters, at equal distances from end to end of their spans.

    The other parameters keep the values that they have in the model, and so do these in the end.
    """
    x, y = (
        ParameterAxis(cell, _label(model, cell), _between(span, count)) for cell, span in zip(cells, spans, strict=True)
    )
    losses = losses_at(model, cells, [[across, up] for up in y.values for across in x.values])
    return LossSurface(x, y, [losses[start : start + count] for start in range(0, len(losses), count)])


def losses_at(model: SheetModel, cells: Sequence[Cell], points: Sequence[Sequence[float]]) -> list[float]:
    """The loss [points] with these parameter cells at each of the points [points][cells]; NaN where it is not finite.

    Many points are calculated at once. Over data from a file, it is the loss of some of the training samples. The model
    stays as it was.
    """
    places = [place_of(model, cell) for cell in cells]
    with torch.no_grad(), threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = _one_by_one(model, places, points) if model.problem.origin else _together(model, places, points)
    return [loss if math.isfinite(loss) else math.nan for loss in found]


def reach(model: SheetModel, cell: Cell, value: float) -> float:
    """How far to look to either side: past the bottom of the valley that the value lies in, if there is one in sight.

    Where there is none, as far as the value is large.
    """
    unit = max(1.0, abs(value))
    left, middle, right = losses_at(model, [cell], [[value + step * unit] for step in (-_STEP, 0.0, _STEP)])
    bend = (left - 2 * middle + right) / (_STEP * unit)
    if not bend > 0:
        return unit
    distance = abs(right - left) / (2 * bend)
    return min(_FARTHEST * unit, max(_NEAREST * unit, _VALLEY * distance))


def place_of(model: SheetModel, cell: Cell) -> tuple[int, int]:
    """The place of a parameter cell: the number of its range, and its place in the range, row by row.

    Raises ProblemError if the cell is no parameter.
    """
    for number, area in enumerate(model.problem.parameters):
        if area.contains(Range.of_cell(cell)):
            return number, (cell.row - area.top) * area.width + cell.column - area.left
    raise ProblemError("the cell is not a parameter", cell=cell)


def _together(model: SheetModel, places: Sequence[tuple[int, int]], points: Sequence[Sequence[float]]) -> list[float]:
    names, tensors = model.parameter_names, [tensor.detach() for _, tensor in model.ranges()]
    table = torch.tensor(points, dtype=model.dtype)
    size = max(1, _NUMBERS_AT_ONCE // max(1, model.numbers_read()))

    def one(values: dict[str, Tensor]) -> Tensor:
        loss: Tensor = functional_call(model.program, values, ())
        return loss

    losses: list[float] = []
    for part in table.split(size):
        stacks = [tensor.expand(len(part), *tensor.shape).clone() for tensor in tensors]
        for (number, place), column in zip(places, part.T, strict=True):
            stacks[number].view(len(part), -1)[:, place] = column
        losses += vmap(one)(dict(zip(names, stacks, strict=True))).tolist()
    return losses


def _one_by_one(
    model: SheetModel, places: Sequence[tuple[int, int]], points: Sequence[Sequence[float]]
) -> Iterator[float]:
    loss = _loss_of_source(model)
    with unchanged(model) as tensors:
        for point in points:
            for (number, place), value in zip(places, point, strict=True):
                tensors[number].view(-1)[place] = value
            yield float(loss().item())


def _loss_of_source(model: SheetModel) -> Callable[[], Tensor]:
    bound = bind_samples(model, combine(model.problem.settings, {"device": "cpu"}))
    assert bound is not None
    return bound.some(_SAMPLES)


@contextmanager
def unchanged(model: SheetModel) -> Iterator[list[Tensor]]:
    """A context with the model's parameters [each of its range's shape] to change; at its end they are as they were."""
    tensors = [tensor.detach() for _, tensor in model.ranges()]
    before = copies(tensors)
    try:
        yield tensors
    finally:
        put(tensors, before)


def _gradient(model: SheetModel, cell: Cell) -> float:
    """The exact derivative of the loss with respect to a cell."""
    if not model.problem.origin:
        return model.gradients()[cell]
    number, place = place_of(model, cell)
    tensors = [tensor for _, tensor in model.ranges()]
    (found,) = torch.autograd.grad(_loss_of_source(model)(), [tensors[number]], allow_unused=True)
    return float(found.flatten()[place]) if found is not None else 0.0


def _between(span: Span, count: int) -> list[float]:
    low, high = span
    return [low + (high - low) * place / (count - 1) for place in range(count)]


def _label(model: SheetModel, cell: Cell) -> str:
    """The text above the cell or left of it."""
    above = header(model.workbook, Range.of_cell(cell))
    left = model.workbook.sheets[cell.sheet].values.get((cell.row, cell.column - 1))
    text = (above or (" ".join(left.split()) if isinstance(left, str) else "")).lstrip(_MARKS).strip()
    return text if len(text) <= _LONGEST_LABEL else ""
