"""What is asked for fits into memory, or is refused in a line that says what would fit."""

from __future__ import annotations

import re
import sys
import tracemalloc
from itertools import islice
from pathlib import Path
from time import monotonic

import pytest

from sgdsheet.errors import DataError, FormulaError, SettingError
from sgdsheet.system import memory
from sgdsheet.train.session import Session
from tests.bound_books import Rows, numbers
from tests.cli_books import line_book, run
from tests.errors import refusal
from tests.sheets import compiled


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has 200 MB left."""
    monkeypatch.setattr(memory, "room", lambda: 200 << 20)


def test_room_is_some_of_the_machine() -> None:
    assert 50 << 20 < memory.room() < sys.maxsize
    assert memory.gigabytes(3 << 30) == "3.0 GB"


@pytest.mark.parametrize("count", [10**9, 10**12, 2**62])
def test_restarts_beyond_memory(tmp_path: Path, small: None, count: int) -> None:
    started = monotonic()
    refused = run("train", line_book(tmp_path), "--restarts", count)
    assert monotonic() - started < 10
    assert (refused.status, refused.out) == (1, "")
    match = re.search(rf"{count:,} restarts need [\d,.]+ GB of memory. ([\d,]+) fit", refused.err)
    assert match is not None, refused.err
    most = int(match[1].replace(",", ""))
    assert 1_000 < most < 10**6


def test_the_number_that_is_told_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "room", lambda: 200_000)
    refused = run("train", line_book(tmp_path), "--restarts", "1000000000")
    most = int(refused.err.split(" fit;")[0].split()[-1].replace(",", ""))
    allowed = run("train", line_book(tmp_path), "--restarts", most, "--steps", "2", "--json")
    assert allowed.json["restarts"]["starts"] == most
    assert run("train", line_book(tmp_path), "--restarts", most + 1).status == 1


def test_restarts_under_constraints_are_bounded_too(small: None) -> None:
    model = compiled({"A1": 1.0, "Z1": "=A1^2"}, "A1")
    with refusal(SettingError, cell="Sheet1", remedy="fit"):
        Session(model, restarts=10**10)


@pytest.mark.parametrize("options", [{}, {"schedule": "cosine"}, {"schedule": "onecycle"}, {"schedule": "exponential"}])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "annealing", "wiggle"])
def test_many_steps_cost_nothing_in_advance(optimizer: str, options: dict[str, str]) -> None:
    if options and optimizer in ("annealing", "wiggle"):
        return
    model = compiled({"A1": 1.0, "A2": 3.0, "Z1": "=A1^2+A2^2"}, "A1:A2")
    tracemalloc.start()
    try:
        session = Session(model, optimizer=optimizer, steps=10**12, **options)  # type: ignore[arg-type]
        steps = iter(session)
        assert len(list(islice(steps, 50))) == 50
        steps.close()  # type: ignore[attr-defined]
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_batches_beyond_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Rows().file(tmp_path, numbers(6_000))
    common = ("train", path, "--steps", "2", "--batch-size")
    assert run(*common, "5000").status == 0
    monkeypatch.setattr(memory, "room", lambda: 400_000)
    refused = run(*common, "5000")
    assert (refused.status, refused.out) == (1, "")
    match = re.search(r"a batch of 5,000 samples needs .* MB of memory. ([\d,]+) fit", refused.err)
    assert match is not None, refused.err
    assert 100 < int(match[1].replace(",", "")) < 5_000


LARGE = {
    "=A1+SUM(MMULT(C1:C20000,D1:XFD1))": DataError,  # of blanks, which are #VALUE! there
    "=SUM(MMULT(A1*C1:C20000,D1:XFD1))": DataError,
    "=A1+SUM(MMULT(TRANSPOSE(C:G),C:G))": DataError,
    "=SUM(MMULT(A1*ROW(C1:C20000),COLUMN(D1:XFD1)))": FormulaError,
    "=A1+SUM(MMULT(ROW(C1:C20000),COLUMN(D1:XFD1)))": FormulaError,
    "=A1+SUM(MMULT(ROW(C1:C4000)+COLUMN(D1:EWY1),ROW(C1:C4000)+COLUMN(D1:EWY1)))": FormulaError,
    "=SUMPRODUCT(A1*ROW(C1:C20000)*COLUMN(D1:XFD1))": FormulaError,
}


@pytest.mark.parametrize("formula", LARGE)
def test_large_formulas_are_refused_at_once(formula: str) -> None:
    """Before, a product of blanks took 2.8 GB, and one of whole columns most of a minute."""
    started = monotonic()
    with pytest.raises(LARGE[formula]) as refused:
        compiled({"A1": 1.0, "A900000": formula}, "A1", loss="A900000")
    assert "A900000" in str(refused.value)
    assert monotonic() - started < 10


def test_all_formulas_together_are_bounded(small: None) -> None:
    """Each by itself would fit."""
    cells = {f"A{row}": f"=SUMPRODUCT(EXP(A1*ROW(C1:C999)/{row}E9+COLUMN(D1:CY1)/1E9))" for row in range(2, 60)}
    with pytest.raises(FormulaError, match=r"A\d+: the formula is one too many: .* needs some [0-9.]+ MB"):
        compiled({"A1": 1.0, **cells, "A900000": "=SUM(A2:A59)"}, "A1", loss="A900000")
    few = {key: cells[key] for key in ("A2", "A3")}
    compiled({"A1": 1.0, **few, "A900000": "=SUM(A2:A3)"}, "A1", loss="A900000")
