"""Tables of numbers and texts written into files, .csv or .parquet, some thousand rows at a time."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import FileError
from sgdsheet.system.atomic import replacing
from sgdsheet.system.extras import optional
from sgdsheet.system.outputs import TABLE, ready

Column = NDArray[np.float64] | NDArray[np.integer[Any]] | list[str | None]
Add = Callable[[Sequence[Column]], None]
"""Adds rows to a table, given column by column. Each column holds the same type of values every time."""

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


@contextmanager
def table_writer(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    """A function that adds rows to a new table, which takes its place at the end, complete or not at all."""
    write = _parquet if path.suffix.lower() == ".parquet" else _csv
    target = ready(path, TABLE)
    try:
        with replacing(target, lambda: _look_again(path)) as part, write(part, columns) as add:
            yield add
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"“{path}” cannot be written: {reason}", remedy="Write somewhere else") from None


def _look_again(path: Path) -> None:
    ready(path, TABLE)


@contextmanager
def _csv(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(_no_formula, columns))

        def add(parts: Sequence[Column]) -> None:
            shown = (map(_no_formula, part) if isinstance(part, list) else map(_plain, part.tolist()) for part in parts)
            writer.writerows(zip(*shown, strict=True))

        yield add


def _no_formula(text: str | None) -> str | None:
    """A text that a spreadsheet would take for a formula, after an apostrophe, as people type it.

    Source: OWASP, “CSV injection”.
    """
    if text is None or not text.startswith(_STARTS_FORMULA) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def _plain(number: float) -> float | int | None:
    """Whole numbers without a fraction, as in a sheet; what is no number leaves a gap."""
    if isinstance(number, int):
        return number
    if number != number:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@contextmanager
def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    arrow, parquet = optional("pyarrow", "parquet"), optional("pyarrow.parquet", "parquet")
    with ExitStack() as stack:
        writers: list[Any] = []

        def add(parts: Sequence[Column]) -> None:
            types = [arrow.string() if isinstance(part, list) else arrow.from_numpy_dtype(part.dtype) for part in parts]
            schema = arrow.schema(list(zip(columns, types, strict=True)), metadata={"sgdsheet_predictions": "1"})
            if not writers:
                writers.append(stack.enter_context(parquet.ParquetWriter(path, schema)))
            writers[0].write_table(arrow.table(list(parts), schema=schema))

        yield add
