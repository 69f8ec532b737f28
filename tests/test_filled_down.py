"""Formulas that LibreOffice shows in the rows of a column: translated once for all copies, and right for each."""

from __future__ import annotations

import random

import pytest

from sgdsheet.hosts.libreoffice.filled_down import FilledDown
from sgdsheet.hosts.libreoffice.notation import to_excel
from sgdsheet.sheet.formula import formula_text, relative_key

FILLED = [
    "=A{0}*2",
    "=$A{0}+A$1*$B$2",
    "=SUM(A{0}:C{1};$E$1)*1.5E3",
    '=$Other.A{0}&"A{0} 100%"',
    "=$'my A1 sheet'.B{0}+$'it''s'.$C$3",
    '=IF(A{0}>B{1};"x";{{1;2|3;4}})',
    "=SUM({0}:{1})",
    "=LOG10(A{0})+x.A{0}",
    "=SUM(table[[#This Row];[A1]])+A{0}",
    "=A{0}%",
]
UNLIKE = ["=A{0}*{0}", "=x{0}y+A1", '="A{0}"&A{1}', "=A1", "={0}"]
"""Formulas that change from row to row otherwise than by filling down."""


def written(pattern: str, rows: range) -> list[str]:
    """What the pattern is in each row, and where it says literally what a copy would not change, in quotes."""
    texts = [pattern.format(row, row + 1) for row in rows]
    if '"' in pattern and pattern in FILLED:  # a text stays as it is
        kept = pattern.split('"')
        texts = [
            '"'.join(
                part.format(rows[0], rows[0] + 1) if n % 2 else part.format(row, row + 1) for n, part in enumerate(kept)
            )
            for row in rows
        ]
    return texts


@pytest.mark.parametrize("pattern", [*FILLED, *UNLIKE])
def test_each_row_has_the_formula_that_it_shows(pattern: str) -> None:
    filled = FilledDown()
    for row, text in enumerate(written(pattern, range(7, 20)), 7):
        (found,) = filled.column([text], row, 4)
        assert formula_text(found, row, 4) == to_excel(text)
        assert relative_key(found.text, found.row, found.column) == relative_key(to_excel(text), row, 4)


@pytest.mark.parametrize("pattern", FILLED)
def test_copies_share_one_object(pattern: str) -> None:
    filled = FilledDown()
    found = filled.column(written(pattern, range(7, 20)), 7, 4)
    found += filled.column(written(pattern, range(7, 30))[13:], 20, 4)  # the next block of a large sheet
    assert len(found) == 23
    assert len(set(map(id, found))) == 1


def test_a_gap_ends_a_run_and_columns_are_their_own() -> None:
    filled = FilledDown()
    first = filled.column(["=A1", "=A2"], 1, 4)
    assert first[0] is first[1]
    assert filled.column(["=A4"], 4, 4)[0] is not first[0]
    assert filled.column(["=A3"], 3, 5)[0].text == "A3"


def test_a_column_at_once_is_as_one_cell_after_the_other() -> None:
    """Wherever copies end: what is compared at once grows as long as they go on."""
    odd = random.Random(4)
    texts = [f"=A{row}*2" if odd.random() < 0.9 else f"=A{odd.randrange(1, 9)}+$B{row}" for row in range(1, 400)]
    whole, single = FilledDown(), FilledDown()
    found = whole.column(texts, 1, 4)
    alone = [formula for row, text in enumerate(texts, 1) for formula in single.column([text], row, 4)]
    assert found == alone
    assert [formula_text(formula, row, 4) for row, formula in enumerate(found, 1)] == [text[1:] for text in texts]
    assert 10 < len(set(map(id, found))) < 200


def test_the_next_reading_has_the_same_objects() -> None:
    first = FilledDown()
    before = [*first.column(["=A1", "=A2"], 1, 2), *first.column(["=C1*2", "=C2*3"], 1, 4)]
    second = FilledDown(first.met)
    now = [*second.column(["=A1", "=A2"], 1, 2), *second.column(["=C1*2", "=C2*4"], 1, 4)]
    assert [one is two for one, two in zip(before, now, strict=True)] == [True, True, True, False]
    assert second.met.keys() == set(now)
