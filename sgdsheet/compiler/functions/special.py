"""Special functions that torch lacks, or differentiates with respect to some arguments only.

On numbers they are SciPy's. Recorded in a program they are integrals by the double exponential rule, which torch
differentiates with respect to all arguments (Takahasi and Mori, "Double exponential formulas for numerical
integration", 1974).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from torch import Tensor

_STEP, _FARTHEST = 0.02, 4.2


def _nodes() -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of the points s in (0, 1), of 1 - s, and of their weights divided by s (1 - s)."""
    t = torch.arange(-_FARTHEST, _FARTHEST + _STEP / 2, _STEP, dtype=torch.float64)
    scaled = math.pi * torch.sinh(t)
    return (
        -torch.nn.functional.softplus(-scaled),
        -torch.nn.functional.softplus(scaled),
        _STEP * math.pi * torch.cosh(t),
    )


_LOG_S, _LOG_REST, _WEIGHTS = _nodes()
_COARSE = 5
"""Every which node is enough for ten digits."""


def on_numbers(operation: Callable[..., Any], *arguments: Tensor) -> Tensor:
    """One of SciPy's functions, on tensors."""
    numbers = operation(*(item.double().numpy() for item in torch.broadcast_tensors(*arguments)))
    return torch.as_tensor(numbers, dtype=arguments[0].dtype)


def betainc(a: Tensor, b: Tensor, x: Tensor, rest: Tensor) -> Tensor:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in (0, 1); `rest` is 1 - x, exactly."""
    return betainc_both(a, b, x, rest)[0]


def betainc_both(a: Tensor, b: Tensor, x: Tensor, rest: Tensor, *, roughly: bool = False) -> tuple[Tensor, Tensor]:
    """I_x(a, b) and 1 - I_x(a, b), the smaller of both to the last digits; `roughly` to some ten digits, sooner."""
    if isinstance(x, Tensor):
        upper = x > 0.5
        first, second, share = torch.where(upper, b, a), torch.where(upper, a, b), torch.where(upper, rest, x)
        one = on_numbers(scipy.special.betainc, first, second, share)
        two = on_numbers(scipy.special.betaincc, first, second, share)
        return torch.where(upper, two, one), torch.where(upper, one, two)
    turned = x > (a + 1.0) / (a + b + 2.0)
    first, second = torch.where(turned, b, a), torch.where(turned, a, b)
    step = _COARSE if roughly else 1
    lower = _lower_beta(first, second, torch.where(turned, rest, x), torch.where(turned, x, rest), step)
    return torch.where(turned, 1.0 - lower, lower), torch.where(turned, lower, 1.0 - lower)


def _lower_beta(a: Tensor, b: Tensor, x: Tensor, rest: Tensor, step: int = 1) -> Tensor:
    """∫0..x t^(a-1) (1-t)^(b-1) dt / B(a, b), with t = x s: from a + 1 down to a, for the sake of small a."""
    log_s, log_rest, weights = _LOG_S[::step], _LOG_REST[::step], step * _WEIGHTS[::step]
    beta = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    first = torch.exp(beta + a * torch.log(x) + b * torch.log(rest)) / a
    left = torch.unsqueeze(rest, -1) + torch.unsqueeze(x, -1) * torch.exp(log_rest)  # 1 - x s
    powers = torch.unsqueeze(a + 1.0, -1) * log_s + log_rest + (torch.unsqueeze(b, -1) - 1.0) * torch.log(left)
    logarithm = (a + 1.0) * torch.log(x) + beta + torch.log((a + b) / a)
    others = torch.sum(torch.exp(powers + torch.unsqueeze(logarithm, -1)) * weights, -1)
    return first + others.to(first)  # the nodes are float64


def gammainc(a: Tensor, x: Tensor, shape_is_fixed: bool) -> Tensor:
    """The regularised lower incomplete gamma function P(a, x), for a > 0 and x > 0."""
    if shape_is_fixed:
        found: Tensor = torch.special.gammainc(a, x)
        return found
    first = torch.exp(a * torch.log(x) - x - torch.lgamma(a + 1.0))
    powers = torch.unsqueeze(a + 1.0, -1) * _LOG_S + _LOG_REST - torch.unsqueeze(x, -1) * torch.exp(_LOG_S)
    logarithm = (a + 1.0) * torch.log(x) - torch.lgamma(a + 1.0)
    others = torch.sum(torch.exp(powers + torch.unsqueeze(logarithm, -1)) * _WEIGHTS, -1)
    return first + others.to(first)  # the nodes are float64


def gammainc_both(a: Tensor, x: Tensor, shape_is_fixed: bool) -> tuple[Tensor, Tensor]:
    """P(a, x) and 1 - P(a, x)."""
    if shape_is_fixed:
        return torch.special.gammainc(a, x), torch.special.gammaincc(a, x)
    lower = gammainc(a, x, False)
    # The smaller one is right to the last digits; what is left of the other is its derivative.
    upper = 1.0 - lower
    return lower, upper + (torch.special.gammaincc(a.detach(), x.detach()) - upper).detach()
