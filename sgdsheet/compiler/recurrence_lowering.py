"""From the formulas of a recurrence to one operation for all of its rows (`ir/scan.py`).

The formulas are lowered like any others, with a placeholder for each column that they read some rows above. Of what was
recorded, only what depends on a placeholder is calculated row by row; the rest stays in the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.blocks import Block, Recurrence
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.scan import Before, Scan
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.compiler.lowering import BlockLowering, separated
from sgdsheet.compiler.regions import Regions
from sgdsheet.compiler.scan_recording import NotAlike, RiskyRows, constants, erase, recorded_scan
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.syntax import Area, walk


def lower_recurrence(recurrence: Recurrence, regions: Regions) -> list[tuple[Block, Value]] | None:
    """Lower all columns of a recurrence and let the results stand for their cells.

    None where its rows are not alike, or where something cannot be lowered: the caller takes it apart, and finds out
    what it is the matter with.
    """
    builder = regions.builder
    if builder.generic or builder.suspicious or any(separated(block) != [block] for block in recurrence.members):
        return None
    for risky in (False, True):
        attempt = _Lowering(recurrence, regions, risky)
        try:
            return attempt.run()
        except RiskyRows:
            continue
        except (NotAlike, SgdSheetError):
            return None
        finally:
            attempt.forget()
    return None


@dataclass(slots=True)
class _Lowering:
    """One attempt to lower a recurrence. With `risky`, the rows above may be errors."""

    recurrence: Recurrence
    regions: Regions
    risky: bool
    placeholders: dict[Before, fx.Node] = field(default_factory=dict)
    results: list[Value] = field(default_factory=list)
    calculated: dict[Before, Tensor] = field(default_factory=dict)
    """What stands above the rows, if they have been calculated."""

    @property
    def builder(self) -> Builder:
        return self.regions.builder

    def run(self) -> list[tuple[Block, Value]]:
        builder, members = self.builder, self.recurrence.members
        firsts = self._firsts()
        self._lower_columns()
        outputs = [value.data for value in self.results]
        scan, rest = recorded_scan(builder, self.placeholders, outputs, self.recurrence.rows, members[0].name)
        self.forget()
        given = [builder.method("reshape", value.data, (-1,)) for value in firsts]
        known = constants(builder, [*given, *rest])
        builder.scope, builder.area = f"{members[0].name}_1", members[0].range
        if known is not None:
            self._calculate(scan, known)
        else:
            arguments = [builder.attribute(item) if isinstance(item, Tensor) else item for item in given]
            data = builder.graph.create_node("call_function", scan, (*arguments, *rest), name=builder.scope)
            data.meta["area"] = builder.area
            if self.risky:
                builder.domains.suspect(data)
            self.results = []
            for place, block in enumerate(members):
                builder.scope, builder.area = f"{block.name}_1", block.range
                column = builder.method("select", data, 1, place)
                assert isinstance(column, fx.Node)
                column._rename(block.name)
                self.results.append(Value(column, self._axis, (self.recurrence.rows,)))
        found = []
        for block, value in zip(members, self.results, strict=True):
            value = value.renamed({"R": "r", "C": "c"})
            self.regions.provide(block.range, value)
            found.append((block, value))
        return found

    def _lower_columns(self) -> None:
        """Lower the formula of each column once for all rows."""
        builder = self.builder
        self.results = []
        for block in self.recurrence.members:
            builder.scope, builder.area = f"{block.name}_1", block.range
            lowering = BlockLowering(block, self.regions, above=self._above)
            value = builder.stored(builder.canonical(lowering.lower(block.tree, array=False)))
            if not value.only(Kind.NUMBER) or value.is_array:
                raise NotAlike
            if not self.risky and not value.constant and builder.domains.may_be_error(value.data):
                raise RiskyRows
            self.results.append(builder.expanded(value, self._axis, (self.recurrence.rows,)))

    def _calculate(self, scan: Scan, known: Sequence[Tensor]) -> None:
        """The rows of a recurrence of constants: solved, and calculated by their formulas from the rows above."""
        found = scan(*known)
        above = scan.above(found, known[: scan.columns])
        self.calculated = dict(zip(scan.before, above, strict=True))
        self._lower_columns()
        columns = torch.stack([value.tensor for value in self.results], dim=1)
        near = torch.isclose(columns, found, rtol=1e-13, atol=0.0) | (columns == found)
        if not bool((near & found.isfinite()).all()):
            raise NotAlike

    # --- what the formulas read ---------------------------------------------------------------------------

    @property
    def _axis(self) -> str:
        """The axis of the copies."""
        return "R" if self.recurrence.down else "C"

    def _above(self, block: Block, area: Area) -> Value | None:
        """What a reference to the columns stands for; None for one to other cells."""
        read = self.recurrence.reads(block, area)
        if read is None:
            return None
        values = [self._column(place, lag) for place, lag in read]
        if len(values) == 1:
            return Value(values[0].data, self._axis, values[0].sizes, reference=True)
        data = self.builder.call(torch.stack, [value.data for value in values], dim=1)
        axes = self._axis + ("h" if self.recurrence.down else "w")
        return Value(data, axes, (self.recurrence.rows, len(values)), reference=True)

    def _column(self, place: int, lag: int) -> Value:
        if lag == 0:
            return self.results[place]
        item = Before(place, lag)
        if item in self.calculated:
            return Value(self.calculated[item], self._axis, (self.recurrence.rows,))
        if item not in self.placeholders:
            graph = self.builder.graph
            node = graph.create_node("placeholder", "above", name=f"above_{place}_{lag}")
            if self.risky:
                self.builder.domains.suspect(node)
            self.placeholders[item] = node
        return Value(self.placeholders[item], self._axis, (self.recurrence.rows,))

    def _firsts(self) -> list[Value]:
        """For each column, the cells above its first row that the formulas read: numbers, [lag] each."""
        found = []
        for place, block in enumerate(self.recurrence.members):
            longest = max((lag for item, lag in self._lags() if item == place), default=0)
            own = block.range
            if longest == 0:
                found.append(Value(torch.zeros(0, dtype=self.builder.dtype), "r", (0,)))
                continue
            area = (
                own._replace(top=own.top - longest, bottom=own.top - 1)
                if self.recurrence.down
                else own._replace(left=own.left - longest, right=own.left - 1)
            )
            value = self.regions.read(area)
            if not value.only(Kind.NUMBER) or value.is_bits:
                raise NotAlike
            if not self.risky and not value.constant and self.builder.domains.may_be_error(value.data):
                raise RiskyRows
            found.append(value)
        return found

    def _lags(self) -> Iterator[tuple[int, int]]:
        for block in self.recurrence.members:
            for area in (part for part in walk(block.tree) if isinstance(part, Area)):
                yield from self.recurrence.reads(block, area) or ()

    def forget(self) -> None:
        """Erase what depends on the placeholders, and these."""
        erase(self.builder, self.placeholders.values())
        self.placeholders.clear()
