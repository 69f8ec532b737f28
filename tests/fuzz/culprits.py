"""From a formula that the engines disagree about to the smallest part of it that they disagree about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sgdsheet.sheet.formula import parse, render
from sgdsheet.sheet.syntax import Binary, Call, Node, Unary, children
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook

if TYPE_CHECKING:
    from tests.fuzz.formulas import Finding

FIRST_COLUMN, MOST_SHEETS = 20, 60


@dataclass(slots=True)
class Part:
    """A part of a formula, entered as a formula of its own."""

    text: str
    node: Node
    column: int
    below: list[Part] = field(default_factory=list)
    finding: Finding | None = None

    def smallest(self) -> Part | None:
        """The part that is disagreed about and in which nothing smaller is."""
        for part in self.below:
            found = part.smallest()
            if found is not None:
                return found
        return self if self.finding is not None else None


def located(
    findings: Sequence[Finding], judge_book: Callable[[Workbook], dict[tuple[str, int, int], Finding]]
) -> list[tuple[Finding, Finding]]:
    """Each finding (one for each formula of a sheet) with that of its smallest part; `judge_book` calculates a
    workbook and says what is disagreed about, by sheet, row and column."""
    first: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        first.setdefault((id(finding.sheet), finding.source), finding)
    by_sheet: dict[int, list[Finding]] = defaultdict(list)
    for finding in first.values():
        by_sheet[id(finding.sheet)].append(finding)
    groups = list(by_sheet.values())
    found: list[tuple[Finding, Finding]] = []
    for start in range(0, len(groups), MOST_SHEETS):
        book, roots = Workbook("parts.xlsx"), []
        for number, group in enumerate(groups[start : start + MOST_SHEETS]):
            source = group[0].sheet
            values = {place: value for place, value in source.values.items() if place not in source.formulas}
            sheet = Sheet(f"P{number}", dict(values))
            book.sheets[sheet.name] = sheet
            column = FIRST_COLUMN
            for finding in group:
                node = parse(finding.text, finding.cell.row, finding.cell.column)
                root, column = _enter(sheet, finding, node, column)
                roots.append((finding, sheet.name, root))
        judged = judge_book(book)
        for finding, name, root in roots:
            _mark(root, finding, name, judged)
            part = root.smallest()
            # What only its copies show keeps its tree, without its parts being to blame.
            found.append(
                (
                    finding,
                    part.finding if part is not None and part.finding is not None else replace(finding, node=root.node),
                )
            )
    return found


def _enter(sheet: Sheet, finding: Finding, node: Node, column: int) -> tuple[Part, int]:
    top, left = finding.cell.row, finding.cell.column
    area = finding.area
    text = render(node, top, left)
    height, width = (area[2] - area[0] + 1, area[3] - area[1] + 1) if area is not None else (1, 1)
    row = area[0] if area is not None else top
    corners = (row, column, row + height - 1, column + width - 1) if area is not None else None
    sheet.formulas[row, column] = Formula(text, row, column, corners)
    part, column = Part(text, node, column), column + width
    for child in children(node):
        if isinstance(child, (Call, Binary, Unary)):
            below, column = _enter(sheet, finding, child, column)
            part.below.append(below)
    return part, column


def _mark(part: Part, finding: Finding, sheet: str, judged: dict[tuple[str, int, int], Finding]) -> None:
    area = finding.area or (finding.cell.row, finding.cell.column, finding.cell.row, finding.cell.column)
    places = [
        (sheet, row, column)
        for row in range(area[0], area[2] + 1)
        for column in range(part.column, part.column + area[3] - area[1] + 1)
    ]
    found = next((judged[place] for place in places if place in judged), None)
    part.finding = replace(found, node=part.node) if found is not None else None
    for below in part.below:
        _mark(below, finding, sheet, judged)
