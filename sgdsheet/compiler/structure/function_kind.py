"""The kind of function that cells calculate from the parameters, with the cells that make them so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.operators import COMPARISONS
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.passes.shapes import note_shapes
from sgdsheet.compiler.program import Program
from sgdsheet.compiler.structure.function_analysis import FunctionAnalysis, Limits
from sgdsheet.compiler.structure.joined_choices import with_joined_choices
from sgdsheet.compiler.structure.traits import Smoothness, Traits
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.syntax import Binary, Call, Node, walk

_MOST_DERIVATIVES = 300
"""Rows of second derivatives of quadratic functions that are calculated, at most."""

_ROUNDING = 1e-10
"""Share of the largest curvature up to which one of the other sign is a rounding error."""

_LISTED = 3
"""Ranges that a sentence names."""


@dataclass(frozen=True, slots=True)
class FunctionKind:
    """What is proved of the numbers that cells calculate. The cells are those that make it so.

    `degree` is 0 for constants, 1 for linear and 2 for quadratic functions, None for others. `piecewise`: it consists
    of linear pieces, as ABS and MAX of linear functions do. Convexity that is not proved may hold all the same.
    """

    degree: int | None
    convex: bool
    concave: bool
    smoothness: Smoothness
    piecewise: bool = False
    nonlinear_cells: tuple[Range, ...] = ()
    kinked_cells: tuple[Range, ...] = ()
    stepped_cells: tuple[Range, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    """Between these lies each number, wherever it is no error: by interval arithmetic from the bounds of parameters."""

    @property
    def linear(self) -> bool:
        """Whether it is linear (strictly speaking affine) or constant."""
        return self.degree in (0, 1)

    @property
    def form(self) -> str:
        """The form in words: constant, linear, quadratic, piecewise linear or nonlinear."""
        named = {0: "constant", 1: "linear", 2: "quadratic"}
        if self.degree is not None:
            return named[self.degree]
        return "piecewise linear" if self.piecewise and not self.stepped else "nonlinear"

    @property
    def stepped(self) -> bool:
        """Whether it may jump, or be constant between jumps."""
        return self.smoothness is Smoothness.STEPPED

    @property
    def curvature(self) -> str:
        """Convex or concave; empty where neither is proved, and for linear functions, which are both."""
        if self.linear or self.convex == self.concave:
            return ""
        return "convex" if self.convex else "concave"

    @property
    def roughness(self) -> str:
        """Smooth, kinked or stepped; empty where no rule is known."""
        return {Smoothness.UNKNOWN: ""}.get(self.smoothness, self.smoothness.name.lower())

    def __str__(self) -> str:
        words = [self.form]
        if self.form == "nonlinear" and self.roughness == "smooth":
            words.append("smooth")
        if self.curvature:
            words.append(self.curvature)
        found = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        if self.stepped:
            return (
                f"{found}, with steps in {_listed(self.stepped_cells)}" if self.stepped_cells else f"{found}, stepped"
            )
        if self.smoothness is Smoothness.KINKED:
            return f"{found}, with kinks in {_listed(self.kinked_cells)}" if self.kinked_cells else f"{found}, kinked"
        return found

    def as_dict(self) -> dict[str, Any]:
        """The findings as plain data."""
        return {
            "form": self.form,
            "convex": self.convex,
            "concave": self.concave,
            "smoothness": self.roughness or "unknown",
            "nonlinear_cells": [str(area) for area in self.nonlinear_cells],
            "kinked_cells": [str(area) for area in self.kinked_cells],
            "stepped_cells": [str(area) for area in self.stepped_cells],
        }


def _listed(areas: Sequence[Range]) -> str:
    more = f" and {len(areas) - _LISTED} more ranges" if len(areas) > _LISTED else ""
    return ", ".join(str(area) for area in areas[:_LISTED]) + more


def function_kinds(program: Program, outputs: Sequence[Data], limits: Limits) -> list[FunctionKind]:
    """The kind of each of some values that a program calculates, which are nodes or constants.

    `limits` are the bounds that the parameters keep to, by name. The parameters stay as they are.
    """
    nodes = [item for item in outputs if isinstance(item, fx.Node)]
    if not nodes:
        return [_CONSTANT for _ in outputs]
    module = program.module(nodes)
    note_shapes(module)
    module = with_joined_choices(module)
    choosing = frozenset(block.range for block, _ in program.results if _chooses(block.tree))
    found = dict(zip(nodes, _kinds_in(FunctionAnalysis(module, limits, choosing)), strict=True))
    return [found[item] if isinstance(item, fx.Node) else _CONSTANT for item in outputs]


_CONSTANT = FunctionKind(0, True, True, Smoothness.SMOOTH, piecewise=True)


def _chooses(tree: Node) -> bool:
    """Whether a formula compares something, or chooses by a number."""
    return any(
        (isinstance(part, Binary) and part.operator in COMPARISONS)
        or (isinstance(part, Call) and part.name in REGISTRY and REGISTRY[part.name].chooses)
        for part in walk(tree)
    )


def _kinds_in(analysis: FunctionAnalysis) -> list[FunctionKind]:
    """The kinds of the outputs of a module, which is analysed: a tuple of nodes with their shapes."""
    outputs = next(node for node in analysis.module.graph.nodes if node.op == "output").args[0]
    return [_kind(analysis, node, place) for place, node in enumerate(outputs)]


def _kind(analysis: FunctionAnalysis, node: fx.Node, place: int) -> FunctionKind:
    traits = analysis.of(node)
    convex, concave = traits.convex, traits.concave
    if traits.degree == 2 and not convex and not concave:
        convex, concave = _curvature(analysis.module, place)

    def causes(guilty: Callable[[Traits], bool]) -> tuple[Range, ...]:
        return tuple(analysis.causes(node, guilty)) if guilty(traits) else ()

    return FunctionKind(
        traits.degree,
        convex,
        concave,
        traits.smoothness,
        traits.piecewise,
        causes(lambda item: not item.linear),
        causes(lambda item: item.smoothness >= Smoothness.KINKED) if traits.smoothness is Smoothness.KINKED else (),
        causes(lambda item: item.smoothness is Smoothness.STEPPED),
        traits.low,
        traits.high,
    )


def _curvature(module: fx.GraphModule, place: int) -> tuple[bool, bool]:
    """Whether each number of a quadratic output is convex, and whether each is concave.

    The second derivatives are constant, so one place is enough.
    """
    parameters = list(module.parameters())
    count = sum(tensor.numel() for tensor in parameters)
    with torch.enable_grad():
        values = module()[place].reshape(-1)
        if count * values.numel() > _MOST_DERIVATIVES:
            return False, False
        lowest, highest = [], []
        for value in values.unbind():
            curvatures = torch.linalg.eigvalsh(_second_derivatives(value, parameters))
            largest = float(curvatures.abs().max())
            lowest.append(float(curvatures[0]) >= -_ROUNDING * largest)
            highest.append(float(curvatures[-1]) <= _ROUNDING * largest)
    return all(lowest), all(highest)


def _second_derivatives(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The second derivatives [parameters, parameters] of a scalar."""
    first = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    flat = torch.cat([part.reshape(-1) for part in first])
    rows = []
    for item in flat.unbind():
        if not item.requires_grad:
            rows.append(torch.zeros_like(flat))
            continue
        parts = torch.autograd.grad(item, parameters, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    found = torch.stack(rows).detach().double()
    return (found + found.T) / 2
