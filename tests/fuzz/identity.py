"""Everything in a package but the values of cells stays byte for byte, for every workbook at hand.

python -m tests.fuzz.identity
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Position, Sheet, Value, Workbook
from tests.fuzz.corpus import workbooks
from tests.fuzz.packagediff import differences

VALUES: tuple[Value, ...] = (0.5, -1e-300, 1e300, 3.0, True, False, "text", " spaced ", "a <b> & “c”", "")


@dataclass(slots=True)
class Result:
    """What a run came to."""

    workbooks: int = 0
    writes: int = 0
    cells: int = 0
    problems: list[str] = field(default_factory=list)


def chosen(random: Random, workbook: Workbook) -> dict[Cell, Value]:
    """New values for some cells: constants, results of formulas, and cells that are not there yet."""
    found: dict[Cell, Value] = {}
    for name, sheet in workbook.sheets.items():
        places = list(sheet.values)
        for row, column in random.sample(places, min(len(places), random.choice([1, 5, 40]))):
            found[Cell(name, row, column)] = random.choice(VALUES)
        last_row, last_column = sheet.extent
        for _ in range(random.randint(0, 3)):
            cell = Cell(name, random.randint(1, last_row + 3), random.randint(1, last_column + 3))
            if cell[1:] not in sheet.formulas:
                found[cell] = random.choice(VALUES)
    return found


def shown(sheet: Sheet) -> dict[Position, tuple[str, object, bool]]:
    """The formulas as each cell shows them: which of them share their text is no matter."""
    return {place: (formula_text(item, *place), item.array, item.dynamic) for place, item in sheet.formulas.items()}


def check(path: Path, output: Path, random: Random, result: Result) -> None:
    """Write values, compare the package, and read everything back."""
    host = FileHost(path)
    workbook, before = host.read(), path.read_bytes()
    values = chosen(random, workbook)
    host.write(values)
    host.save(output)
    result.writes += 1
    result.cells += len(values)
    if path.read_bytes() != before:
        result.problems.append(f"{path.name}: the input was changed")
    found = [f"{path.name}: {item}" for item in differences(before, output.read_bytes())]
    after = load(output)
    for name, sheet in workbook.sheets.items():
        other = after.sheets[name]
        if shown(sheet) != shown(other):
            found.append(f"{path.name}: formulas of {name} changed")
        for place in sheet.values.keys() | other.values.keys():
            wanted = values.get(Cell(name, *place), sheet.values.get(place))
            if other.values.get(place) != wanted and not (wanted == "" and place not in other.values):
                found.append(f"{path.name}: {Cell(name, *place)} is {other.values.get(place)!r}, not {wanted!r}")
    if (workbook.names, workbook.tables) != (after.names, after.tables):
        found.append(f"{path.name}: names or tables changed")
    result.problems += found[:10]


def run(seed: int, each: int, *, largest: int | None = None) -> Result:
    """Each workbook at hand, `each` times with other values."""
    result = Result()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in workbooks(folder, largest=largest):
            result.workbooks += 1
            for number in range(each):
                check(path, folder / f"written{path.suffix}", Random(f"{seed}/{path.name}/{number}"), result)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=20, help="How often for each workbook.")
    arguments = parser.parse_args()
    result = run(arguments.seed, arguments.each)
    print(
        f"{result.workbooks} workbooks, {result.writes:,} writes of {result.cells:,} cells,"
        f" {len(result.problems)} problems"
    )
    print(*result.problems, sep="\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
