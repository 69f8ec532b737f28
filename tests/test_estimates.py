"""Standard errors and what belongs to them: against certified values, closed forms, and figures of statsmodels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sgdsheet.analysis.reporting.fitted_model import FittedModel, fitted_model
from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.session import Session
from tests.cli_books import line_book, run
from tests.shared_data import shared_data
from tests.sheets import compiled
from tests.solver_models import AT_MOST, EQUAL, MIN, workbook
from tests.test_endings import FORMULAS, NIST, digits, nist
from tests.training_books import write

X = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
Y = [2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1]
WEIGHTS = [1.0, 2.0, 1.0, 3.0, 1.0, 2.0, 4.0, 1.0]
LINE = "=$A$1+$A$2*C{r}"


def column(values: Any) -> list[list[Any]]:
    return [[item] for item in values]


def fill(area: str, formula: str) -> dict[str, str]:
    """A formula for each row of an area, with `{r}` for the row."""
    (letter, first), last = re.match(r"([A-Z]+)(\d+)", area).groups(), area.rpartition(":")[2]  # type: ignore[union-attr]
    rows = range(int(first), int(last.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) + 1)
    return {f"{letter}{row}": formula.replace("{r}", str(row)) for row in rows}


def line_cells(loss: str = "=SUM(F1:F8)", square: str = "=(D{r}-E{r})^2", **more: Any) -> dict[str, Any]:
    return {
        "A1": 0.5,
        "A2": 0.5,
        "C1": column(X),
        "D1": column(Y),
        "G1": column(WEIGHTS),
        **fill("E1:E8", LINE),
        **fill("F1:F8", square),
        "Z1": loss,
        **more,
    }


def fitted(model: SheetModel, **options: Any) -> FittedModel:
    session = Session(model, **options)
    session.run()
    return fitted_model(session.solution())


def errors(found: FittedModel) -> list[float | None]:
    assert found.statistics is not None, found.notes
    return [item.standard_error for item in found.statistics.estimates]


def intervals(found: FittedModel) -> list[tuple[float | None, float | None]]:
    assert found.statistics is not None
    return [(item.low, item.high) for item in found.statistics.estimates]


# --- certified ------------------------------------------------------------------------------------------


def certified_errors(name: str) -> tuple[list[float], float]:
    """The certified standard errors and residual standard deviation."""
    text = (NIST / f"{name}.dat").read_text(encoding="ascii")
    found = [float(item) for item in re.findall(r"^\s+b\d+ =\s+\S+\s+\S+\s+\S+\s+(\S+)", text, re.M)]
    deviation = re.search(r"Residual Standard Deviation:\s+(\S+)", text)
    assert deviation is not None
    return found, float(deviation[1])


@shared_data("nist")
@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_certified_standard_errors(name: str, start: int) -> None:
    model, _ = nist(name, start)
    found = fitted(model)
    certified, deviation = certified_errors(name)
    numbers = [item for item in errors(found) if item is not None]
    assert digits(numbers, certified) >= 8
    assert found.statistics is not None
    assert found.statistics.deviation == pytest.approx(deviation, rel=1e-9)


# --- lines ----------------------------------------------------------------------------------------------


def test_a_line() -> None:
    """As statsmodels 0.14 says: OLS(Y, add_constant(X)).fit()."""
    found = fitted(compiled(line_cells(), "A1:A2"))
    statistics = found.statistics
    assert statistics is not None
    assert errors(found) == pytest.approx([0.140385362081, 0.027800444267], rel=1e-9)
    assert intervals(found)[0] == pytest.approx((-0.307796320489, 0.379224891918), rel=1e-9)
    assert intervals(found)[1] == pytest.approx((1.929593811075, 2.065644284163), rel=1e-9)
    assert [item.statistic for item in statistics.estimates] == pytest.approx([0.254401777969, 71.855651961599])
    assert [item.p_value for item in statistics.estimates] == pytest.approx([8.076796670633e-01, 4.888933612555e-10])
    assert statistics.r_squared == pytest.approx(0.9988392866011389, rel=1e-12)
    assert statistics.adjusted == pytest.approx(0.9986458343679954, rel=1e-12)
    assert statistics.log_likelihood == pytest.approx(3.5101677717568123, rel=1e-9)
    assert (statistics.count, statistics.freedom, statistics.centred) == (8, 6, True)
    # R counts the variance: AIC = 2 (2 + 1) - 2 log-likelihood
    assert statistics.aic == pytest.approx(6 - 2 * 3.5101677717568123, rel=1e-9)
    assert statistics.bic == pytest.approx(3 * np.log(8) - 2 * 3.5101677717568123, rel=1e-9)
    assert statistics.observed == pytest.approx(Y)
    assert statistics.fitted == pytest.approx(np.array(Y) - statistics.residuals)


SAME = {
    "mean": "=AVERAGE(F1:F8)",
    "root of the mean": "=SQRT(AVERAGE(F1:F8))",
    "half, and a constant": "=SUM(F1:F8)/2+3",
    "differences": "=SUMXMY2(D1:D8,E1:E8)",
    "in two parts": "=SUM(F1:F3)+SUM(F4:F8)",
}


@pytest.mark.parametrize("form", SAME)
def test_however_the_sum_is_written(form: str) -> None:
    found = fitted(compiled(line_cells(SAME[form]), "A1:A2"))
    assert errors(found) == pytest.approx([0.140385362081, 0.027800444267], rel=1e-9)
    assert found.statistics is not None
    assert found.statistics.r_squared == pytest.approx(0.9988392866011389, rel=1e-12)
    assert found.statistics.rss == pytest.approx(6 * 0.03246031746031746, rel=1e-9)


@pytest.mark.parametrize(
    ("square", "loss"),
    [
        ("=(E{r}-D{r})^2", "=SUMPRODUCT(F1:F8,G1:G8)"),
        ("=(E{r}-D{r})^2", "=SUMPRODUCT(F1:F8,G1:G8)/SUM(G1:G8)"),
        ("=(D{r}-E{r})*SQRT(G{r})", "=SUMSQ(F1:F8)"),
        ("=(D{r}-$A$1-$A$2*C{r})/(1/SQRT(G{r}))", "=SUMSQ(F1:F8)"),
    ],
)
def test_weights(square: str, loss: str) -> None:
    """As statsmodels 0.14 says: WLS(Y, add_constant(X), WEIGHTS).fit()."""
    found = fitted(compiled(line_cells(loss, square), "A1:A2"))
    assert errors(found) == pytest.approx([0.169109454688, 0.031845152645], rel=1e-8)
    assert found.statistics is not None
    if loss != "=SUMPRODUCT(F1:F8,G1:G8)/SUM(G1:G8)":  # where the weights are known but for a factor
        assert found.statistics.log_likelihood == pytest.approx(2.447467635871061, rel=1e-8)
    assert found.statistics.r_squared == pytest.approx(0.998467767444698, rel=1e-9)
    assert found.statistics.adjusted == pytest.approx(0.9982123953521477, rel=1e-9)
    assert any("weights are taken as relative" in note for note in found.notes)


def test_several_columns() -> None:
    """The closed form s² (X'X)⁻¹ of a cubic, its correlations, AIC and BIC, calculated with NumPy alone."""
    formula = "=$A$1+$A$2*C{r}+$A$3*C{r}^2+$A$4*C{r}^3"
    found = fitted(compiled(line_cells(A1=column([0.1, 0.1, 0.1, 0.1]), **fill("E1:E8", formula)), "A1:A4"))
    design, y = np.vander(X, 4, increasing=True), np.array(Y)
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    rss = float(((y - design @ beta) ** 2).sum())
    covariance = rss / 4 * np.linalg.inv(design.T @ design)
    expected = np.sqrt(np.diag(covariance))
    statistics = found.statistics
    assert statistics is not None
    assert [item.value for item in statistics.estimates] == pytest.approx(beta, rel=1e-8)
    assert errors(found) == pytest.approx(expected, rel=1e-8)
    reach = stats.t.ppf(0.975, 4) * expected
    assert [item.high for item in statistics.estimates] == pytest.approx(beta + reach, rel=1e-8)
    assert statistics.correlation == pytest.approx(covariance / np.outer(expected, expected), rel=1e-7)
    likelihood = stats.norm.logpdf(y - design @ beta, scale=np.sqrt(rss / 8)).sum()
    assert statistics.aic == pytest.approx(2 * 5 - 2 * likelihood, rel=1e-9)
    assert statistics.bic == pytest.approx(5 * np.log(8) - 2 * likelihood, rel=1e-9)


def test_through_the_origin() -> None:
    """As statsmodels 0.14, R and LINEST say: R² compares with 0."""
    found = fitted(compiled(line_cells(**fill("E1:E8", "=$A$2*C{r}")), "A2"))
    assert errors(found) == pytest.approx([0.011741340008], rel=1e-9)
    assert found.statistics is not None
    assert not found.statistics.centred
    assert found.statistics.r_squared == pytest.approx(0.9997597476872125, rel=1e-10)
    assert found.statistics.adjusted == pytest.approx(0.9997254259282429, rel=1e-10)
    assert any("compares with 0" in note for note in found.notes)


BLANK = {
    "0 for an empty row": '=IF(D{r}="",0,(D{r}-E{r})^2)',
    "empty text for an empty row": '=IF(D{r}="","",(D{r}-E{r})^2)',
}


@pytest.mark.parametrize("form", BLANK)
def test_empty_rows_are_no_observations(form: str) -> None:
    more = {**fill("E1:E12", LINE), **fill("F1:F12", BLANK[form]), "C9": column([9.0, 10.0, 11.0, 12.0])}
    found = fitted(compiled(line_cells("=SUM(F1:F12)", **more), "A1:A2"))
    assert errors(found) == pytest.approx([0.140385362081, 0.027800444267], rel=1e-9)
    assert found.statistics is not None
    assert found.statistics.count == 8
    assert found.statistics.residuals is not None
    assert len(found.statistics.residuals) == 8


def test_any_optimizer_that_arrives() -> None:
    found = fitted(compiled(line_cells(), "A1:A2"), optimizer="lbfgs")
    assert errors(found) == pytest.approx([0.140385362081, 0.027800444267], rel=1e-6)
    short = fitted(compiled(line_cells(), "A1:A2"), optimizer="sgd", learning_rate=1e-5, steps=3)
    assert short.statistics is None
    assert "the parameters are not at a minimum" in short.notes[0]


def test_single_precision_has_too_few_digits() -> None:
    from sgdsheet import compile
    from tests.sheets import HOME, book

    trained = compile(book(line_cells()), HOME, loss="Z1", params="A1:A2", precision="float32")
    found = fitted(trained)
    assert found.statistics is None
    assert "float32" in found.notes[0]


# --- where something is missing ---------------------------------------------------------------------------


def test_a_parameter_on_a_bound_is_fixed(tmp_path: Path) -> None:
    """The other one's standard error is that of a line with this one given."""
    import sgdsheet

    book = workbook(tmp_path, line_cells(), "Z1", "A1:A2", MIN, [("A2", AT_MOST, 1.5)], neg=2)
    found = fitted(sgdsheet.compile(book))
    residuals = np.array(Y) - 1.5 * np.array(X)
    expected = residuals.std(ddof=1) / np.sqrt(8)
    assert errors(found) == [pytest.approx(expected, rel=1e-6), None]
    assert found.statistics is not None
    assert found.statistics.estimates[1].missing == "on a bound"
    assert any("Model!A2 is on a bound" in note for note in found.notes)


def test_a_constraint_that_holds_with_equality(tmp_path: Path) -> None:
    """With a + 2 b given, the line has one parameter: y - c = b (x - 2), if a + 2 b = c."""
    import sgdsheet

    cells = line_cells(H1="=A1+2*A2")
    book = workbook(tmp_path, cells, "Z1", "A1:A2", MIN, [("H1", EQUAL, 4.5)], neg=2)
    found = fitted(sgdsheet.compile(book))
    x, y = np.array(X) - 2, np.array(Y) - 4.5
    slope = x @ y / (x @ x)
    error = np.sqrt(((y - slope * x) ** 2).sum() / 7 / (x @ x))
    assert errors(found) == pytest.approx([2 * error, error], rel=1e-6)
    assert any("take it for certain" in note for note in found.notes)


def test_a_minimum_under_a_constraint_is_known_again(tmp_path: Path) -> None:
    """As the button in an open spreadsheet looks at it: without a run before."""
    import sgdsheet

    book = workbook(tmp_path, line_cells(H1="=A1+2*A2"), "Z1", "A1:A2", MIN, [("H1", EQUAL, 4.5)], neg=2)
    model = sgdsheet.compile(book)
    Session(model).run()
    again = fitted_model(Session(model, trust_formulas=True).solution())
    assert again.statistics is not None, again.notes
    book = workbook(tmp_path, line_cells(H1="=A1+2*A2"), "Z1", "A1:A2", MIN, [("H1", EQUAL, 4.5)], neg=2)
    start = fitted_model(Session(sgdsheet.compile(book), trust_formulas=True).solution())
    assert "a constraint does not hold" in start.notes[0]


def test_a_parameter_that_does_nothing() -> None:
    found = fitted(compiled(line_cells(A3=1.0, **fill("E1:E8", LINE + "+0*$A$3")), "A1:A3"))
    assert errors(found) == [pytest.approx(0.140385362081), pytest.approx(0.027800444267), None]
    assert any("Sheet1!A3 does nothing here" in note for note in found.notes)
    assert found.statistics is not None
    assert found.statistics.freedom == 6


def test_two_parameters_that_do_the_same() -> None:
    found = fitted(compiled(line_cells(A3=1.0, **fill("E1:E8", "=$A$1+($A$2+$A$3)*C{r}")), "A1:A3"))
    assert errors(found) == [pytest.approx(0.140385362081), None, None]
    assert any("Sheet1!A2 and Sheet1!A3 can change together" in note for note in found.notes)


def test_what_belongs_together_is_told_apart() -> None:
    """Two sums, and one that does nothing: a sentence for each."""
    cells = line_cells(A1=column([0.1, 0.2, 0.3, 0.4, 0.5]), **fill("E1:E8", "=$A$1+$A$2+($A$3*$A$4)*C{r}+0*$A$5"))
    found = fitted(compiled(cells, "A1:A5"))
    assert errors(found) == [None] * 5
    assert found.statistics is not None
    assert (found.statistics.groups, found.statistics.freedom) == (((0, 1), (2, 3), (4,)), 6)
    together = [note.partition(" can change together")[0] for note in found.notes if "together" in note]
    assert together == ["Sheet1!A1 and Sheet1!A2", "Sheet1!A3 and Sheet1!A4"]
    assert any(note.startswith("Sheet1!A5 does nothing here") for note in found.notes)


def test_a_penalty_is_no_observation() -> None:
    found = fitted(compiled(line_cells("=SUM(F1:F8)+0.1*SUMSQ(A1:A2)"), "A1:A2"))
    assert found.statistics is None
    assert "penalty" in found.notes[0]


def test_a_penalty_with_the_weight_of_an_observation() -> None:
    found = fitted(compiled(line_cells("=SUM(F1:F8)+SUMSQ(A1:A2)"), "A1:A2"))
    assert found.statistics is None
    assert "penalty" in found.notes[0]


def test_squares_added_one_by_one(tmp_path: Path) -> None:
    """Those of a distance are no fit; those of the rows of a table are."""
    cells = {"A1": 0.0, "A2": 0.0, "Z1": "=(A1-3)^2+(A2-4)^2+(A1+A2-1)^2"}
    found = fitted(compiled(cells, "A1:A2"))
    assert (found.statistics, found.notes) == (None, [])
    rows = fitted(compiled(line_cells("=F1+F2+F3+F4+F5+F6+F7+F8"), "A1:A2"))
    assert errors(rows) == pytest.approx([0.140385362081, 0.027800444267], rel=1e-9)
    assert rows.statistics is not None
    assert rows.statistics.r_squared == pytest.approx(0.9988392866011389)


def test_a_line_through_all_points() -> None:
    found = fitted(compiled(line_cells(D1=column([2 * x + 1 for x in X])), "A1:A2"))
    assert errors(found) == [0, 0]
    assert found.statistics is not None
    assert (found.statistics.aic, found.statistics.estimates[0].statistic) == (None, None)
    assert found.statistics.r_squared == pytest.approx(1)
    assert any("goes through all observations" in note for note in found.notes)


def test_equations_are_no_fit() -> None:
    cells = {"A1": -1.0, "A2": 1.0, "Z1": "=(1-A1)^2+100*(A2-A1^2)^2"}
    found = fitted(compiled(cells, "A1:A2"))
    assert found.statistics is None
    assert not found.notes


# --- likelihoods ----------------------------------------------------------------------------------------

HOURS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 4, 4.25, 4.5, 4.75, 5, 5.5]
PASSED = [0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]


