"""Analysts' workbooks for Excel's Solver, trained with nothing said: the optimum, and words that are true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysts_solver import BOOKS, SolverBook
from tests.cli_books import run
from tests.solver_models import solver_names, write


@pytest.mark.parametrize("name", BOOKS)
def test_optimum(name: str, tmp_path: Path) -> None:
    book: SolverBook = BOOKS[name]()
    names = solver_names(book.loss, book.params, book.kind, book.constraints, **book.names)
    path = write(tmp_path / "book.xlsx", book.cells, names)
    found = run("train", path, "--json").json
    assert found["loss"] == pytest.approx(book.optimum, rel=book.close, abs=1e-9)
    assert found["stopped"] in ("converged", "optimal"), found["stopped_because"]
    assert book.ending in f"{found['stopped']}: {found['stopped_because']}"
    assert found["constraints_hold"] in (True, None)
