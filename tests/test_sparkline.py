"""The course of the loss as one line of the summary."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import pytest

from sgdsheet.apps.cli.sparkline import WIDTH, bars, sparkline
from tests.chart_books import charted
from tests.cli_books import run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


@pytest.mark.usefixtures("terminal")
def test_bars() -> None:
    assert bars([0, 1, 2, 3, 4, 5, 6, 7], 0, 7) == "▁▂▃▄▅▆▇█"
    assert bars([-5, 99, math.nan, math.inf], 0, 7) == "▁███"
    assert bars([3, 3], 3, 3) == "▁▁"


@pytest.mark.usefixtures("terminal")
def test_linear_or_by_factors() -> None:
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1]) == "█▇▆▅▄▃▂▁"
    assert sparkline([1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1]) == "█▇▆▅▄▃▂▁  (logarithmic)"


@pytest.mark.usefixtures("terminal")
def test_many_are_taken_together() -> None:
    line = sparkline([float(2000 - step) for step in range(1000)])
    assert len(line) == WIDTH
    assert (line[0], line[-1]) == ("█", "▁")
    assert sorted(line, reverse=True) == list(line)


@pytest.mark.usefixtures("terminal")
def test_what_is_not_a_number_is_a_gap() -> None:
    assert sparkline([2.0, 1.0, math.inf, math.nan]) == "█▁××"


@pytest.mark.parametrize("losses", [[], [1.0], [2.0, 1.0], [3.0, 3.0, 3.0], [math.nan] * 5])
def test_no_course(losses: list[float]) -> None:
    assert sparkline(losses) == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_plain_letters_where_bars_are_unknown(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    line = sparkline([8, 7, 6, 5, math.nan, 3, 2, 1])
    assert line == "#*+=x:._"
    line.encode(encoding)


def test_in_the_summary_and_not_in_json(tmp_path: Path) -> None:
    book = charted(tmp_path / "book.xlsx")
    shown = run("train", book, "--optimizer", "sgd", "--lr", 0.05, "--steps", 100).out.splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith("loss "))
    assert shown[at + 1].strip()[0] in "█#"
    assert shown[at + 1].startswith("     ")
    assert "█" not in run("train", book, "--json").out
