"""Many random starts trained at once: one batched program, not a loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, vmap

from sgdsheet.errors import SettingError
from sgdsheet.problem.initialisers import INITIALISERS, StartValues
from sgdsheet.problem.optimizers import Optimizer
from sgdsheet.problem.settings import Settings
from sgdsheet.system import memory
from sgdsheet.train.optimizer_factory import build_optimizer, build_scheduler

_COPIES = 8
"""Copies of the parameters that one start keeps: they, their gradients, the best of them, and what the optimizer
remembers."""

_OVERHEAD = 500  # bytes of a start and of each of its tensors, besides the numbers

_NUMBERS_AT_ONCE = 30_000_000
"""Intermediate numbers of the starts that are trained at the same time: more starts than fit are trained group by
group."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The objectives at which the starts ended: the finite ones, in ascending order. `starts` counts all of them."""

    losses: tuple[float, ...]
    starts: int

    def quantile(self, share: float) -> float:
        """The objective below which this share of the starts ended; NaN if none is finite."""
        if not self.losses:
            return math.nan
        return self.losses[min(len(self.losses) - 1, int(share * len(self.losses)))]

    @property
    def minima(self) -> int:
        """How many different objectives the starts ended at, compared to three digits."""
        return len({f"{loss:.3g}" for loss in self.losses})


def draw_start(parameters: Sequence[Tensor], start: Sequence[StartValues], generator: torch.Generator) -> list[Tensor]:
    """New values for each parameter range [of its shape], from the initialisers: one for all, or one per range."""
    chosen = list(start) * len(parameters) if len(start) == 1 else list(start)
    return [_draw(parameter, item, generator) for parameter, item in zip(parameters, chosen, strict=True)]


def _draw(parameter: Tensor, start: StartValues, generator: torch.Generator) -> Tensor:
    row, shape, dtype = start.initialiser, parameter.shape, parameter.dtype
    width = row.width(shape, start.scale)
    if row.distribution == "uniform":
        values = (2 * torch.rand(shape, generator=generator, dtype=dtype) - 1) * width
    elif row.distribution == "normal":
        values = torch.randn(shape, generator=generator, dtype=dtype) * width
    elif row.distribution == "zeros":
        values = torch.zeros(shape, dtype=dtype)
    else:
        values = parameter.detach().clone()
    return values.to(parameter.device)


def default_start(parameters: Sequence[Tensor]) -> tuple[StartValues, ...]:
    """Uniform between -0.5 and 0.5, or twice as wide as the sheet's values where those are mostly larger."""
    values = torch.cat([parameter.detach().abs().flatten() for parameter in parameters])
    typical = float(values.median()) if len(values) else 0.0
    return (StartValues(INITIALISERS["uniform"], 2 * typical if typical > 1 else 0.5),)