def logit(label: str, loss: str, row: str, *, maximize: bool) -> SheetModel:
    cells = {
        "A1": 0.1,
        "A2": 0.1,
        "C1": column(HOURS),
        "D1": column(PASSED),
        **fill("E1:E20", "=1/(1+EXP(-($A$1+$A$2*C{r})))"),
        **fill("F1:F20", row),
        "Y1": label,
        "Z1": loss,
    }
    from sgdsheet import compile
    from tests.sheets import HOME, book

    return compile(book(cells), HOME, loss="Z1", params="A1:A2", maximize=maximize)


BERNOULLI = "=D{r}*LN(E{r})+(1-D{r})*LN(1-E{r})"
LOGITS = {
    "maximised": ("Log-likelihood", "=SUM(F1:F20)", BERNOULLI, True),
    "its negative": ("Negative log-likelihood", "=-SUM(F1:F20)", BERNOULLI, False),
    "mean": ("Cross-entropy", "=-AVERAGE(F1:F20)", BERNOULLI, False),
    "deviance": ("Deviance", "=-2*SUM(F1:F20)", BERNOULLI, False),
    "doubled in the rows": ("-2LL", "=SUM(F1:F20)", "=-2*IF(D{r}=1,LN(E{r}),LN(1-E{r}))", False),
}


