"""A source of which only some samples are wanted: `mnist where label is 3 or 7`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sgdsheet.data.formats.fields import field_called
from sgdsheet.data.formats.source import Array, Source
from sgdsheet.errors import DataError, quoted
from sgdsheet.problem.source_names import split_origin

_WORDS = re.compile(r"\s+where\s+(?P<field>\S.*?)\s+is\s+(?P<values>\S.*)", re.I | re.S)
_VALUE = re.compile(
    r"""(?: "(?P<straight>[^"]*)" | '(?P<single>[^']*)' | [“”„](?P<curly>[^“”„]*)[“”„] | (?P<bare>[^\s,].*?) )
    (?: \s*,\s*(?:or\s+)? | \s+or\s+ | \s*$ )""",
    re.I | re.S | re.X,
)
"""A value and what separates it from the next; in quotes it may hold commas and “or”."""
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples whose field has one of some values; they keep their order."""

    field: str
    values: tuple[str, ...]

    def of(self, source: Source) -> Source:
        """A part with the wanted samples only. DataError if there is no such field, or no such sample."""
        name = field_called(source, self.field)
        if name is None or source.fields[name].ndim != 1:
            single = [name for name, values in source.fields.items() if values.ndim == 1]
            raise DataError(
                f"{quoted(source.name)} has no field {quoted(self.field)} with one value per sample",
                remedy=f"Choose samples by one of: {', '.join(single[:12])}",
            )
        values = self.values
        if source.stream is not None:
            stream = source.stream.where(name, lambda column: _among(column, values))
            wanted: Array = np.arange(min(1, stream.count))
        else:
            wanted = np.flatnonzero(_among(source.fields[name], values))
        if not len(wanted):
            choice = " or ".join(self.values)
            raise DataError(
                f"in {quoted(source.name)} no sample's {quoted(name)} is {choice} (part “{source.part}”)",
                remedy="Ask for values that are there",
            )
        if source.stream is not None:
            return replace(source, fields=stream.block(0).fields, first_row=None, stream=stream)
        return replace(source, fields={key: values[wanted] for key, values in source.fields.items()}, first_row=None)


def parse_selection(origin: str) -> tuple[str, Selection | None]:
    """The name of a source, and which of its samples are wanted if it says so."""
    name, words = split_origin(origin)
    match = _WORDS.fullmatch(words)
    if match is None:
        return origin, None
    values = tuple(found[found.lastgroup or "bare"] for found in _VALUE.finditer(match["values"]))
    return name, Selection(match["field"].strip("\"'“”„"), values)


def _among(column: Array, values: Sequence[str]) -> Array:
    if column.dtype == object:
        folded = {value.casefold() for value in values}
        return np.array([str(item).casefold() in folded for item in column])
    return np.isin(column, [number for number in map(_number, values) if number is not None])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return _TRUTH.get(text.casefold())
