"""Random models: the exact gradient of the loss is that of central differences.

python -m tests.fuzz.models --seed 1 --count 3000
"""

# ruff: noqa: E501 - one case per line reads better

from __future__ import annotations

import argparse
import math
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.references import Cell, column_letters
from tests.sheets import book

ROWS = 6
"""Samples, in rows 1 to 6. Columns A and B hold parameters, C to E data, F texts, from G on stand formulas."""

PARAMETERS = ("A1:A6", "B1:B3")
FIRST = 7
RELATIVE, ABSOLUTE = 2e-6, 1e-8
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)

# What is put around a number x, another one y, and a third one z.
SMOOTH = (
    *("{x}+{y}", "{x}-{y}", "{x}*{y}", "{x}/(1+{y}^2)", "{x}^2", "-{x}", "{x}*{z}+{y}", "({x}+{y})*{z}", "{x}%"),
    *("EXP(-({x})^2)", "EXP({x}/9)", "LN(1+({x})^2)", "LOG(2+({x})^2)", "LOG(3+({x})^2,2)", "LOG10(1+({x})^2)"),
    *("TANH({x})", "SIN({x})", "COS({x})", "ATAN({x})", "ATAN2(1+({x})^2,{y})", "SINH({x}/5)", "COSH({x}/5)"),
    *("ASINH({x})", "SQRT(1+({x})^2)", "POWER(1+({x})^2,0.3)", "(1+({x})^2)^({y}/9)", "1/(1+EXP(-({x})))"),
    *(
        "NORM.S.DIST({x},TRUE)",
        "NORM.DIST({x},{y},1.5,FALSE)",
        "NORM.DIST({x},{y},1+({z})^2,TRUE)",
        "GAMMALN(1+({x})^2)",
    ),
    *("DEGREES({x})/57", "RADIANS({x})", "SGD_RELU({x})", "SGD_SIGMOID({x})", "SGD_TANH({x})", "ASIN(TANH({x})/2)"),
    *("ACOS(TANH({x})/2)", "ATANH(TANH({x})/2)", "TAN(TANH({x}))", "ACOSH(2+({x})^2)"),
)
KINKED = (
    *("MAX(0,{x})", "MIN({x},{y})", "MAX({x},{y},{z})", "ABS({x})", "IF({x}>0.3,{y},{z})", "IF({c}>1,{x},{y}*2)"),
    *(
        'IF({t}="male",{x},{y})',
        "IF(AND({x}>0,{c}>0),{y},{z})",
        "IF(OR({c}<1,{x}<0),{y},{z})",
        "IF(NOT({c}>2),{x},{y})",
    ),
    *("IFERROR(LN({x}),{y})", "IFERROR({x}/{c},{y})", "IFERROR(SQRT({x}),{y}+1)", "IFS({x}>1,{y},{c}>1,{z},TRUE,{x})"),
    *(
        "CHOOSE({k},{x},{y},{z})",
        "SWITCH({k},1,{x},2,{y},{z})",
        'SWITCH({t},"male",{x},{y})',
        "MOD({x},3)",
        "IF({x}<0,0,{x})",
    ),
    *(
        "IF({x}>0,{x},0.1*{x})",
        "SIGN({c})*{x}",
        "ROUND({c},1)*{x}",
        "({c}>1)*{x}",
        "({x}>0)*{y}",
        "INT({c})+{x}",
        "IF({c}=0,,{x})",
    ),
)
LOOKUPS = (
    *(
        "INDEX($A$1:$A$6,{k})",
        "INDEX($B$1:$B$3,{k})*{x}",
        "VLOOKUP({k},$I$20:$J$22,2,FALSE)*{x}",
        "INDEX({p},MATCH({k},$I$20:$I$22,0))",
    ),
    *(
        "XLOOKUP({k},$I$20:$I$22,$B$1:$B$3)+{x}",
        "VLOOKUP({c},$I$20:$J$22,2)",
        "INDEX($B$1:$B$3,MATCH({t},$H$20:$H$22,0))*{x}",
    ),
    *(
        "SUMIF($C$1:$C$6,{c},{p})",
        "SUMIF($F$1:$F$6,{t},{p})",
        'SUMIFS({p},$F$1:$F$6,"male",$C$1:$C$6,">0")',
        'AVERAGEIF($C$1:$C$6,">="&{c},{p})',
    ),
    *('SUMIF({p},">0")', "AVERAGEIFS({p},$F$1:$F$6,{t})", "SUMPRODUCT(($F$1:$F$6={t})*{p})"),
)
REDUCED = (
    *(
        "SUM({p})",
        "AVERAGE({p})",
        "SUMSQ({p})",
        "PRODUCT({p})/9",
        "MAX({p})",
        "MIN({p})",
        "DEVSQ({p})",
        "VAR.S({p})",
        "VAR.P({p})",
    ),
    *(
        "STDEV.S({p})",
        "STDEV.P({p})",
        "SUMPRODUCT({p},{q})",
        "SUMPRODUCT({p}*{q},{q})",
        "SUMPRODUCT({p}*({q}>0))",
        "SUMXMY2({p},{q})",
    ),
    *(
        "SUMX2MY2({p},{q})",
        "SUMX2PY2({p},{q})",
        "SUM({x},{p},{y})",
        "COUNT({p})*{x}",
        "MMULT(TRANSPOSE({p}),{q})",
        "SUMPRODUCT(EXP({p}/9))",
    ),
    *(
        "LN(SUMPRODUCT(EXP({p}/5)))",
        "{x}/SUM({p})",
        "{x}-AVERAGE({p})",
        "{x}-MAX({p})",
        "SUM({g})",
        "AVERAGE({g})",
        "SUMPRODUCT({g},{g})",
        "MAX({g})",
    ),
    *(
        "MMULT({w},$B$1:$B$3)",
        "SUMPRODUCT({w},{w})",
        "SUM({w})*{x}",
        "SGD_MSE({p},{q})",
        "SGD_MAE({p},{q})",
        "SUM(SGD_SOFTMAX({p})*{q})",
    ),
    *(
        "SGD_LINEAR({w},TRANSPOSE($C$1:$E$1))",
        "SUM(SGD_NORMALIZE({p})*{q})",
        "SUMPRODUCT(({p}-{q})^2)",
        "SUMPRODUCT(--({q}>0),{p})",
    ),
)
ARRAYS = (
    *(
        "{=MMULT({p},TRANSPOSE($B$1:$B$3))}",
        "{=TRANSPOSE({p})}",
        "{={p}*{q}}",
        "{={p}*TRANSPOSE($B$1:$B$3)}",
        "{=IF({q}>0,{p},{q})}",
    ),
    *(
        "{=EXP({p}/9)/SUM(EXP({p}/9))}",
        "{=SGD_SOFTMAX({p})}",
        "{=MMULT(TRANSPOSE({p}),{q}+ROW($A$1:$A$6))}",
        "{=MAX({p},0)+{q}}",
    ),
)
LOSSES = (
    *(
        "SUM({p})",
        "AVERAGE({p})",
        "SUMSQ({p})",
        "SUMXMY2({p},$D$1:$D$6)",
        "SQRT(SUMSQ({p}))",
        "SUMPRODUCT({p},{q})",
        "DEVSQ({p})+SUM({q})",
    ),
    *(
        "SUMPRODUCT(({p}-$D$1:$D$6)^2)/COUNT({p})",
        "AVERAGE({p})+AVERAGE({q})",
        "MAX({p})",
        "LN(1+SUMSQ({p}))",
        "-SUM({p})",
        "SUM({p},{q})",
    ),
)