@pytest.mark.parametrize("form", LOGITS)
def test_logistic_regression(form: str) -> None:
    """As statsmodels 0.14 says: Logit(PASSED, add_constant(HOURS)).fit()."""
    label, loss, row, maximize = LOGITS[form]
    found = fitted(logit(label, loss, row, maximize=maximize))
    statistics = found.statistics
    assert statistics is not None, found.notes
    assert [item.value for item in statistics.estimates] == pytest.approx([-4.077713431088, 1.504645428373], rel=1e-5)
    assert errors(found) == pytest.approx([1.760994314156, 0.628720845945], rel=1e-4)
    assert intervals(found)[0] == pytest.approx((-7.529198863814, -0.626227998361), rel=1e-4)
    assert statistics.log_likelihood == pytest.approx(-8.029878464344675, rel=1e-9)
    assert statistics.aic == pytest.approx(20.05975692868935, rel=1e-9)
    assert statistics.bic == pytest.approx(22.05122147579733, rel=1e-9)
    assert (statistics.count, statistics.method) == (20, "maximum likelihood")


def test_the_information_of_a_logistic_regression() -> None:
    """X'WX with the weights p (1 - p), at the maximum that Newton's steps find on their own."""
    statistics = fitted(logit(*LOGITS["its negative"][:3], maximize=False)).statistics
    assert statistics is not None
    x, y = np.column_stack([np.ones(20), HOURS]), np.array(PASSED)
    beta = np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ beta))
        information = x.T @ (x * (p * (1 - p))[:, None])
        beta += np.linalg.solve(information, x.T @ (y - p))
    covariance = np.linalg.inv(information)
    expected = np.sqrt(np.diag(covariance))
    assert [item.standard_error for item in statistics.estimates] == pytest.approx(expected, rel=1e-8)
    assert statistics.correlation[0, 1] == pytest.approx(covariance[0, 1] / np.prod(expected), rel=1e-8)


