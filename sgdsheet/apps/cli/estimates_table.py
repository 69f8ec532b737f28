"""The statistics of a fit on a terminal, and for `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sgdsheet.apps.cli.common import shown

if TYPE_CHECKING:
    from sgdsheet.analysis.reporting.fitted_model import FittedModel

_MOST_LINES = 12
"""Parameters up to which a terminal shows a table."""


def as_json(fitted: FittedModel | None) -> dict[str, Any]:
    """The keys of the contract; nothing for a loss that has no statistics."""
    if fitted is None or (fitted.statistics is None and not fitted.notes):
        return {}
    statistics = fitted.statistics
    if statistics is None:
        return {"r_squared": None, "estimates": None, "fit": {"notes": fitted.notes}}
    estimates = [
        {
            "cell": str(cell),
            "value": item.value,
            "standard_error": item.standard_error,
            "statistic": item.statistic,
            "p_value": item.p_value,
            "low": item.low,
            "high": item.high,
            "missing": item.missing or None,
        }
        for cell, item in zip(fitted.cells, statistics.estimates, strict=True)
    ]
    return {
        "r_squared": statistics.r_squared,
        "estimates": estimates,
        "fit": {
            "method": statistics.method,
            "observations": statistics.count,
            "degrees_of_freedom": statistics.freedom,
            "residual_sum_of_squares": statistics.rss,
            "standard_error": statistics.deviation,
            "adjusted_r_squared": statistics.adjusted,
            "log_likelihood": statistics.log_likelihood,
            "aic": statistics.aic,
            "bic": statistics.bic,
            "notes": fitted.notes,
        },
    }


def as_lines(fitted: FittedModel) -> list[str]:
    """A small table for a terminal, in rich's markup; for very many parameters one line.

    Where there are no statistics, it is the notes about them.
    """
    statistics = fitted.statistics
    if statistics is None:
        return [shown(note) for note in fitted.notes]
    figures = [f"R² {statistics.r_squared:.6g}"] if statistics.r_squared is not None else []
    if statistics.deviation is not None:
        figures.append(f"standard error of the regression {statistics.deviation:.6g}")
    if statistics.method != "least squares":
        figures.append(f"log-likelihood {statistics.log_likelihood:.8g}")
    if statistics.count is not None:
        figures.append(f"{statistics.count:,} observations")
    lines = [", ".join(figures)] if figures else []
    if len(fitted.cells) > _MOST_LINES:
        return [*lines, "standard errors of all parameters: --report or --json", *map(shown, fitted.notes)]
    rows = [("", "estimate", "standard error", "95 % interval")]
    for cell, item in zip(fitted.cells, statistics.estimates, strict=True):
        if item.standard_error is None or item.low is None or item.high is None:
            rows.append((str(cell), f"{item.value:.6g}", item.missing, ""))
        else:
            interval = f"{item.low:.6g} … {item.high:.6g}"
            rows.append((str(cell), f"{item.value:.6g}", f"{item.standard_error:.4g}", interval))
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    table = [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
    return [*lines, *(shown(line.rstrip()) for line in table), *(shown(note) for note in fitted.notes)]
