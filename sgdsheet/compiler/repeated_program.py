"""A recalculation that was recorded once, to be run again and again with other numbers in the same cells.

A recorded program does not know which error a cell holds, nor of a number beyond all bounds that comes back to a finite
one, nor what Excel takes for equal, or for 0, because only the last digits differ. Where anything on the way is not
finite, or numbers are so close to each other, a run gives nothing: the cells are calculated one operation at a time.
"""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.close_numbers import ADDING, COMPARING, told_apart
from sgdsheet.compiler.evaluation import values_of_block
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.values import UNSETTLED
from sgdsheet.compiler.ir.values import Value as Tensors
from sgdsheet.compiler.passes import PASSES, simplify
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.sheet.agreement import ROUNDING
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.references import Cell, Range, identifiers
from sgdsheet.sheet.workbook import Workbook

_HARMLESS = frozenset(
    (
        *("select", "narrow", "unfold", "reshape", "permute", "expand", "unsqueeze", "squeeze", "transpose", "detach"),
        *(torch.stack, torch.cat, torch.relu, torch.amax, torch.amin, torch.maximum, torch.minimum, operator.getitem),
    )
)
"""Operations that give finite numbers where they are given finite numbers."""

_SPREADING = frozenset(
    (
        *(operator.add, operator.sub, operator.mul, operator.neg, torch.add, torch.sub, torch.mul, torch.neg),
        *(torch.matmul, torch.mm, torch.tensordot, torch.sum, "sum", torch.square),
    )
)
"""Operations whose result is not finite where a number that they are given is not: infinity times 0 is not a number."""

_HIDING = frozenset(("the scale of a convolution in its kernels", "logarithm of a sum of exponentials"))
"""Passes after which a number on the way, which is an error if it is beyond all bounds, is not calculated any more."""

_WORTH_REWRITING = 4
"""Runs after which the passes, which take a tenth of a second, have the program."""


@dataclass(slots=True)
class RepeatedProgram:
    """A recorded program. `numbers` are the present numbers of all its input cells, whose `places` there are known.

    `inputs` are parts of `numbers`, by the names of their nodes.
    """

    program: Program
    nodes: list[tuple[fx.Node, list[fx.Node]]]
    results: list[tuple[Block, Tensors]]
    places: dict[Cell, int]
    numbers: Tensor
    inputs: dict[str, Tensor]
    taken: Sequence[Range]
    """The areas of the input cells."""
    read: list[Range]
    number: int = field(default_factory=itertools.count().__next__)
    """Tells the program from all others."""
    strange: dict[fx.Node, int] = field(default_factory=dict)
    """How many of a node's numbers are not finite, where some never are."""
    module: fx.GraphModule | None = None
    """The nodes as one function of the inputs: the results, sums of all that has to be finite, and what is strange."""
    _runs: int = 0
    _looked_at: list[fx.Node] = field(default_factory=list)
    """The nodes whose numbers could become infinite, or none."""
    _independent: set[int] = field(default_factory=set)
    _last: tuple[tuple[Cell, ...], Tensor] = ((), torch.zeros(0, dtype=torch.long))
    """The cells that were written last, and their places."""

    @property
    def areas(self) -> list[Range]:
        """The areas that a run gives values for."""
        return [block.range for block, _ in self.results]

    def takes(self, cells: tuple[Cell, ...]) -> bool:
        """Whether all these cells are inputs."""
        return self._last[0] == cells or self.places.keys() >= set(cells)

    def reads(self, areas: Sequence[Range]) -> bool:
        """Whether any of these areas was read when the program was recorded."""
        return any(area.intersection(other) for area in areas for other in self.read)

    def is_independent_of(self, other: RepeatedProgram) -> bool:
        """Whether the program reads nothing that the other one writes or takes as input."""
        if other.number not in self._independent:
            if self.reads([*other.areas, *other.taken]):
                return False
            self._independent.add(other.number)
        return True

    def run(self, cells: tuple[Cell, ...], numbers: NDArray[np.float64]) -> list[BlockValues] | None:
        """The values of the program's cells with numbers [cells] as inputs; None if something is not finite."""
        if self._last[0] != cells:
            self._last = cells, torch.tensor([self.places[cell] for cell in cells], dtype=torch.long)
        self.numbers[self._last[1]] = torch.tensor(numbers, dtype=torch.float64)
        self._runs += 1
        if self.module is None:
            self.module = self._module()
        elif self._runs == _WORTH_REWRITING:
            self.module = self._rewritten(self.module)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found, sums, strange = self.module(*self.inputs.values())
        usual = all(_strange(numbers) == count for numbers, count in zip(strange, self.strange.values(), strict=True))
        if not usual or (sums and not bool(torch.stack(sums).isfinite().all())):
            return None
        pairs = zip(self.results, found, strict=True)
        return [values_of_block(self.program, block, value, data) for (block, value), data in pairs]

    def settle(self) -> list[BlockValues]:
        """The values for the present numbers, for which nothing on the way has to be finite that is not."""

        def look(node: fx.Node, found: Tensor) -> None:
            self._looked_at.append(node)
            if count := _strange(found):
                self.strange[node] = count

        computed = self._computed(look)
        return [values_of_block(self.program, block, value, computed[_node(value)]) for block, value in self.results]

    def _rewritten(self, module: fx.GraphModule) -> fx.GraphModule:
        """The module with fewer and faster operations, if it gives the same numbers with the present inputs."""
        inputs = list(self.inputs.values())
        found = simplify(self._module(), [each for each in PASSES if each.name not in _HIDING], examples=inputs)
        with torch.no_grad():
            pairs = zip(module(*inputs)[0], found(*inputs)[0], strict=True)
            same = all(
                torch.allclose(new.double(), old.double(), rtol=ROUNDING, atol=0.0, equal_nan=True)
                for old, new in pairs
            )
        return found if same else module

    def _module(self) -> fx.GraphModule:
        """The nodes as one function, with a sum of each tensor that could hide that it was not finite."""
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        looked_at, nodes = set(self._looked_at), [node for node, _ in self.nodes]
        results = [_node(value) for _, value in self.results]
        last = set(results)
        needed, sums = {*nodes} - {*self.strange}, list[fx.Node]()
        for name in self.inputs:
            copies[next(node for node in self.program.builder.graph.nodes if node.target == name)] = graph.placeholder(
                name
            )
        for node in nodes:
            if node not in copies:
                copies[node] = graph.node_copy(node, copies.__getitem__)
            spread = any(user.target in _SPREADING for user in node.users if user in needed)
            if node in looked_at and node not in self.strange and not spread:
                sums.append(graph.call_method("sum", (copies[node],)))  # finite, if all of them are
            if node.target in COMPARING or (node in last and node.target in ADDING):
                sums += told_apart(graph, node.target, fx.node.map_arg(node.args, copies.__getitem__))
        graph.output(
            (tuple(copies[node] for node in results), tuple(sums), tuple(copies[node] for node in self.strange))
        )
        targets = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
        buffers = {name: tensor for name, tensor in self.program.builder.buffers.items() if name in targets}
        return fx.GraphModule(buffers, graph, "Recalculation")

    def _computed(self, look: Callable[[fx.Node, Tensor], None]) -> dict[fx.Node, Tensor]:
        """What the nodes of the results come to. `look` sees what on the way may be infinite, or no number."""
        wanted = {_node(value) for _, value in self.results}
        environment: dict[fx.Node, Tensor] = {}
        buffers = self.program.builder.buffers
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            for node, done in self.nodes:
                if node.op == "placeholder":
                    environment[node] = self.inputs[str(node.target)]
                    continue
                if node.op == "get_attr":
                    environment[node] = buffers[str(node.target)]
                    continue
                args = fx.node.map_arg(node.args, environment.__getitem__)
                kwargs = fx.node.map_arg(node.kwargs, environment.__getitem__)
                if node.op == "call_function":
                    assert callable(node.target)
                    found = node.target(*args, **kwargs)
                else:
                    found = getattr(args[0], str(node.target))(*args[1:], **kwargs)
                environment[node] = found
                if node.target not in _HARMLESS and isinstance(found, Tensor) and found.is_floating_point():
                    look(node, found)
                for read in done:
                    if read not in wanted:
                        del environment[read]
        return environment


