"""Conditional formats: what the values of cells ask for."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from sgdsheet.apps.web.conditional_formats import ConditionalFormats, conditional_formats
from sgdsheet.apps.web.rule_operands import CellReader
from sgdsheet.hosts.web.cell_store import CellStore
from sgdsheet.sheet.appearance import CellStyle, Mark, Rule
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Position, Sheet, Value, Workbook

AREA = Range("S", 1, 1, 4, 1)
RED = CellStyle(fill="#ff0000", bold=True)


def shown(*rules: Rule, values: list[Value | None], area: Range = AREA) -> list[object]:
    """The fills of the cells A1, A2 …, or what else the rules give them."""
    cells = {(row, 1): value for row, value in enumerate(values, 1) if value is not None}

    def values_in(asked: Range) -> Mapping[Position, Value]:
        return {at: cells[at] for at in asked.positions() if at in cells}

    found = conditional_formats(rules, [area], values_in)
    return [found.get((row, 1), {}).get("fill") for row in range(area.top, area.bottom + 1)]


def scale(*marks: tuple[str, str, str], area: Range = AREA) -> Rule:
    colours = tuple(colour for *_, colour in marks)
    return Rule("colorScale", 1, (area,), marks=tuple(Mark(kind, text) for kind, text, _ in marks), colours=colours)


def test_a_scale_of_two_colours() -> None:
    rule = scale(("min", "", "#000000"), ("max", "", "#ffffff"))
    assert shown(rule, values=[0.0, 5.0, 10.0, "text"]) == ["#000000", "#808080", "#ffffff", None]


def test_a_scale_of_three_colours_around_zero() -> None:
    rule = scale(("num", "-1", "#0000ff"), ("num", "0", "#ffffff"), ("num", "1", "#ff0000"))
    assert shown(rule, values=[-2.0, 0.0, 0.5, 2.0]) == ["#0000ff", "#ffffff", "#ff8080", "#ff0000"]


@pytest.mark.parametrize(("kind", "text", "middle"), [("percentile", "50", 2.0), ("percent", "50", 5.0)])
def test_the_middle_of_a_scale(kind: str, text: str, middle: float) -> None:
    rule = scale(("min", "", "#000000"), (kind, text, "#ffffff"), ("max", "", "#000000"))
    assert shown(rule, values=[0.0, middle, 10.0, middle])[1] == "#ffffff"


def test_the_whole_range_of_a_scale_counts_also_where_it_is_not_seen() -> None:
    rule = scale(("min", "", "#000000"), ("max", "", "#ffffff"))
    assert shown(rule, values=[0.0, 5.0, 10.0], area=Range("S", 2, 1, 2, 1)) == ["#808080"]


def test_bars_begin_at_zero() -> None:
    rule = Rule("dataBar", 1, (AREA,), marks=(Mark("min"), Mark("max")), colours=("#00ff00",))
    cells = {(1, 1): 5.0, (2, 1): 10.0}
    found = conditional_formats([rule], [AREA], lambda area: {at: cells[at] for at in area.positions() if at in cells})
    assert found == {
        (1, 1): {"bar": 0.5, "bar_color": "#00ff00"},
        (2, 1): {"bar": 1.0, "bar_color": "#00ff00"},
    }


@pytest.mark.parametrize(
    ("operator", "formulas", "expected"),
    [
        ("greaterThan", ("2",), "..x."),
        ("greaterThanOrEqual", ("2",), ".xx."),
        ("lessThan", ("2",), "x..."),
        ("lessThanOrEqual", ("2",), "xx.."),
        ("equal", ("2",), ".x.."),
        ("notEqual", ("2",), "x.x."),
        ("between", ("1.5", "2.5"), ".x.."),
        ("notBetween", ("1.5", "2.5"), "x.x."),
        ("equal", ("$A$3",), "..x."),
        ("equal", ("A3",), "...."),  # it moves with the cells
        ("equal", ("SUM(A1)",), "...."),
    ],
)
def test_comparisons(operator: str, formulas: tuple[str, ...], expected: str) -> None:
    rule = Rule("cellIs", 1, (AREA,), style=RED, operator=operator, formulas=formulas)
    found = shown(rule, values=[1.0, 2.0, 3.0, ExcelError.NA])
    assert "".join("x" if fill else "." for fill in found) == expected


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("containsText", {"text": "B"}, "xx.."),
        ("beginsWith", {"text": "ab"}, "x..."),
        ("containsBlanks", {}, "..x."),
        ("containsErrors", {}, "...x"),
        ("duplicateValues", {}, "...."),
        ("uniqueValues", {}, "xx.x"),
    ],
)
def test_other_rules(kind: str, attributes: dict[str, str], expected: str) -> None:
    found = shown(Rule(kind, 1, (AREA,), style=RED, attributes=attributes), values=["abc", "b", None, ExcelError.NA])
    assert "".join("x" if fill else "." for fill in found) == expected


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("top10", {"rank": "2"}, "..xx"),
        ("top10", {"rank": "1", "bottom": "1"}, "x..."),
        ("top10", {"rank": "50", "percent": "1"}, "..xx"),
        ("aboveAverage", {}, "...x"),
        ("aboveAverage", {"aboveAverage": "0"}, "xxx."),
    ],
)
def test_rules_about_all_numbers(kind: str, attributes: dict[str, str], expected: str) -> None:
    found = shown(Rule(kind, 1, (AREA,), style=RED, attributes=attributes), values=[1.0, 2.0, 3.0, 30.0])
    assert "".join("x" if fill else "." for fill in found) == expected


def test_the_first_rule_decides() -> None:
    first = Rule("cellIs", 1, (AREA,), style=RED, operator="greaterThan", formulas=("2",), stop=True)
    second = Rule("cellIs", 2, (AREA,), style=CellStyle(fill="#00ff00"), operator="greaterThan", formulas=("1",))
    assert shown(first, second, values=[1.0, 2.0, 3.0, None]) == [None, "#00ff00", "#ff0000", None]


OPERATORS = ["equal", "notEqual", "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual"]
BETWEEN = [("between", ("1", "-1")), ("notBetween", ("-1", "1")), ("between", ("2",)), ("equal", ('"x"',))]


def test_arrays_of_numbers_look_as_their_cells_do() -> None:
    """Training writes arrays, again and again; the cells get what they would get one by one."""
    comparisons = [(operator, ("1",)) for operator in OPERATORS] + BETWEEN
    rules = [Rule("cellIs", number, (AREA,), RED, False, *how) for number, how in enumerate(comparisons)]
    rules += [
        scale(("min", "", "#000000"), ("max", "", "#ffffff")),
        scale(("min", "", "#2f6db5"), ("num", "0", "#ffffff"), ("max", "", "#d9730d")),
        scale(("num", "-1", "#000000"), ("percentile", "50", "#00ff00"), ("num", "1", "#ffffff")),
    ]
    chance = random.Random(2)
    for rule in rules:
        store = CellStore(Workbook("book", sheets={"S": Sheet("S")}))
        reader = CellReader(store.values_in, store.at_once)
        followed = ConditionalFormats(reader)
        for turn in range(12):
            numbers = np.array([[float(chance.choice((-2, -1, -0.5, 0, 0.5, 1, 2)))] for _ in range(4)])
            store.put([BlockValues(AREA, numbers)])
            if turn == 6:
                store.mark_outdated([AREA])  # a while without arrays
            reader.look()
            before = followed.extras() if turn else {}
            different = followed.look([rule], [AREA], frozenset({AREA}) if turn else None)
            plain = conditional_formats([rule], [AREA], store.values_in)
            assert followed.extras() == plain, (rule, turn)
            places = before.keys() | plain.keys()
            assert {at for at in places if before.get(at) != plain.get(at)} <= different
