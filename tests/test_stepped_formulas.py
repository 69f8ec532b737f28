"""Formulas that jump where a parameter moves: multiples, criteria and look-ups that may find nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sgdsheet
from sgdsheet.errors import FormulaError, ProblemError
from sgdsheet.sheet.workbook import ExcelError
from tests import solver_models as models
from tests.errors import refusal
from tests.sheets import value, values
from tests.solver_models import AT_LEAST, AT_MOST, MIN
from tests.test_integers import solved

TABLE = {
    **{f"C{row}": float(number) for row, number in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9), 1)},
    **{f"D{row}": float(number) for row, number in enumerate((5, 2, 3, 8, 1, 9, 4, 7, 6), 1)},
    **{f"E{row}": number for row, number in enumerate((0.1, "x", -2.5, True, 0.3, 2.0), 1)},
}

MULTIPLES = (
    *("FLOOR(A1,B1)", "CEILING(A1,B1)", "MROUND(A1,B1)", "FLOOR.MATH(A1,B1)", "CEILING.MATH(A1,B1)"),
    *("FLOOR.MATH(A1,B1,1)", "CEILING.MATH(A1,B1,-1)", "FLOOR.MATH(A1)", "CEILING.MATH(A1,,1)"),
    *("CEILING.PRECISE(A1,B1)", "ISO.CEILING(A1)", "FLOOR.PRECISE(A1,B1)", "EVEN(A1)", "ODD(A1)", "QUOTIENT(A1,B1)"),
)
CRITERIA = (
    *('COUNTIF(C1:C9,">"&A1)', 'COUNTIF(C1:C9,"<="&A1)', 'COUNTIF(C1:C9,"<>"&A1)', 'COUNTIF(C1:C9,""&A1)'),
    *('COUNTIF(E1:E7,">="&A1)', 'COUNTIF(E1:E7,"="&A1)', 'COUNTIF(E1:E7,"<>"&A1)', 'SUMIF(C1:C9,CONCATENATE("<",A1))'),
    *('SUMIF(C1:C9,">"&A1,D1:D9)', 'COUNTIFS(C1:C9,">"&A1,D1:D9,"<"&B1*2)', 'SUMIFS(D1:D9,C1:C9,">="&ROUND(A1,0))'),
    *('IFERROR(AVERAGEIF(C1:C9,"<"&A1,D1:D9),-1)', 'MAXIFS(D1:D9,C1:C9,"<"&A1)', 'MINIFS(D1:D9,C1:C9,">"&A1/B1)'),
    'SUMPRODUCT(COUNTIF(C1:C9,">"&C1:C9+A1))',
)
FOUND = (
    *("IFNA(VLOOKUP(ROUND(A1,0),C1:D9,2,FALSE),-1)", "IFNA(MATCH(A1,C1:C9,0),99)", "IFNA(VLOOKUP(A1,C1:D9,2),-7)"),
    *(
        "IFNA(INDEX(D1:D9,MATCH(INT(A1),C1:C9,0)),0)",
        "IFNA(XLOOKUP(ROUND(A1,0),C1:C9,D1:D9),B1)",
        "ISNA(MATCH(A1,C1:C9))",
    ),
    *("IFNA(LOOKUP(A1,C1:C9,D1:D9),2)", "IFNA(INDEX(C1:D9,MATCH(TRUNC(A1),C1:C9,0),2),A1)", "IFNA(A1,3)"),
)
NUMBERS = (-7.3, -2.0, -0.4, 0.0, 0.1, 0.3, 1.0, 2.0, 2.4999999999999996, 2.5, 3.0000000000000004, 4.7, 9.0, 12.2)


@pytest.mark.parametrize("formula", [*MULTIPLES, *CRITERIA, *FOUND])
def test_a_parameter_gives_the_same_as_a_constant(formula: str) -> None:
    rows = range(1, len(NUMBERS) + 1)
    for second in (0.5, 2.0, -0.1, 0.0):
        cells = {**TABLE, "B1": second}
        cells |= {f"A{row}": number for row, number in zip(rows, NUMBERS, strict=True)}
        cells |= {f"Z{row}": "=" + _filled_down(formula, row) for row in rows}
        target = f"Z1:Z{len(NUMBERS)}"
        constant = values(cells, target)
        moving = values(cells, target, params=[f"A1:A{len(NUMBERS)}", "B1"])
        for number, expected, found in zip(NUMBERS, constant, moving, strict=True):
            if isinstance(expected, ExcelError):  # of what a parameter decides only that it is an error is known
                assert isinstance(found, ExcelError), (number, second)
            else:
                assert found == pytest.approx(expected, rel=1e-14, abs=1e-14), (number, second)


def _filled_down(formula: str, row: int) -> str:
    """The formula of row 1 in another row: only A1 moves."""
    fixed = re.sub(r"\b([B-E])(\d)", r"$\1$\2", formula)
    return fixed.replace("A1", f"A{row}")


def test_what_ampersand_writes_of_a_number_is_compared() -> None:
    """It writes 15 digits: 0.1 + 0.2 is 0.3, and a third is less than the number itself."""
    cells = {"A1": 0.2, "B1": 0.3, "C1": 1 / 3, "D1": 1e15 / 3, "E1": 123456.0}
    for sign, number, expected in ((">=", "A1+0.1", 1), (">", "A1+0.1", 0), ("<", "A1+0.1", 0)):
        assert value(f'=COUNTIF(B1,"{sign}"&{number})', cells, params=["A1"]) == expected
    for cell, params in (("C1", ["A1"]), ("D1", ["A1"])):
        number = f"{cell}+0*A1"
        assert value(f'=COUNTIF({cell},">"&{number})', cells, params=params) == 1
        assert value(f'=COUNTIF({cell},"="&{number})', cells, params=params) == 0
    assert value('=COUNTIF(E1,E1+0*A1&"")', cells) == 1


def test_random_numbers_are_written_as_python_writes_them() -> None:
    random = np.random.default_rng(3)
    for exponent in range(-4, 20):
        number = float(random.normal() * 10.0**exponent)
        written = float(f"{number:.15g}")
        cells = {"A1": number, "B1": written, "C1": number}
        assert value('=COUNTIF(B1,"="&A1)', cells, params=["A1"]) == 1, number
        assert value('=COUNTIF(C1,"="&A1)', cells, params=["A1"]) == float(written == number), number


def test_other_errors_than_a_missing_key_stay() -> None:
    """IFNA lets them through, and where nobody can tell them apart it is refused."""
    cells = {**TABLE, "A1": 0.0}
    key = "IFNA(VLOOKUP(ROUND(1/A1,0),C1:D9,2,FALSE),-1)"
    assert isinstance(value(f"={key}", cells, params=["A1"]), ExcelError)
    for formula in ("IFNA(1/A1,0)", "IFNA(VLOOKUP(A1,C1:D9,B1,FALSE),0)", "IFNA(INDEX(D1:D5,MATCH(A1,C1:C9,0)),0)"):
        with refusal(FormulaError, cell="Sheet1!Z1", cause="asks which error", remedy="IFERROR"):
            value(f"={formula}", {**cells, "B1": 2.0}, params=["A1"])


STEPPED = {
    "FLOOR": ("=(FLOOR(A1,0.5)-3)^2+(B1-1)^2", 0.0),
    "MROUND": ("=(MROUND(A1,0.25)-3.25)^2+(CEILING(B1,2)-4)^2", 0.0),
    "COUNTIF": ('=(COUNTIF(C1:C9,">"&A1)-3)^2+(B1-1)^2', 0.0),
    "SUMIF": ('=ABS(SUMIF(C1:C9,">"&A1,D1:D9)-17)+ABS(COUNTIF(C1:C9,"<="&B1)-2)', 0.0),
    "IFNA": ("=IFNA(VLOOKUP(ROUND(A1,0),C1:D9,2,FALSE),50)+(B1-1)^2", 1.0),
    "some of the numbers cannot be calculated": ("=CHOOSE(ROUND(A1,0),9,7,8)+(B1-1)^2", 7.0),
}


def stepped(folder: Path, name: str) -> sgdsheet.SheetModel:
    cells: dict[str, Any] = {**TABLE, "A1": [[1.3, 2.6]], "A3": STEPPED[name][0]}
    bounds = [("A1:B1", AT_LEAST, -5.0), ("A1:B1", AT_MOST, 12.0)]
    return models.model(folder, cells, "A3", "A1:B1", MIN, bounds)


@pytest.mark.parametrize("name", STEPPED)
def test_they_are_searched(name: str, tmp_path: Path) -> None:
    session = solved(stepped(tmp_path, name))
    assert session.plan.optimizer_name == "evolutionary"
    assert "only in steps" in session.plan.why
    assert session.loss == pytest.approx(STEPPED[name][1], abs=1e-9)
    assert session.stopped in ("optimal", "best found")


@pytest.mark.parametrize("optimizer", ["annealing", "wiggle"])
@pytest.mark.parametrize("name", ["MROUND", "COUNTIF", "IFNA"])
def test_annealing_and_wiggle_take_them(name: str, optimizer: str, tmp_path: Path) -> None:
    session = sgdsheet.Session(stepped(tmp_path, name), trust_formulas=True, optimizer=optimizer, seed=4, steps=300)
    before = session.loss_start
    assert session.run() < before


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_gradients_do_not(optimizer: str, tmp_path: Path) -> None:
    for name, culprit in (("FLOOR", "FLOOR"), ("COUNTIF", "COUNTIF"), ("IFNA", "VLOOKUP")):
        model = stepped(tmp_path, name)
        cause = rf"only in steps \({culprit} in Model!A3\), so it has no gradient"
        with refusal(ProblemError, cell="Model!A1", cause=cause, remedy="the optimizer evolutionary"):
            sgdsheet.Session(model, trust_formulas=True, optimizer=optimizer)


def test_the_step_of_a_multiple_has_a_gradient(tmp_path: Path) -> None:
    """FLOOR(7, step) is the step times 3 around 2: the best step is 6 / 3."""
    session = solved(models.model(tmp_path, {"A1": [[2.2]], "A3": "=(FLOOR(7,A1)-6)^2"}, "A3", "A1", MIN))
    assert session.loss == pytest.approx(0, abs=1e-12)
    assert session.stopped == "converged"
