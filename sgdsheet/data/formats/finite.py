"""Finds what is no number among the numbers of a source."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sgdsheet.data.formats.source import Array, Source
from sgdsheet.errors import DataError, quoted

_AT_ONCE = 1 << 22  # values


def check_finite(source: Source, names: Iterable[str] | None = None) -> None:
    """DataError that names the field and the row of the first NaN or infinite value. Text is not looked at.

    `names` are the fields that matter; all of them unless given.
    """
    for name in source.fields if names is None else names:
        values = source.fields[name]
        if values.dtype.kind != "f":
            continue
        sample = _first_bad(values)
        if sample is not None:
            raise _error(source, name, sample)


def _first_bad(values: Array) -> int | None:
    """The sample with the first NaN or infinite value. Reads a little at a time: the array may be on disk."""
    rows = max(1, _AT_ONCE // max(1, values[0].size)) if len(values) else 1
    for start in range(0, len(values), rows):
        good = np.isfinite(values[start : start + rows])
        if not good.all():
            return start + int(np.argmin(good.reshape(len(good), -1).all(axis=1)))
    return None


def _error(source: Source, name: str, sample: int) -> DataError:
    bad = np.ravel(source.fields[name][sample])
    found = "infinite" if not np.isnan(bad).any() else "not a number"
    if source.first_row is None:
        where = f"sample {sample + 1:,} of {quoted(name)}"
    else:
        where = f"column {quoted(name)}, row {sample + source.first_row:,}"
        found = "empty or not a number" if found == "not a number" else found
    return DataError(
        f"{quoted(source.name)}, {where}, is {found}",
        remedy="Correct or fill in the value, or leave out that row",
    )
