"""The sections *Fit* and *Sensitivity* of a report."""

from __future__ import annotations

import math

import numpy as np

from sgdsheet.analysis.reporting.answer import MOST_ROWS, Names, shortened
from sgdsheet.analysis.reporting.estimates import FitStatistics
from sgdsheet.analysis.reporting.fitted_model import FittedModel
from sgdsheet.analysis.reporting.page import (
    UNKNOWN,
    Column,
    Entry,
    Figures,
    Kind,
    Note,
    ResidualPlot,
    Section,
    Table,
    entry,
)
from sgdsheet.analysis.reporting.sensitivity import Sensitivity
from sgdsheet.problem.solver_names import Relation
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.thinning import evenly_spaced

RESIDUALS, _BY_OBSERVATION = "Residuals", "By observation"
_TEXT, _SHORT, _RATIO = Kind.TEXT, Kind.SHORT, Kind.RATIO

_MOST_CORRELATED = 10
"""Pairs of estimates that are listed where a whole table would not fit the page."""

_MATRIX = 6
"""Parameters up to which the table of correlations fits the page."""


def fit_sections(found: FittedModel, names: Names) -> list[Section]:
    """The sections *Fit*, and *Residuals* with the table that the chart shows; none if it is no fit."""
    if found.statistics is None:
        return [Section("Fit", [Note(text) for text in found.notes])] if found.notes else []
    statistics = found.statistics
    section = Section("Fit", [_figures(statistics), _estimates(found, statistics, names)])
    if len(found.cells) > 1:
        section.parts.append(_correlations(found, statistics, names))
    section.parts.extend(Note(text) for text in found.notes)
    table = _residuals(statistics)
    if table is None:
        return [section]
    against = "fitted value" if statistics.fitted is not None else "observation"
    section.parts.append(ResidualPlot(f"Residual by {against}", table.title, *_axes(table)))
    return [section, Section(RESIDUALS, [table])]


def _axes(table: Table) -> tuple[int, int]:
    labels = [column.label for column in table.columns]
    return (labels.index("Fitted") if "Fitted" in labels else 0), labels.index("Residual")


def _figures(statistics: FitStatistics) -> Figures:
    number = Kind.NUMBER
    if statistics.method != "least squares":
        return Figures(
            [
                ("Observations", entry(statistics.count), number),
                ("Parameters estimated", entry(statistics.rank), number),
                ("Log-likelihood", entry(statistics.log_likelihood), number),
                ("AIC", entry(statistics.aic), number),
                ("BIC", entry(statistics.bic), number),
            ]
        )
    return Figures(
        [
            ("Observations", entry(statistics.count), number),
            ("Parameters estimated", entry(statistics.rank), number),
            ("Degrees of freedom", entry(statistics.freedom), number),
            ("R²", entry(statistics.r_squared), number),
            ("Adjusted R²", entry(statistics.adjusted), number),
            ("Residual sum of squares", entry(statistics.rss), number),
            ("Standard error of the regression", entry(statistics.deviation), number),
            ("Log-likelihood", entry(statistics.log_likelihood), number),
            ("AIC", entry(statistics.aic), number),
            ("BIC", entry(statistics.bic), number),
        ]
    )


def _estimates(found: FittedModel, statistics: FitStatistics, names: Names) -> Table:
    letter = "t" if statistics.method == "least squares" else "z"
    rows: list[list[Entry]] = []
    for cell, item in zip(found.cells, statistics.estimates, strict=True):
        start: list[Entry] = [names.place(cell), names.of(cell), item.value]
        if item.standard_error is None:
            rows.append([*start, item.missing, None, None, None, None])
        else:
            numbers = (item.standard_error, item.statistic, item.p_value, item.low, item.high)
            rows.append([*start, *(entry(number) for number in numbers)])
    columns = (
        *(Column("Cell", _TEXT), Column("Name", _TEXT), Column("Estimate"), Column("Standard error", _SHORT)),
        *(Column(letter, _RATIO), Column(f"P > |{letter}|", Kind.PROBABILITY)),
        *(Column("Lower 95 %"), Column("Upper 95 %")),
    )
    return Table("Estimates", columns, rows)


def _correlations(found: FittedModel, statistics: FitStatistics, names: Names) -> Table:
    cells, matrix = found.cells, statistics.correlation
    if len(cells) <= _MATRIX:
        columns = [Column("Cell", _TEXT), Column("Name", _TEXT), *(Column(names.place(cell), _RATIO) for cell in cells)]
        rows: list[list[Entry]] = [
            [names.place(cell), names.of(cell), *(entry(float(item)) for item in matrix[place, : place + 1])]
            for place, cell in enumerate(cells)
        ]
        return Table("Correlation of the estimates", columns, rows)
    pairs = [
        (float(matrix[one, two]), one, two)
        for one in range(len(cells))
        for two in range(one)
        if math.isfinite(matrix[one, two])
    ]
    pairs.sort(key=lambda pair: -abs(pair[0]))
    rows = [
        [f"{names.place(cells[two])}, {names.place(cells[one])}", _both(names, cells[two], cells[one]), value]
        for value, one, two in pairs[:_MOST_CORRELATED]
    ]
    columns = [Column("Cells", _TEXT), Column("Names", _TEXT), Column("Correlation", _RATIO)]
    return Table("Correlation of the estimates, the strongest", columns, rows)


