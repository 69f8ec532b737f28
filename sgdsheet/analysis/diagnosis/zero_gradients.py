"""Findings about parameters that do not move at all, because their gradient is exactly 0."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import torch

from sgdsheet.analysis.diagnosis.activations import COMPARISONS
from sgdsheet.analysis.diagnosis.curvature import Spectrum
from sgdsheet.analysis.diagnosis.findings import NOTE, WARNING, Finding, listed, ranges_of, texts
from sgdsheet.analysis.diagnosis.gradients import Gradients
from sgdsheet.analysis.diagnosis.units import Layer, block_of
from sgdsheet.analysis.diagnosis.weights import Feature, features, is_zero
from sgdsheet.sheet.references import Cell, Range

_STEPS = frozenset({torch.floor, torch.ceil, torch.round, torch.sign, torch.trunc, *COMPARISONS})
_KINK_STEP, _KINK_SLOPE = 1e-4, 1e-6
"""A small move of a parameter, and the share of the loss per unit that it has to change at a kink."""

_MOST_TRIED = 200
"""Parameters that are moved a little to see whether they are at a kink."""

_MOST_WEIGHTS = 5_000  # parameters whose columns are looked for


def steps(gradients: Gradients) -> list[Finding]:
    """A loss that only counts has no gradient anywhere."""
    model = gradients.model
    if gradients.norm or model.objective().requires_grad:
        return []
    nodes = [node for node in model.program.graph.nodes if node.target in _STEPS]
    blocks = [block for node in nodes if (block := block_of(model, node)) is not None]
    where = f" ({blocks[-1].range} compares or rounds)" if blocks else ""
    message = (
        f"The loss {model.problem.loss} changes only in steps{where}, so its gradient is 0 everywhere."
        " Train on a smooth loss such as the mean squared error, and keep this one as the metric."
    )
    cell = str(blocks[-1].range if blocks else model.problem.loss)
    return [Finding("steps", WARNING, (cell,), message)]


def zero_gradients(
    gradients: Gradients, curvature: Spectrum | None, explained: Container[Cell], layers: Sequence[Layer]
) -> Iterator[Finding]:
    """Parameters that do not move, but for those whose reason another finding has told."""
    left = [cell for cell in gradients.zero_cells if cell not in explained]
    left = [cell for cell in left if not _at_kink(gradients, cell)] if len(left) <= _MOST_TRIED else left
    if not left or gradients.model.problem.constrained:  # a constraint may need what the loss does not
        return
    areas, one = ranges_of(left), len(left) == 1
    if len(left) == len(gradients.cells) and curvature is not None and curvature.lowest > 0:
        message = "The gradient is 0: the parameters are at a minimum already (there may be lower ones)."
        yield Finding("zero gradient", NOTE, texts(areas), message)
        return
    are = "has a gradient of exactly 0 and does" if one else "have gradients of exactly 0 and do"
    start = f"{listed(areas)} {are} not move: "
    columns = _columns(gradients, left)
    if any(unit.flat == unit.rows and not unit.weights for layer in layers for unit in layer.units):
        message = f"{start}{'it belongs' if one else 'they belong'} to dead units."
        yield Finding("zero gradient", NOTE, texts(areas), message)
    elif columns and any(layer.activation.is_relu for layer in layers):
        where = f"its unit is off in all rows where {columns[0]} is not 0"
        several = "their units are off in all rows where the columns that they multiply are not 0"
        message = f"{start}{where if one else several}."
        yield Finding("zero gradient", NOTE, texts(areas), message)
    else:
        yield Finding("zero gradient", WARNING, texts(areas), f"{start}{_reason(gradients, left, curvature)}.")


def _at_kink(gradients: Gradients, cell: Cell) -> bool:
    """Whether the loss changes in proportion to a small move of a parameter, to one side or the other.

    The gradient of ABS is 0 at 0, where it has a kink, and that of a sum of them may vanish where they balance.
    """
    area, tensor = next(pair for pair in gradients.model.ranges() if pair[0].contains(Range.of_cell(cell)))
    place = list(area.cells()).index(cell)
    flat = tensor.detach().view(-1)
    start = float(flat[place])

    def slope(step: float) -> float:
        with torch.no_grad():
            flat[place] = start + step
            moved = float(gradients.model.objective())
            flat[place] = start
        return abs(moved - gradients.objective) / abs(step)

    size = _KINK_STEP * max(1.0, abs(start))
    least = _KINK_SLOPE * max(1e-12, abs(gradients.objective))
    return any(slope(side * size) > least and slope(side * size / 10) > 0.5 * slope(side * size) for side in (1, -1))


def _columns(gradients: Gradients, left: Sequence[Cell], *, empty: bool = False) -> list[Feature]:
    """The columns that these weights multiply if each has one, and all of them are empty (or none is)."""
    if len(gradients.cells) > _MOST_WEIGHTS:
        return []
    known, workbook = features(gradients.model), gradients.model.workbook
    found = [known[cell] for cell in left if cell in known]
    fit = len(found) == len(left) and all(is_zero(workbook, feature.area) == empty for feature in found)
    return found if fit else []


def _reason(gradients: Gradients, left: list[Cell], curvature: Spectrum | None) -> str:
    one = len(left) == 1
    columns = _columns(gradients, left, empty=True)
    if columns:
        first = f"{columns[0]}, which is" if one else f"columns such as {columns[0]}, which are"
        return f"{'it multiplies' if one else 'they multiply'} {first} 0 in every row"
    values = dict(zip(gradients.cells, gradients.values.tolist(), strict=True))
    if not one and not any(values[cell] for cell in left):
        return "they start at 0, which holds them there; give them small random starting values"
    if len(left) == len(gradients.cells) and curvature is not None and curvature.lowest < 0:
        return "this is no minimum but a hilltop or a saddle; start from other values"
    feeds = "it feeds" if one else "they feed"
    return f"nothing that {feeds} changes the loss here; try other starting values"
