"""Findings about directions in which the loss is much steeper than in others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sgdsheet.analysis.diagnosis.curvature import Spectrum
from sgdsheet.analysis.diagnosis.findings import NOTE, WARNING, Finding, listed, ranges_of, short, texts
from sgdsheet.analysis.diagnosis.weights import Feature, features, largest_number
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell, Range

_ILL = 1e3  # condition number from which on it is worth a word
_UNEQUAL = 300.0  # ratio of curvatures of single parameters that makes it a matter of scale
_COLUMNS = 1e3  # ratio of the largest numbers of columns, where nothing better is known
_ENTANGLED = 1e5  # condition number that parameters of equal scale may have
_AT_MINIMUM = 0.01  # share of the loss below which what is left to gain is nothing
_MOST_WEIGHTS = 5_000
_MOST_CELLS = 200_000


def scales_of_curvature(model: SheetModel, curvature: Spectrum) -> Iterator[Finding]:
    """A finding about a large condition number, and the columns that are the reason. For few parameters."""
    if not curvature.condition >= _ILL:
        return
    known = features(model)
    severity = WARNING if curvature.potential > _AT_MINIMUM * abs(model.objective().item()) else NOTE
    effort = (
        f"Plain gradient descent is stable only below {short(curvature.stable_rate)}, and even there needs"
        f" {short(curvature.steps())} steps along the flattest direction"
    )
    condition = f"condition number {curvature.condition:,.0f}"
    if curvature.diagonal_ratio >= _UNEQUAL and _is_scale(model, curvature, known):
        large = _large(curvature)
        columns = list(dict.fromkeys(known[cell].area for cell in large if cell in known))
        message = (
            f"The loss reacts {short(curvature.diagonal_ratio)} times as strongly to"
            f" {_described(model, curvature.steepest_cell, known)} as to"
            f" {_described(model, curvature.flattest_cell, known)} ({condition})."
            f" {effort}: {_remedy(columns)}."
        )
        yield Finding("feature scale", severity, texts([*ranges_of(large), *columns]), message)
    elif curvature.condition >= _ENTANGLED:
        cells = _flattest(curvature)
        message = (
            f"{listed(ranges_of(cells))} have nearly the same effect on the loss and can hardly be told apart"
            f" ({condition}). {effort}: leave one of them out, centre the columns, or use L-BFGS."
        )
        yield Finding("nearly equal features", severity, texts(ranges_of(cells)), message)


def _large(curvature: Spectrum) -> list[Cell]:
    """The parameters that are nearer to the steepest one than to the flattest one."""
    sizes = np.abs(curvature.diagonal)
    middle = sizes.max() / np.sqrt(curvature.diagonal_ratio)
    return [cell for cell, size in zip(curvature.cells, sizes.tolist(), strict=True) if size > middle]


def _flattest(curvature: Spectrum) -> list[Cell]:
    """The parameters that make up the flattest direction."""
    direction = int(np.searchsorted(curvature.eigenvalues, curvature.smallest))
    weights = np.abs(curvature.vectors[:, direction])
    return [cell for cell, weight in zip(curvature.cells, weights, strict=True) if weight > 0.3 * weights.max()]


def _is_scale(model: SheetModel, curvature: Spectrum, known: dict[Cell, Feature]) -> bool:
    """Whether the columns differ in size, as far as is known; else some unit may be on in a few rows only."""
    ends = [known.get(cell) for cell in (curvature.steepest_cell, curvature.flattest_cell)]
    sizes = [largest_number(model.workbook, end.area) if end is not None else None for end in ends]
    if sizes[0] is None or not sizes[1]:
        return True
    return sizes[0] >= math.sqrt(_UNEQUAL) / 2 * sizes[1]


def _described(model: SheetModel, cell: Cell, known: dict[Cell, Feature]) -> str:
    feature = known.get(cell)
    if feature is None:
        return str(cell)
    size = largest_number(model.workbook, feature.area)
    up_to = f", up to {short(size)}" if size is not None else ""
    name = f"“{feature.header}”, {feature.area}" if feature.header else str(feature.area)
    return f"{cell} (which multiplies {name}{up_to})"


def _remedy(columns: list[Range]) -> str:
    which = "the columns" if not columns else listed(columns)
    each = "each by its" if len(columns) != 1 else "by its"
    return f"divide {which} {each} maximum, or use (x-mean)/stdev in place of x"


def scales_of_columns(model: SheetModel) -> Iterator[Finding]:
    """A finding about columns of very different size, from the numbers in them alone. For more parameters."""
    if model.problem.parameter_count > _MOST_WEIGHTS:
        return
    known = {feature.area: feature for feature in features(model).values()}
    if sum(area.size for area in known) > _MOST_CELLS:
        return
    sizes = {area: size for area in known if (size := largest_number(model.workbook, area))}
    if not sizes:
        return
    largest, smallest = max(sizes, key=lambda area: sizes[area]), min(sizes, key=lambda area: sizes[area])
    ratio = sizes[largest] / sizes[smallest]
    if ratio < _COLUMNS:
        return
    message = (
        f"{known[largest]} goes up to {short(sizes[largest])}, {known[smallest]} only to"
        f" {short(sizes[smallest])}: columns of such different scale make training slow."
        f" To mend it, {_remedy([largest])}."
    )
    yield Finding("feature scale", WARNING, texts([largest, smallest]), message)
