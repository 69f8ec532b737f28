"""The Titanic: who survived, predicted by a linear model and by a network of two ReLU units.

Each of the 2201 people is one row. On `linear` the learner sees words become 1 and 0, six weights, and a
prediction that is a weighted sum. On `nnet` two such sums are each cut off at zero (a ReLU, written once as
MAX and once as IF) and added: a neural network in two columns. A chart compares the predicted with the
actual share of survivors in eight groups while the weights move.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from pathlib import Path
from random import Random
from typing import NamedTuple

from sgdsheet.apps.examples import _passengers, _titanic_more
from sgdsheet.apps.examples._by_hand import Sums, by_hand
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    Book,
    Content,
    Formula,
    Page,
    fill_down,
    mark,
)

TITLE = "The Titanic"
PLACE = ("Networks", 1)
DESCRIPTION = "Survival on the Titanic, 2201 people: a linear model and a network of two ReLU units"

# Survived and died, adults and then children. British Board of Trade inquiry (1912), as tabulated by
# R. J. MacG. Dawson, The “unusual episode” data revisited, Journal of Statistics Education 3(3), 1995.
COUNTS = {
    ("1st", "male"): ((57, 118), (5, 0)),
    ("1st", "female"): ((140, 4), (1, 0)),
    ("2nd", "male"): ((14, 154), (11, 0)),
    ("2nd", "female"): ((80, 13), (13, 0)),
    ("3rd", "male"): ((75, 387), (13, 35)),
    ("3rd", "female"): ((76, 89), (14, 17)),
    ("crew", "male"): ((192, 670), (0, 0)),
    ("crew", "female"): ((20, 3), (0, 0)),
}
SOME = 500  # people on the sheets where all would only make the workbook slow
FEATURES = ("male", "child", "1st", "2nd", "3rd", "constant")
COLUMNS = "EFGHIJ"  # of the features, and of the weights above them
LINEAR_START = ((0.12, -0.31, 0.26, 0.07, -0.18, 0.35),)
SUM_1, SUM_2 = "SUMPRODUCT(E{0}:J{0},E$6:J$6)", "SUMPRODUCT(E{0}:J{0},E$7:J$7)"  # {0} is the row
NNET_START = ((-0.21, 0.25, 0.47, 0.23, 0.31, -0.30), (-0.02, -0.27, -0.27, 0.37, 0.30, 0.27))

SOURCE = "Counts: British Board of Trade inquiry, 1912, tabulated by R. J. MacG. Dawson, 1995"
LINEAR_NOTE = (
    "Words become numbers: 1 for yes, 0 for no. The prediction for a person is the sum of the weights that "
    "apply. A woman of the crew has only the constant; every other weight says how much its trait adds or "
    "takes away.\n"
    "Watch the green bars of the chart approach the blue ones. They cannot all get there: this model takes "
    "off the same amount for every man, in any class. Its best loss is 0.1634. The sheet “nnet” can do "
    "better."
)
NNET_NOTE = (
    "Each unit is a weighted sum that is cut off at zero, a ReLU: unit 1 is written with MAX, unit 2 with a "
    "column for the sum and an IF. Where a unit is 0 (pale), its weights learn nothing from that person. "
    "With two units, being a man can matter more in one class than in another.\n"
    "People with the same traits met different fates, so no model can get below 0.1541 with these columns. "
    "Training reaches 0.1550. From other start values it can end higher, even above 0.17: there are many "
    "local minima."
)
LESSON = Lesson(
    about=(
        "Each of the 2201 people on board is a row, and the sheet predicts from class, sex and age who survived.",
        "On “linear” the prediction is a weighted sum: one weight for each trait.",
        "On “nnet” two such sums are cut off at zero and added, on “mmult” eight, and “raw” and “scaled” show what "
        "columns of unequal size do.",
    ),
    press="Go to “linear” and press Train; then do the same on “nnet”, “mmult”, “raw” and “scaled”.",
    watch="The chart: the bars “predicted” approach the bars “actual”, while the loss in the red cell falls.",
    wrong=(
        "The linear model takes off the same amount for every man, in any class, so it cannot follow the data, however "
        "long it is trained. The network can, but from other start values it may end in a worse valley: its loss has "
        "many local minima. On “raw” the age in months sets the learning rate, and the other weights hardly move."
    ),
    questions=(
        (
            "Each unit of “nnet” looks at all six columns. Why is one unit not enough?",
            "A unit sees the columns through one weighted sum, and that sum is all it knows of a person. One sum can "
            "say “a woman of the first class is likely to survive”; it cannot also say that being a child helps more "
            "in the second class than in the first. The second unit has weights of its own and adds another view.",
        ),
        (
            "Why is there a column that is always 1?",
            "Its weight is the bias: what the prediction starts with before any trait counts. A woman of the crew has "
            "no other 1 in her row, so the bias alone is her prediction.",
        ),
    ),
    trainings=(
        Training("linear", {0: "0.25170", 10: "0.18068", 100: "0.16337"}, best="0.163369"),
        Training("nnet", {0: "0.27045", 10: "0.17334", 100: "0.15527"}, best="0.15503"),
        Training("mmult", {0: "0.41681", 10: "0.2156"}, valid="< 0.17", metric="> 0.75"),
        Training("raw", {0: "0.3380", 1: "0.2378", 10: "0.2319"}, best="0.2319"),
        Training("scaled", {0: "0.3380", 1: "0.3138", 10: "0.2142"}, best="0.1821"),
    ),
)


class Person(NamedTuple):
    """One row of the data."""

    class_: str
    sex: str
    age: str
    survived: int

    @property
    def features(self) -> tuple[float, ...]:
        """The values of `FEATURES`."""
        classes = (self.class_ == name for name in FEATURES[2:5])
        return tuple(float(flag) for flag in (self.sex == "male", self.age == "child", *classes, True))


def people() -> list[Person]:
    """The published table as one row per person, in a shuffled order that is always the same."""
    table = [
        Person(class_, sex, age, survived)
        for (class_, sex), ages in COUNTS.items()
        for age, counts in zip(("adult", "child"), ages, strict=True)
        for survived, count in zip((1, 0), counts, strict=True)
        for _ in range(count)
    ]
    draw = Random(1912)
    return sorted(table, key=lambda _: draw.random())


def build(path: Path, csv: Path | None = None) -> None:
    """Write the workbook to `path`; with a passenger file, from that."""
    if csv is not None:
        _passengers.build(path, LESSON, csv)
        return
    persons = people()
    with Book(path, TITLE, LESSON) as book:
        _linear(book, persons)
        _nnet(book, persons)
        some = persons[:SOME]
        plain = _titanic_more.rows_of(some, list(COUNTS))
        _titanic_more.build(book, plain, [person.features for person in some])


def _linear(book: Book, persons: list[Person]) -> None:
    sentence = "Train this sheet: the weights change step by step, and the predictions move closer to the truth."
    widths = {"A:D": 11, "E:J": 8.5, "K:M": 11, "N": 3, "O:S": 13}
    page = Page(book, "linear", title="Who survived the Titanic?", sentence=sentence, widths=widths)
    rows = _people(page, persons, LINEAR_START)
    predictions = [_weighted_sum(person, LINEAR_START[0]) for person in persons]
    page.column("K7", mark(2, "prediction"), PREDICTION, fill_down(f"={SUM_1}", rows, predictions), "0.000", bold=True)
    _scores(page, persons, predictions, rows, "KLM")
    _panel(page, persons, predictions, rows, "K", "OPQRS")
    last = by_hand(page, 35, "OPQRS", Sums(rows, FEATURES, COLUMNS, (6,), "K", "D", "$P$4"))
    page.notes(f"O{last + 2}:S{last + 11}", "What to see", LINEAR_NOTE)
    page.label(f"O{last + 13}", SOURCE, italic=True)
    page.one_page(f"A1:S{last + 14}")


def _nnet(book: Book, persons: list[Person]) -> None:
    sentence = "Train this sheet: a small neural network of two units, each with its own weights."
    widths = {"A:D": 11, "E:J": 8.5, "K:P": 11, "Q": 3, "R:V": 13}
    page = Page(book, "nnet", title="The Titanic as a neural network", sentence=sentence, widths=widths)
    rows = _people(page, persons, NNET_START)
    sums = [[_weighted_sum(person, weights) for person in persons] for weights in NNET_START]
    units = [[max(0.0, value) for value in column] for column in sums]
    predictions = [first + second for first, second in zip(*units, strict=True)]
    page.column("K8", "unit 1", PREDICTION, fill_down(f"=MAX(0,{SUM_1})", rows, units[0]), "0.000")
    page.column("L8", "sum 2", PREDICTION, fill_down(f"={SUM_2}", rows, sums[1]), "0.000")
    page.column("M8", "unit 2", PREDICTION, fill_down("=IF(L{0}<0,0,L{0})", rows, units[1]), "0.000")
    page.column("N8", mark(2, "prediction"), PREDICTION, fill_down("=K{0}+M{0}", rows, predictions), "0.000", bold=True)
    page.fade_zeros(f"K{rows[0]}:M{rows[-1]}")
    _scores(page, persons, predictions, rows, "NOP")
    _panel(page, persons, predictions, rows, "N", "RSTUV")
    last = by_hand(page, 36, "RSTUV", Sums(rows, FEATURES, COLUMNS, (6, 7), "N", "D", "$S$4", "KM"))
    page.notes(f"R{last + 2}:V{last + 12}", "What to see", NNET_NOTE)
    page.label(f"R{last + 14}", SOURCE, italic=True)
    page.one_page(f"A1:V{last + 15}")


def _weighted_sum(person: Person, weights: tuple[float, ...]) -> float:
    return fsum(feature * weight for feature, weight in zip(person.features, weights, strict=True))


def _people(page: Page, persons: list[Person], weights: tuple[tuple[float, ...], ...]) -> range:
    """Write the weights, the people and their features; return the rows of the people."""
    header = 6 + len(weights)
    rows = range(header + 1, header + 1 + len(persons))
    for column, name in zip(COLUMNS, FEATURES, strict=True):
        page.header(f"{column}5", name, PARAMETER)
    for number, unit in enumerate(weights):
        label = mark(1, "weights" if len(weights) == 1 else f"unit {number + 1}")
        page.label(f"D{6 + number}", label, align="right", indent=1)
        for column, value in zip(COLUMNS, unit, strict=True):
            page.cell(f"{column}{6 + number}", value, PARAMETER, "0.000", bold=True, align="center")
    page.sheet.set_row(6, 20 if len(weights) > 1 else 34)
    page.sheet.set_row(header - 1, 34)
    page.column(f"A{header}", "Class", DATA, [person.class_ for person in persons], align="center")
    page.column(f"B{header}", "Sex", DATA, [person.sex for person in persons], align="center")
    page.column(f"C{header}", "Age", DATA, [person.age for person in persons], align="center")
    fates = [person.survived for person in persons]
    page.column(f"D{header}", "Survived\n(1 = yes)", DATA, fates, align="center")
    tests = ('B{0}="male"', 'C{0}="child"', 'A{0}="1st"', 'A{0}="2nd"', 'A{0}="3rd"')
    for number, (column, test) in enumerate(zip(COLUMNS, tests, strict=False)):
        cells = fill_down(f"=IF({test},1,0)", rows, [person.features[number] for person in persons])
        page.column(f"{column}{header}", FEATURES[number], DATA, cells, "0", align="center")
    page.column(f"J{header}", "constant", DATA, [1] * len(persons), "0", align="center")
    page.fade_zeros(f"D{rows[0]}:J{rows[-1]}")
    page.freeze(header)
    page.names(sgd_params=f"E6:J{header - 1}")
    return rows


def _scores(page: Page, persons: list[Person], predictions: list[float], rows: range, columns: Sequence[str]) -> None:
    """Write squared errors and hits, and above them their means: loss and accuracy."""
    prediction, error, hit = columns
    header = rows[0] - 1
    pairs = [(value, person.survived) for value, person in zip(predictions, persons, strict=True)]
    errors = [(value - survived) * (value - survived) for value, survived in pairs]
    hits = [float((value > 0.5) == (survived == 1)) for value, survived in pairs]
    squares = fill_down(f"=({prediction}{{0}}-D{{0}})^2", rows, errors)
    right = fill_down(f"=IF(({prediction}{{0}}>0.5)=(D{{0}}=1),1,0)", rows, hits)
    page.column(f"{error}{header}", "squared\nerror", LOSS, squares, "0.000")
    page.column(f"{hit}{header}", "correct\n(1 = yes)", PREDICTION, right, "0", align="center")
    page.fade_zeros(f"{hit}{rows[0]}:{hit}{rows[-1]}")
    loss = Formula(f"=AVERAGE({error}{rows[0]}:{error}{rows[-1]})", fsum(errors) / len(errors))
    accuracy = Formula(f"=AVERAGE({hit}{rows[0]}:{hit}{rows[-1]})", sum(hits) / len(hits))
    page.header(f"{error}5", mark(3, "loss"), LOSS)
    page.cell(f"{error}6", loss, LOSS, "0.0000", bold=True, align="center")
    page.header(f"{hit}5", "accuracy", PREDICTION)
    page.cell(f"{hit}6", accuracy, PREDICTION, "0.0%", bold=True, align="center")
    page.names(sgd_loss=f"{error}6", sgd_metric=f"{hit}6", sgd_data=f"A{rows[0]}:{hit}{rows[-1]}")


def _panel(
    page: Page,
    persons: list[Person],
    predictions: list[float],
    rows: range,
    prediction: str,
    columns: Sequence[str],
) -> None:
    """Write settings, chart and a table of groups, none of which the loss depends on, to the right."""
    class_, sex, people_, actual, predicted = columns
    settings: list[tuple[str, Content, str]] = [
        ("optimizer", "adam", "try sgd"),
        ("learning rate", 0.05, ""),
        ("steps", 500, ""),
    ]
    page.settings(f"{class_}2", settings)
    top = rows[0] + 17
    table: dict[str, list[Content]] = {column: [] for column in columns}
    for row, (group_class, group_sex) in enumerate(COUNTS, top + 1):
        members = [number for number, person in enumerate(persons) if person[:2] == (group_class, group_sex)]
        same = f"$A${rows[0]}:$A${rows[-1]},{class_}{row},$B${rows[0]}:$B${rows[-1]},{sex}{row})"
        survived = sum(persons[number].survived for number in members) / len(members)
        expected = fsum(predictions[number] for number in members) / len(members)
        table[class_].append(group_class)
        table[sex].append(group_sex)
        table[people_].append(Formula(f"=COUNTIFS({same}", len(members)))
        table[actual].append(Formula(f"=AVERAGEIFS($D${rows[0]}:$D${rows[-1]},{same}", survived))
        average = f"=AVERAGEIFS(${prediction}${rows[0]}:${prediction}${rows[-1]},{same}"
        table[predicted].append(Formula(average, expected))
    titles = ("Class", "Sex", "people", "survived", "predicted")
    for column, title in zip(columns, titles, strict=True):
        role = PREDICTION if column == predicted else DATA
        number = "0.0%" if column in (actual, predicted) else "#,##0"
        page.column(f"{column}{top}", title, role, table[column], number, align="center")
    chart = page.chart(
        {"type": "column"},
        f"{class_}{rows[0]}",
        title="Survivors in eight groups",
        x="class and sex",
        y="share that survived",
        number="0%",
        size=(480, 320),
    )
    groups = page.area(f"{class_}{top + 1}:{sex}{top + 8}")
    for name, column, colour in (("actual", actual, "#8DB8DC"), ("predicted", predicted, PREDICTION.dark)):
        chart.add_series(
            {
                "name": name,
                "categories": groups,
                "values": page.area(f"{column}{top + 1}:{column}{top + 8}"),
                "fill": {"color": colour},
                "gap": 60,
                "overlap": 0,
            }
        )
