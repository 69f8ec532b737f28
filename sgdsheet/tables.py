"""Tables of numbers and texts written into files, .csv or .parquet, some thousand rows at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import FileError, SettingError, quoted
from sgdsheet.extras import optional

Column = NDArray[np.float64] | list[str | None]
Add = Callable[[Sequence[Column]], None]
"""Adds rows to a table, column by column; what a column holds stays the same."""

_ENDINGS = (".csv", ".parquet")


@contextmanager
def table_writer(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    """A function that adds rows to a new table, which takes its place at the end, complete or not at all."""
    if path.suffix.lower() not in _ENDINGS:
        raise SettingError(
            f"{quoted(path.name)} is no kind of table that can be written", remedy=f"Use {' or '.join(_ENDINGS)}"
        )
    write = _parquet if path.suffix.lower() == ".parquet" else _csv
    part: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
        with write(part, columns) as add:
            yield add
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{quoted(str(path))} cannot be written: {reason}", remedy="Write somewhere else") from None
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink()


@contextmanager
def _csv(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)

        def add(parts: Sequence[Column]) -> None:
            shown = (part if isinstance(part, list) else map(_plain, part.tolist()) for part in parts)
            writer.writerows(zip(*shown, strict=True))

        yield add


def _plain(number: float) -> float | int | None:
    """Whole numbers without a fraction, as in a sheet; what is no number leaves a gap."""
    if number != number:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@contextmanager
def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Add]:
    arrow, parquet = optional("pyarrow", "parquet"), optional("pyarrow.parquet", "parquet")
    with ExitStack() as stack:
        writers: list[Any] = []

        def add(parts: Sequence[Column]) -> None:
            types = [arrow.string() if isinstance(part, list) else arrow.float64() for part in parts]
            schema = arrow.schema(list(zip(columns, types, strict=True)))
            if not writers:
                writers.append(stack.enter_context(parquet.ParquetWriter(path, schema)))
            writers[0].write_table(arrow.table(list(parts), schema=schema))

        yield add
