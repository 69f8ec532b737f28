"""One attention head in ordinary formulas: queries, keys, values, scores, softmax and what comes out.

On `sentence` every matrix of a head stands in cells, for six words, and the head learns where each word should look. On
`lookup` a head learns what attention is good for: to find, among pairs, the value that belongs to a letter.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from sgdsheet.apps.examples._charts import bars, limits
from sgdsheet.apps.examples._digits import SOFT, glow, letters, normal, several, signed
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    SETTING,
    Book,
    Content,
    Formula,
    Page,
    Role,
    fill_down,
    mark,
)

TITLE = "One attention head"
PLACE = ("Pictures and words", 6)
DESCRIPTION = "One attention head in cells: queries, keys, values, scores, softmax, and a look-up that is learned"

WORDS = ("the", "cat", "ate", "because", "it", "hungry")
KINDS = ("article", "noun", "verb", "link", "pronoun", "adjective")
LOOKS_AT = (1, 1, 2, 3, 2, 5)  # the word that each word should look at, counted from 1
COUNT, WIDTH = len(WORDS), 2
PANEL = {"A:D": 13, "E": 2}
HEADER = 12  # of the sentence: above it three times two rows of weights, from row 6 on
ROWS = range(HEADER + 1, HEADER + 1 + COUNT)
GRADIENT = range(ROWS[-1] + 4, ROWS[-1] + 4 + COUNT)
KIND, VECTORS, SCORES, WEIGHTS, OUTPUT = 7, 14, 21, 28, 35  # first columns: G, N, U, AB and AI
PAIRS, LETTERS, EXAMPLES = 3, "ABCD", 24

SENTENCE_NOTE = (
    "Each word asks: its query Q is its features × W_Q. Each word also offers a key K and a value V. The score of two "
    "words is query × key, added up over both numbers and divided by √2. Softmax makes weights of a row's scores "
    "that add up to 1, and the output is the values, weighed.\n"
    "With the mask (C6 = 1) a word sees only itself and those before it: e^score is 0 for the others.\n"
    "The head is trained to look at the words marked in AK: “it” at “cat”, “ate” at “cat”. The loss is −LN of those "
    "weights, and the gradient by the scores is weights − targets, as with any softmax. V is not trained here, "
    "because this loss looks only at the weights; nor does the query of “the” move, which can look at nothing but "
    "itself."
)
LOOKUP_NOTE = (
    "Each row has three pairs of a letter and a number, and asks for the number of one letter. The head gets a query "
    "and a key for each letter, two numbers each, at random. It compares the query with the three keys, and the "
    "output is the three numbers, weighed.\n"
    "Train: the query of each letter turns to the key of the same letter, and the weights become nearly 0 and 1. "
    "Nobody told the head that A belongs to A.\n"
    "Attention is a look-up that may be a little wrong, and so it has a gradient."
)
LESSON = Lesson(
    about=(
        "In a language model each word looks at the words before it, and attention decides how much at which.",
        "One head is a few ordinary formulas: three weighted sums per word, products of two of them, a softmax.",
        "Here all of its matrices stand in cells, and it learns to look where it should.",
    ),
    press="Train “sentence”, then “lookup”. Put 0 into C6 of “sentence” to take the mask off.",
    watch=(
        "The matrix of the weights: the dark cells move to the words that are marked. On “lookup” the letters' vectors."
    ),
    wrong=(
        "If all scores are large, the softmax is nearly 0 and 1 and its gradient nearly 0: that is why they are "
        "divided by √2, the root of the number of entries. Without the mask a model could look at the word that it "
        "has to predict."
    ),
    questions=(
        (
            "What are query, key and value, in one sentence each?",
            "The query is what a word looks for. The key is what a word offers to be found by. The value is what it "
            "hands on when it is looked at. All three are weighted sums of the same features, with weights of their "
            "own.",
        ),
        (
            "Why are the scores divided by √2?",
            "A score is a sum of as many products as a vector has entries, here 2; the more entries, the larger the "
            "scores become by chance. Divided by the root of their number they keep their size, and the softmax "
            "keeps its gradient.",
        ),
        (
            "What would change without attention?",
            "Every word would have to be handled by itself, or all words by one fixed weighted sum. The weights of an "
            "attention head are calculated anew for each sentence: who looks at whom depends on the words.",
        ),
    ),
    trainings=(
        Training("sentence", {0: "0.9827", 1: "0.9432", 10: "0.5668"}, best="0.0003", metric="> 0.99"),
        Training("lookup", {0: "3.6729", 1: "3.5736", 10: "2.6931"}, best="0.0002", metric="1"),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _sentence(book)
        _lookup(book)


def _sentence(book: Book) -> None:
    sentence = "Train this sheet: the weights of queries and keys change until each word looks at the marked one."
    widths = {**PANEL, "F": 10, "G:L": 8.7, "M": 2, "N:S": 6.5, "T": 2, "U:Z": 7.2, "AA": 2, "AB:AG": 7.2, "AH": 2,
              "AI:AJ": 7.5, "AK:AL": 9}  # fmt: skip
    page = Page(book, "sentence", title="One head looks at a sentence", sentence=sentence, widths=widths)
    page.sheet.set_row(6, 20)
    page.sheet.set_row(HEADER - 1, 34)
    page.header("C5", "mask", SETTING)
    page.cell("C6", 1, SETTING, "0", bold=True, align="center")
    page.header("D5", "show word", SETTING)
    page.cell("D6", 5, SETTING, "0", bold=True, align="center")
    _features(page)
    _scores(page)
    _looking(page)
    loss, first, last = letters(OUTPUT + 3), ROWS[0], ROWS[-1]
    powers = "+".join(f"EXP(-{loss}{row})" for row in ROWS)
    page.scores(Formula(f"=AVERAGE({loss}{first}:{loss}{last})"), Formula(f"=({powers})/{COUNT}"), "mean weight")
    page.settings("A8", [("optimizer", "adam", ""), ("learning rate", 0.05, ""), ("steps", 300, "")])
    table = range(15, 15 + COUNT)
    page.column("A14", "word", DATA, WORDS, align="center", bold=True)
    shown = f"=INDEX($AB${first}:$AG${last},$D$6,{{0}}-{table[0] - 1})"
    page.column("B14", "weight", PREDICTION, fill_down(shown, table), "0.000", align="center")
    page.label("C15", "where the word of D6 looks", indent=1)
    chart = page.chart({"type": "column"}, "A22", title="Where the word of D6 looks", x="word", y="weight", number="0%",
                       size=(384, 250))  # fmt: skip
    bars(chart, page, "weight", f"A{table[0]}:A{table[-1]}", f"B{table[0]}:B{table[-1]}", PREDICTION.dark)
    limits(chart, "y", 0, 1, 0.25)
    chart.set_legend({"none": True})
    page.notes("F23:L38", "How to read it", SENTENCE_NOTE)
    page.sheet.print_area("A1:AL39")
    page.sheet.fit_to_pages(2, 1)
    page.freeze(4)


def _features(page: Page) -> None:
    """The words with their features, the weights above them, and Q, K and V."""
    weights = normal(6 * COUNT, 0.7, seed=3)
    page.label("G5", mark(1, "weights, one for each feature"), bold=True)
    for number, name in enumerate(("Q 1", "Q 2", "K 1", "K 2", "V 1", "V 2")):
        page.label(f"F{6 + number}", f"W {name}", align="right", indent=1)
        for feature in range(COUNT):
            value = weights[COUNT * number + feature]
            page.cell(f"{letters(KIND + feature)}{6 + number}", value, PARAMETER, "0.00", align="center")
        text = f"=SUMPRODUCT($G{{0}}:$L{{0}},$G${6 + number}:$L${6 + number})"
        title = mark(2, name) if name.endswith("1") else name
        page.column(
            f"{letters(VECTORS + number)}{HEADER}", title, PREDICTION, fill_down(text, ROWS), "0.00", align="center"
        )
    page.column(f"F{HEADER}", "word", DATA, WORDS, align="center", bold=True)
    for feature, kind in enumerate(KINDS):
        cells = [1.0 if feature == word else 0.0 for word in range(COUNT)]
        page.column(f"{letters(KIND + feature)}{HEADER}", kind, DATA, cells, "0", align="center")
    page.fade_zeros(f"G{ROWS[0]}:L{ROWS[-1]}")
    several(page, sgd_params=["sentence!$G$6:$L$9"])


def _scores(page: Page) -> None:
    """Scores of each pair of words, and the weights that softmax makes of them."""
    page.label(f"{letters(SCORES)}{HEADER - 1}", "scores: Q × K / √2", bold=True)
    page.label(f"{letters(WEIGHTS)}{HEADER - 1}", "weights: softmax of the scores", bold=True)
    for seen, word in enumerate(WORDS):
        score, weight = letters(SCORES + seen), letters(WEIGHTS + seen)
        text = f"=(N{{0}}*P${ROWS[seen]}+O{{0}}*Q${ROWS[seen]})/SQRT({WIDTH})"
        page.column(f"{score}{HEADER}", word, PREDICTION, fill_down(text, ROWS), "0.00", align="center")
        cells: list[Content] = []
        for row in ROWS:
            powers = [_power(letters(SCORES + other), row, other) for other in range(COUNT)]
            cells.append(Formula(f"={_power(score, row, seen)}/({'+'.join(powers)})"))
        page.column(f"{weight}{HEADER}", word, PREDICTION, cells, "0.000", align="center")
    signed(page, f"{letters(SCORES)}{ROWS[0]}:{letters(SCORES + COUNT - 1)}{ROWS[-1]}", numbers=True)
    glow(page, f"{letters(WEIGHTS)}{ROWS[0]}:{letters(WEIGHTS + COUNT - 1)}{ROWS[-1]}", SOFT)


def _power(column: str, row: int, seen: int) -> str:
    """e^score, or 0 if the mask hides the word."""
    return f"EXP({column}{row})" if seen <= row - ROWS[0] else f"(1-$C$6)*EXP({column}{row})"


def _looking(page: Page) -> None:
    """What comes out, where each word should look, its loss, and the gradient by the scores."""
    for number in range(WIDTH):
        value = letters(VECTORS + 4 + number)
        terms = [f"{letters(WEIGHTS + seen)}{{0}}*{value}${ROWS[seen]}" for seen in range(COUNT)]
        cells = fill_down("=" + "+".join(terms), ROWS)
        page.column(
            f"{letters(OUTPUT + number)}{HEADER}", f"output\n{number + 1}", PREDICTION, cells, "0.00", align="center"
        )
    target, loss = letters(OUTPUT + 2), letters(OUTPUT + 3)
    page.column(f"{target}{HEADER}", "should\nlook at", DATA, LOOKS_AT, "0", align="center")
    row = f"{letters(WEIGHTS)}{{0}}:{letters(WEIGHTS + COUNT - 1)}{{0}}"
    text = f"=-LN(INDEX({row},{target}{{0}}))"
    page.column(f"{loss}{HEADER}", mark(3, "loss\n−LN"), LOSS, fill_down(text, ROWS), "0.000")
    title = mark(4, "gradient by the scores: (weight − target) / 6")
    page.label(f"{letters(SCORES)}{GRADIENT[0] - 2}", title, bold=True)
    for seen, word in enumerate(WORDS):
        text = f"=({letters(WEIGHTS + seen)}{{0}}-IF({target}{{0}}={seen + 1},1,0))/{COUNT}"
        cells = [Formula(text.format(row)) for row in ROWS]
        page.column(f"{letters(SCORES + seen)}{GRADIENT[0] - 1}", word, LOSS, cells, "0.000", align="center")
    signed(page, f"{letters(SCORES)}{GRADIENT[0]}:{letters(SCORES + COUNT - 1)}{GRADIENT[-1]}", numbers=True)
    page.sheet.set_row(GRADIENT[0] - 2, 20)


def _examples() -> list[tuple[list[int], list[int], int]]:
    """Three letters (from 1), their numbers, and which of the three is asked for."""
    draw = Random(21)
    return [
        (
            draw.sample(range(1, len(LETTERS) + 1), PAIRS),
            [draw.randint(0, 9) for _ in range(PAIRS)],
            draw.randrange(PAIRS),
        )
        for _ in range(EXAMPLES)
    ]


def _lookup(book: Book) -> None:
    sentence = "Train this sheet: the head learns to find the number that belongs to the letter asked for."
    widths = {**PANEL, "F:K": 6.5, "L:M": 7.5, "N": 2, "O:Q": 8, "R:T": 8, "U": 9, "V:W": 9}
    page = Page(book, "lookup", title="A head learns to look up", sentence=sentence, widths=widths)
    made = _examples()
    rows = range(8, 8 + EXAMPLES)
    last = rows[-1]
    page.label("F6", "three pairs: letter and number", bold=True)
    for pair in range(PAIRS):
        key, value = letters(6 + 2 * pair), letters(7 + 2 * pair)
        page.column(
            f"{key}7", f"letter\n{pair + 1}", DATA, [LETTERS[keys[pair] - 1] for keys, _, _ in made], align="center"
        )
        page.column(f"{value}7", f"no. {pair + 1}", DATA, [values[pair] for _, values, _ in made], "0", align="center")
    asked = [LETTERS[keys[which] - 1] for keys, _, which in made]
    page.column("L7", "asked", DATA, asked, align="center", bold=True)
    answer = "=IF(F{0}=L{0},G{0},IF(H{0}=L{0},I{0},K{0}))"
    page.column("M7", "answer", DATA, fill_down(answer, rows), "0", align="center", bold=True)
    columns: list[tuple[str, str, Role, str, str]] = []
    for pair in range(PAIRS):
        query = "INDEX($B$16:$C$19,MATCH($L{0},$A$16:$A$19,0),{1})"
        key = f"INDEX($B$22:$C$25,MATCH({letters(6 + 2 * pair)}{{0}},$A$22:$A$25,0),{{1}})"
        products = "+".join(f"{query}*{key}".replace("{1}", str(entry)) for entry in (1, 2))
        columns.append(
            (letters(15 + pair), mark(2, f"score\n{pair + 1}"), PREDICTION, f"=({products})/SQRT({WIDTH})", "0.00")
        )
    for pair in range(PAIRS):
        text = f"=EXP({letters(15 + pair)}{{0}})/(EXP(O{{0}})+EXP(P{{0}})+EXP(Q{{0}}))"
        columns.append((letters(18 + pair), f"weight\n{pair + 1}", PREDICTION, text, "0.000"))
    columns += [
        ("U", "output:\nweighed", PREDICTION, "=R{0}*G{0}+S{0}*I{0}+T{0}*K{0}", "0.00"),
        ("V", mark(3, "loss\n(U − M)²"), LOSS, "=(U{0}-M{0})^2", "0.000"),
        ("W", "correct\n(1 = yes)", PREDICTION, "=IF(ABS(U{0}-M{0})<0.5,1,0)", "0"),
    ]
    for letter, title, role, text, number in columns:
        page.column(f"{letter}7", title, role, fill_down(text, rows), number, align="center")
    glow(page, f"R8:T{last}", SOFT)
    page.fade_zeros(f"W8:W{last}")
    page.scores(Formula(f"=AVERAGE(V8:V{last})"), Formula(f"=AVERAGE(W8:W{last})"))
    page.settings("A8", [("optimizer", "adam", ""), ("learning rate", 0.05, ""), ("steps", 300, "")])
    start = normal(4 * len(LETTERS), 0.5, seed=7)
    for top, name, values in ((15, "query", start[:8]), (21, "key", start[8:])):
        page.column(f"A{top}", "letter", DATA, list(LETTERS), align="center", bold=True)
        for entry in range(WIDTH):
            page.column(
                f"{'BC'[entry]}{top}",
                mark(1, f"{name} {entry + 1}"),
                PARAMETER,
                values[entry::WIDTH],
                "0.00",
                align="center",
            )
    _arrows(page)
    page.notes(f"F{last + 2}:W{last + 9}", "What to see", LOOKUP_NOTE)
    several(page, sgd_params=["lookup!$B$16:$C$19", "lookup!$B$22:$C$25"])
    page.names(sgd_data=f"F8:W{last}")
    page.one_page(f"A1:W{last + 12}")
    page.freeze(7)


def _arrows(page: Page) -> None:
    """The queries and the keys as points with their letters."""
    chart = page.chart({"type": "scatter"}, "A27", title="Queries and keys of the letters",
                       x="entry 1", y="entry 2", number="0", size=(384, 310))  # fmt: skip
    for name, top, colour, marker in (("query", 16, PARAMETER.dark, "circle"), ("key", 22, DATA.dark, "square")):
        labels = [{"value": letter} for letter in LETTERS]
        font = {"name": "Calibri", "size": 10, "bold": True, "color": colour}
        chart.add_series(
            {
                "name": name,
                "categories": page.area(f"B{top}:B{top + 3}"),
                "values": page.area(f"C{top}:C{top + 3}"),
                "marker": {"type": marker, "size": 8, "fill": {"color": colour}, "border": {"color": "#FFFFFF"}},
                "data_labels": {"value": True, "custom": labels, "position": "above", "font": font},
            }
        )