def refuse_many(count: int, parameters: Sequence[Tensor], cell: str) -> None:
    """SettingError for more starts than fit into memory: each has its parameters, their gradients, the best of them and
    what the optimizer remembers."""
    numbers = sum(parameter.numel() for parameter in parameters)
    each = _COPIES * numbers * parameters[0].element_size() + _OVERHEAD * (1 + len(parameters))
    most = max(1, memory.room() // each)
    if count > most:
        raise SettingError(
            f"{count:,} restarts need {memory.gigabytes(count * each)} of memory",
            cell=cell,
            remedy=f"{most:,} fit; some hundred are often enough",
        )


class BatchedStarts:
    """Copies of the parameters [count, …], stacked along a new first dimension; the first has the sheet's own values.

    With `keep_best`, the best parameters of each start are kept, in `best` [count, …] with the objectives `lowest`
    [count]. `limits` puts stacked parameters back between their bounds. `draw` gives new values for each parameter
    range. Parameters are stacked in `units`, if there are some: tensors like the parameters.
    """

    def __init__(
        self,
        names: Sequence[str],
        parameters: Sequence[Tensor],
        draw: Callable[[], list[Tensor]],
        count: int,
        limits: Callable[[list[Tensor]], None] | None = None,
        dtype: torch.dtype = torch.float64,
        *,
        keep_best: bool = False,
        units: Sequence[Tensor] | None = None,
    ) -> None:
        drawn = [[parameter.detach().clone() for parameter in parameters]]
        drawn += [draw() for _ in range(count - 1)]
        self.units = [unit.to(dtype) for unit in units] if units is not None else None
        if units is not None:
            drawn = [[item / unit.to(item) for item, unit in zip(row, units, strict=True)] for row in drawn]
        self.names = list(names)
        self.count = count
        self.stacked = [nn.Parameter(torch.stack(column).to(dtype)) for column in zip(*drawn, strict=True)]
        self.dtypes = [parameter.dtype for parameter in parameters]
        self.limits = limits
        self._limit()
        self.best = [stacked.detach().clone() for stacked in self.stacked]
        self.lowest = self.stacked[0].new_full((count,), math.nan).detach() if keep_best else None

    def prepare(self, row: Optimizer, rate: float, settings: Settings, steps: int, schedule: str, numbers: int) -> None:
        """Choose the optimizer and its schedule over so many steps.

        `numbers` is how many intermediate numbers one start has, which decides how many starts fit into memory at once.
        """
        self.optimizer = build_optimizer(row, self.stacked, rate, settings)
        self.scheduler = build_scheduler(self.optimizer, schedule, rate, steps)
        self.group = max(1, min(self.count, _NUMBERS_AT_ONCE // max(numbers, 1)))

    def step(self, module: fx.GraphModule, as_objective: Callable[[Tensor], Tensor]) -> Tensor:
        """Take a step with every start; returns their objectives [count] before it."""
        self.optimizer.zero_grad()
        found = []
        for first in range(0, self.count, self.group):
            losses = as_objective(self._losses(module, first))
            torch.where(torch.isfinite(losses), losses, 0.0).sum().backward()
            found.append(losses.detach())
        for stacked in self.stacked:
            if stacked.grad is not None:  # a start that blew up gets no new push
                stacked.grad.nan_to_num_(0.0, 0.0, 0.0)
        self._remember(torch.cat(found))
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        self._limit()
        return torch.cat(found)

    def losses(self, module: fx.GraphModule, as_objective: Callable[[Tensor], Tensor]) -> Tensor:
        """The objectives [count] of all starts: where they are now, or with `keep_best` at their best."""
        with torch.no_grad():
            groups = [self._losses(module, first) for first in range(0, self.count, self.group)]
            now = as_objective(torch.cat(groups))
        self._remember(now)
        return now if self.lowest is None else self.lowest

    def _remember(self, losses: Tensor) -> None:
        """Keep the parameters of each start that has its lowest objective now.

        A later step may lead it to where its formulas cannot be calculated.
        """
        if self.lowest is None:
            return
        better = (losses < self.lowest) | (self.lowest.isnan() & ~losses.isnan())
        self.lowest = torch.where(better, losses, self.lowest)
        with torch.no_grad():
            for best, stacked in zip(self.best, self.stacked, strict=True):
                best.copy_(torch.where(better.view(-1, *[1] * (stacked.dim() - 1)), stacked, best))

    def _losses(self, module: fx.GraphModule, first: int) -> Tensor:
        part = {
            name: stacked[first : first + self.group]
            for name, stacked in zip(self.names, self._in_cells(self.stacked), strict=True)
        }

        def one(values: dict[str, Tensor]) -> Tensor:
            result: Tensor = functional_call(module, values, ())
            return result

        batched: Tensor = vmap(one)(part)
        return batched

    def _in_cells(self, stacks: Sequence[Tensor]) -> list[Tensor]:
        """Stacked parameters as the cells hold them."""
        if self.units is None:
            return list(stacks)
        return [stacked * unit for stacked, unit in zip(stacks, self.units, strict=True)]

    def _limit(self) -> None:
        if self.limits is None:
            return
        with torch.no_grad():
            held = self._in_cells(self.stacked)
            self.limits(held)
            for stacked, item, unit in zip(self.stacked, held, self.units or (), strict=self.units is not None):
                stacked.copy_(item / unit)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def values(self, index: int) -> list[Tensor]:
        """The parameters of one start, at its best with `keep_best`; a tensor of each range's shape."""
        stacks = self._in_cells(self.stacked if self.lowest is None else self.best)
        return [
            stacked[index].detach().to(dtype, copy=True) for stacked, dtype in zip(stacks, self.dtypes, strict=True)
        ]


def best_of(losses: Tensor, count: int) -> tuple[list[int], Distribution]:
    """The numbers of at most `count` of the best starts that differ from each other, and how all of them did.

    `losses` [starts] are their objectives.
    """
    order = losses.nan_to_num(math.inf).argsort().tolist()
    finite = tuple(sorted(float(loss) for loss in losses.tolist() if math.isfinite(loss)))
    chosen: list[int] = []
    for index in order:
        loss = float(losses[index])
        near = any(abs(loss - float(losses[other])) <= 1e-6 * max(abs(loss), 1e-12) for other in chosen)
        if math.isfinite(loss) and not near:
            chosen.append(index)
        if len(chosen) == count:
            break
    return chosen, Distribution(finite, len(order))
