"""Random edits of workbooks: what was typed is there afterwards, nothing else has changed, and Excel's rules are kept.

python -m tests.fuzz.edits
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from random import Random

from sgdsheet.errors import FileError
from sgdsheet.hosts.cell_edit import CellEdit, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.hosts.xlsx.file_formula import in_file
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError, Position, Sheet, Value, Workbook
from tests.edit_books import drawn, loaded
from tests.excel_rules import broken_rules
from tests.fuzz.corpus import workbooks

CONSTANTS: tuple[Value, ...] = (
    *(0.5, -1e-300, 1e300, 3.0, True, False, "text", " spaced\n", "a <b> & “c”", "_x000D_", "\r\x07", "=1+1"),
    *("", "x" * 32_767),
)
FORMULAS = (
    *("B2+1", "sum(B2:B5)*2", '"a<"&A1', "norm.s.dist(B2,true)", "$C$3%", 'IF(B2>0,"yes",1/0)', "Data!B2", "{1,2;3,4}"),
    *("XLOOKUP(1,B2:B5,C2:C5)", "LET(x,B2,x*2)", "B:B C2:D3", "rate*2", "TRUE", "#N/A"),
)
RESULTS: tuple[Value | None, ...] = (1.0, "text", "", True, ExcelError.DIV0, ExcelError.SPILL, None)
DATE = "yyyy-mm-dd"

_MAY_CHANGE = re.compile(r"xl/(calcChain|styles|workbook)\.xml|\[Content_Types\]\.xml|xl/_rels/workbook\.xml\.rels")
_DIMENSION = re.compile(rb"<(\w+:)?dimension[^>]*>")


@dataclass(slots=True)
class Result:
    """What a run came to."""

    books: int = 0
    saves: int = 0
    edits: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)


Contents = dict[Cell, tuple[Value | None, str]]
"""Value and formula of every cell that has any."""


def contents(book: Workbook) -> Contents:
    found: Contents = {}
    for name, sheet in book.sheets.items():
        for place in sheet.values.keys() | sheet.formulas.keys():
            formula = sheet.formulas.get(place)
            text = "" if formula is None else formula_text(formula, *place) + ("{}" if formula.array else "")
            found[Cell(name, *place)] = sheet.values.get(place), text
    return found


def chosen(chance: Random, book: Workbook) -> dict[Cell, CellEdit]:
    """Some edits of cells that are there, near them, and sometimes of whole blocks."""
    found: dict[Cell, CellEdit] = {}
    for name, sheet in book.sheets.items():
        for _ in range(chance.choice((0, 1, 1, 4, 12))):
            for place in _places(chance, sheet):
                found[Cell(name, *place)] = _edit(chance)
    return found


def _places(chance: Random, sheet: Sheet) -> Iterator[Position]:
    last_row, last_column = sheet.extent
    row, column = chance.randint(1, last_row + 4), chance.randint(1, last_column + 4)
    if sheet.formulas and chance.random() < 0.4:
        row, column = chance.choice(list(sheet.formulas))
    high = chance.choice((1, 1, 1, 3))
    yield from ((row + more, column) for more in range(high))


def _edit(chance: Random) -> CellEdit:
    kind = chance.random()
    if kind < 0.2:
        return Cleared()
    if kind < 0.3:
        return Constant(float(chance.randint(1, 60_000)), chance.choice((DATE, "mm-dd-yy", "h:mm")))
    if kind < 0.65:
        return Constant(chance.choice(CONSTANTS))
    return FormulaEdit(chance.choice(FORMULAS), chance.choice(RESULTS))


def expected(before: Contents, edits: dict[Cell, CellEdit], book: Workbook) -> Contents:
    """What the workbook has to hold after the edits."""
    found = dict(before)
    for cell in edits:
        formula = book.sheets[cell.sheet].formulas.get(cell[1:])
        if formula is not None and formula.array is not None and formula.dynamic:
            for gone in parse_range(f"A{formula.array[0]}", cell.sheet)._replace(
                left=formula.array[1], bottom=formula.array[2], right=formula.array[3]
            ).cells():  # fmt: skip
                found.pop(gone, None)
    for cell, edit in edits.items():
        found.pop(cell, None)
        if isinstance(edit, Constant):
            found[cell] = _read(edit.value), ""
        elif isinstance(edit, FormulaEdit):
            found[cell] = _read(edit.value), in_file(edit.text, cell)
    return found


def _read(value: Value | None) -> Value | None:
    return ExcelError.VALUE if value is ExcelError.SPILL else value


def differences(wanted: Contents, found: Contents) -> Iterator[str]:
    for cell in wanted.keys() | found.keys():
        if wanted.get(cell) != found.get(cell):
            yield f"{cell} holds {found.get(cell)!r:.200}, not {wanted.get(cell)!r:.200}"


def changed_parts(before: bytes, after: bytes) -> Iterator[str]:
    """Parts that differ though no edit is about them, and what of worksheets differs around the cells."""
    with zipfile.ZipFile(BytesIO(before)) as old, zipfile.ZipFile(BytesIO(after)) as new:
        names = [name for name in old.namelist() if name in new.namelist()]
        gone = set(old.namelist()) - set(names)
        if gone - {"xl/calcChain.xml"} or set(new.namelist()) - set(names):
            yield f"parts came or went: {gone}, {set(new.namelist()) - set(names)}"
        for name in names:
            one, two = old.read(name), new.read(name)
            if "worksheets/sheet" in name and name.endswith(".xml"):
                one, two = _around(one), _around(two)
            elif _MAY_CHANGE.fullmatch(name):
                continue
            if one != two:
                yield f"{name} differs"


def _around(data: bytes) -> bytes:
    """A worksheet without its cells, and without how far they reach."""
    start, end = data.find(b"sheetData"), data.rfind(b"sheetData")
    return _DIMENSION.sub(b"", data[:start].rstrip(b"<") + data[end + len(b"sheetData") :].lstrip(b"/> "))


def check(path: Path, chance: Random, result: Result) -> None:
    """Edit and save a book a few times, and look at it each time."""
    data, broken = path.read_bytes(), set(broken_rules(path.read_bytes()))
    result.books += 1
    for _ in range(chance.choice((1, 2, 4))):
        book = load(data)
        edits, saved = _saved(data, chosen(chance, book), chance, result)
        after = load(saved)
        result.saves, result.edits = result.saves + 1, result.edits + len(edits)
        wanted = expected(contents(book), edits, book)
        found = [*differences(wanted, contents(after)), *changed_parts(data, saved)]
        found += [item for item in broken_rules(saved) if item not in broken]
        if (book.names, book.tables) != (after.names, after.tables):
            found.append("names or tables changed")
        if [sheet.merged for sheet in book.sheets.values()] != [sheet.merged for sheet in after.sheets.values()]:
            found.append("merged areas changed")
        result.problems += [f"{path.name}: {item}" for item in found[:5]]
        data = saved
    path.write_bytes(data)


def _portions(chance: Random, cells: list[Cell]) -> Iterator[list[Cell]]:
    while cells:
        count = chance.randint(1, len(cells))
        yield cells[:count]
        cells = cells[count:]


def _saved(
    data: bytes, edits: dict[Cell, CellEdit], chance: Random, result: Result
) -> tuple[dict[Cell, CellEdit], bytes]:
    """The file with the edits that are not refused, and which they are; an error names a cell that was edited."""
    while True:
        host = FileHost(data)
        for cells in _portions(chance, list(edits)):
            host.edit({cell: edits[cell] for cell in cells})
        try:
            return edits, host.saved_bytes()
        except FileError as error:
            left = {cell: edit for cell, edit in edits.items() if str(cell) != error.cell}
            if len(left) == len(edits):
                raise
            edits = left
            result.refused += 1


def run(seed: int, count: int, *, others: bool = False) -> Result:
    """So many books of each kind, and with `others` all workbooks at hand."""
    result = Result()
    kinds: tuple[Callable[[Path, Random], Path], ...] = (drawn, loaded)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            for kind in kinds:
                chance = Random(f"{seed}/{kind.__name__}/{number}")
                check(kind(folder / f"{kind.__name__} {seed} {number}.xlsx", chance), chance, result)
        for path in workbooks(folder, largest=300_000) if others else ():
            copy = folder / f"copy of {path.name}"
            copy.write_bytes(path.read_bytes())
            check(copy, Random(f"{seed}/{path.name}"), result)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200, help="How many books of each kind.")
    arguments = parser.parse_args()
    result = run(arguments.seed, arguments.count, others=True)
    print(
        f"{result.books} workbooks, {result.saves:,} saves of {result.edits:,} edits,"
        f" {result.refused:,} refused, {len(result.problems)} problems"
    )
    print(*result.problems, sep="\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