LOOSE = {
    "a sum": ("=1/(1+EXP(-($A$1+$A$2+$A$3*C{r})))", ["Sheet1!A1 and Sheet1!A2"], 2),
    "a product": ("=1/(1+EXP(-($A$1+$A$2*$A$3*C{r})))", ["Sheet1!A2 and Sheet1!A3"], 0),
    "the same column twice": ("=1/(1+EXP(-($A$1+$A$2*C{r}+$A$3*2*C{r})))", ["Sheet1!A2 and Sheet1!A3"], 0),
}


@pytest.mark.parametrize("label", ["Log-likelihood", "Total"])
@pytest.mark.parametrize("form", LOOSE)
def test_a_likelihood_that_does_not_tell_parameters_apart(form: str, label: str) -> None:
    """No figure is an error of 10⁷: rounding is no information. Of any other loss there is a line as well."""
    formula, named, known = LOOSE[form]
    cells = {
        "A1": column([0.1, 0.2, 0.3]),
        "C1": column(HOURS),
        "D1": column(PASSED),
        **fill("E1:E20", formula),
        **fill("F1:F20", BERNOULLI),
        "Y1": label,
        "Z1": "=-SUM(F1:F20)",
    }
    found = fitted(compiled(cells, "A1:A3"))
    assert [note.partition(" can change together")[0] for note in found.notes if "together" in note] == named
    if label == "Total":
        assert found.statistics is None
        return
    determined = [place for place, item in enumerate(errors(found)) if item is not None]
    assert determined == [known]
    assert errors(found)[known] == pytest.approx([1.760994314156, 0, 0.628720845945][known], rel=1e-6)


