"""Ten times as much of anything in a workbook takes about ten times as many calls: nothing is quadratic.

What `benchmarks/growth.py` measures in seconds is counted here, on small workbooks, so that no machine is too slow.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import sgdsheet
from sgdsheet.compiler.proof import prove
from sgdsheet.sheet import formula
from sgdsheet.sheet.formula import formula_text, relative_key
from sgdsheet.sheet.workbook import DefinedName
from sgdsheet.train.session import Session
from tests.sheets import HOME, book

ROOT = Path(__file__).parent.parent
GROWTH: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks" / "growth.py"))

FEW = {"cells": 300, "formulas": 200, "parameters": 200, "sheets": 4, "models": 4}
"""How much the smaller workbook has of some dimensions; of the others 40."""


@pytest.mark.parametrize("dimension", GROWTH["DIMENSIONS"])
def test_calls_grow_as_the_workbook_does(dimension: str, tmp_path: Path) -> None:
    count = FEW.get(dimension, 40)
    found = []
    for size in (count, count, 10 * count):  # the first time, much is loaded
        path = tmp_path / f"{size}.xlsx"
        params = GROWTH["written"](path, dimension, size)
        found.append(GROWTH["calls"](path, params))
    _, small, large = found
    grown = {stage: large[stage] / small[stage] for stage in small}
    assert {stage: factor for stage, factor in grown.items() if factor > GROWTH["MOST"]} == {}


@pytest.mark.parametrize(("name", "sheet"), [("titanic", "nnet"), ("linear_regression", "fit"), ("quadratic", "raw")])
def test_formulas_are_parsed_once(name: str, sheet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From reading to the values of all dependent cells, formulas that are copies of each other are parsed once."""
    parsed, parse = [], formula._tree

    def counted(text: str) -> Any:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(formula, "_tree", counted)
    workbook = sgdsheet.load(ROOT / "workbooks" / f"{name}.xlsx")
    model = sgdsheet.compile(workbook, sheet)
    prove(model)
    Session(model, steps=3).run()
    model.dependent_cells()
    different = {
        (home.name, relative_key(formula_text(item, *place), *place))
        for home in workbook.sheets.values()
        for place, item in home.formulas.items()
    }
    assert len(parsed) <= len(different)


def test_names_that_are_added_are_found() -> None:
    """The index of names follows the list: what is added, and another list."""
    workbook = book({"A1": 1.0}, names={"Rate": "=Sheet1!$A$1"})
    assert workbook.defined_name("RATE", HOME) is workbook.names[0]
    assert workbook.defined_name("other", HOME) is None
    workbook.names.append(DefinedName("Other", "=Sheet1!$B$1"))
    workbook.names.append(DefinedName("rate", "=Sheet1!$C$1", HOME))
    assert workbook.defined_name("other", HOME) is workbook.names[1]
    assert workbook.defined_name("rate", HOME) is workbook.names[2]
    workbook.names = workbook.names[:1]
    assert workbook.defined_name("rate", HOME) is workbook.names[0]
