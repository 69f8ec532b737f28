"""Test problems of Hock and Schittkowski, 1981 (Lecture Notes in Economics and Mathematical Systems 187).

Each has a start, an objective, constraints and bounds; `x1` is the first parameter. The optima are the
published ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

LE, EQ, GE = 1, 2, 3

Bound = tuple[int, float | None, float | None]


class Case(NamedTuple):
    """A problem and its published optimum."""

    optimum: float
    start: list[float]
    objective: str
    constraints: Sequence[tuple[str, int, float]]
    bounds: Sequence[Bound] = ()

    def model(self) -> dict[str, Any]:
        """The problem as a sheet: parameters in column A, the objective in C1, constraints in column D."""

        def cells_of(text: str) -> str:
            return "=" + re.sub(r"x(\d+)", r"A\1", text)

        cells: dict[str, Any] = {"A1": [float(value) for value in self.start], "C1": cells_of(self.objective)}
        found: list[tuple[str, int, float]] = []
        for number, (text, relation, right) in enumerate(self.constraints, 1):
            cells[f"D{number}"] = cells_of(text)
            found.append((f"D{number}", relation, right))
        for number, lower, upper in self.bounds:
            found += [(f"A{number}", GE, lower)] if lower is not None else []
            found += [(f"A{number}", LE, upper)] if upper is not None else []
        return {
            "cells": cells,
            "loss": "C1",
            "params": f"A1:A{len(self.start)}",
            "constraints": found,
            "neg": 2,
        }


CASES = {
    "HS6": Case(0, [-1.2, 1], "(1-x1)^2", [("10*(x2-x1^2)", EQ, 0)]),
    "HS7": Case(-1.7320508, [2, 2], "LN(1+x1^2)-x2", [("(1+x1^2)^2+x2^2", EQ, 4)]),
    "HS12": Case(-30, [0, 0], "0.5*x1^2+x2^2-x1*x2-7*x1-7*x2", [("25-4*x1^2-x2^2", GE, 0)]),
    "HS23": Case(
        2,
        [3, 1],
        "x1^2+x2^2",
        [
            ("x1+x2", GE, 1),
            ("x1^2+x2^2", GE, 1),
            ("9*x1^2+x2^2", GE, 9),
            ("x1^2-x2", GE, 0),
            ("x2^2-x1", GE, 0),
        ],
        [(1, -50, 50), (2, -50, 50)],
    ),
    "HS27": Case(0.04, [2, 2, 2], "0.01*(x1-1)^2+(x2-x1^2)^2", [("x1+x3^2", EQ, -1)]),
    "HS29": Case(-22.627417, [1, 1, 1], "-x1*x2*x3", [("x1^2+2*x2^2+4*x3^2", LE, 48)]),
    "HS35": Case(
        1 / 9,
        [0.5, 0.5, 0.5],
        "9-8*x1-6*x2-4*x3+2*x1^2+2*x2^2+x3^2+2*x1*x2+2*x1*x3",
        [("x1+x2+2*x3", LE, 3)],
        [(1, 0, None), (2, 0, None), (3, 0, None)],
    ),
    "HS36": Case(-3300, [10, 10, 10], "-x1*x2*x3", [("x1+2*x2+2*x3", LE, 72)], [(1, 0, 20), (2, 0, 11), (3, 0, 42)]),
    "HS37": Case(
        -3456,
        [10, 10, 10],
        "-x1*x2*x3",
        [("x1+2*x2+2*x3", LE, 72), ("x1+2*x2+2*x3", GE, 0)],
        [(i, 0, 42) for i in (1, 2, 3)],
    ),
    "HS40": Case(-0.25, [0.8] * 4, "-x1*x2*x3*x4", [("x1^3+x2^2", EQ, 1), ("x1^2*x4-x3", EQ, 0), ("x4^2-x2", EQ, 0)]),
    "HS43": Case(
        -44,
        [0] * 4,
        "x1^2+x2^2+2*x3^2+x4^2-5*x1-5*x2-21*x3+7*x4",
        [
            ("x1^2+x2^2+x3^2+x4^2+x1-x2+x3-x4", LE, 8),
            ("x1^2+2*x2^2+x3^2+2*x4^2-x1-x4", LE, 10),
            ("2*x1^2+x2^2+x3^2+2*x1-x2-x4", LE, 5),
        ],
    ),
    "HS65": Case(
        0.9535288567,
        [-5, 5, 0],
        "(x1-x2)^2+(x1+x2-10)^2/9+(x3-5)^2",
        [("x1^2+x2^2+x3^2", LE, 48)],
        [(1, -4.5, 4.5), (2, -4.5, 4.5), (3, -5, 5)],
    ),
    "HS66": Case(
        0.5181632741,
        [0, 1.05, 2.9],
        "0.2*x3-0.8*x1",
        [("x2-EXP(x1)", GE, 0), ("x3-EXP(x2)", GE, 0)],
        [(1, 0, 100), (2, 0, 100), (3, 0, 10)],
    ),
    "HS76": Case(
        -4.681818181,
        [0.5] * 4,
        "x1^2+0.5*x2^2+x3^2+0.5*x4^2-x1*x3+x3*x4-x1-3*x2+x3-x4",
        [("x1+2*x2+x3+x4", LE, 5), ("3*x1+x2+2*x3-x4", LE, 4), ("x2+4*x3", GE, 1.5)],
        [(i, 0, None) for i in (1, 2, 3, 4)],
    ),
    "HS78": Case(
        -2.91970041,
        [-2, 1.5, 2, -1, -1],
        "x1*x2*x3*x4*x5",
        [("x1^2+x2^2+x3^2+x4^2+x5^2", EQ, 10), ("x2*x3-5*x4*x5", EQ, 0), ("x1^3+x2^3", EQ, -1)],
    ),
    "HS100": Case(
        680.6300573,
        [1, 2, 0, 4, 0, 1, 1],
        "(x1-10)^2+5*(x2-12)^2+x3^4+3*(x4-11)^2+10*x5^6+7*x6^2+x7^4-4*x6*x7-10*x6-8*x7",
        [
            ("2*x1^2+3*x2^4+x3+4*x4^2+5*x5", LE, 127),
            ("7*x1+3*x2+10*x3^2+x4-x5", LE, 282),
            ("23*x1+x2^2+6*x6^2-8*x7", LE, 196),
            ("-4*x1^2-x2^2+3*x1*x2-2*x3^2-5*x6+11*x7", GE, 0),
        ],
    ),
    "HS113": Case(
        24.3062091,
        [2, 3, 5, 5, 1, 2, 7, 3, 6, 10],
        "x1^2+x2^2+x1*x2-14*x1-16*x2+(x3-10)^2+4*(x4-5)^2+(x5-3)^2+2*(x6-1)^2+5*x7^2+7*(x8-11)^2+2*(x9-10)^2+(x10-7)^2+45",
        [
            ("4*x1+5*x2-3*x7+9*x8", LE, 105),
            ("10*x1-8*x2-17*x7+2*x8", LE, 0),
            ("8*x1-2*x2-5*x9+2*x10", GE, -12),
            ("3*(x1-2)^2+4*(x2-3)^2+2*x3^2-7*x4", LE, 120),
            ("5*x1^2+8*x2+(x3-6)^2-2*x4", LE, 40),
            ("0.5*(x1-8)^2+2*(x2-4)^2+3*x5^2-x6", LE, 30),
            ("x1^2+2*(x2-2)^2-2*x1*x2+14*x5-6*x6", LE, 0),
            ("-3*x1+6*x2+12*(x9-8)^2-7*x10", LE, 0),
        ],
    ),
}
