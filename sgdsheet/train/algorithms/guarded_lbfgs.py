"""L-BFGS that survives formulas which cannot be calculated everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from sgdsheet.train.tensors import norm_of_gradient, put

_NO_GAIN = 1e-13
"""Share of the loss that `_PATIENCE` steps together have to gain, else the descent has stalled."""

_PATIENCE = 10
"""Steps that are looked at together."""


class _NoStartError(Exception):
    """The loss or its gradient is not finite where a line search would start."""


class GuardedLBFGS(torch.optim.LBFGS):
    """L-BFGS of torch (Liu and Nocedal, “On the limited memory BFGS method”, Mathematical Programming 45, 1989).

    Where the loss is not finite, the line search is given a quadratic bowl around the start of the step instead, and
    comes back. A step evaluates loss and gradient several times and never raises the loss. Steps are taken in units of
    each parameter, if there are some (see `rescale`).
    """

    stalled = False
    """Whether the steepest way moves nothing either, or ten steps together brought nothing."""

    def __init__(self, params: Iterable[Tensor], **options: Any) -> None:
        super().__init__(params, **options)
        self.param_groups[0].setdefault("recent", [])  # losses; `state_dict` takes them along
        self.param_groups[0].setdefault("units", None)

    @property
    def wants_units(self) -> bool:
        """Whether it is time to tell the units of the parameters: at the start, and where no step got further."""
        return self._units is None

    def rescale(self, units: Sequence[float]) -> None:
        """Take the next steps in these units [parameters]; with none, in those that the parameters have."""
        self.param_groups[0]["units"] = list(units)

    @property
    def _units(self) -> list[float] | None:
        units: list[float] | None = self.param_groups[0].get("units", [])  # an older checkpoint has none
        return units

    def _gather_flat_grad(self) -> Tensor:
        flat: Tensor = super()._gather_flat_grad()  # type: ignore[no-untyped-call]
        return flat * torch.tensor(self._units, dtype=flat.dtype) if self._units else flat

    def _add_grad(self, step_size: float, direction: Tensor) -> None:
        if self._units:
            direction = direction * torch.tensor(self._units, dtype=direction.dtype)
        super()._add_grad(step_size, direction)

    def step(self, closure: Callable[[], Tensor]) -> float:  # type: ignore[override]
        """Move once. `closure` calculates the loss and its gradient; returns the loss before.

        NaN where the loss or its gradient is not finite; nothing was moved then.
        """
        parameters: list[Tensor] = self.param_groups[0]["params"]
        before = [parameter.detach().clone() for parameter in parameters]
        fresh = not self.state
        first: list[float] = []

        def guarded() -> Tensor:
            value = closure()
            now = value.item()
            finite = math.isfinite(now) and math.isfinite(norm_of_gradient(parameters))
            if not first:
                if not finite:
                    raise _NoStartError
                first.append(now)
            elif not finite:
                return _bowl(parameters, before, first[0]).to(value)
            return value

        try:
            super().step(guarded)  # type: ignore[no-untyped-call]
        except _NoStartError:
            return math.nan
        if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
            put(parameters, before)
        unmoved = all(torch.equal(old, new) for old, new in zip(before, parameters, strict=True))
        if unmoved and not fresh:
            self.state.clear()  # the next step forgets the curvature, which may be what is wrong
            self.param_groups[0]["units"] = None
        self._judge(first[0], unmoved=unmoved and fresh)
        return first[0]

    def _judge(self, loss: float, *, unmoved: bool) -> None:
        group = self.param_groups[0]
        recent = group["recent"] = [*group["recent"][-_PATIENCE:], loss]
        gain = recent[0] - loss
        if unmoved or (len(recent) > _PATIENCE and gain <= _NO_GAIN * max(abs(loss), 1e-300)):
            self.stalled = True


def _bowl(parameters: Sequence[Tensor], centre: Sequence[Tensor], lowest: float) -> Tensor:
    """A loss that rises with the square of the distance from the centre; the parameters get its gradient."""
    height = max(1.0, abs(lowest))
    ways = [parameter.detach() - middle for parameter, middle in zip(parameters, centre, strict=True)]
    square = sum(float(way.square().sum()) for way in ways)
    for parameter, way in zip(parameters, ways, strict=True):
        parameter.grad = way * (2 * height / max(square, 1e-300))
    return torch.tensor(lowest + height)
