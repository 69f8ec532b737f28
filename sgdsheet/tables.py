"""Tables of numbers written into files, .csv or .parquet, some thousand rows at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import FileError, SettingError, quoted
from sgdsheet.extras import optional

Rows = NDArray[np.float64]
_ENDINGS = (".csv", ".parquet")


@contextmanager
def table_writer(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Rows], None]]:
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
def _csv(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Rows], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)

        def add(rows: Rows) -> None:
            writer.writerows([[_plain(number) for number in row] for row in rows.tolist()])

        yield add


def _plain(number: float) -> float | int:
    """Whole numbers without a fraction, as in a sheet."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@contextmanager
def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Rows], None]]:
    arrow, parquet = optional("pyarrow", "parquet"), optional("pyarrow.parquet", "parquet")
    schema = arrow.schema([(name, arrow.float64()) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        yield lambda rows: writer.write_table(arrow.table(list(rows.T), schema=schema))
