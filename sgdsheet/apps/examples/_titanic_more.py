"""More sheets of the Titanic: a layer of units by MMULT with validation rows, and raw against scaled columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from sgdsheet.apps.examples._networks import Column, People, Words, layered, weighted
from sgdsheet.apps.examples.style import Book, Content, Setting

HIDDEN = 8
MMULT = Words(
    "mmult",
    "Eight units, by MMULT",
    "Train this sheet of 500 people: eight units, each with its own column of weights; marked rows only judge.",
    "A layer is one product of matrices",
    "Features × weights for all units at once is one product of two matrices: MMULT. Each of the eight columns is cut "
    "off at zero, and one more weighted sum, squeezed between 0 and 1, is the prediction.\n"
    "One row in five is for validation: training never uses it. Both losses fall together here, because people with "
    "the same class, sex and age are in both parts: there is little to learn by heart.",
)
RAW = Words(
    "raw",
    "Raw columns",
    "Train this sheet of 500 people and compare with “scaled”: two columns have other units, and it is stuck.",
    "Why is it stuck?",
    "Age stands in months here (360 for adults and 60 for children, as a guess), and class is a number from 1 to 4. "
    "The loss reacts {condition} times as strongly in one direction as in another, and explodes at rates above {rate}. "
    "With such a rate, the weights of sex and class hardly move.\n"
    "The cure is on “scaled”.",
)
SCALED = Words(
    "scaled",
    "The same columns, scaled",
    "Train this sheet: each column is divided by its largest value, and the same hundred steps arrive.",
    "Why does it work now?",
    "All columns lie between 0 and 1. The loss is only {condition} times as steep in one direction as in another, and "
    "the rate may be up to {rate}.\n"
    "The weights are others now, because they multiply other numbers; the predictions that can be had are the same.",
)
CONDITIONS = {"raw": ("4,500,000", "0.0000081"), "scaled": ("204", "0.315")}


def rows_of(people: Sequence[tuple[str, str, str, int]], groups: Sequence[tuple[str, str]]) -> People:
    """The people as data columns, without features."""
    names = (("Survived", 3), ("Class", 0), ("Sex", 1), ("Age", 2))
    columns = [Column(name, [_content(person[place]) for person in people]) for name, place in names]
    return People(columns, (), (), ("Class", "Sex"), groups)


def _content(value: str | int) -> Content:
    return value


def build(book: Book, plain: People, features: Sequence[tuple[float, ...]]) -> None:
    """Write the three sheets; `features` are male, child, 1st, 2nd, 3rd and 1 of each person."""
    draw = Random(1912)
    held = [1.0] * (plain.count // 5) + [0.0] * (plain.count - plain.count // 5)
    draw.shuffle(held)
    flags = [("male", 'IF({Sex}="male",1,0)'), ("child", 'IF({Age}="child",1,0)')]
    flags += [(name, f'IF({{Class}}="{name}",1,0)') for name in ("1st", "2nd", "3rd")]
    people = replace(plain, features=[*flags, ("constant", "1")], numbers=features, held=held)
    adam: list[Setting] = [("optimizer", "adam", ""), ("learning rate", 0.02, ""), ("steps", 300, "")]
    layered(book, MMULT, people, HIDDEN, adam, seed=8)
    number = 'IF({Class}="1st",1,IF({Class}="2nd",2,IF({Class}="3rd",3,4)))'
    months = 'IF({Age}="child",60,360)'
    for words, class_, age, rate in ((RAW, number, months, 5e-6), (SCALED, f"{number}/4", f"{months}/360", 0.3)):
        condition, highest = CONDITIONS[words.sheet]
        said = words._replace(note=words.note.format(condition=condition, rate=highest))
        columns = [("class", class_), ("male", flags[0][1]), ("age", age), ("constant", "1")]
        people = replace(plain, features=columns)
        settings: list[Setting] = [("optimizer", "sgd", ""), ("learning rate", rate, f"explodes above {highest}")]
        weighted(book, said, people, [[0.0] * 4], [*settings, ("steps", 100, "")])