def repeated(
    workbook: Workbook,
    areas: Sequence[Range],
    plan: Plan,
    known: Collection[BlockValues],
    failed: Collection[Range],
) -> RepeatedProgram | None:
    """A program for other numbers in cells that hold numbers now; None if the recorded one is not surely right.

    `known` are the values for the present numbers, calculated one operation at a time; `failed` are areas that cannot
    be calculated.
    """
    names = dict(zip(identifiers(areas), areas, strict=True))
    program = build_program(workbook, (), plan, inputs=names, dtype=torch.float64, strict=False)
    live = [(block, value) for block, value in program.results if isinstance(value.data, fx.Node)]
    doubtful = program.builder.unsure or any(value.has(*UNSETTLED) for _, value in live)
    if doubtful or not {block.range for block, _ in program.failures} <= set(failed):
        return None
    cells = [cell for area in areas for cell in area.cells()]
    held = [workbook.sheets[cell.sheet].values[cell[1:]] for cell in cells]
    numbers = torch.tensor(held, dtype=torch.float64)
    inputs: dict[str, Tensor] = {}
    for (name, area), part in zip(names.items(), numbers.split([area.size for area in areas]), strict=True):
        inputs[name] = part.view([size for size in (area.height, area.width) if size > 1])
    places = {cell: place for place, cell in enumerate(cells)}
    read = list(dict.fromkeys(area for block, _ in (*program.results, *program.failures) for area in block.reads()))
    found = RepeatedProgram(program, _in_order(value for _, value in live), live, places, numbers, inputs, areas, read)
    return found if _agree(found.settle(), known) else None


def _in_order(results: Iterable[Tensors]) -> list[tuple[fx.Node, list[fx.Node]]]:
    """The nodes that results need, in their order, each with those that nobody reads after it."""
    needed: set[fx.Node] = set()
    waiting = [_node(value) for value in results]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    graph = next(iter(needed)).graph if needed else fx.Graph()
    nodes = [node for node in graph.nodes if node in needed]
    last = {read: node for node in nodes for read in node.all_input_nodes}
    done: dict[fx.Node, list[fx.Node]] = {node: [] for node in nodes}
    for read, node in last.items():
        done[node].append(read)
    return list(done.items())


def _agree(found: Collection[BlockValues], known: Collection[BlockValues]) -> bool:
    """Whether a recorded program gives the same cells and values as the formulas one operation at a time."""
    exact = {result.area: result for result in known}
    for result in found:
        other = exact.get(result.area)
        if other is None or not np.allclose(result.numbers, other.numbers, rtol=ROUNDING, atol=0.0):
            return False
        if not np.array_equal(_kinds(result), _kinds(other)):
            return False
    return True


def _kinds(result: BlockValues) -> NDArray[np.uint8]:
    """The kinds of all cells."""
    return np.zeros(result.numbers.shape, np.uint8) if result.kinds is None else result.kinds


def _node(value: Tensors) -> fx.Node:
    assert isinstance(value.data, fx.Node)
    return value.data


def _strange(numbers: Tensor) -> int:
    """How many of these are not finite."""
    return int((~numbers.isfinite()).sum())
