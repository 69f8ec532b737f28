"""Where the starts of a run with restarts are drawn, if nobody says: by each parameter's magnitude, or in its bounds.

One width for all cannot fit parameters of different magnitudes. The widths are the units, too, in which the starts are
trained: one learning rate then moves every parameter by the same share of its width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsheet.train.constrained.constraints import Bounds
from sgdsheet.train.constrained.curvature_scales import curvature_scales
from sgdsheet.train.restarts import default_start

_FAR_APART = 100.0
"""Ratio of the largest to the smallest magnitude from which each parameter has a width of its own."""

_WIDE = 1e4
"""A box that is so many times as wide as the parameter is large says nothing about where to look."""


@dataclass(frozen=True, slots=True)
class StartRanges:
    """Uniform from `centres` - `widths` to `centres` + `widths`, tensors like the parameters, between the bounds."""

    centres: list[Tensor]
    widths: list[Tensor]
    lower: list[Tensor]
    upper: list[Tensor]

    def draw(self, generator: torch.Generator) -> list[Tensor]:
        """New values for each parameter range [of its shape]; what would fall beyond a bound is mirrored at it."""
        found = []
        for centre, width, lower, upper in zip(self.centres, self.widths, self.lower, self.upper, strict=True):
            share = 2 * torch.rand(centre.shape, generator=generator, dtype=torch.float64) - 1
            values = centre + share * width
            values = torch.where(values < lower, 2 * lower - values, values)
            values = torch.where(values > upper, 2 * upper - values, values)
            found.append(torch.minimum(torch.maximum(values, lower), upper))
        return found


def start_ranges(
    parameters: Sequence[Tensor], bounds: Bounds | None, objective: Callable[[], Tensor]
) -> StartRanges | None:
    """The ranges that suit the parameters' values and bounds; None where one width suits them all.

    That values are of different magnitudes is not enough: those of a network's weights are so by chance. The
    `objective`, too, has to bend much more along some parameters than along others.
    """
    values = torch.cat([parameter.detach().double().cpu().reshape(-1) for parameter in parameters])
    free = torch.full_like(values, torch.inf)
    lower = bounds.lower.double() if bounds is not None else -free
    upper = bounds.upper.double() if bounds is not None else free
    magnitudes = values.abs()
    half = (upper - lower) / 2
    boxed = half <= _WIDE * torch.clamp(magnitudes, min=0.5)
    known = magnitudes[~boxed & (magnitudes > 0)]
    apart = len(known) > 1 and float(known.max() / known.min()) > _FAR_APART
    apart = apart and bool(curvature_scales(objective, parameters))
    if not apart and not bool(boxed.any()):
        return None
    usual = float(default_start(parameters)[0].scale or 0.5)
    widths = torch.full_like(values, usual)
    if apart:
        widths = torch.where(magnitudes > 0, 2 * magnitudes, widths)
    widths = torch.where(boxed, torch.where(half > 0, half, 1.0), widths)
    middle = torch.where(boxed, (lower + upper) / 2, 0.0)
    return StartRanges(*(_shaped(item, parameters) for item in (middle, widths, lower, upper)))


def _shaped(flat: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([parameter.numel() for parameter in parameters])
    return [part.reshape(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]
