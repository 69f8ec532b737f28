"""The Titanic's sheets from a passenger file: a table with the columns of the well-known train.csv.

Rows in which a needed cell is empty are left out, and `Start` says how many. Whatever else cannot be used is refused,
with its line and column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

from sgdsheet.apps.examples._networks import Column, People, Words, layered, weighted
from sgdsheet.apps.examples.lesson import Lesson
from sgdsheet.apps.examples.style import Book, Setting
from sgdsheet.data.formats import Source, open_source
from sgdsheet.errors import DataError, FileError, quoted

NEEDED = ("Survived", "Pclass", "Sex", "Age", "Fare", "SibSp", "Parch", "Embarked")
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
MOST = 20_000  # rows
HIDDEN = 20
PORTS = {"s": "S", "c": "C", "q": "Q"}

LINEAR_FEATURES = (
    ("SibSp", "{SibSp}"),
    ("Parch", "{Parch}"),
    ("age,\nscaled", "{Age}/{Age!}"),
    ("log of\nfare", "LOG10({Fare}+1)"),
    ("1st class", "IF({Pclass}=1,1,0)"),
    ("2nd class", "IF({Pclass}=2,1,0)"),
    ("from S", 'IF({Embarked}="S",1,0)'),
    ("from C", 'IF({Embarked}="C",1,0)'),
    ("male", 'IF({Sex}="male",1,0)'),
    ("constant", "1"),
)
RAW_FEATURES = (*LINEAR_FEATURES[:2], ("age", "{Age}"), ("fare", "{Fare}"), *LINEAR_FEATURES[4:])

LINEAR = Words(
    "linear",
    "Who survived the Titanic?",
    "Train this sheet: ten weights change step by step, and the predictions move closer to the truth.",
    "What to see",
    "Words become numbers: 1 for yes, 0 for no. Age is divided by the largest age, and the fare becomes its logarithm, "
    "so that all columns are of similar size. The prediction is the sum of feature × weight.\n"
    "A third class, the port Q and “female” need no columns: they are what is left when the others are 0.",
)
NNET = Words(
    "nnet",
    "The Titanic as a neural network",
    "Train this sheet: two weighted sums, each cut off at zero, and added.",
    "Two units",
    "Each unit is a weighted sum that is cut off at zero, a ReLU. With two of them, being a man can matter more in one "
    "class than in another. Where a unit is 0 (pale) it learns nothing from that person.\n"
    "From other start values it ends elsewhere: there are many local minima. Try the setting “restarts”.",
)
MMULT = Words(
    "mmult",
    "Twenty units, by MMULT",
    "Train this sheet: twenty units, each with its own column of weights; the marked rows only judge.",
    "A layer is one product of matrices",
    "Features × weights for all units at once is one product of two matrices: MMULT. Each of the twenty columns is cut "
    "off at zero, and one more weighted sum, squeezed between 0 and 1, is the prediction.\n"
    "One row in five is for validation: training never uses it. If the loss of the validation rows rises while that of "
    "the others falls, the network has begun to learn the passengers by heart.",
)
RAW = Words(
    "raw",
    "The same with raw columns",
    "Train this sheet and compare with “linear”: age and fare as they are, and a rate a thousand times as small.",
    "Why scale?",
    "A fare of 500 makes the gradient of its weight 500 times as large as that of a yes or no. The learning rate has "
    "to suit the largest, so all other weights hardly move.\n"
    "`sgdsheet check` says how large the rate may be on each sheet, and which columns are to blame.",
)


class Passenger(NamedTuple):
    """One complete row of the file."""

    survived: float
    class_: float
    sex: str
    age: float
    fare: float
    siblings: float
    parents: float
    port: str


class Passengers(NamedTuple):
    """What was found in the file."""

    name: str
    rows: list[Passenger]
    empty: dict[str, int]
    """The number of rows in which a column is empty, by column."""
    total: int


def read(path: Path) -> Passengers:
    """The complete rows of a passenger file.

    Raises FileError or DataError for a file without the columns, for cells that cannot be used (with their line), and
    if no row is complete.
    """
    source = open_source(path)
    columns = _columns(source)
    total = len(next(iter(source.fields.values())))
    if total > MOST:
        raise DataError(f"“{source.name}” has {total:,} rows, too many for a sheet", remedy=f"Use at most {MOST:,}")
    empty = dict.fromkeys(NEEDED, 0)
    rows = []
    for number in range(total):
        cells = {name: _text(source.fields[column][number]) for name, column in columns.items()}
        missing = [name for name, text in cells.items() if text.casefold() in MISSING]
        for name in missing:
            empty[name] += 1
        if not missing:
            rows.append(_passenger(cells, number + (source.first_row or 1)))
    _usable(source.name, rows, empty)
    return Passengers(source.name, rows, empty, total)


def _columns(source: Source) -> dict[str, str]:
    """The file's name of each needed column, without regard to case."""
    known = {name.strip().casefold(): name for name in source.fields}
    absent = [name for name in NEEDED if name.casefold() not in known]
    if absent:
        more = ". It seems to be the part without answers" if absent == ["Survived"] else ""
        cause = f"“{source.name}” has no column {', '.join(absent)}{more}"
        raise DataError(cause, remedy=f"Use a passenger file with {', '.join(NEEDED)}")
    return {name: known[name.casefold()] for name in NEEDED}


