"""Gradient and step in cells, for weighted sums whose loss is the mean of the squared errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sgdsheet.apps.examples.style import DATA, LOSS, PREDICTION, Formula, Page, mark


class Sums(NamedTuple):
    """Where everything stands: the columns of the features have their weights above them, one row per unit.

    `units` are the columns of the units' values where these are cut off at zero; where there are none, the one sum is
    the prediction.
    """

    rows: range
    names: Sequence[str]
    features: Sequence[str]
    weights: Sequence[int]
    prediction: str
    truth: str
    rate: str
    units: Sequence[str] = ()

    def cells(self, column: str) -> str:
        return f"${column}${self.rows[0]}:${column}${self.rows[-1]}"


def by_hand(page: Page, top: int, columns: Sequence[str], sums: Sums) -> int:
    """A row per weight below `top`, in up to five columns: name, gradients, and the weights after a step.

    Returns the last row.
    """
    error = f"({sums.cells(sums.prediction)}-{sums.cells(sums.truth)})"
    factors = [f"{error}*({sums.cells(unit)}>0)" for unit in sums.units] or [error]
    several = len(factors) > 1
    page.header(f"{columns[0]}{top}", "weight", DATA)
    for row, name in enumerate(sums.names, top + 1):
        page.cell(f"{columns[0]}{row}", name.replace("\n", " "), DATA, align="center")
    for number, (factor, weights) in enumerate(zip(factors, sums.weights, strict=True)):
        gradient, after = columns[1 + number], columns[1 + len(factors) + number]
        of = f" {number + 1}" if several else ""
        page.header(f"{gradient}{top}", mark(4, f"gradient{of}"), LOSS)
        page.header(f"{after}{top}", mark(5, f"next{of}"), PREDICTION)
        for row, feature in enumerate(sums.features, top + 1):
            slope = Formula(f"=2*SUMPRODUCT({factor}*{sums.cells(feature)})/{len(sums.rows)}")
            page.cell(f"{gradient}{row}", slope, LOSS, "#,##0.0000", align="center")
            step = Formula(f"={feature}{weights}-{sums.rate}*{gradient}{row}")
            page.cell(f"{after}{row}", step, PREDICTION, "0.000000", bold=True, align="center")
    last = top + len(sums.names) + 2
    mean = mark(4, f"2·mean(error·feature){' where the unit is not 0' if several else ''}")
    page.label(f"{columns[0]}{last - 1}", mean)
    page.label(f"{columns[0]}{last}", mark(5, "old − learning rate × gradient, as sgd does"))
    return last
