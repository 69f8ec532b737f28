"""Ten times as much of anything in a workbook takes about ten times as many calls: nothing is quadratic.

What `benchmarks/growth.py` measures in seconds is counted here, on small workbooks, so that no machine is too slow.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

GROWTH: dict[str, Any] = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "growth.py"))

FEW = {"cells": 300, "formulas": 200, "parameters": 200, "sheets": 4}
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
