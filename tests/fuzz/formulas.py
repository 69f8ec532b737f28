"""Random formulas over random sheets: our values are LibreOffice's and IronCalc's, as far as those are Excel's.

python -m tests.fuzz.formulas --seed 1 --count 20000
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import shutil
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.formula import formula_text, relative_key
from sgdsheet.sheet.references import Cell, Range, address
from sgdsheet.sheet.syntax import Binary, Call, Node, Unary
from sgdsheet.sheet.workbook import ExcelError, Formula, Sheet, Value, Workbook
from tests.fuzz import engines, sheetfile
from tests.fuzz.culprits import located
from tests.fuzz.differences import known
from tests.fuzz.grammar import Grammar
from tests.fuzz.grids import COLUMNS, ROWS, data

FIRST_COLUMN, LAST_ROW = 20, 8
PER_SHEET, PER_BOOK = 25, 750
TOLERANCE = 1e-9


@dataclass(slots=True)
class Finding:
    """A cell about which somebody disagrees with us."""

    cell: Cell
    text: str
    array: bool
    ours: Value | None
    recorded: Value | None
    libreoffice: Value | None
    ironcalc: Value | None
    sheet: Sheet
    source: str = ""
    """The formula as it was entered first, of which this may be a copy."""
    area: tuple[int, int, int, int] | None = None
    node: Node | None = None
    against: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        shown = f"{{={self.text}}}" if self.array else f"={self.text}"
        return (
            f"{self.cell} {shown}\n    ours {said(self.ours)}, recorded {said(self.recorded)}, "
            f"LibreOffice {said(self.libreoffice)}, IronCalc {said(self.ironcalc)}"
        )


@dataclass(slots=True)
class Result:
    """What a run came to."""

    formulas: int = 0
    cells: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    explained: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    judged: Counter[str] = field(default_factory=Counter)


def said(value: Value | None) -> str:
    return "nothing" if value is None else f"“{value}”" if isinstance(value, str) else str(value)


# --- workbooks --------------------------------------------------------------------------------------------


def sheet_of_formulas(random: Random, name: str, count: int, functions: Sequence[str] = ()) -> Sheet:
    """Data, and `count` formulas: single, filled over cells, or array formulas side by side."""
    sheet, grammar = data(random, name), Grammar(random, functions=functions)
    column = FIRST_COLUMN
    for _ in range(count):
        column += _put(random, sheet, column, grammar)
    return sheet


def _put(random: Random, sheet: Sheet, column: int, grammar: Grammar) -> int:
    """Enter one formula from a column on; how many columns it takes."""
    array, row = random.random() < 0.35, random.randint(1, 4)
    text = grammar.formula(array)
    height, width = (random.randint(1, 3), random.randint(1, 3)) if array else (1, 1)
    down, across = (
        random.choice([(1, 1), (2, 1), (3, 1), (1, 2), (2, 2)])
        if array
        else (random.randint(1, 4), random.choice([1, 1, 2]))
    )
    down = max(1, min(down, (LAST_ROW - row + 1) // height))
    source = Formula(text, row, column)
    for i in range(down):
        for j in range(across):
            place = row + i * height, column + j * width
            if array:
                area = (*place, place[0] + height - 1, place[1] + width - 1)
                sheet.formulas[place] = Formula(formula_text(source, *place), *place, area)
            else:
                sheet.formulas[place] = source
    return across * width


def book_of_formulas(random: Random, count: int, functions: Sequence[str] = ()) -> Workbook:
    book = Workbook("random.xlsx")
    for number in range(-(-count // PER_SHEET)):
        name = f"S{number}"
        book.sheets[name] = sheet_of_formulas(random, name, min(PER_SHEET, count - number * PER_SHEET), functions)
    return book


def parameters(random: Random, sheet: Sheet) -> list[Range]:
    """Some cells with numbers: what is calculated from them is recorded, not calculated at once."""
    numbers = [place for place, value in sheet.values.items() if type(value) is float and place not in sheet.formulas]
    chosen = random.sample(numbers, min(len(numbers), random.choice([2, 6, 20])))
    return [Range(sheet.name, row, column, row, column) for row, column in sorted(chosen)]


# --- judging ----------------------------------------------------------------------------------------------


def same(one: Value | None, two: Value | None, *, kinds: bool, loose: bool = False) -> bool:
    """Whether two results are one; `loose` takes 1 for TRUE, as LibreOffice does."""
    if isinstance(one, ExcelError) or isinstance(two, ExcelError):
        both = isinstance(one, ExcelError) and isinstance(two, ExcelError)
        return both and (not kinds or one is two or engines.WITHOUT_KIND in (one, two))
    if isinstance(one, str) or isinstance(two, str):
        return one == two
    if one is None or two is None or (not loose and isinstance(one, bool) != isinstance(two, bool)):
        return False
    return math.isclose(float(one), float(two), rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def judge(finding: Finding, *, kinds: bool) -> Finding | None:
    """The finding with who disagrees and the known reason, if any; None if all agree."""
    against = []
    if finding.recorded is not None and not same(finding.ours, finding.recorded, kinds=kinds):
        against.append("recorded")
    for name, value, loose in (("LibreOffice", finding.libreoffice, True), ("IronCalc", finding.ironcalc, False)):
        # A name that an engine does not know is no opinion.
        if value is None or (value is ExcelError.NAME and finding.ours is not ExcelError.NAME):
            continue
        if not same(finding.ours, value, kinds=kinds and not loose, loose=loose):
            against.append(name)
    if not against:
        return None
    finding.against = tuple(against)
    return finding


@dataclass(slots=True)
class Judges:
    """Who calculates: LibreOffice where it is installed, IronCalc, and we twice."""

    office: str | None
    folder: Path
    kinds: bool = True

    def findings(self, book: Workbook, random: Random, result: Result) -> list[Finding]:
        """What is disagreed about in a workbook."""
        path, names = self.folder / "random.xlsx", list(book.sheets)
        sheetfile.write(book, path)
        theirs = engines.libreoffice(self.office, book, self.folder) if self.office else {}
        third = engines.ironcalc(path, names)
        found = []
        for _name, sheet in book.sheets.items():
            chosen = parameters(random, sheet)
            constant, refused = self._ours(sheet, [], result)
            recorded, _ = self._ours(sheet, chosen, result)
            result.formulas += len(sheet.formulas)
            for finding in formula_cells(sheet):
                cell = finding.cell
                result.cells += 1
                if cell in refused:
                    result.refused[refused[cell].cause.split(" (")[0]] += 1
                    continue
                finding.ours, finding.recorded = constant.get(cell), recorded.get(cell)
                finding.libreoffice, finding.ironcalc = theirs.get(cell), third.get(cell)
                for engine, value in (("LibreOffice", finding.libreoffice), ("IronCalc", finding.ironcalc)):
                    result.judged[engine] += value is not None
                result.judged["recorded"] += finding.recorded is not None
                judged = judge(finding, kinds=self.kinds)
                if judged is not None:
                    found.append(judged)
        return found

    def _ours(
        self, sheet: Sheet, chosen: list[Range], result: Result
    ) -> tuple[engines.Values, dict[Cell, SgdSheetError]]:
        """Our values; where we crash, formula by formula, to name those that are to blame."""
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # where torch tells of a graph that breaks
                return engines.ours(Workbook("alone", {sheet.name: sheet}), sheet.name, chosen)
        except Exception:
            pass
        values: engines.Values = {}
        refused: dict[Cell, SgdSheetError] = {}
        parts: dict[str, dict[tuple[int, int], Formula]] = defaultdict(dict)
        for place, formula in sheet.formulas.items():
            parts[str(id(formula)) if formula.array is None else formula_key(formula)][place] = formula
        for some in parts.values():
            alone = Sheet(sheet.name, sheet.values, some)
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    more, no = engines.ours(Workbook("alone", {sheet.name: alone}), sheet.name, chosen)
            except Exception as error:
                place, formula = next(iter(some.items()))
                shown = f"{{={formula.text}}}" if formula.array else f"={formula.text}"
                where = traceback.extract_tb(error.__traceback__)[-2:]
                places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(where))
                recorded = "recorded, " if chosen else ""
                result.crashes.append(
                    f"{type(error).__name__}: {str(error)[:120]} ({recorded}{places})"
                    f" {address(*place)} x{len(some)} {shown}"
                )
                continue
            values |= more
            refused |= no
        return values, refused


def formula_key(formula: Formula) -> str:
    """The same for the copies of an array formula."""
    return relative_key(formula.text, formula.row, formula.column)


def formula_cells(sheet: Sheet) -> Iterator[Finding]:
    """A finding to fill in for each cell with a formula."""
    for (row, column), formula in sheet.formulas.items():
        top, left, bottom, right = formula.array or (row, column, row, column)
        text = formula_text(formula, row, column)
        source = formula_key(formula)
        for cell in Range(sheet.name, top, left, bottom, right).cells():
            yield Finding(cell, text, formula.array is not None, None, None, None, None, sheet, source, formula.array)


def run(
    seed: int,
    count: int,
    *,
    kinds: bool = True,
    office: str | None = None,
    per_book: int = PER_BOOK,
    functions: Sequence[str] = (),
    progress: bool = False,
) -> Result:
    """`count` formulas in workbooks of `per_book`; all are made from the seed, of all functions or of some.

    A formula that is disagreed about is taken apart: the table of known differences is asked about its smallest
    part that is disagreed about.
    """
    result = Result()
    with tempfile.TemporaryDirectory() as folder:
        judges = Judges(office, Path(folder), kinds)
        done = 0
        while done < count:
            random = Random(f"{seed}/{done}")
            some = min(per_book, count - done)
            found = judges.findings(book_of_formulas(random, some, functions), random, result)

            def parts(book: Workbook, random: Random = random) -> dict[tuple[str, int, int], Finding]:
                return {item.cell: item for item in judges.findings(book, random, Result())}

            for _, culprit in located(found, parts):
                culprit.reason = known(culprit)
                if culprit.reason:
                    result.explained[culprit.reason] += 1
                else:
                    result.findings.append(culprit)
            done += some
            if progress:
                print(
                    f"… {done:,} entered, {result.formulas:,} formulas in {result.cells:,} cells,"
                    f" {len(result.findings)} findings, {len(result.crashes)} crashes",
                    flush=True,
                )
    return result


def group(finding: Finding) -> str:
    """What findings of one cause have in common."""
    node = finding.node
    name = node.name if isinstance(node, Call) else node.operator if isinstance(node, (Binary, Unary)) else "?"
    kinds = [
        str(value) if isinstance(value, ExcelError) else type(value).__name__
        for value in (finding.ours, finding.recorded, finding.libreoffice, finding.ironcalc)
    ]
    return f"{name} {'/'.join(finding.against)}: {' '.join(kinds)}"


def report(result: Result, most: int) -> None:
    print(f"{result.formulas:,} formulas in {result.cells:,} cells; judged: {dict(result.judged)}")
    print(
        f"crashes {len(result.crashes)}, refused cells {sum(result.refused.values()):,},"
        f" findings {len(result.findings)}"
    )
    for text in result.crashes[:most]:
        print(text)
    for reason, number in result.refused.most_common(most):
        print(f"  refused {number:6,}  {reason}")
    for reason, number in result.explained.most_common():
        print(f"  known   {number:6,}  {reason}")
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        groups[group(finding)].append(finding)
    for name, found in sorted(groups.items(), key=lambda item: -len(item[1]))[:most]:
        print(f"{len(found):4} {name}")
        for finding in sorted(found, key=lambda item: len(item.text))[:3]:
            print(f"     {finding}")
            print(f"     {cells_read(finding)}")


def cells_read(finding: Finding) -> str:
    """The cells that a formula reads, with what they hold."""
    values = finding.sheet.values
    shown = []
    for area in map(bounded, set(engines.areas(finding.text, finding.cell))):
        lines = [
            ",".join(said(values.get((row, column))) if (row, column) in values else "" for column in area[1])
            for row in area[0]
        ]
        shown.append("[" + ";".join(lines) + "]")
    return " ".join(shown)[:400]


def bounded(area: Range) -> tuple[range, range]:
    return range(area.top, min(area.bottom, ROWS) + 1), range(area.left, min(area.right, COLUMNS) + 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000, help="How many formulas.")
    parser.add_argument("--any-error", action="store_true", help="Do not tell errors apart.")
    parser.add_argument("--show", type=int, default=40, help="How many findings to print.")
    parser.add_argument(
        "--categories", default="", help="Only functions of these modules of compiler/functions, such as dates,text."
    )
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.categories.split(",")))
    result = run(
        arguments.seed,
        arguments.count,
        kinds=not arguments.any_error,
        office=shutil.which("soffice"),
        functions=[name for name, found in REGISTRY.items() if found.category in wanted and not found.described],
        progress=True,
    )
    report(result, arguments.show)
    return 1 if result.findings or result.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
