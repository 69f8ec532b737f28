"""A recalculation that was recorded once, to be run again and again with other numbers in the same cells.

A recorded program does not know which error a cell holds, nor of a number beyond all bounds that comes back to a finite
one: where anything on the way is not finite, a run gives nothing, and the cells are calculated one operation at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.evaluation import values_of_block
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.values import UNSETTLED
from sgdsheet.compiler.ir.values import Value as Tensors
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.sheet.agreement import ROUNDING
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.references import Cell, Range, identifiers
from sgdsheet.sheet.workbook import Workbook


@dataclass(slots=True)
class RepeatedProgram:
    """A recorded program. `inputs` are its tensors by the names of their nodes, kept at the cells' present numbers."""

    program: Program
    nodes: list[tuple[fx.Node, list[fx.Node]]]
    results: list[tuple[Block, Tensors]]
    places: dict[Cell, tuple[Tensor, int]]
    inputs: dict[str, Tensor]
    read: list[Range]
    strange: dict[fx.Node, int] = field(default_factory=dict)
    """How many of a node's numbers are not finite, where some never are."""
    _independent: set[int] = field(default_factory=set)

    @property
    def areas(self) -> list[Range]:
        """The areas that a run gives values for."""
        return [block.range for block, _ in self.results]

    def takes(self, values: Mapping[Cell, float]) -> bool:
        """Whether all these cells are inputs."""
        return values.keys() <= self.places.keys()

    def reads(self, areas: Sequence[Range], of: RepeatedProgram | None) -> bool:
        """Whether any of these areas was read when the program was recorded; `of` is the program that they are of."""
        if of is not None and id(of) in self._independent:
            return False
        if any(area.intersection(other) for area in areas for other in self.read):
            return True
        if of is not None:
            self._independent.add(id(of))
        return False

    def run(self, values: Mapping[Cell, float]) -> list[BlockValues] | None:
        """The values of the program's cells with these numbers as inputs; None if something is not finite."""
        for cell, number in values.items():
            tensor, place = self.places[cell]
            tensor.view(-1)[place] = number
        sums: list[Tensor] = []
        usual: list[bool] = []

        def look(node: fx.Node, found: Tensor) -> None:
            if node in self.strange:
                usual.append(_strange(found) == self.strange[node])
            else:
                sums.append(found.sum())  # finite, if all of them are

        computed = self._computed(look)
        if not all(usual) or (sums and not bool(torch.stack(sums).isfinite().all())):
            return None
        return [values_of_block(self.program, block, value, computed[_node(value)]) for block, value in self.results]

    def settle(self) -> list[BlockValues]:
        """The values for the present numbers, for which nothing on the way has to be finite that is not."""

        def look(node: fx.Node, found: Tensor) -> None:
            if count := _strange(found):
                self.strange[node] = count

        computed = self._computed(look)
        return [values_of_block(self.program, block, value, computed[_node(value)]) for block, value in self.results]

    def _computed(self, look: Callable[[fx.Node, Tensor], None]) -> dict[fx.Node, Tensor]:
        """What the nodes of the results come to. `look` sees all numbers on the way."""
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
                if isinstance(found, Tensor) and found.is_floating_point():
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
    inputs: dict[str, Tensor] = {}
    places: dict[Cell, tuple[Tensor, int]] = {}
    for name, area in names.items():
        numbers = [float(workbook.sheets[area.sheet].values[place]) for place in area.positions()]  # type: ignore[arg-type]
        shape = [size for size in (area.height, area.width) if size > 1]
        inputs[name] = torch.tensor(numbers, dtype=torch.float64).reshape(shape)
        places.update((cell, (inputs[name], place)) for place, cell in enumerate(area.cells()))
    read = list(dict.fromkeys(area for block, _ in (*program.results, *program.failures) for area in block.reads()))
    found = RepeatedProgram(program, _in_order(value for _, value in live), live, places, inputs, read)
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
