"""Tables as text: .csv (commas, semicolons or tabs between the cells) and .tsv.

A column in which every cell is a number or empty is float64, with NaN for empty; so is one in which every cell is
TRUE, FALSE (1 and 0, in any case) or empty; any other column is text, also one of whole numbers with digits that
float64 does not keep, as long identifiers have them.
The first row is a header if all of it is text, or if it has text where the second row has a number (or TRUE or
FALSE); without a header the columns are called A, B, C, as in a spreadsheet.

Files of numbers only are read by NumPy's reader, which is several times faster; all others cell by cell. Both
go through the file a piece at a time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from sgdsheet.data.formats.source import Array, Source, called, dataset_format, text_array, unreadable
from sgdsheet.errors import DataError, FileError, quoted
from sgdsheet.sheet.references import column_letters

_CELLS_AT_ONCE = 1 << 16
_LONGEST_LINE = 64 << 20
_SAVE = "Save it as “CSV UTF-8”"
_EXACT = 2.0**53
"""float64 keeps every whole number up to 2⁵³."""
_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_TRUTH = {"true": 1.0, "false": 0.0}
_WORDS = {*_TRUTH, ""}
"""The words, in small letters, in a column of TRUE and FALSE; it may have empty cells."""


@dataset_format("CSV", endings=(".csv", ".tsv"))
def read(path: Path, part: str) -> Source:
    """All columns of the table."""
    try:
        return _read(path, part)
    except UnicodeDecodeError:
        raise FileError(f"{called(path)} is not UTF-8 text", remedy=_SAVE) from None
    except csv.Error as error:
        raise unreadable(path, f"it is no proper CSV ({quoted(str(error))})", _SAVE) from None


def _read(path: Path, part: str) -> Source:
    delimiter = _delimiter(path)
    with _opened(path) as file:
        reader = _records(path, csv.reader(file, delimiter=delimiter))
        top = list(islice(reader, 2))
    if not top:
        raise FileError(f"{called(path)} is empty", remedy="Use a file with data")
    header = _is_header(top)
    names = _names(path, top[0], header)
    if header and len(top) == 1:
        raise DataError(f"{called(path)} has a header but no rows", remedy="Use a file with data")
    columns = None
    if None not in map(_number, top[-1]):
        columns = _all_numbers(path, delimiter, len(names), header)
    if columns is None:
        columns = _cell_by_cell(path, delimiter, len(names), header)
    return Source(path.name, part, dict(zip(names, columns, strict=True)), names, first_row=1 + header)


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _delimiter(path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    with _opened(path) as file:
        line = file.readline(_LONGEST_LINE)
    if "\0" in line:
        raise FileError(f"{called(path)} is not text", remedy=_SAVE)
    bare = "".join(line.split('"')[::2])  # without what is quoted
    return max(",;\t", key=bare.count)


def _records(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that are not blank; FileError at the first that is longer or shorter than the row on top."""
    width = 0
    for record in reader:
        if not record:
            continue
        width = width or len(record)
        if len(record) != width:
            line = reader.line_num  # type: ignore[attr-defined]
            cause = f"line {line:,} of {called(path)} has {len(record):,} cells where the others have {width:,}"
            raise FileError(cause, remedy="Correct that line; text with a delimiter in it needs quotes")
        yield record


