"""Least squares by products with the Jacobian: where it is too large to be written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear

from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import column_letters
from sgdsheet.train import convergence, least_squares
from sgdsheet.train.jacobian_products import JacobianProducts
from sgdsheet.train.least_squares import LeastSquares, columns_of
from sgdsheet.train.session import Session
from tests.shared_data import shared_data
from tests.sheets import compiled
from tests.test_endings import digits, nist
from tests.training_books import values


def curves(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Residuals that are not linear in either parameter range; the last does not depend on any."""
    x = torch.linspace(0.1, 2, 9, dtype=torch.float64)
    return torch.cat([one[0] * torch.exp(-one[1] * x) + other * x**2 - torch.sin(x), torch.ones(1).double()])


def test_products_are_those_with_the_written_jacobian() -> None:
    parameters = [torch.tensor([1.5, 0.3]).double(), torch.tensor(0.7).double()]
    _, columns = columns_of(curves, parameters)
    dense, products = columns.numpy(), JacobianProducts(curves, parameters)
    random = np.random.default_rng(1)
    for _ in range(3):
        v, u = random.normal(size=3), random.normal(size=10)
        assert products.forward(v) == pytest.approx(dense @ v, rel=1e-12)
        assert products.adjoint(u) == pytest.approx(dense.T @ u, rel=1e-12)
    assert products.shape == (10, 3)
    assert products.lengths() == pytest.approx(np.linalg.norm(dense, axis=0), rel=0.5)


def bumps(rows: int, count: int) -> tuple[SheetModel, np.ndarray, np.ndarray]:
    """Heights of many bumps, whose sum is to follow a curve; and the matrix and the curve."""
    random = np.random.default_rng(0)
    x, centres = np.linspace(0, 1, rows), np.linspace(0, 1, count)
    matrix = np.exp(-(((x[:, None] - centres) * count) ** 2))
    y = np.sin(12 * x) * np.exp(x) + 0.01 * random.normal(size=rows)
    last = column_letters(5 + count)
    cells = {
        "A1": [[0.1]] * count,
        "D1": [[float(item)] for item in y],
        "F1": [[float(item) for item in row] for row in matrix],
        f"E1:E{rows}": f"{{=MMULT(F1:{last}{rows},A1:A{count})}}",
        "A999": f"=SUMXMY2(D1:D{rows},E1:E{rows})",
    }
    return compiled(cells, f"A1:A{count}", "A999"), matrix, y


def test_more_than_two_hundred_parameters() -> None:
    """The minimum is that of numpy's least squares."""
    trained, matrix, y = bumps(400, 220)
    session = Session(trained)
    session.run()
    assert (session.plan.optimizer_name, session.stopped) == ("least squares", "converged")
    assert session.plan.steps == 200
    best, rest, *_ = np.linalg.lstsq(matrix, y, rcond=None)
    assert session.loss == pytest.approx(float(rest[0]), rel=1e-6)
    assert matrix @ np.array(values(trained)) == pytest.approx(matrix @ best, abs=1e-4)


@shared_data("nist")
@pytest.mark.parametrize("name", ["Misra1a", "Nelson"])
def test_curves_by_products_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "_MOST_PARAMETERS", 0)
    monkeypatch.setattr(convergence, "_MOST_PARAMETERS", 0)
    trained, certified = nist(name, 2)
    session = Session(trained)
    assert session._run.fit is not None
    assert session._run.fit.large
    session.run()
    assert session.stopped == "converged"
    assert digits(values(trained), certified) >= 6


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "_MOST_PARAMETERS", 0)
    random = np.random.default_rng(0)
    matrix, target = random.normal(size=(20, 3)), random.normal(size=20)
    lower, upper = np.array([0.1, -1.0, -np.inf]), np.array([1.0, 0.05, 2.0])
    rows, wanted = torch.from_numpy(matrix), torch.from_numpy(target)
    fit = LeastSquares(lambda p: rows @ p - wanted, [torch.tensor([0.5, 0.0, 0.0]).double()], lower, upper)
    assert fit.suits()
    assert fit.large
    *_, found = fit.steps()
    assert found == pytest.approx(lsq_linear(matrix, target, (lower, upper), tol=1e-14).x, abs=1e-6)


@shared_data("nist")
def test_a_bad_point_is_no_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convergence, "_MOST_PARAMETERS", 0)
    trained, _ = nist("Misra1a", 2)
    assert not Session(trained).solution().verdict.converged
