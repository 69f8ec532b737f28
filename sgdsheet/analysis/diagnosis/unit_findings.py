"""Findings about units, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from sgdsheet.analysis.diagnosis.findings import NOTE, WARNING, Finding, listed, ranges_of, texts
from sgdsheet.analysis.diagnosis.gradients import Gradients
from sgdsheet.analysis.diagnosis.units import Interpreter, Layer, Unit
from sgdsheet.sheet.references import Cell, Range

PARTLY = 0.95
"""A unit without a gradient in more than this share of the rows is worth a word."""


def about_layer(gradients: Gradients, layer: Layer, explained: dict[Cell, str]) -> Iterator[Finding]:
    """Dead, partly dead and saturated units of one formula.

    `explained` collects the parameters whose gradient of 0 is accounted for, and what they do to a dead unit.
    """
    flat = [unit for unit in layer.units if unit.flat == unit.rows]
    partly = [unit for unit in layer.units if PARTLY < unit.share < 1]
    if not layer.activation.is_relu:
        if flat or partly:
            yield _saturated(layer, flat + partly)
        return
    if flat:
        yield _dead(gradients, layer, flat, explained)
    if partly:
        areas = _areas(partly)
        message = f"{_name(layer, partly)} 0 {_rows(partly)}, and can learn from the other rows only."
        yield Finding("partly dead unit", NOTE, texts(areas), message)


def _areas(units: Sequence[Unit]) -> list[Range]:
    return ranges_of({cell for unit in units for cell in unit.cells.cells()})


def _name(layer: Layer, units: Sequence[Unit]) -> str:
    areas = listed(_areas(units))
    if len(units) == 1:
        return f"The unit in {areas} is"
    return f"{len(units):,} of {len(layer.units):,} units ({areas}) are"


def _rows(units: Sequence[Unit]) -> str:
    share, rows = min(unit.share for unit in units), units[0].rows
    if rows == 1:
        return "for the one example on the sheet"
    least = "at least " if len(units) > 1 else ""
    return f"in all {rows:,} rows" if share == 1 else f"in {least}{share:.1%} of the {rows:,} rows"


def _dead(gradients: Gradients, layer: Layer, units: list[Unit], explained: dict[Cell, str]) -> Finding:
    one, zero = len(units) == 1, set(gradients.zero_cells)
    further_back = {cell for cell, role in explained.items() if role == "feeds"}
    feeding = ({cell for unit in units for cell in unit.weights} & zero) - further_back
    multiplying = _multipliers(gradients, layer) - feeding
    explained.update(dict.fromkeys(multiplying, "multiplies") | dict.fromkeys(feeding, "feeds"))
    its, weights = "its" if one else "their", listed(ranges_of(feeding))
    never = f"{its} weights {weights} never change" if feeding else f"the weights behind {its} formula never change"
    if multiplying:
        never += f", nor {'does' if len(multiplying) == 1 else 'do'} {listed(ranges_of(multiplying))}"
    message = (
        f"{_name(layer, units)} dead: {'it is' if one else 'they are'} 0 {_rows(units)}, so {never}."
        f" Give {'it' if one else 'them'} other starting weights, use restarts, or write a leaky unit such as"
        " IF(x<0,0.01*x,x)."
    )
    cells = texts(_areas(units)) + texts(ranges_of(feeding)) + texts(ranges_of(multiplying))
    # A single row may be one example of many, and the unit be on for others.
    return Finding("dead unit", WARNING if units[0].rows > 1 else NOTE, cells, message)


def _multipliers(gradients: Gradients, layer: Layer) -> set[Cell]:
    """The parameters that have no gradient only because they multiply the 0 of a dead unit."""
    model, dead = gradients.model, layer.dead
    wake = {layer.activation.node: lambda result: torch.where(dead, result + 1, result)}
    awake = Gradients.of(model, Interpreter(model.program, changes=wake).run())
    return set(gradients.zero_cells) - set(awake.zero_cells)


def _saturated(layer: Layer, units: list[Unit]) -> Finding:
    message = (
        f"{_name(layer, units)} saturated: {layer.activation.name} is next to {layer.activation.ends} {_rows(units)},"
        " where it has hardly any gradient. Start from smaller weights, or scale the inputs down."
    )
    return Finding("saturated unit", WARNING, texts(_areas(units)), message)
