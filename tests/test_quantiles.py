"""Inverses of distributions in a program: their values beside SciPy's, their derivatives beside differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped]
import torch
from scipy.special import betainc, chdtri  # type: ignore[import-untyped]

from sgdsheet.compiler.program import Program
from tests.sheets import book, compiled, differences, lowered

SHARES = (1e-12, 1e-5, 0.02, 0.3, 0.5, 0.5 + 1e-9, 0.7, 0.98, 1 - 1e-5, 1 - 1e-10)
SHAPES = (0.05, 0.5, 1.0, 2.5, 30.0, 2000.0)


def program(formula: str, **columns: list[float]) -> tuple[Program, torch.nn.Module]:
    """The formula for each row, where A, B and C are parameters."""
    rows = len(next(iter(columns.values())))
    cells = {f"{name.upper()}1": values for name, values in columns.items()}
    made = lowered(
        book({**cells, f"E1:E{rows}": f"={formula}", "Z1": f"=SUM(E1:E{rows})"}),
        [f"{name.upper()}1:{name.upper()}{rows}" for name in columns],
        "Z1",
    )
    block = next(value for block, value in made.results if block.range.first.column == 5)
    return made, made.module(block.data)


def grid() -> dict[str, list[float]]:
    pairs = [(share, shape) for share in SHARES for shape in SHAPES]
    return {"a": [share for share, _ in pairs], "b": [shape for _, shape in pairs]}


def test_the_gamma_quantile_is_scipys_in_a_program() -> None:
    cells = grid()
    _, module = program("GAMMA.INV(A1,B1,3)", **cells)
    expected = scipy.stats.gamma.ppf(cells["a"], cells["b"], scale=3.0)
    found = module().detach().numpy()
    usable = expected > 1e-290
    np.testing.assert_allclose(found[usable], expected[usable], rtol=2e-9)
    assert np.all(found[~usable] < 1e-280)


@pytest.mark.parametrize("other", [0.4, 3.0, 500.0])
def test_below_the_beta_quantile_lies_the_share(other: float) -> None:
    cells = grid()
    _, module = program(f"BETA.INV(A1,B1,{other})", **cells)
    found = module().detach().numpy()
    shares = betainc(np.array(cells["b"]), other, found)
    usable = (found > 1e-280) & (found < 1.0 - 1e-7)
    np.testing.assert_allclose(shares[usable], np.array(cells["a"])[usable], rtol=1e-8)


@pytest.mark.parametrize(
    ("formula", "quantile"),
    [
        ("T.INV(A1,1)", lambda p: scipy.stats.t.ppf(p, 1)),
        ("T.INV(A1,7)", lambda p: scipy.stats.t.ppf(p, 7)),
        ("T.INV(A1,400)", lambda p: scipy.stats.t.ppf(p, 400)),
        ("TINV(A1,5)", lambda p: scipy.stats.t.isf(p / 2, 5)),
        ("F.INV(A1,4,9)", lambda p: scipy.stats.f.ppf(p, 4, 9)),
        ("CHISQ.INV(A1,3)", lambda p: scipy.stats.chi2.ppf(p, 3)),
        ("CHIINV(A1,60)", lambda p: scipy.stats.chi2.isf(p, 60)),
    ],
)
def test_quantiles_with_degrees_of_freedom(formula: str, quantile: object) -> None:
    _, module = program(formula, a=list(SHARES))
    expected = quantile(np.array(SHARES))  # type: ignore[operator]
    np.testing.assert_allclose(module().detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("GAMMA.INV(A1,B1,C1)", {"a": [0.1, 0.6, 0.97], "b": [0.7, 4.0, 50.0], "c": [1.0, 2.0, 0.5]}),
        ("BETA.INV(A1,B1,C1)", {"a": [0.1, 0.6, 0.97], "b": [0.7, 4.0, 50.0], "c": [1.5, 2.0, 0.6]}),
        ("T.INV(A1,6)", {"a": [0.1, 0.5, 0.999]}),
        ("F.INV.RT(A1,3,8)", {"a": [0.1, 0.5, 0.9]}),
        ("RATE(60,A1,B1,C1)", {"a": [-20.0, -25.0], "b": [1000.0, 900.0], "c": [0.0, 50.0]}),
        ("IRR(A1:C1)", {"a": [-100.0, -90.0], "b": [60.0, 50.0], "c": [70.0, 60.0]}),
        ("YIELD(40000,45000,A1,B1,C1,2)", {"a": [0.05, 0.02], "b": [95.0, 103.0], "c": [100.0, 110.0]}),
    ],
)
def test_first_and_second_derivatives_are_those_of_differences(formula: str, columns: dict[str, list[float]]) -> None:
    made, module = program(formula, **columns)
    tensors = list(made.parameters.values())
    first = torch.autograd.grad(module().sum(), tensors, create_graph=True)

    class Slopes(torch.nn.Module):
        def forward(self) -> torch.Tensor:
            with torch.enable_grad():
                for tensor in tensors:
                    tensor.requires_grad_(True)
                slopes = torch.autograd.grad(module().sum(), tensors)
            return sum((slope.sum() for slope in slopes), torch.zeros(()))

    second = torch.autograd.grad(sum(slope.sum() for slope in first), tensors)  # type: ignore[arg-type]

    class Total(torch.nn.Module):
        def forward(self) -> torch.Tensor:
            return module().sum()

    with torch.no_grad():
        for one, two in zip(first, differences(Total(), tensors, step=1e-6), strict=True):
            torch.testing.assert_close(one.detach(), two, rtol=1e-5, atol=1e-6)
        for one, two in zip(second, differences(Slopes(), tensors, step=1e-6), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [1e-30, 1e-12, 1e-4])
def test_far_in_the_upper_tail(share: float) -> None:
    """Value and derivative keep their digits where the distribution itself is 1 to all digits."""
    model = compiled({"A1": share, "Z1": "=CHISQ.INV.RT(A1,5)"}, "A1")
    expected = chdtri(5, share)
    assert model().item() == pytest.approx(expected, rel=1e-13)
    (found,) = model.gradients().values()
    assert found == pytest.approx(-1.0 / scipy.stats.chi2.pdf(expected, 5), rel=1e-10)
