"""Which blocks lie between the parameters and some target cells, and in which order to evaluate them.

Everything else is constant: the saved values are used, and calculated only where the file has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sgdsheet.compiler.frontend.block_table import BlockIndex, BlockTable
from sgdsheet.compiler.frontend.blocks import Block, columns_with
from sgdsheet.compiler.frontend.dependence import depends, reached
from sgdsheet.compiler.frontend.ordering import split_cycle, strongly_connected
from sgdsheet.compiler.frontend.recurrences import as_recurrence, taken_apart
from sgdsheet.compiler.functions.absent import Absent, changing_call
from sgdsheet.errors import CircularReference
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.system.long_work import checkpoint

_MOST_SEARCHED = 20_000
"""Cells of a recursion that has saved values, up to which it is looked at whether it is a circle."""


@dataclass(slots=True)
class Plan:
    """Blocks in order. `depends` are those that depend on a parameter; the others had no saved values.

    `circles` are blocks that have no order, and why, where the others are wanted all the same.
    """

    blocks: list[Block]
    depends: set[int]
    circles: list[tuple[Block, CircularReference]] = field(default_factory=list)

    def is_live(self, block: Block) -> bool:
        """Whether the block depends on a parameter."""
        return id(block) in self.depends

    @property
    def live(self) -> list[Block]:
        """The blocks that depend on a parameter."""
        return [block for block in self.blocks if self.is_live(block)]

    @property
    def constant(self) -> list[Block]:
        """The blocks that depend on none."""
        return [block for block in self.blocks if not self.is_live(block)]

    def taken_apart(self) -> Plan:
        """The plan with the cells of recurrences one by one: batches are cut out of single formulas."""
        blocks: list[Block] = []
        depends = set(self.depends)
        for block in self.blocks:
            columns = columns_with(block)
            if block.recurrence is None:
                blocks.append(block)
            elif block is columns[0]:
                apart = taken_apart(columns)
                blocks += apart
                if self.is_live(block):
                    depends.update(map(id, apart))
        return Plan(blocks, depends, self.circles)

    def reads(self, area: Range) -> bool:
        """Whether some of these cells are read, or may be: a formula may read cells that it does not name."""
        return any(block.reads_unseen or any(map(area.intersection, block.reads())) for block in self.blocks)


class Planner:
    """Plans programs over one workbook and one set of parameters; a plan that was made is remembered.

    The workbook must stay as it is. Planners for other parameters (`among`) or values (`on`) share its table of blocks.
    """

    def __init__(self, workbook: Workbook, parameters: Iterable[Range], table: BlockTable) -> None:
        self.workbook = workbook
        self.parameters = tuple(parameters)
        self.table = table
        self._plans: dict[object, Plan] = {}
        self._orders: dict[object, tuple[list[Block], set[int]]] = {}
        self._unknown: dict[str, set[tuple[int, int]]] = {}

    def among(self, parameters: Iterable[Range]) -> Planner:
        """The planner for other parameters of the workbook."""
        found = Planner(self.workbook, parameters, self.table)
        found._plans, found._orders, found._unknown = self._plans, self._orders, self._unknown
        return found

    def on(self, workbook: Workbook, parameters: Iterable[Range]) -> Planner:
        """The planner for a workbook that differs in nothing but the values of parameters."""
        parameters = tuple(parameters)
        found = Planner(workbook, parameters, self.table.remade(workbook, parameters))
        found._unknown = self._unknown
        return found

    def plan(self, targets: Iterable[Range]) -> Plan:
        """The blocks needed for the target cells."""
        wanted = tuple(targets)
        return self._remembered("needed", wanted, lambda: self._demanded(*self._order_for(wanted), wanted))

    def plan_known(self, targets: Iterable[Range]) -> Plan:
        """The blocks needed for the targets that are constant and have saved values, which `plan` leaves out."""
        wanted = tuple(targets)
        return self._remembered("known", wanted, lambda: self._known(wanted))

    def changing(self, targets: Iterable[Range]) -> tuple[Block, Absent] | None:
        """The first formula that the targets need and that changes at every recalculation, as RAND does."""
        wanted = tuple(targets)
        ordered, live = self._order_for(wanted)
        if not any(changing_call(block.tree) for block in ordered):
            return None
        needed = self._demanded(ordered, live, wanted, constants=True).blocks
        return next(((block, found) for block in needed if (found := changing_call(block.tree))), None)

    def plan_affected(self, also: Sequence[Range] = ()) -> Plan:
        """All blocks that depend on a parameter, those that fill cells of `also`, and what they need.

        Blocks in a circle are told in the plan's `circles`, as far as they depend on a parameter or lack values.
        """
        return self._remembered("affected", tuple(also), lambda: self._affected(also))

    def plan_everything(self, sheets: Iterable[str] | None = None) -> Plan:
        """All blocks of some sheets (of the workbook), in order, also those that have saved values."""
        names = tuple(self.workbook.sheets if sheets is None else sheets)
        return self._remembered("everything", names, lambda: self._everything(names))

    def _remembered(self, kind: str, wanted: tuple[Range | str, ...], make: Callable[[], Plan]) -> Plan:
        key = kind, self.parameters, wanted
        if key not in self._plans:
            self._plans[key] = make()
        return self._plans[key]

    def _known(self, targets: Sequence[Range]) -> Plan:
        whole = self._demanded(*self._order_for(targets), targets, constants=True)
        return Plan([block for block in whole.constant if not self._lacks_values(block.range)], set())

    def _affected(self, also: Sequence[Range]) -> Plan:
        everything = [block for name in self.workbook.sheets for block in self.table.of_sheet(name)]
        circles: list[tuple[Block, CircularReference]] = []
        ordered, live = self._ordered(everything, circles)
        targets = [block.range for block in ordered if id(block) in live]
        plan = self._demanded(ordered, live, [*targets, *also])
        plan.circles += [pair for pair in circles if id(pair[0]) in live or self._lacks_values(pair[0].range)]
        return plan

    def _everything(self, names: Sequence[str]) -> Plan:
        wanted = [block for name in self.workbook.sheets if name in names for block in self.table.of_sheet(name)]
        circles: list[tuple[Block, CircularReference]] = []
        ordered, live = self._ordered(wanted, circles)
        return Plan([block for block in ordered if block.range.sheet in names], live, circles)

    def _order_for(self, targets: Sequence[Range]) -> tuple[list[Block], set[int]]:
        key = self.parameters, tuple(targets)
        if key not in self._orders:
            self._orders[key] = self._ordered(block for target in targets for block in self.table.overlapping(target))
        return self._orders[key]

    def _ordered(
        self, roots: Iterable[Block], circles: list[tuple[Block, CircularReference]] | None = None
    ) -> tuple[list[Block], set[int]]:
        """All blocks that the roots need, in order, and the ids of those that depend on a parameter.

        Blocks in a circle are entered in `circles`, if given, and left out; else they raise CircularReference.
        """
        live: set[int] = set()
        ordered: list[Block] = []
        for group, is_cycle in strongly_connected(roots, self.table.read_by):
            checkpoint()
            is_live = any(depends(block, self.table.read_by(block), self.parameters, live) for block in group)
            whole = group
            small = circles is not None and sum(block.range.size for block in group) <= _MOST_SEARCHED
            if is_cycle and (small or is_live or any(self._lacks_values(block.range) for block in group)):
                try:
                    group = as_recurrence(group) or split_cycle(group)
                except CircularReference as error:
                    if circles is None:
                        raise
                    circles += [(block, error) for block in group]
                    group = []
            if is_live:
                live.update(id(block) for block in [*whole, *group])  # readers know the blocks before the split
            ordered += group
        return ordered, live

    def _lacks_values(self, area: Range) -> bool:
        """Whether the saved results of some formula cells are missing, or not to be trusted."""
        return self.workbook.stale or not self.workbook.has_values(area) or self._is_unknown(area)

    def _is_unknown(self, area: Range) -> bool:
        """Whether a saved result is #NAME?, which it may not be where more functions are known."""
        if area.sheet not in self._unknown:
            self._unknown[area.sheet] = self.workbook.unknown_to_its_program(area.sheet)
        unknown = self._unknown[area.sheet]
        return bool(unknown) and not unknown.isdisjoint(area.positions())

    def _lacks_any(self, block: Block, part: Range | None = None) -> bool:
        """Whether a saved result of a block, or of a part of it, is missing; of a recurrence, one of any column."""
        if block.recurrence is not None:
            return any(self._lacks_values(other.range) for other in columns_with(block))
        return self._lacks_values(part or block.range)

    def _demanded(
        self, ordered: list[Block], live: set[int], targets: Sequence[Range], *, constants: bool = False
    ) -> Plan:
        """Cut each block down to what is needed of it, and leave out what is constant, unless `constants` are wanted.

        Those with saved values are left out as a rule: the values are used.
        """
        index = BlockIndex(ordered)
        wanted: dict[int, Range] = {}

        def want(area: Range) -> None:
            for block in index.overlapping(area):
                part = block.range.intersection(area)
                assert part is not None
                known = wanted.get(id(block))
                wanted[id(block)] = part if known is None else known.bounding_box(part)

        for target in targets:
            want(target)
        kept: list[Block] = []
        for block in reversed(ordered):
            part = wanted.get(id(block))
            if block.recurrence is not None and any(id(other) in wanted for other in columns_with(block)):
                part = block.range  # a row needs those above it, and all columns
            if part is None:
                continue
            if id(block) not in live and not constants and not self._lacks_any(block, part):
                continue
            trimmed = block if block.recurrence is not None else block.trimmed(part)
            for read in trimmed.reads():
                want(read)
            kept.append(trimmed)
        needed = kept[::-1]
        live = reached(needed, self.parameters)  # cut down, a block may no longer depend on a parameter
        if not constants:
            needed = [block for block in needed if id(block) in live or self._lacks_any(block)]
        return Plan(needed, live)