def test_poisson_regression() -> None:
    """As statsmodels 0.14 says: GLM(counts, add_constant(1..12), family=Poisson()).fit()."""
    cells = {
        "A1": 0.1,
        "A2": 0.1,
        "C1": column(range(1, 13)),
        "D1": column([2, 1, 3, 3, 5, 4, 8, 9, 9, 14, 15, 22]),
        **fill("E1:E12", "=EXP($A$1+$A$2*C{r})"),
        **fill("F1:F12", "=D{r}*LN(E{r})-E{r}-GAMMALN(D{r}+1)"),
        "Z1": "=-SUM(F1:F12)",
        "Y1": "NLL",
    }
    found = fitted(compiled(cells, "A1:A2"))
    assert errors(found) == pytest.approx([0.33425362547, 0.03547092277], rel=1e-5)
    statistics = found.statistics
    assert statistics is not None
    assert statistics.log_likelihood == pytest.approx(-22.75391503920615, rel=1e-9)
    assert statistics.aic == pytest.approx(49.5078300784123, rel=1e-9)
    assert statistics.bic == pytest.approx(50.4776433779883, rel=1e-9)


@pytest.mark.parametrize("loss", ["=-SUM(J1:K20)", "=-AVERAGE(J1:K20)", "=-SUM(J1:K20)/20"])
def test_a_column_per_class(loss: str) -> None:
    """A 1 for the observed class and 0 for the other one: there are as many observations as rows, not as cells."""
    cells: dict[str, Any] = {"A1": 0.1, "A2": 0.1, "C1": column(HOURS), "D1": column(PASSED), "E1:E20": "=1-D1"}
    cells |= {"G1:G20": "=1/(1+EXP(-($A$1+$A$2*C1)))", "H1:H20": "=1-G1", "J1:K20": "=D1*LN(G1)"}
    statistics = fitted(compiled(cells | {"Y1": "Cross-entropy", "Z1": loss}, "A1:A2")).statistics
    assert statistics is not None
    assert statistics.log_likelihood == pytest.approx(-8.029878464344675, rel=1e-9)
    assert (statistics.count, statistics.bic) == (20, pytest.approx(22.05122147579733, rel=1e-9))