@dataclass(slots=True)
class Result:
    """What a run came to."""

    models: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    infinite: int = 0
    gradients: int = 0
    compared: int = 0
    worst: float = 0.0
    problems: list[str] = field(default_factory=list)


class Maker:
    """Formulas for one sheet, column by column."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.columns = [1]
        """Columns with numbers in all rows that depend on parameters."""

    def column(self) -> str:
        return column_letters(self.random.choice(self.columns))

    def cell(self) -> str:
        kind = self.random.random()
        if kind < 0.5:
            return f"{self.column()}1"
        if kind < 0.65:
            return self.random.choice(["C1", "D1", "E1"])
        if kind < 0.8:
            return self.random.choice(["$B$1", "$B$2", "$B$3", f"${self.column()}$2"])
        return self.random.choice(["0.5", "2", "-1.25", "3"])

    def area(self) -> str:
        name = (
            column_letters(self.random.choice(self.columns))
            if self.random.random() < 0.7
            else self.random.choice("CDE")
        )
        return f"${name}$1:${name}${ROWS}"

    def fill(self, pattern: str, depth: int) -> str:
        """The pattern with parts in the place of its letters."""
        random = self.random
        growing = self.column()
        parts: dict[str, Callable[[], str]] = {
            "x": lambda: self.part(depth - 1),
            "y": lambda: self.part(depth - 1),
            "z": lambda: self.part(depth - 1),
            "c": lambda: random.choice(["C1", "D1", "$C1"]),
            "t": lambda: random.choice(["F1", "$F1", '"female"']),
            "k": lambda: random.choice(["E1", "$E1", "2"]),
            "p": self.area,
            "q": self.area,
            "g": lambda: f"{growing}$1:{growing}1",
            "w": lambda: "$C1:$E1",
        }
        found: dict[str, str] = {letter: part() for letter, part in parts.items() if "{" + letter + "}" in pattern}
        for letter, text in found.items():
            pattern = pattern.replace("{" + letter + "}", text)
        return pattern

    def part(self, depth: int) -> str:
        random = self.random
        if depth <= 0 or random.random() < 0.3:
            return self.cell()
        kind = random.random()
        table = SMOOTH if kind < 0.45 else KINKED if kind < 0.65 else LOOKUPS if kind < 0.78 else REDUCED
        return f"({self.fill(random.choice(table), depth)})"

    def cells(self) -> dict[str, Any]:
        """A sheet: data, three to six columns of formulas, and the loss in Z1."""
        random = self.random
        number = lambda: random.randint(-24, 24) / 8  # noqa: E731
        found: dict[str, Any] = {
            f"A1:A{ROWS}": [number() + 0.01 * index for index in range(ROWS)],
            "B1:B3": [number() + 0.003 for _ in range(3)],
            f"C1:C{ROWS}": [random.choice([0.0, 1.0, 2.0, -1.0, number()]) for _ in range(ROWS)],
            f"D1:D{ROWS}": [number() for _ in range(ROWS)],
            f"E1:E{ROWS}": [float(random.randint(1, 3)) for _ in range(ROWS)],
            f"F1:F{ROWS}": [random.choice(["male", "female", "x"]) for _ in range(ROWS)],
            "H20:H22": ["male", "female", "x"],
            "I20:I22": [1.0, 2.0, 3.0],
            "J20:J22": "=B1*2+A1",
        }
        column = FIRST
        for _ in range(random.randint(2, 5)):
            letters = column_letters(column)
            if random.random() < 0.12:
                pattern = random.choice(ARRAYS)
                text = self.fill(pattern[2:-1], 2)
                area = f"{letters}1:{letters}{ROWS}"
                if "TRANSPOSE" in pattern:
                    area = f"{letters}1:{column_letters(column + 2)}{ROWS}"
                    self.columns += [column, column + 1, column + 2]
                    column += 2
                else:
                    self.columns.append(column)
                found[area] = "{=" + text + "}"
            elif random.random() < 0.08 and column > FIRST:
                # Each row goes on from the one above.
                found[f"{letters}1"] = f"={self.column()}1"
                found[f"{letters}2:{letters}{ROWS}"] = f"=TANH({letters}1)*{self.column()}2/2+{self.cell()}"
                self.columns.append(column)
            else:
                found[f"{letters}1:{letters}{ROWS}"] = "=" + self.part(3)
                self.columns.append(column)
            column += 1
        last = self.columns[-1]
        self.columns = [*self.columns, last, last]
        found["Z1"] = f"={self.fill(random.choice(LOSSES), 1)}+0.01*SUMSQ($A$1:$A$6,$B$1:$B$3)"  # all are read
        return found


def derivative(model: SheetModel, flat: torch.Tensor, index: int, exact: float) -> tuple[float, float]:
    """The central difference that lies nearest to the exact derivative, and how uncertain it is.

    Large steps are exact, small ones do not jump over kinks. On a kink, what lies between the slopes to both sides
    is right.
    """
    start, best, doubt = float(flat[index]), math.inf, math.inf

    def at(distance: float) -> float:
        with torch.no_grad():
            flat[index] = start + distance
            loss = model().item()
            flat[index] = start
        return loss

    here = at(0.0)
    for step in STEPS:
        far_left, left, right, far_right = (at(factor * step) for factor in (-2, -1, 1, 2))
        found = (8 * (right - left) - (far_right - far_left)) / (12 * step)
        noise = 4e-16 * max(abs(far_left), abs(left), abs(right), abs(far_right)) / step * 10
        ahead, behind = (4 * right - 3 * here - far_right) / (2 * step), (3 * here + far_left - 4 * left) / (2 * step)
        kinked = abs(ahead - behind) > 1e-4 * max(abs(ahead), abs(behind), 1e-9)
        if kinked and min(ahead, behind) - noise <= exact <= max(ahead, behind) + noise:
            return exact, noise
        if abs(found - exact) < abs(best - exact):
            best, doubt = found, noise
    return best, doubt


def check(model: SheetModel, result: Result) -> list[str]:
    """Parameters whose exact derivative is not that of differences."""
    exact, found = model.gradients(), []
    loss = model().item()
    direct = model.lowered_cells().values[model.problem.loss]
    if not isinstance(direct, float) or not math.isclose(direct, loss, rel_tol=1e-9, abs_tol=1e-9):
        found.append(f"the program's loss {loss} is not the loss cell's {direct}")
    for area, tensor in model.ranges():
        flat = tensor.detach().view(-1)
        for index, cell in enumerate(area.cells()):
            result.gradients += 1
            own = exact[cell]
            if not math.isfinite(own):
                found.append(f"{cell}: the derivative is {own}")
                continue
            other, doubt = derivative(model, flat, index, own)
            error = abs(own - other)
            allowed = RELATIVE * max(abs(own), abs(other)) + ABSOLUTE * max(1.0, abs(loss)) + doubt
            if math.isfinite(other):
                if doubt <= ABSOLUTE:  # of a very large loss, differences have few digits
                    result.worst = max(result.worst, error / max(1.0, abs(own)))
                if error > allowed:
                    found.append(f"{_short(cell)}: exact {own!r}, differences {other!r}")
    return found


def _short(cell: Cell) -> str:
    return str(cell).rpartition("!")[2]


def run(seed: int, count: int) -> Result:
    """`count` random models."""
    result = Result()
    number = 0
    while result.models < count:
        number += 1
        cells = Maker(Random(f"{seed}/{number}")).cells()
        try:
            model = sgdsheet.compile(book(cells), "Sheet1", loss="Z1", params=",".join(PARAMETERS))
        except SgdSheetError as error:
            result.refused[error.cause[:70]] += 1
            continue
        except Exception:
            result.problems.append(f"{seed}/{number}: {traceback.format_exc()[-700:]} {cells}")
            continue
        if not math.isfinite(model().item()):
            result.infinite += 1
            continue
        result.models += 1
        try:
            wrong = check(model, result)
        except Exception:
            wrong = [traceback.format_exc()[-700:]]
        if wrong:
            formulas = {area: text for area, text in cells.items() if isinstance(text, str)}
            result.problems.append(f"{seed}/{number}: {'; '.join(wrong[:4])}\n    {formulas}")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=3000, help="How many models.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = run(arguments.seed, arguments.count)
    print(
        f"{result.models:,} models, {result.gradients:,} derivatives, refused {sum(result.refused.values()):,}, infinite {result.infinite:,}"
    )
    for cause, number in result.refused.most_common(30):
        print(f"  refused {number:6,}  {cause}")
    print(f"largest relative difference {result.worst:.1e}; {len(result.problems)} problems")
    print(*result.problems, sep="\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
