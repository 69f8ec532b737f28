"""A recalculation that was recorded once, to be run again and again with other numbers in the same cells.

A recorded program does not know which error a cell holds, nor of a number beyond all bounds that comes back to a finite
one: where anything on the way is not finite, a run gives nothing, and the cells are calculated one operation at a time.
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

_HARMLESS = frozenset(
    (
        *("select", "narrow", "unfold", "reshape", "permute", "expand", "unsqueeze", "squeeze", "transpose", "detach"),
        *(torch.stack, torch.cat, torch.relu, torch.amax, torch.amin, torch.maximum, torch.minimum, operator.getitem),
    )
)
"""Operations that give finite numbers where they are given finite numbers."""


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
        sums: list[Tensor] = []
        usual: list[bool] = []

        def look(node: fx.Node, found: Tensor) -> None:
            if node.target in _HARMLESS:
                return
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
            if node.target not in _HARMLESS and (count := _strange(found)):
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
