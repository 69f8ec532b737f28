"""Bessel functions of whole orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used

from sgdsheet.compiler.functions.plain import plain
from sgdsheet.sheet.workbook import ExcelError

_EARLY = 1e-6
"""How far Excel's results are from the exact ones, relatively: it has BESSELJ(1.9,2) = 0.329925829."""


def _declare(
    name: str,
    help_text: str,
    calculate: Callable[[int, float], float],
    examples: Mapping[str, float],
    *,
    positive: bool = False,
) -> None:
    """Declare a function of a number and an order; `positive` says that it is infinite at 0."""

    def implementation(number: float, order: float) -> float | ExcelError:
        whole = math.trunc(order)
        if whole < 0 or order < 0 or (positive and number <= 0):
            return ExcelError.NUM
        found = float(calculate(whole, number))
        return found if math.isfinite(found) else ExcelError.NUM

    implementation.__doc__, implementation.__module__ = help_text, __name__
    plain(name, booleans=False, inexact=_EARLY, examples=examples)(implementation)


_declare(
    "BESSELI",
    "Modified Bessel function of the first kind.",
    lambda n, x: scipy.special.iv(n, x),
    {"BESSELI(1.5,1)": 0.98166643},
)
_declare(
    "BESSELJ",
    "Bessel function of the first kind.",
    lambda n, x: scipy.special.jv(n, x),
    {"ROUND(BESSELJ(1.9,2),6)": 0.329926},
)
_declare(
    "BESSELK",
    "Modified Bessel function of the second kind.",
    lambda n, x: scipy.special.kn(n, x),
    {"BESSELK(1.5,1)": 0.27738780},
    positive=True,
)
_declare(
    "BESSELY",
    "Bessel function of the second kind.",
    lambda n, x: scipy.special.yn(n, x),
    {"BESSELY(2.5,1)": 0.14591814},
    positive=True,
)