def _both(names: Names, one: Cell, other: Cell) -> str:
    return ", ".join(text for text in (names.of(one), names.of(other)) if text)


def _residuals(statistics: FitStatistics) -> Table | None:
    """The observations with their residuals; of very many, some evenly spread."""
    residuals, fitted, observed = statistics.residuals, statistics.fitted, statistics.observed
    if residuals is None:
        return None
    columns = [Column("Observation", _TEXT)]
    series = [np.arange(1.0, len(residuals) + 1)]
    if observed is not None and fitted is not None:
        columns += [Column("Observed", Kind.SERIES), Column("Fitted", Kind.SERIES)]
        series += [observed, fitted]
    columns.append(Column("Residual", Kind.SERIES))
    series.append(residuals)
    chosen = evenly_spaced(list(range(len(residuals))), MOST_ROWS)
    part = "" if len(chosen) == len(residuals) else f" ({len(chosen):,} of {len(residuals):,})"
    rows: list[list[Entry]] = [[float(items[place]) for items in series] for place in chosen]
    return Table(_BY_OBSERVATION + part, columns, rows)


def sensitivity_section(found: Sensitivity | str, names: Names, values: dict[Cell, Value | None]) -> Section | None:
    """The section *Sensitivity*; `values` are those of cells in constraints. None if there is nothing to say."""
    if isinstance(found, str):
        return Section("Sensitivity", [Note(found)]) if found else None
    section = Section("Sensitivity")
    section.parts.append(_of_variables(found, names))
    if found.constraints:
        section.parts.append(_of_constraints(found, names, values))
    section.parts.extend(Note(text) for text in (*_explained(found), *found.notes))
    return section


def _of_variables(found: Sensitivity, names: Names) -> Table:
    columns = [Column("Cell", _TEXT), Column("Name", _TEXT), Column("Value")]
    rows: list[list[Entry]] = [
        [names.place(item.cell), names.of(item.cell), item.value, item.gradient] for item in found.variables
    ]
    if found.linear:
        labels = ("Reduced cost", "Coefficient", "May rise by", "May fall by")
        columns += [Column(label) for label in labels]
        for row, item in zip(rows, found.variables, strict=True):
            row += [entry(item.coefficient), entry(item.allowable.rise), entry(item.allowable.fall)]
    else:
        columns.append(Column("Reduced gradient"))
    title, rows = shortened("Variables", rows)
    return Table(title, columns, rows)


def _of_constraints(found: Sensitivity, names: Names, values: dict[Cell, Value | None]) -> Table:
    columns = [Column("Cell", _TEXT), Column("Name", _TEXT), Column("Value")]
    columns.append(Column("Shadow price" if found.linear else "Multiplier"))
    columns.append(Column("Right side"))
    if found.linear:
        columns += [Column("May rise by"), Column("May fall by")]
    rows: list[list[Entry]] = []
    for item in found.constraints:
        right = item.constraint.right
        if not isinstance(right, (float, str)):
            cells = list(right.cells())
            place = list(item.constraint.left.cells()).index(item.cell)
            side = values.get(cells[place if len(cells) > 1 else 0])
        else:
            side = right
        rows.append([names.place(item.cell), names.of(item.cell), _shown(values.get(item.cell)), item.price])
        rows[-1].append(_shown(side))
        if found.linear:
            rows[-1] += [entry(item.allowable.rise), entry(item.allowable.fall)]
    title, rows = shortened("Constraints", rows)
    return Table(title, columns, rows)


def _explained(found: Sensitivity) -> list[str]:
    """What the numbers mean, for whoever reads the page without us."""
    relations = {item.constraint.relation for item in found.constraints}
    side = "right side" if relations != {Relation.EQUAL} else "right side of an equality"
    if found.linear:
        return [
            f"A shadow price is what the objective gains if the {side} rises by 1; a reduced cost, what it gains if "
            "a variable at its bound rises by 1. The ranges tell how far one coefficient, or one right side, may rise "
            "and fall by itself before other variables and constraints matter."
        ]
    return [
        f"A multiplier is what the objective gains per unit by which the {side} rises, and a reduced gradient per unit "
        "of a variable at its bound. Both hold for small changes only."
    ]


def _shown(value: object) -> Entry:
    return float(value) if isinstance(value, (int, float)) else UNKNOWN
