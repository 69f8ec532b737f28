"""Kinks replaced by variables: MAX(a, b) becomes a new variable that is at least a and at least b.

Where less is better, and the objective never falls when the new variable grows, that is the same problem: at an
optimum the variable is MAX(a, b). Convexity is not needed. Boyd and Vandenberghe, Convex Optimization, 2004, 4.2.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.passes.shapes import note_shapes, shape_of
from sgdsheet.compiler.structure.choices import Meeting
from sgdsheet.compiler.structure.directions import Follows, followed
from sgdsheet.compiler.structure.function_analysis import FunctionAnalysis, Limits, extreme_choice
from sgdsheet.compiler.structure.joined_choices import with_joined_choices
from sgdsheet.compiler.structure.traits import Smoothness
from sgdsheet.sheet.references import Range

_ABSOLUTE = frozenset({torch.abs, "abs"})
_LARGEST = frozenset({torch.relu, torch.maximum, torch.clamp_min, torch.amax}) | _ABSOLUTE
_SMALLEST = frozenset({torch.minimum, torch.clamp_max, torch.amin})
_OVER_AXES = frozenset({torch.amax, torch.amin})


@dataclass(frozen=True, slots=True)
class KinkVariable:
    """A variable in the place of a kink: its shape, the range of its values, and the cells that it belongs to."""

    name: str
    shape: torch.Size
    low: float
    high: float
    area: Range | None


@dataclass(frozen=True, slots=True)
class AddedRows:
    """What must not be positive: a part of a kink minus its variable, or the variable minus the part.

    `places` [rows] are the numbers of the variable, by their flat index, that each row has, with this `sign`. `alone`
    says that the rows depend on no other variables.
    """

    variable: int
    sign: float
    places: Tensor
    alone: bool


@dataclass(frozen=True, slots=True)
class Epigraph:
    """A program without kinks. `module` takes the parameters, by the given names, and then the variables.

    It gives its outputs as before, each flat, and then those of `added`, flat. `linear` says whether all of these are
    linear. `values` takes the parameters and gives the kinks themselves, in the order of the variables.
    """

    module: Callable[..., tuple[Tensor, ...]]
    values: Callable[..., tuple[Tensor, ...]]
    variables: tuple[KinkVariable, ...]
    added: tuple[AddedRows, ...]
    linear: bool


def without_kinks(
    module: fx.GraphModule, names: Sequence[str], wanted: Sequence[Follows], limits: Limits, *, most: int
) -> Epigraph | None:
    """The program with variables in the place of its kinks; None where that is not the same problem, or there are more
    than `most`.

    `module` gives a tuple of as many nodes as `wanted`: UP for an output that has to become or stay small, DOWN for one
    that has to become large, UNKNOWN for one that has to be equal to 0. `names` are the parameters in the order in
    which the result takes them; what `limits` has are their bounds.
    """
    note_shapes(module)
    module = with_joined_choices(module)
    analysis = FunctionAnalysis(module, limits)
    outputs = next(node for node in module.graph.nodes if node.op == "output").args[0]
    sides: dict[fx.Node, Follows] = {}
    for node, side in zip(outputs, wanted, strict=True):
        sides[node] = sides.get(node, Follows.NOT).joined(side)
    ways = followed(analysis, sides)
    kinks = {node: kink for node in module.graph.nodes if (kink := _kink(analysis, node)) is not None}
    kept = {node: kink for node, kink in kinks.items() if ways[node] is not Follows.NOT}
    if any(ways[node] is not (Follows.UP if kink.largest else Follows.DOWN) for node, kink in kept.items()):
        return None
    kept = _merged(kept)
    if sum(shape_of(node).numel() for node in kept) > most:
        return None
    return _Rewriting(analysis, names, kept).rewritten(outputs)


@dataclass(frozen=True, slots=True)
class _Kink:
    """What a value is the largest (or the smallest) of."""

    largest: bool
    parts: tuple[Any, ...]
    over_axes: bool = False


def _kink(analysis: FunctionAnalysis, node: fx.Node) -> _Kink | None:
    """The kink that an operation makes; None if it makes none."""
    traits = analysis.of(node) if node.op.startswith("call") else None
    if traits is None or traits.smoothness is not Smoothness.KINKED:
        return None
    target = node.target
    if target in _LARGEST or target in _SMALLEST:
        found = _parts(node)
        operands = [analysis.of(item) for item in found if not isinstance(item, _Negative)]
        if any(traits is item for item in operands):  # one that is always the largest, or no ABS of anything
            return None
        return _Kink(target in _LARGEST, found, target in _OVER_AXES)
    met = extreme_choice(analysis, node) if target is torch.where else None
    return None if met is None else _Kink(met is Meeting.MAXIMUM, tuple(node.args[1:3]))


@dataclass(frozen=True, slots=True)
class _Negative:
    """The negative of a node."""

    node: fx.Node


def _parts(node: fx.Node) -> tuple[Any, ...]:
    first = node.args[0]
    if node.target in _ABSOLUTE:
        assert isinstance(first, fx.Node)
        return first, _Negative(first)
    if node.target is torch.relu:
        return first, 0.0
    return (first,) if node.target in _OVER_AXES else tuple(node.args[:2])


def _merged(kinks: dict[fx.Node, _Kink]) -> dict[fx.Node, _Kink]:
    """Without kinks that are only a part of another one of the same sort: MAX(ABS(x)) is the largest of x and -x."""
    found: dict[fx.Node, _Kink] = {}
    inner: set[fx.Node] = set()
    for node, kink in kinks.items():
        parts: list[Any] = []
        for part in kink.parts:
            below = found.get(part) if isinstance(part, fx.Node) else None
            if (
                below is not None
                and below.largest is kink.largest
                and not below.over_axes
                and set(part.users) == {node}
            ):
                inner.add(part)
                parts += below.parts
            else:
                parts.append(part)
        found[node] = _Kink(kink.largest, tuple(parts), kink.over_axes)
    return {node: kink for node, kink in found.items() if node not in inner}


def _is_bound(part: Any) -> bool:
    """Whether a part is a number: then it is a bound of the variable."""
    return isinstance(part, (int, float)) and math.isfinite(part)


class _Rewriting:
    """Copies a graph with placeholders in the place of parameters and kinks."""

    def __init__(self, analysis: FunctionAnalysis, names: Sequence[str], kinks: Mapping[fx.Node, _Kink]) -> None:
        self.analysis, self.kinks = analysis, kinks
        self.graph = fx.Graph()
        self.copies: dict[Any, fx.Node] = {}
        arguments = {name: self.graph.placeholder(name) for name in names}
        self.places = {node: self.graph.placeholder(f"{node.name}_kink") for node in kinks}
        for node in analysis.module.graph.nodes:
            if node.op == "get_attr" and node.target in arguments:
                self.copies[node] = arguments[str(node.target)]
            elif node in kinks:
                self.copies[node] = self.places[node]
            elif node.op != "output":
                self.copies[node] = self.graph.node_copy(node, lambda item: self.copies[item])

    def rewritten(self, outputs: Sequence[fx.Node]) -> Epigraph | None:
        rows, added = [self._flat(self.copies[node]) for node in outputs], []
        for number, (node, kink) in enumerate(self.kinks.items()):
            for part in kink.parts:
                if not _is_bound(part):
                    rows.append(self._row(node, kink, part))
                    added.append(self._added(number, node, kink, part))
        self.graph.output(tuple(rows))
        self.graph.eliminate_dead_code()
        made = fx.GraphModule(self.analysis.module, self.graph)
        ranges = {node: (self.analysis.of(node).low, self.analysis.of(node).high) for node in self.kinks}
        limits = {
            str(self.places[node].target): (torch.tensor(low), torch.tensor(high))
            for node, (low, high) in ranges.items()
        }
        again = FunctionAnalysis(made, {**self.analysis.limits, **limits})
        found = [again.of(row) for row in rows]
        if any(item.smoothness > Smoothness.UNKNOWN for item in found):
            return None
        variables = tuple(
            KinkVariable(self.places[node].name, shape_of(node), *ranges[node], node.meta.get("area"))
            for node in self.kinks
        )
        linear = all(item.linear for item in found)
        return Epigraph(made.forward, self._values().forward, variables, tuple(added), linear)

    def _added(self, number: int, node: fx.Node, kink: _Kink, part: Any) -> AddedRows:
        inner = part.node if isinstance(part, _Negative) else part
        shape = shape_of(inner) if isinstance(inner, fx.Node) else torch.Size()
        places = torch.arange(shape_of(node).numel()).reshape(shape_of(node))
        if kink.over_axes:
            for axis in self._axes(node):
                places = places.unsqueeze(axis)
        places = places.broadcast_to(torch.broadcast_shapes(places.shape, shape)).reshape(-1)
        alone = not isinstance(inner, fx.Node) or not self._reads_kinks(inner)
        return AddedRows(number, -1.0 if kink.largest else 1.0, places, alone)

    def _reads_kinks(self, node: fx.Node) -> bool:
        """Whether a node depends on a kink that has become a variable."""
        waiting, seen = [node], {node}
        while waiting:
            item = waiting.pop()
            if item in self.kinks:
                return True
            fresh = [read for read in item.all_input_nodes if read not in seen]
            seen.update(fresh)
            waiting += fresh
        return False

    def _row(self, node: fx.Node, kink: _Kink, part: Any) -> fx.Node:
        """part - variable for the largest of the parts, variable - part for the smallest: what must not be positive."""
        graph, variable = self.graph, self.places[node]
        if isinstance(part, _Negative):
            item: Any = graph.call_function(torch.neg, (self.copies[part.node],))
        else:
            item = self.copies[part] if isinstance(part, fx.Node) else part
        if kink.over_axes:
            for axis in self._axes(node):
                variable = graph.call_method("unsqueeze", (variable, axis))
        first, second = (item, variable) if kink.largest else (variable, item)
        return self._flat(graph.call_function(torch.sub, (first, second)))

    def _axes(self, node: fx.Node) -> list[int]:
        """The axes over which a maximum goes, in ascending order."""
        assert isinstance(node.args[0], fx.Node)
        rank = len(shape_of(node.args[0]))
        given: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else tuple(range(rank)))
        axes = [given] if isinstance(given, int) else list(given)
        return sorted(axis % rank for axis in axes) if rank else []

    def _flat(self, item: fx.Node) -> fx.Node:
        return self.graph.call_method("reshape", (item, -1))

    def _values(self) -> fx.GraphModule:
        """A module that calculates the kinks from the parameters."""
        graph, copies = fx.Graph(), {}
        arguments = {name: graph.placeholder(name) for name in self._names()}
        for node in self.analysis.module.graph.nodes:
            if node.op == "get_attr" and node.target in arguments:
                copies[node] = arguments[str(node.target)]
            elif node.op != "output":
                copies[node] = graph.node_copy(node, lambda item: copies[item])
        graph.output(tuple(copies[node] for node in self.kinks))
        graph.eliminate_dead_code()
        return fx.GraphModule(self.analysis.module, graph)

    def _names(self) -> list[str]:
        kinks = {node.name for node in self.places.values()}
        return [str(node.target) for node in self.graph.nodes if node.op == "placeholder" and node.name not in kinks]
