"""CONTRIBUTING.md: the files that it names are there, and the formula that it follows goes that way."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

import sgdsheet

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALK = PAGE.partition("## One formula, there and back\n")[2].partition("\n## ")[0]
BOOK = ROOT / "workbooks" / "titanic.xlsx"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:\w+/)+\w+\.(?:py|md|xlsx))`", PAGE))))
def test_files_that_it_names(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "sgdsheet" / name).exists()


def test_the_walk_is_a_page() -> None:
    assert 20 < len(WALK.splitlines()) <= 60


def test_the_bytes_that_it_starts_from() -> None:
    (part,) = re.findall(r"`(xl/\S+\.xml)`", WALK)
    (element,) = re.findall(r'`(<c r="K9".*</c>)`', WALK)
    with zipfile.ZipFile(BOOK) as package:
        assert element in package.read(part).decode("utf-8")


def test_the_operations_that_it_comes_to() -> None:
    model = sgdsheet.compile(sgdsheet.load(BOOK), "nnet")
    lines = [line.strip() for line in WALK.partition("```python\n")[2].partition("```")[0].splitlines() if line.strip()]
    assert len(lines) == 3
    for line in lines:
        assert line in model.program.code
    assert "mse_loss" in model.program.code
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [(2, 6)]
