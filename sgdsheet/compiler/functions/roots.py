"""Roots of equations, with derivatives in whatever the equation takes.

The root is found without derivatives. Two further steps of Newton's method from there leave its value as it is, and
give it the first and the second derivatives of the implicit function: each step makes one more order exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, inside

STEPS = 40
"""Steps of Newton's method, which doubles the digits with each of the last ones."""

SETTLED = 1e-5
"""A last step so small, relatively, squares the error: it has no more than the type's own digits."""

HIGHEST = 1e6
"""A rate beyond is none, but a search that has lost its way."""

Equation = Callable[..., tuple[Tensor, Tensor]]
"""The value of an equation at a rate and other numbers, and its derivative with respect to the rate."""


def newton(equation: Equation, start: Tensor, given: Sequence[Tensor]) -> Tensor:
    """The rate above -1 at which an equation is 0, near a start; #NUM! where none is found."""
    rate = searched(equation, start, [item.detach() for item in given])
    return settled(equation, rate, given)


def searched(equation: Equation, start: Tensor, fixed: Sequence[Tensor]) -> Tensor:
    """Where Newton's method ends. From below -1 it goes back half the way to -1."""
    rate = start.detach()
    for _ in range(STEPS):
        found, growth = equation(rate, *fixed)
        moved = rate - found / inside(growth != 0.0, growth)
        rate = torch.where(moved > -1.0, moved, (rate - 1.0) * 0.5)
    return rate.detach()


def settled(equation: Equation, rate: Tensor, given: Sequence[Tensor]) -> Tensor:
    """A root with its derivatives; #NUM! if it is none."""
    found, growth = equation(rate, *(item.detach() for item in given))
    step = (found / inside(growth != 0.0, growth)).detach()
    is_root = (growth != 0.0) & (torch.abs(step) <= SETTLED * (1.0 + torch.abs(rate))) & (rate < HIGHEST)
    result = inside(is_root, rate, 0.1)
    for _ in range(2):
        found, growth = equation(result, *given)
        result = result - torch.where(is_root, found / inside(growth != 0.0, growth), 0.0)
    return failing(~is_root, result)
