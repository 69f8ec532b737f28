"""A table that is text (.csv, .tsv) as the bytes of an .xlsx with one sheet.

A cell that begins with `=` is a formula, as it is to Excel, which gives such cells no saved value. A text table has no
names: which cells are the loss and the parameters is said by options.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.cell_edit import impossible
from sgdsheet.hosts.xlsx.file_formula import NEWER_FUNCTIONS, in_file
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell

ENDINGS = (".csv", ".tsv")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_FUNCTION = re.compile(r"[A-Z][A-Z0-9.]*(?=\()")
_TRUTH = {"TRUE": True, "FALSE": False}
_LINES = 50
"""Lines from which it is told what stands between the cells."""
_SAVE = "Save it as “CSV UTF-8”, or as .xlsx"


def as_xlsx(name: str, data: bytes) -> bytes:
    """A workbook with the table's cells. Raises FileError for what is no table."""
    text = _decoded(name, data)
    delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(text)
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise FileError(f"“{name}” is no proper table ({error})", remedy=_SAVE) from None
    if len(rows) > MAX_ROW or max(map(len, rows), default=0) > MAX_COLUMN:
        raise FileError(
            f"“{name}” is larger than a sheet", remedy=f"A sheet has {MAX_ROW:,} rows and {MAX_COLUMN:,} columns"
        )
    # Where semicolons stand between the cells, the comma is often the decimal point.
    number = _WITH_COMMA if delimiter == ";" and not _has_points(rows) else _NUMBER
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_urls": False}) as book:
        page = book.add_worksheet(_sheet_name(name))
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                _write(page, row, column, cell, number)
    return file.getvalue()


def _write(page: Any, row: int, column: int, cell: str, number: re.Pattern[str]) -> None:
    plain = cell.strip()
    if not plain:
        return
    if number.fullmatch(plain) and abs(value := float(plain.replace(",", "."))) != float("inf"):
        page.write_number(row, column, value)
    elif plain.upper() in _TRUTH:
        page.write_boolean(row, column, _TRUTH[plain.upper()])
    elif plain.startswith("=") and len(plain) > 1:
        page.write_formula(row, column, f"={_formula(plain[1:], Cell(page.name, row + 1, column + 1))}", None, "")
    else:
        place = Cell(page.name, row + 1, column + 1)
        if (cause := impossible(place, cell)) is not None:
            raise FileError(cause, cell=place, remedy="Shorten it in the table")
        page.write_string(row, column, cell)


def _formula(text: str, cell: Cell) -> str:
    """A formula as Excel writes it into a file; as it stands in the table where it is none that can be read."""
    if NEWER_FUNCTIONS.isdisjoint(_FUNCTION.findall(text.upper())):
        return text
    try:
        return in_file(text, cell)
    except (FileError, FormulaError):
        return text


def _decoded(name: str, data: bytes) -> str:
    encoding = next((found for mark, found in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")  # what Excel writes as plain “CSV” in western countries
    if "\0" in text:
        raise FileError(f"“{name}” is not text", remedy=_SAVE)
    return text


def _delimiter(text: str) -> str:
    """What stands between the cells: a tab or semicolon that all lines have as often, else the most frequent mark."""
    lines = [line for line in islice(StringIO(text), _LINES) if line.strip()]
    bare = ["".join(line.split('"')[::2]) for line in lines]  # without what is quoted
    for mark in "\t;":
        counts = {line.count(mark) for line in bare}
        if len(counts) == 1 and counts != {0}:
            return mark
    return max(",;\t", key=(bare or [""])[0].count)


def _has_points(rows: Iterable[Sequence[str]]) -> bool:
    """Whether some cell is a number with a decimal point."""
    return any("." in cell and _NUMBER.fullmatch(cell.strip()) for row in rows for cell in row)


def _sheet_name(name: str) -> str:
    stem = name.rpartition(".")[0] or name
    return _NOT_IN_NAMES.sub("_", stem).strip("'")[:31].rstrip("'") or "Sheet1"
