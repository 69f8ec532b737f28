"""Ratings of films, of which most people have seen only some: what would they say of the others?

Each person and each film gets two factors that nobody names; a rating is predicted as the products of both, added up.
On `biases` a person may also be generous, and a film be liked by all. Some ratings are held back, to see whether the
predictions are any good.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from sgdsheet.apps.examples._charts import limits
from sgdsheet.apps.examples._digits import normal, several, signed
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import DATA, LOSS, PARAMETER, PREDICTION, Book, Formula, Page, Role, mark

TITLE = "What would they say of the other films?"
PLACE = ("Pictures and words", 7)
DESCRIPTION = "Ratings with gaps: latent factors of people and films, with and without biases"

PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kim", "Leo")
FILMS = ("Tin Robots", "Star Harbour", "Moon Miners", "Paris Rain", "Two Letters", "Late Summer", "Ghost Lift",
         "Cold Cellar", "Big Laughs", "Noisy Uncle")  # fmt: skip
# What made the ratings: how much a film is about space rather than love, and about fear rather than fun.
_TRAITS = ((1.2, 0.3), (1.1, -0.3), (0.9, 0.2), (-1.1, 0.1), (-1.0, 0.2), (-0.9, -0.4), (0.2, 1.2), (-0.1, 1.1),
           (-0.2, -1.1), (0.1, -1.2))  # fmt: skip
FACTORS = 2
PANEL = {"A:D": 13, "E": 2}
RATED, GUESSED = "LMNOPQRSTU", ("W", "X", "Y", "Z", "AA", "AB", "AC", "AD", "AE", "AF")  # columns of the films
UPPER, LOWER = range(11, 23), range(27, 39)  # rows of the people
TOP = UPPER[0] - 1

NOTES = {
    "factors": (
        "A rating is predicted as factor 1 of the person × factor 1 of the film + the same of factor 2. "
        "Nobody says what the factors mean. They become what explains the ratings, for instance how much a "
        "film is about space, and how much a person likes that.\n"
        "A gap in the ratings costs nothing: its error is 0, so its gradient is, too. But its prediction is there: "
        "framed, on the right. That is the recommendation.\n"
        "Without biases the factors must also say that Ada rates everything high. Compare with “biases”."
    ),
    "biases": (
        "Now a prediction is the mean rating + a bias of the person (is she generous?) + a bias of the film (does "
        "everybody like it?) + the factors. The factors are free for taste.\n"
        "Look at B6, the error of the ratings that were held back: below 1, where always guessing the mean errs by "
        "1.40.\nPut weight decay on 0 and train again: the loss falls further, and B6 rises above 7. With few "
        "ratings per person large factors fit them exactly, and say nonsense about the rest. That is overfitting."
    ),
}
LESSON = Lesson(
    about=(
        "Twelve people rated some of ten films from 1 to 5, and the sheet predicts what they would say of the others.",
        (
            "Every person and every film gets two numbers, the latent factors, which are learned from nothing but the "
            "ratings."
        ),
        "Biases for generous people and for films that everybody likes make the predictions better.",
    ),
    press="Train “factors”, then “biases”. Then put weight decay on 0 and train “biases” again from its start values.",
    watch=(
        "The loss of the known ratings beside the error of those held back (B6), the chart of the films, and the "
        "framed predictions where nobody has rated."
    ),
    wrong=(
        "Without weight decay the known ratings are predicted almost exactly and the others badly: with some five "
        "ratings per person and two factors for each there is much room to learn by heart."
    ),
    questions=(
        (
            "What do the two factors mean?",
            "Nobody told the model. They are directions in which tastes differ in these ratings: here films about "
            "space lie on one side and love stories on the other, frightening ones and funny ones across. Other "
            "start values can turn or mirror the picture; the predictions stay much the same.",
        ),
        (
            "Why must the factors start at random, and not at 0?",
            "The gradient of a person's factor is error × factor of the film. If all are 0, all gradients are 0 and "
            "nothing ever moves. If all are equal, both factors stay equal for ever.",
        ),
        (
            "What does the model say about somebody who has rated nothing?",
            "All that is known is the mean and the biases of the films: the factors and the bias of that person stay "
            "near 0 under weight decay. That is called the cold start.",
        ),
    ),
    trainings=(
        Training("factors", {0: "11.1082"}, best="0.3481", metric="1.488"),
        Training("biases", {0: "1.2922"}, best="0.0931", metric="0.881"),
        Training("biases", typed={"B12": 0.0}, best="0.0608", metric="> 5"),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _sheet(book, "factors", "Ratings from two factors", biased=False)
        _sheet(book, "biases", "Ratings from two factors and biases", biased=True)


def ratings() -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """The ratings that are known, and those that are held back, each by person and film."""
    draw = Random(0)
    liked = [draw.uniform(-0.7, 0.7) for _ in FILMS]
    known, held = {}, {}
    for person in range(len(PEOPLE)):
        taste, generous = (draw.uniform(-1.1, 1.1), draw.uniform(-1.1, 1.1)), draw.uniform(-0.8, 0.8)
        for film, traits in enumerate(_TRAITS):
            match = taste[0] * traits[0] + taste[1] * traits[1]
            rating = min(5, max(1, round(3.2 + generous + liked[film] + 1.1 * match + draw.gauss(0, 0.3))))
            chance = draw.random()
            if chance < 0.66:
                known[person, film] = rating
            elif chance < 0.78:
                held[person, film] = rating
    return known, held


def _sheet(book: Book, name: str, title: str, *, biased: bool) -> None:
    sentence = "Train this sheet: the factors of people and films change until the predictions meet the ratings."
    widths = {**PANEL, "F": 9, "G:I": 9.5, "J": 2, "K": 9.5, "L:U": 7.4, "V": 2, "W:AF": 7.4}
    page = Page(book, name, title=title, sentence=sentence, widths=widths)
    for row, height in ((6, 20), (8, 20), (TOP - 1, 34), (25, 34)):
        page.sheet.set_row(row, height)
    _parameters(page, biased=biased)
    known, held = ratings()
    _matrix(page, RATED, UPPER, "ratings from 1 to 5; a gap where nobody knows", known)
    _matrix(page, GUESSED, LOWER, "ratings that are held back, to test the predictions", held)
    _predictions(page, biased=biased)
    _gradients(page)
    rated, guessed = f"L{UPPER[0]}:U{UPPER[-1]}", f"W{UPPER[0]}:AF{UPPER[-1]}"
    tested = f"W{LOWER[0]}:AF{LOWER[-1]}"
    errors = f"L{LOWER[0]}:U{LOWER[-1]}"
    page.header("A5", mark(3, "loss"), LOSS)
    page.cell("A6", Formula(f"=SUMSQ({errors})/COUNT({rated})"), LOSS, "0.0000", bold=True, align="center")
    for letter, text, minuend in (("B", "held back", guessed), ("D", "by the mean", "$C$6")):
        page.header(f"{letter}5", text, PREDICTION)
        formula = f'=SQRT(SUMPRODUCT(({tested}<>"")*({minuend}-{tested})^2)/COUNT({tested}))'
        page.cell(f"{letter}6", Formula(formula), PREDICTION, "0.000", bold=True, align="center")
    page.header("C5", "mean rating", DATA)
    page.cell("C6", Formula(f"=AVERAGE({rated})"), DATA, "0.000", bold=True, align="center")
    page.settings("A8", [("optimizer", "adam", ""), ("learning rate", 0.05, ""), ("steps", 300, ""),
                         ("weight decay", 0.02, "or 0")])  # fmt: skip
    _chart(page)
    page.notes("A32:D52", "What to see", NOTES[name])
    page.names(sgd_loss="A6", sgd_metric="B6")
    page.one_page("A1:AF52")
    page.freeze(TOP)


def _parameters(page: Page, *, biased: bool) -> None:
    """Factors of people on the left, of films on top, and biases behind them."""
    seed = 21 if biased else 11
    people, films = normal(FACTORS * len(PEOPLE), 0.4, seed), normal(FACTORS * len(FILMS), 0.4, seed + 1)
    page.label("L5", mark(1, "factors of the films" + (", and their biases" if biased else "")), bold=True)
    page.label(f"G{TOP - 1}", mark(1, "of the people"), bold=True)
    page.column(f"F{TOP}", "person", DATA, PEOPLE, align="center", bold=True)
    for factor in range(FACTORS):
        letter = "GH"[factor]
        page.column(
            f"{letter}{TOP}", f"factor {factor + 1}", PARAMETER, people[factor::FACTORS], "0.00", align="center"
        )
        page.label(f"K{6 + factor}", f"factor {factor + 1}", align="right", indent=1)
        for film, column in enumerate(RATED):
            page.cell(f"{column}{6 + factor}", films[FACTORS * film + factor], PARAMETER, "0.00", align="center")
    last = 5 + FACTORS
    areas = [f"{page.name}!$G${UPPER[0]}:$H${UPPER[-1]}", f"{page.name}!$L$6:$U${last}"]
    if biased:
        page.column(f"I{TOP}", "bias", PARAMETER, [0.0] * len(PEOPLE), "0.00", align="center")
        page.label(f"K{last + 1}", "bias", align="right", indent=1)
        for column in RATED:
            page.cell(f"{column}{last + 1}", 0.0, PARAMETER, "0.00", align="center")
        areas += [f"{page.name}!$I${UPPER[0]}:$I${UPPER[-1]}", f"{page.name}!$L${last + 1}:$U${last + 1}"]
    several(page, sgd_params=areas)


def _matrix(page: Page, columns: tuple[str, ...] | str, rows: range, title: str, values: dict[tuple[int, int], int]
            ) -> None:  # fmt: skip
    """People × films: numbers where there are any, and empty cells."""
    _heads(page, columns, rows, title, DATA)
    for film, column in enumerate(columns):
        for person, row in enumerate(rows):
            page.cell(f"{column}{row}", values.get((person, film), ""), DATA, "0", align="center")


def _heads(page: Page, columns: tuple[str, ...] | str, rows: range, title: str, role: Role) -> None:
    page.label(f"{columns[0]}{rows[0] - 2}", title, bold=True)
    for column, film in zip(columns, FILMS, strict=True):
        page.header(f"{column}{rows[0] - 1}", film, role, font_size=10)


def _predictions(page: Page, *, biased: bool) -> None:
    """On the right what the model says, and below the ratings the errors."""
    _heads(page, GUESSED, UPPER, mark(2, "predictions; framed where there is no rating"), PREDICTION)
    _heads(page, RATED, LOWER, mark(3, "errors: prediction − rating; empty where there is no rating"), LOSS)
    page.column(f"F{LOWER[0] - 1}", "person", DATA, PEOPLE, align="center", bold=True)
    for rated, guessed in zip(RATED, GUESSED, strict=True):
        for row, below in zip(UPPER, LOWER, strict=True):
            text = f"=$G{row}*{rated}$6+$H{row}*{rated}$7"
            if biased:
                text += f"+$I{row}+{rated}${6 + FACTORS}+$C$6"
            page.cell(f"{guessed}{row}", Formula(text), PREDICTION, "0.0", align="center")
            error = f'=IF({rated}{row}="",0,{guessed}{row}-{rated}{row})'
            page.cell(f"{rated}{below}", Formula(error), LOSS, "0.0;-0.0;;@", align="center")
    frame = page.book.workbook.add_format({"bold": True, "border": 1, "border_color": PREDICTION.dark})
    rule = {"type": "formula", "criteria": f'=$L${UPPER[0]}=""'.replace("$", ""), "format": frame}
    page.sheet.conditional_format(f"W{UPPER[0]}:AF{UPPER[-1]}", rule)
    signed(page, f"L{LOWER[0]}:U{LOWER[-1]}", numbers=True)


def _gradients(page: Page) -> None:
    """The gradient of every factor: errors × factors of the other side."""
    count = f"COUNT($L${UPPER[0]}:$U${UPPER[-1]})"
    page.label(f"G{LOWER[0] - 2}", mark(4, "gradient"), bold=True)
    for factor in range(FACTORS):
        letter = "GH"[factor]
        page.header(f"{letter}{LOWER[0] - 1}", f"by factor {factor + 1}", LOSS)
        for row in LOWER:
            text = f"=2*SUMPRODUCT($L{row}:$U{row},$L${6 + factor}:$U${6 + factor})/{count}"
            page.cell(f"{letter}{row}", Formula(text), LOSS, "0.000", align="center")
        below = LOWER[-1] + 1 + factor
        page.label(f"K{below}", mark(4, f"factor {factor + 1}"), align="right")
        for column in RATED:
            errors = f"{column}${LOWER[0]}:{column}${LOWER[-1]}"
            text = f"=2*SUMPRODUCT({errors},${letter}${UPPER[0]}:${letter}${UPPER[-1]})/{count}"
            page.cell(f"{column}{below}", Formula(text), LOSS, "0.000", align="center")


def _chart(page: Page) -> None:
    """The films by their two factors, with their names."""
    chart = page.chart({"type": "scatter"}, "A14", title="The films by their factors", x="factor 1", y="factor 2",
                       number="0.0", size=(384, 350))  # fmt: skip
    names = [{"value": film} for film in FILMS]
    font = {"name": "Calibri", "size": 9, "color": DATA.dark}
    chart.add_series(
        {
            "name": "films",
            "categories": page.area("L6:U6"),
            "values": page.area("L7:U7"),
            "marker": {"type": "circle", "size": 7, "fill": {"color": DATA.dark}, "border": {"color": "#FFFFFF"}},
            "data_labels": {"value": True, "custom": names, "position": "above", "font": font},
        }
    )
    chart.set_legend({"none": True})
    for axis in "xy":
        limits(chart, axis, -2, 2, 1)