def test_a_normal_sample() -> None:
    """The information of mean and deviation is n/s² and 2n/s², with s² = RSS/n."""
    cells = {
        "A1": 5.0,
        "A2": 4.0,
        "D1": column(Y),
        **fill("F1:F8", "=LN(NORM.DIST(D{r},$A$1,$A$2,FALSE))"),
        "Z1": "=-SUM(F1:F8)",
        "Y1": "Negative log likelihood",
    }
    found = fitted(compiled(cells, "A1:A2"))
    deviation = float(np.std(Y))
    assert errors(found) == pytest.approx([deviation / np.sqrt(8), deviation / np.sqrt(16)], rel=1e-6)
    assert found.statistics is not None
    assert found.statistics.log_likelihood == pytest.approx(stats.norm.logpdf(Y, np.mean(Y), deviation).sum())


def test_a_sum_of_logarithms_is_no_likelihood_unless_somebody_says_so() -> None:
    """Growth of wealth is one, too (Kelly)."""
    found = fitted(logit("Total", "=-SUM(F1:F20)", BERNOULLI, maximize=False))
    assert found.statistics is None
    assert not found.notes
    odd = fitted(logit("Log-likelihood", "=-SUM(F1:F20)/7", BERNOULLI, maximize=False))
    assert odd.statistics is None
    assert "neither their sum nor their mean" in odd.notes[0]


