"""Many random starts trained at once: one batched program, not a loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sgdsheet.errors import SettingError
from sgdsheet.problem.initialisers import INITIALISERS, StartValues
from sgdsheet.problem.optimizers import Optimizer
from sgdsheet.problem.settings import Settings
from sgdsheet.system import memory
from sgdsheet.train.optimizer_factory import build_optimizer, build_scheduler
from sgdsheet.train.start_objectives import StartObjectives

_COPIES = 8
"""Copies of the parameters that one start keeps: they, their gradients, the best of them, and what the optimizer
remembers."""

_OVERHEAD = 500  # bytes of a start and of each of its tensors, besides the numbers


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

    With `keep_best`, the best parameters of each start are kept, in `best` [..., count] with the objectives `lowest`
    [count]. `limits` puts stacked parameters back between their bounds. `draw` gives new values for each parameter
    range. Parameters are stacked in `units`, if there are some: tensors like the parameters.
    """

    def __init__(
        self,
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
        self.count = count
        self.moved = [nn.Parameter(torch.stack(column, -1).to(dtype)) for column in zip(*drawn, strict=True)]
        """What the optimizer moves [..., count]: in memory, starts are the last dimension, as in their flat program."""
        self.dtypes = [parameter.dtype for parameter in parameters]
        self.limits = limits
        self.stacked = [moved.detach().movedim(-1, 0) for moved in self.moved]
        self._limit()
        self.best = [moved.detach().clone() for moved in self.moved]
        """The best parameters of each start [..., count], in the order of `lowest`."""
        self.lowest = self.stacked[0].new_full((count,), math.inf) if keep_best else None
        self.lowest_now = math.inf
        self._read_by: StartObjectives | None = None

    def cells(self) -> list[Tensor]:
        """The parameters of all starts [count, …], as the cells hold them."""
        return self._in_cells(self.stacked)

    def prepare(self, row: Optimizer, rate: float, settings: Settings, steps: int, schedule: str) -> None:
        """Choose the optimizer and its schedule over so many steps."""
        self.optimizer = build_optimizer(row, self.moved, rate, settings)
        self.scheduler = build_scheduler(self.optimizer, schedule, rate, steps)

    @torch.inference_mode()
    def step(self, objectives: StartObjectives) -> Tensor:
        """Take a step with every start; returns their objectives [count] before it, which the next step may overwrite.

        `lowest_now` is the lowest of them that is finite, else infinity.
        """
        self._share(objectives)
        found, gradients = objectives.with_gradients(self.cells())
        lowest, highest = (each.item() for each in found.aminmax())
        if not math.isfinite(highest - lowest):
            finite = found.isfinite()
            lowest = torch.where(finite, found, math.inf).min().item()
            for gradient in gradients:
                if gradient is not None:
                    gradient[~finite] = 0.0
        self.lowest_now = lowest
        for place, (moved, gradient) in enumerate(zip(self.moved, gradients, strict=True)):
            if gradient is not None:
                self._push(place, moved, gradient)
        self._remember(found)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        self._limit()
        return found

    def _push(self, place: int, moved: nn.Parameter, gradient: Tensor) -> None:
        """Give the optimizer a gradient [count, …], where it lies if it can; a start that blew up gets no new push."""
        gradient.nan_to_num_(0.0, 0.0, 0.0)
        if self.units is not None:
            gradient = gradient * self.units[place]
        if moved.grad is None or moved.grad.data_ptr() != gradient.data_ptr():
            moved.grad = gradient.movedim(0, -1).contiguous()

    def _share(self, objectives: StartObjectives) -> None:
        """Keep the parameters where the objectives read them, if they are read as they are."""
        if objectives is self._read_by or self.units is not None:
            return
        self._read_by = objectives
        for place, moved in zip(objectives.places(self.count) or (), self.moved, strict=False):
            if place.dtype == moved.dtype:
                place.copy_(moved.detach().movedim(-1, 0))
                moved.data = place.movedim(0, -1)
        self.stacked = [moved.detach().movedim(-1, 0) for moved in self.moved]

    def losses(self, objectives: StartObjectives) -> Tensor:
        """The objectives [count] of all starts: where they are now, or with `keep_best` at their best."""
        now = objectives.values(self.cells())
        self._remember(now)
        return now if self.lowest is None else self.lowest

    def _remember(self, losses: Tensor) -> None:
        """Keep the parameters of each start that has its lowest objective now.

        A later step may lead it to where its formulas cannot be calculated.
        """
        if self.lowest is None:
            return
        better = losses < self.lowest
        torch.fmin(self.lowest, losses, out=self.lowest)
        for best, stacked in zip(self.best, self.stacked, strict=True):
            torch.where(better, stacked.movedim(0, -1), best, out=best)

    def _in_cells(self, stacks: Sequence[Tensor]) -> list[Tensor]:
        """Stacked parameters as the cells hold them."""
        if self.units is None:
            return list(stacks)
        return [stacked * unit for stacked, unit in zip(stacks, self.units, strict=True)]

    def _limit(self) -> None:
        if self.limits is None:
            return
        held = self.cells()
        self.limits(held)
        for stacked, item, unit in zip(self.stacked, held, self.units or (), strict=self.units is not None):
            stacked.copy_(item / unit)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def values(self, index: int) -> list[Tensor]:
        """The parameters of one start, at its best with `keep_best`; a tensor of each range's shape."""
        kept = self.stacked if self.lowest is None else [best.movedim(-1, 0) for best in self.best]
        stacks = self._in_cells(kept)
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