def _number(text: str) -> float | None:
    """The number that a cell stands for; None for text."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _is_truth(text: str) -> bool:
    return text.strip().casefold() in _TRUTH


def _is_header(top: Sequence[Sequence[str]]) -> bool:
    first, *second = top
    texts = [_number(cell) is None for cell in first]
    if all(texts) and any(cell.strip() for cell in first):
        return True
    below = second[0] if second else ()
    return any(
        _number(under) is not None or (_is_truth(under) and not _is_truth(cell))
        for text, cell, under in zip(texts, first, below, strict=False)
        if text
    )


def _names(path: Path, first: Sequence[str], header: bool) -> tuple[str, ...]:
    letters = [column_letters(number) for number in range(1, len(first) + 1)]
    if not header:
        return tuple(letters)
    names = [cell.strip() or letter for cell, letter in zip(first, letters, strict=True)]
    seen: dict[str, str] = {}
    for name, letter in zip(names, letters, strict=True):
        if name in seen:
            cause = f"the columns {seen[name]} and {letter} of {called(path)} are both called {quoted(name)}"
            raise DataError(cause, remedy="Rename one of them")
        seen[name] = letter
    return tuple(names)


def _all_numbers(path: Path, delimiter: str, width: int, header: bool) -> list[Array] | None:
    """The columns, if all is numbers; None if NumPy finds anything else."""
    with _opened(path) as file:
        if header:
            next(record for record in csv.reader(file, delimiter=delimiter) if record)
        try:
            values = np.loadtxt(file, delimiter=delimiter, comments=None, quotechar='"', ndmin=2)
        except UnicodeDecodeError:
            raise
        except ValueError:
            return None
    return list(values.T) if values.shape[1] == width and not (np.abs(values) >= _EXACT).any() else None


def _cell_by_cell(path: Path, delimiter: str, width: int, header: bool) -> list[Array]:
    """The columns. Only where text turns up late in a column is the file read once more, for that column."""
    columns: list[_Column] = [_Column() for _ in range(width)]
    while True:
        with _opened(path) as file:
            records = _records(path, csv.reader(file, delimiter=delimiter))
            next(islice(records, header, header), None)
            while rows := list(islice(records, 1 + _CELLS_AT_ONCE // width)):
                for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                    column.add(cells)
        if not any(column.again for column in columns):
            return [column.values() for column in columns]
        for column in columns:
            column.restart()


class _Column:
    """A column that grows: numbers until the first text. `_known` are the texts in it."""

    def __init__(self) -> None:
        self.again = False
        self._done = False
        self._numbers: list[Array] = []
        self._texts: list[str] | None = None
        self._known: dict[str, str] = {}

    def add(self, cells: Sequence[str]) -> None:
        if self._done or self.again:
            return
        if self._texts is None:
            numbers = _numbers(cells)
            if numbers is not None:
                self._numbers.append(numbers)
                return
            if self._numbers:  # the text of what came before is gone
                self.again = True
                return
            self._texts = []
        self._texts += [self._known.setdefault(cell, cell) for cell in cells]

    def restart(self) -> None:
        """Forget what was read, because the file is read once more."""
        self._done = not self.again
        if self.again:
            self.again, self._numbers, self._texts = False, [], []

    def values(self) -> Array:
        if self._texts is None:
            return np.concatenate(self._numbers)
        truths = _truths(self._known)
        if truths is None:
            return text_array(self._texts)
        return np.fromiter(map(truths.__getitem__, self._texts), np.float64, len(self._texts))


def _truths(texts: Iterable[str]) -> dict[str, float] | None:
    """What each text stands for, if all are TRUE, FALSE or empty; else None."""
    folded = {text: text.strip().casefold() for text in texts}
    return {text: _TRUTH.get(word, np.nan) for text, word in folded.items()} if {*folded.values()} <= _WORDS else None


def _numbers(cells: Sequence[str]) -> Array | None:
    """Cells as numbers, with NaN for empty ones; None if there is text."""
    convert: Callable[[str], float] = float
    try:
        numbers = np.fromiter(map(convert, cells), np.float64, len(cells))
    except ValueError:
        filled = [cell if cell and not cell.isspace() else "nan" for cell in cells]
        try:
            numbers = np.fromiter(map(convert, filled), np.float64, len(cells))
        except ValueError:
            return None
    large = np.flatnonzero(np.abs(numbers) >= _EXACT).tolist()
    loses = any(_WHOLE.fullmatch(cells[place]) and int(cells[place]) != int(numbers[place]) for place in large)
    return None if loses or any("_" in cell for cell in cells) else numbers
