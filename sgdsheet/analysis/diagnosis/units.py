"""The units of a network on the sheet, and in how many rows each of them passes on no gradient.

A unit is what the copies of a bent formula with the same weights have in common: a filled-down column, one
row of an array. It is found by looking at what each copy depends on, not at the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.analysis.diagnosis.activations import Activation, find_activations
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell, Range

MOST_NUMBERS = 1_000_000
"""Numbers per evaluation above which only the cheapest looks are taken."""

_MOST_TRACED = 16  # units whose weights are looked for


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: its cells, in how many rows it has no gradient, of how many, and the weights behind it."""

    cells: Range
    flat: int
    rows: int
    weights: frozenset[Cell] = frozenset()

    @property
    def share(self) -> float:
        return self.flat / self.rows


@dataclass(frozen=True, slots=True)
class Layer:
    """All units of one bent formula. `dead` tells which of its entries have no gradient in any row."""

    activation: Activation
    units: list[Unit]
    dead: Tensor


def find_layers(model: SheetModel) -> list[Layer]:
    """The bent formulas of a model with their units."""
    activations = find_activations(model.program)
    if not activations:
        return []
    nodes = {node for found in activations for node in (found.node, found.watched)}
    interpreter = Interpreter(model.program, nodes)
    with torch.no_grad():
        interpreter.run()
    dependence = Dependence(model, nodes) if model.numbers_read() <= MOST_NUMBERS else None
    return [layer for found in activations if (layer := _layer(model, found, interpreter.kept, dependence))]


def _layer(
    model: SheetModel, activation: Activation, values: dict[fx.Node, Tensor], dependence: Dependence | None
) -> Layer | None:
    block = block_of(model, activation.node)
    if block is None:
        return None
    shape = values[activation.node].shape
    flat = activation.flat(values[activation.watched]).expand(shape)
    dims = _unit_dimensions(activation.node, shape, dependence)
    rows = [dim for dim in range(len(shape)) if dim not in dims]
    counts = flat.sum(dim=rows) if rows else flat.long()
    per_unit = max(1, flat.numel() // max(1, counts.numel()))
    units, traced = [], 0
    for index in product(*(range(shape[dim]) for dim in dims)):
        place = dict(zip(dims, index, strict=True))
        count = int(counts[index]) if index else int(counts)
        weights: frozenset[Cell] = frozenset()
        if count == per_unit and dependence is not None and traced < _MOST_TRACED:
            weights, traced = dependence.weights(activation.node, place), traced + 1
        units.append(Unit(cells_of(block, shape, place), count, per_unit, weights))
    dead = (counts == per_unit).reshape([shape[dim] if dim in dims else 1 for dim in range(len(shape))])
    return Layer(activation, units, dead.expand(shape))


def _unit_dimensions(node: fx.Node, shape: torch.Size, dependence: Dependence | None) -> list[int]:
    """Along which dimensions the units lie; where that is too much work, the longest one holds the rows."""
    if dependence is None:
        return [dim for dim in range(len(shape)) if dim != max(range(len(shape)), key=lambda dim: shape[dim])]
    return [dim for dim in range(len(shape)) if dependence.is_unit_dimension(node, dim)]


# --- cells ------------------------------------------------------------------------------------------------


def block_of(model: SheetModel, node: fx.Node) -> Block | None:
    """The block that a node belongs to: nodes are named after their blocks."""
    named = (block for block in model.plan.blocks if f"{node.name}_".startswith(f"{block.name}_"))
    return max(named, key=lambda block: len(block.name), default=None)


def cells_of(block: Block, shape: torch.Size, index: dict[int, int]) -> Range:
    """The cells of a block to which some entries of a tensor belong; all of them if that cannot be told.

    The dimensions of the tensor are some of: rows and columns of copies, rows and columns of an array.
    """
    axes = iter([("R", block.rows), ("C", block.columns), ("h", block.height), ("w", block.width)])
    chosen: dict[str, int] = {}
    for dim, size in enumerate(shape):
        axis = next((axis for axis, length in axes if length == size), None)
        if axis is None:
            return block.range
        if dim in index:
            chosen[axis] = index[dim]
    own = block.range
    top, bottom = _span(own.top, own.bottom, block.height, chosen.get("R"), chosen.get("h"))
    left, right = _span(own.left, own.right, block.width, chosen.get("C"), chosen.get("w"))
    return Range(own.sheet, top, left, bottom, right)


def _span(first: int, last: int, size: int, copy: int | None, inside: int | None) -> tuple[int, int]:
    if copy is not None:
        first, last = first + copy * size, first + copy * size + size - 1
    if inside is not None and last - first + 1 == size:
        first = last = first + inside
    return first, last


# --- values and dependence --------------------------------------------------------------------------------


class Interpreter(fx.Interpreter):
    """Runs a program, keeps the values of some nodes, and may replace attributes and results."""

    def __init__(
        self,
        program: fx.GraphModule,
        keep: Iterable[fx.Node] = (),
        attributes: dict[str, Tensor] | None = None,
        changes: dict[fx.Node, Callable[[Tensor], Tensor]] | None = None,
    ) -> None:
        super().__init__(program)
        self.kept: dict[fx.Node, Tensor] = {}
        self._keep = set(keep)
        self._attributes = attributes or {}
        self._changes = changes or {}

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        found = self._attributes.get(target)
        return found if found is not None else super().get_attr(target, args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self._changes:
            result = self._changes[n](result)
        if n in self._keep:
            self.kept[n] = result
        return result


class Dependence:
    """Which parameters a value depends on, whatever the numbers are: found with made-up numbers."""

    def __init__(self, model: SheetModel, nodes: Iterable[fx.Node]) -> None:
        generator = torch.Generator().manual_seed(0)

        def made_up(like: Tensor, size: float) -> Tensor:
            numbers = size * (0.5 + torch.rand(like.shape, generator=generator, dtype=torch.float64))
            return numbers.to(like.dtype).to(like.device)

        program = model.program
        data = {
            name: made_up(buffer, 1.0)
            for name, buffer in program.named_buffers()
            if buffer.is_floating_point() and buffer.numel() > 1
        }
        # Small and positive: nothing saturates, and no ReLU is off.
        weights = {name: made_up(p.detach(), 1e-3).requires_grad_() for name, p in program.named_parameters()}
        named = zip(model.parameter_names, (area for area, _ in model.ranges()), strict=True)
        areas = {name: area for name, area in named if name in weights}
        self._weights = [weights[name] for name in areas]
        self._cells = [cell for area in areas.values() for cell in area.cells()]
        interpreter = Interpreter(program, nodes, {**data, **weights})
        interpreter.run()
        self._values = interpreter.kept

    def _mask(self, value: Tensor) -> Tensor:
        gradients = torch.autograd.grad(value.sum(), self._weights, retain_graph=True, materialize_grads=True)
        return torch.cat([gradient.reshape(-1) != 0 for gradient in gradients])

    def is_unit_dimension(self, node: fx.Node, dim: int) -> bool:
        """Whether the entries along a dimension have weights of their own."""
        first, last = (self._mask(self._values[node].select(dim, at)) for at in (0, -1))
        return bool((first & ~last).any() and (last & ~first).any())

    def weights(self, node: fx.Node, index: dict[int, int]) -> frozenset[Cell]:
        """The parameters that some entries depend on."""
        value = self._values[node]
        for dim, at in sorted(index.items(), reverse=True):
            value = value.select(dim, at)
        mask = self._mask(value).tolist()
        return frozenset(cell for cell, found in zip(self._cells, mask, strict=True) if found)