# --- what people see --------------------------------------------------------------------------------------


def test_json(tmp_path: Path) -> None:
    """The keys of the contract."""
    path = line_book(tmp_path)
    found = run("train", path, "--json").json
    x, y = np.array([0.0, 1, 2, 3, 4]), np.array([1.1, 2.9, 5.2, 6.8, 9.1])
    expected = stats.linregress(x, y)
    slope, intercept = found["estimates"]
    assert found["r_squared"] == pytest.approx(expected.rvalue**2)
    assert (slope["cell"], intercept["cell"]) == ("Model!E1", "Model!E2")
    assert slope["value"] == pytest.approx(expected.slope)
    assert slope["standard_error"] == pytest.approx(expected.stderr)
    assert intercept["standard_error"] == pytest.approx(expected.intercept_stderr)
    reach = stats.t.ppf(0.975, 3) * expected.stderr
    assert (slope["low"], slope["high"]) == pytest.approx((expected.slope - reach, expected.slope + reach))
    assert found["fit"]["degrees_of_freedom"] == 3


def test_a_loss_of_another_kind_has_none(tmp_path: Path) -> None:
    path = line_book(tmp_path, {"E4": "=MAX(D2:D6)"})
    assert "estimates" not in run("train", path, "--json").json


def test_the_table_on_a_terminal(tmp_path: Path) -> None:
    out = run("train", line_book(tmp_path)).out
    assert "R² 0.99" in out
    assert re.search(r"Model!E1 +1\.99 +0\.0\d+ +1\.\d+ … 2\.\d+", out)
    cells = line_cells(A3=1.0, **fill("E1:E8", LINE + "+0*$A$3"))
    path = write(tmp_path / "loose.xlsx", cells, {"sgd_loss": "Z1", "sgd_params": "A1:A3"})
    assert "Model!A3 does nothing here" in " ".join(run("train", path).out.split())