def _text(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip()


def _passenger(cells: dict[str, str], line: int) -> Passenger:
    def number(name: str, allowed: str, low: float, high: float, whole: bool = False) -> float:
        try:
            value = float(cells[name])
        except ValueError:
            value = math.nan
        if not low <= value <= high or (whole and value != int(value)):
            raise _refused(cells[name], name, line, allowed)
        return value

    def word(name: str, known: dict[str, str], allowed: str) -> str:
        found = known.get(cells[name].casefold())
        if found is None:
            raise _refused(cells[name], name, line, allowed)
        return found

    many = "a whole number, 0 or more"
    return Passenger(
        number("Survived", "0 or 1", 0, 1, whole=True),
        number("Pclass", "1, 2 or 3", 1, 3, whole=True),
        word("Sex", {"male": "male", "female": "female"}, "male or female"),
        number("Age", "a number from 0 to 150", 0, 150),
        number("Fare", "a number, 0 or more", 0, 1e9),
        number("SibSp", many, 0, 1e6, whole=True),
        number("Parch", many, 0, 1e6, whole=True),
        word("Embarked", PORTS, "S, C or Q"),
    )


def _refused(text: str, name: str, line: int, allowed: str) -> DataError:
    cause = f"line {line}, column {name}: {quoted(text)} cannot be used"
    return DataError(cause, remedy=f"Write {allowed}, or leave the cell empty")


def _usable(name: str, rows: Sequence[Passenger], empty: dict[str, int]) -> None:
    if len(rows) < 2:
        worst = max(empty, key=lambda column: empty[column])
        cause = f"“{name}” has {len(rows)} complete rows; {worst} is empty in {empty[worst]}"
        raise FileError(cause, remedy="Use a file with at least two")
    if not any(row.age > 0 for row in rows):
        raise DataError(f"in “{name}” every age is 0", remedy="Give ages in years")


def build(path: Path, lesson: Lesson, csv: Path) -> None:
    """Write the workbook to `path`, from the passengers in the file `csv`."""
    passengers = read(csv)
    people = _people(passengers.rows)
    with Book(path, "The Titanic", _lesson(lesson, passengers)) as book:
        draw = Random(1912)
        start = [[round(draw.gauss(0, 0.3), 3) for _ in LINEAR_FEATURES] for _ in range(3)]
        descent: list[Setting] = [("optimizer", "sgd", ""), ("learning rate", 0.1, ""), ("steps", 1000, "")]
        adam: list[Setting] = [("optimizer", "adam", ""), ("learning rate", 0.05, ""), ("steps", 500, "")]
        weighted(book, LINEAR, people, start[:1], descent)
        weighted(book, NNET, people, start[1:], adam)
        judged: list[Setting] = [*adam[:1], ("learning rate", 0.01, ""), ("steps", 300, "")]
        layered(book, MMULT, replace(people, held=_held(people.count)), HIDDEN, judged, seed=20)
        slow: list[Setting] = [*descent[:1], ("learning rate", 0.0002, "explodes if much larger"), descent[2]]
        weighted(book, RAW, replace(people, features=RAW_FEATURES), [[0.0] * len(RAW_FEATURES)], slow)


def _held(count: int) -> list[float]:
    """One row in five is for validation."""
    draw = Random(5)
    kept = max(1, count // 5)
    marks = [1.0] * kept + [0.0] * (count - kept)
    draw.shuffle(marks)
    return marks


def _people(rows: Sequence[Passenger]) -> People:
    names = ("Survived", "Pclass", "Sex", "Age", "Fare", "SibSp", "Parch", "Embarked")
    columns = [
        Column(name, [row[number] for row in rows], above="MAX({0})" if name == "Age" else "")
        for number, name in enumerate(names)
    ]
    groups = sorted({(row.class_, row.sex) for row in rows})
    oldest = max(row.age for row in rows)
    numbers = [
        (row.siblings, row.parents, row.age / oldest, math.log10(row.fare + 1), float(row.class_ == 1),
         float(row.class_ == 2), float(row.port == "S"), float(row.port == "C"), float(row.sex == "male"), 1.0)
        for row in rows
    ]  # fmt: skip
    return People(columns, LINEAR_FEATURES, numbers, ("Pclass", "Sex"), groups)


def _lesson(lesson: Lesson, passengers: Passengers) -> Lesson:
    """The words of `Start` for a file; its numbers are not known beforehand."""
    found = len(passengers.rows)
    holes = [f"{name} is empty in {count}" for name, count in passengers.empty.items() if count]
    left = f" The others were left out: {', '.join(holes)}." if holes else ""
    about = (
        f"{found:,} of the {passengers.total:,} passengers in the file {passengers.name} are rows of each sheet.{left}",
        "“linear” is a weighted sum of ten columns, “nnet” two ReLU units, and “mmult” twenty units and rows for "
        "validation.",
        "“raw” is “linear” with age and fare as they are: see what scaling is for.",
    )
    press = "Go to “linear” and press Train; then do the same on “nnet”, “mmult” and “raw”."
    wrong = (
        "With raw columns the fare decides how large the learning rate may be, and all other weights hardly move. "
        "With many units the network may learn the passengers by heart: then the validation rows get worse."
    )
    return replace(lesson, about=about, press=press, wrong=wrong, trainings=(), shows={})
