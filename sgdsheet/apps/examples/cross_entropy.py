"""Softmax and cross-entropy: why the loss of a picture of a 3 is −ln p(3), with two classes and with ten.

`minus_ln` compares 1 − p, −LN(p) and −LOG(p), and what of each arrives at the score. `two_classes` and `one_minus_p`
are one model with two losses, from the same bad start. `ten_classes` has ten scores, their softmax, and the gradient
p − y in cells; `ten_steps` goes on with it, a step in each row.
"""

from __future__ import annotations

from pathlib import Path

from sgdsheet.apps.examples._charts import bars, limits, line, points
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
    fill_down,
    mark,
)

TITLE = "Cross-entropy"
PLACE = ("How to train", 3)
DESCRIPTION = "Softmax and −ln p, with two classes and with ten: why not 1 − p, and why LN and not LOG"

CHANCES = (0.001, 0.01, 0.02, 0.05, *(round(0.1 * tenth, 1) for tenth in range(1, 10)), 0.95, 0.99, 0.999)
HOURS = tuple(0.5 * half for half in range(1, 21))
PASSED = (0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1)  # drawn once, more often 1 with more hours
SCORES = (1.2, -0.6, 0.4, 0.1, -1.0, 1.5, -0.3, 0.2, 2.0, 0.7)
LABEL, STEPS = 3, 20
PANEL = {"A:D": 13, "E": 2}
DIGITS = range(10)

CURVES = (
    "1 − p never exceeds 1: to be sure and wrong costs hardly more than to be unsure. −LN(p) grows without limit as p "
    "goes to 0.\n"
    "What moves a parameter is not the loss but its gradient. The score is the number that becomes p. Follow the last "
    "two columns up to the smallest p, the worst mistake: with 1 − p almost nothing of it arrives at the score. With "
    "−LN(p) the gradient is p − 1, nearly −1: the worse the mistake, the stronger the pull.\n"
    "LOG(p) is the logarithm to base 10: −LN(p) divided by 2.3026, in every row. The best parameters are the same, "
    "but every gradient is 2.3 times smaller, as if the learning rate were. In a sheet, write LN."
)
TWO = {
    "two_classes": (
        "At the start the model is sure, and wrong: w is negative, so more practice counts against passing. The loss "
        "is 4.69; one that knows nothing has LN(2) = 0.69.\n"
        "p(passed) and p(failed) are a softmax of two scores, of which the second is always 0. That is the same as "
        "1/(1 + e^−score).\n"
        "The gradient of a row's loss by its score is just p(passed) − passed. Fifty steps bring the loss to 0.359."
    ),
    "one_minus_p": (
        "The same rows, the same model, the same start and the same learning rate as on “two_classes”. Only the loss "
        "is 1 − p.\n"
        "Where the model is surest, p·(1 − p) is nearly 0, and so is the gradient: it is most stubborn where it is "
        "most wrong. After fifty steps the loss has fallen from 0.812 to 0.803, and w is still negative.\n"
        "It does get out in the end: put 100 steps. With a start at −3, 200 steps are not enough."
    ),
}
TEN = (
    "Softmax: e to the power of each score, divided by their sum. All ten are positive and add up to 1, so if one "
    "rises, the others must fall.\n"
    "The loss looks at one probability only, that of the label, and yet every score has a gradient: p − y, where y is "
    "1 for the label and 0 for the others. A step raises the score of 3 and lowers all others, those most that are "
    "most in the way.\n"
    "The column beside it finds the same gradient by moving a score up and down by 0.001.\n"
    "Put another label into C6: the model follows."
)
MANY = (
    "Each row is a step of gradient descent on the ten scores, as on “ten_classes”: new score = score − learning "
    "rate × (p − y).\n"
    "p(3) rises from 0.049 to 0.950, and the nine others share what is left. 8, the strongest rival, loses most.\n"
    "The steps get smaller by themselves, since p − y does."
)
LESSON = Lesson(
    about=(
        "A network that reads digits ends in ten scores, and softmax makes them ten probabilities that add up to 1.",
        "The loss of a picture of a 3 is −ln p(3): 0 if the network is sure of it, and huge if it is sure of another.",
        "These sheets show in cells what becomes of the gradient, and what goes wrong with 1 − p or with LOG.",
    ),
    press="Train “two_classes” and then “one_minus_p”, 50 steps each from the same start. Then train “ten_classes”.",
    watch=(
        "The curve against the points, and w: with −ln p it turns round within two steps, with 1 − p it hardly moves."
    ),
    wrong=(
        "With 1 − p the gradient is smallest where the mistake is greatest, so a bad start is not left. With LOG in "
        "place of LN everything still works, 2.3 times slower: in a sheet LOG is the logarithm to base 10."
    ),
    questions=(
        (
            "Why is the loss of a 3 its −ln p(3) and not 1 − p(3)?",
            "Because of the gradient that arrives at the scores. From −ln p it is p − 1: nearly −1 for a bad "
            "mistake, 0 for a right answer. From 1 − p it is −p·(1 − p): nearly 0 for a right answer and for a bad "
            "mistake, which is then never mended. Besides, −ln p adds up rightly: the sum over all rows is −ln of "
            "the probability that the model gives to everything that happened.",
        ),
        (
            "The loss looks only at p(3). Why do the other nine scores learn, too?",
            "p(3) is e^score divided by the sum over all ten. To raise p(3) one can raise the score of 3 or lower "
            "another one. The gradient of another score is its own p: the more a rival takes, the more it is pushed "
            "down.",
        ),
        (
            "What loss should a network have before it has learned anything?",
            "About ln 10 = 2.303 with ten classes and ln 2 = 0.693 with two: it gives every class the same "
            "probability. A much larger loss at the start says that it is sure of wrong answers.",
        ),
    ),
    trainings=(
        Training("two_classes", {0: "4.6864", 1: "2.1875", 10: "0.3611"}, best="0.3592", metric="0.8"),
        Training("one_minus_p", {0: "0.8120", 1: "0.8119", 10: "0.8109"}, best="0.8031"),
        Training("one_minus_p", typed={"B11": 100.0}, best="0.2160"),
        Training("ten_classes", {0: "3.0215", 1: "1.9814", 10: "0.1196"}, best="0.0516"),
    ),
    shows={"minus_ln!H9": "4.605", "minus_ln!J9": "2.3026", "ten_steps!AB28": "0.0516"},
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _curves(book)
        _two_classes(book, "two_classes", "Two classes and −ln p", "−LN(p)", "=-LN(M{0})", "=K{0}-G{0}")
        _two_classes(book, "one_minus_p", "Two classes and 1 − p", "1 − p", "=1-M{0}", "=(1-2*G{0})*K{0}*L{0}")
        _ten_classes(book)
        _ten_steps(book)


def _curves(book: Book) -> None:
    sentence = "p is the probability that the model gave to what is right. What should a p cost?"
    page = Page(book, "minus_ln", title="1 − p or −ln p?", sentence=sentence, widths={**PANEL, "F:M": 12})
    rows = range(8, 8 + len(CHANCES))
    last = rows[-1]
    page.label("G6", mark(3, "the loss"), bold=True)
    page.label("K6", mark(4, "the gradient of the loss …"), bold=True)
    page.column("F7", "p", DATA, CHANCES, "0.000", align="center")
    for letter, title, text, number in (
        ("G", "1 − p", "=1-F{0}", "0.000"),
        ("H", "−LN(p)", "=-LN(F{0})", "0.000"),
        ("I", "−LOG(p)", "=-LOG(F{0})", "0.000"),
        ("J", "H / I", "=H{0}/I{0}", "0.0000"),
        ("K", "by p:\nof −LN(p)", "=-1/F{0}", "#,##0.00"),
        ("L", "by the score:\nof 1 − p", "=-F{0}*(1-F{0})", "0.000"),
        ("M", "by the score:\nof −LN(p)", "=F{0}-1", "0.000"),
    ):
        page.column(f"{letter}7", title, LOSS, fill_down(text, rows), number)
    size = (384, 280)
    chart = page.chart({"type": "scatter", "subtype": "smooth"}, "A7", title="The loss of a p", x="p", y="loss",
                       number="0", size=size)  # fmt: skip
    x = f"F9:F{last}"
    for name, letter, colour, dash in (
        ("1 − p", "G", DATA.dark, "dash"),
        ("−LN(p)", "H", LOSS.dark, "solid"),
        ("−LOG(p)", "I", PARAMETER.dark, "long_dash"),
    ):
        line(chart, page, name, x, f"{letter}9:{letter}{last}", colour, dash=dash)
    limits(chart, "x", 0, 1, 0.25)
    chart = page.chart({"type": "scatter", "subtype": "smooth"}, "A22", title="The gradient that reaches the score",
                       x="p", y="gradient", number="0.00", size=size)  # fmt: skip
    for name, letter, colour, dash in (("of 1 − p", "L", DATA.dark, "dash"), ("of −LN(p)", "M", LOSS.dark, "solid")):
        line(chart, page, name, f"F8:F{last}", f"{letter}8:{letter}{last}", colour, dash=dash)
    limits(chart, "x", 0, 1, 0.25)
    limits(chart, "y", -1, 0, 0.25)
    page.notes(f"F{last + 2}:M{last + 13}", "What to see", CURVES)
    page.one_page(f"A1:M{last + 13}")
    page.freeze(7)


def _two_classes(book: Book, name: str, title: str, loss: str, text: str, gradient: str) -> None:
    """Hours of practice and whether a test was passed; the loss of a row and its gradient by the score are given."""
    sentence = "Train this sheet: twenty people, how long each one practised, and who passed the test."
    page = Page(book, name, title=title, sentence=sentence, widths={**PANEL, "F:P": 10.5})
    rows = range(8, 8 + len(HOURS))
    last = rows[-1]
    page.column("F7", "hours", DATA, HOURS, "0.0", align="center")
    page.column("G7", "passed\n(1 = yes)", DATA, PASSED, "0", align="center")
    for letter, header, role, formula, number in (
        ("H", mark(2, "score\nof passed"), PREDICTION, "=$C$6*(F{0}-5)+$D$6", "0.00"),
        ("I", "e^score\nof passed", PREDICTION, "=EXP(H{0})", "#,##0.00"),
        ("J", "e^0\nof failed", PREDICTION, "=EXP(0)", "0"),
        ("K", "p(passed)\nI/(I + J)", PREDICTION, "=I{0}/(I{0}+J{0})", "0.000"),
        ("L", "p(failed)\nJ/(I + J)", PREDICTION, "=J{0}/(I{0}+J{0})", "0.000"),
        ("M", "p of what\nhappened", PREDICTION, "=IF(G{0}=1,K{0},L{0})", "0.000"),
        ("N", mark(3, f"loss\n{loss}"), LOSS, text, "0.000"),
        ("O", mark(4, "by the\nscore"), LOSS, gradient, "0.000"),
        ("P", "correct\n(1 = yes)", PREDICTION, "=IF((K{0}>0.5)=(G{0}=1),1,0)", "0"),
    ):
        page.column(f"{letter}7", header, role, fill_down(formula, rows), number)
    page.fade_zeros(f"P8:P{last}")
    page.scores(Formula(f"=AVERAGE(N8:N{last})"), Formula(f"=AVERAGE(P8:P{last})"))
    for letter, parameter, value in (("C", "w", -2.0), ("D", "b", 0.0)):
        page.header(f"{letter}5", mark(1, parameter), PARAMETER)
        page.cell(f"{letter}6", value, PARAMETER, "0.0000", bold=True, align="center")
    page.settings("A8", [("optimizer", "sgd", ""), ("learning rate", 0.5, ""), ("steps", 50, "")])
    page.label("A13", "by hand", bold=True)
    page.header("C13", "w", PARAMETER)
    page.header("D13", "b", PARAMETER)
    page.label("A14", mark(4, "gradient, mean of the rows"))
    page.cell("C14", Formula(f"=SUMPRODUCT(O8:O{last},F8:F{last}-5)/{len(HOURS)}"), LOSS, "0.0000")
    page.cell("D14", Formula(f"=AVERAGE(O8:O{last})"), LOSS, "0.0000")
    page.label("A15", mark(5, "after one step"))
    page.cell("C15", Formula("=C6-$B$10*C14"), PARAMETER, "0.0000")
    page.cell("D15", Formula("=D6-$B$10*D14"), PARAMETER, "0.0000")
    chart = page.chart({"type": "scatter", "subtype": "smooth"}, "A17", title="Who passes?", x="hours of practice",
                       y="p(passed)", number="0.00", size=(384, 290))  # fmt: skip
    points(chart, page, "what happened", f"F8:F{last}", f"G8:G{last}", DATA.dark)
    line(chart, page, "p(passed)", f"F8:F{last}", f"K8:K{last}", PREDICTION.dark, width=2.5)
    limits(chart, "x", 0, 10, 2)
    limits(chart, "y", 0, 1, 0.25)
    page.notes("F29:P37", "What to see", TWO[name])
    page.names(sgd_params="C6:D6", sgd_data=f"F8:P{last}")
    page.one_page("A1:P37")
    page.freeze(7)


def _ten_classes(book: Book) -> None:
    sentence = "Train this sheet: ten scores for one picture, which is a 3. In a network they come from its pixels."
    page = Page(book, "ten_classes", title="Ten classes", sentence=sentence, widths={**PANEL, "F:O": 11})
    rows = range(8, 18)
    page.column("F7", "digit", DATA, list(DIGITS), "0", align="center", bold=True)
    page.column("G7", mark(1, "score"), PARAMETER, SCORES, "0.000")
    for letter, header, role, formula, number in (
        ("H", "e^score", PREDICTION, "=EXP(G{0})", "0.000"),
        ("I", mark(2, "p = H / sum"), PREDICTION, "=H{0}/H$18", "0.000"),
        ("J", "y: is it\nthe label?", DATA, "=IF(F{0}=$C$6,1,0)", "0"),
        ("K", mark(4, "gradient\np − y"), LOSS, "=I{0}-J{0}", "0.000000"),
        ("L", mark(4, "gradient\nby ±0.001"), LOSS,
         "=(LN(H$18-H{0}+EXP(G{0}+0.001))-LN(H$18-H{0}+EXP(G{0}-0.001)))/0.002-J{0}", "0.000000"),
        ("M", mark(5, "score\nafter it"), PARAMETER, "=G{0}-$B$10*K{0}", "0.000"),
        ("N", "e^score\nafter", PREDICTION, "=EXP(M{0})", "0.000"),
        ("O", "p after\nthe step", PREDICTION, "=N{0}/N$18", "0.000"),
    ):  # fmt: skip
        page.column(f"{letter}7", header, role, fill_down(formula, rows), number)
    page.label("G18", "sum", align="right", indent=1)
    for letter in "HIKNO":
        role = LOSS if letter == "K" else PREDICTION
        page.cell(f"{letter}18", Formula(f"=SUM({letter}8:{letter}17)"), role, "0.000", bold=True)
    page.scores(Formula("=-LN(INDEX(I8:I17,C6+1))"), Formula("=INDEX(I8:I17,C6+1)"), "p(label)")
    page.header("C5", "label", DATA)
    page.cell("C6", LABEL, DATA, "0", bold=True, align="center")
    page.settings("A8", [("optimizer", "sgd", ""), ("learning rate", 1, ""), ("steps", STEPS, "")])
    chart = page.chart({"type": "column"}, "A13", title="p of each digit, now and after one step", x="digit", y="p",
                       number="0%", size=(384, 300))  # fmt: skip
    bars(chart, page, "now", "F8:F17", "I8:I17", "#8CCBA8")
    bars(chart, page, "after one step", "F8:F17", "O8:O17", PREDICTION.dark)
    limits(chart, "y", 0, 1, 0.25)
    page.notes("F20:O29", "What to see", TEN)
    page.names(sgd_params="G8:G17")
    page.one_page("A1:O30")
    page.freeze(7)


def _ten_steps(book: Book) -> None:
    """Gradient descent on the scores, one step per row."""
    sentence = "Each row is one step on the ten scores. Change the label or the learning rate, and read down a column."
    widths = {**PANEL, "F": 6, "G:P": 7, "Q": 9, "R:AA": 7, "AB": 9}
    page = Page(book, "ten_steps", title="Twenty steps with ten scores", sentence=sentence, widths=widths)
    rows = range(8, 9 + STEPS)
    last = rows[-1]
    page.header("A5", "label", DATA)
    page.cell("A6", LABEL, DATA, "0", bold=True, align="center")
    page.header("B5", "learning rate", SETTING)
    page.cell("B6", 1, SETTING, "General", bold=True, align="center")
    page.label("G6", f"{mark(1)} {mark(5)} scores: those of the row above − learning rate × (p − y)", bold=True)
    page.label("R6", mark(2, "probabilities"), bold=True)
    page.column("F7", mark(6, "step"), DATA, list(range(STEPS + 1)), "0", align="center")
    scores, chances = "GHIJKLMNOP", ("R", "S", "T", "U", "V", "W", "X", "Y", "Z", "AA")
    for digit, (score, chance) in enumerate(zip(scores, chances, strict=True)):
        text = f"={score}{{1}}-$B$6*({chance}{{1}}-IF($A$6={digit},1,0))"
        cells: list[Content] = [SCORES[digit], *(Formula(text.format(row, row - 1)) for row in rows[1:])]
        page.column(f"{score}7", f"{digit}", PARAMETER, cells, "0.00", indent=0)
        page.column(f"{chance}7", f"p({digit})", PREDICTION, fill_down(f"=EXP({score}{{0}})/$Q{{0}}", rows), "0.000",
                    indent=0)  # fmt: skip
    total = "=" + "+".join(f"EXP({letter}{{0}})" for letter in scores)
    page.column("Q7", "sum of\ne^score", PREDICTION, fill_down(total, rows), "0.00")
    page.column("AB7", mark(3, "loss\n−LN(p)"), LOSS, fill_down("=-LN(INDEX(R{0}:AA{0},$A$6+1))", rows), "0.000")
    page.label(f"F{last + 1}", f"{mark(7)} stop after {STEPS} steps", indent=1)
    chart = page.chart({"type": "scatter", "subtype": "straight"}, "A8", title="p over the steps", x="step", y="p",
                       number="0%", size=(384, 280))  # fmt: skip
    for digit, colour, dash, marker in (
        (3, PREDICTION.dark, "solid", "circle"),
        (8, LOSS.dark, "dash", "square"),
        (5, PARAMETER.dark, "long_dash", "triangle"),
        (0, DATA.dark, "dash_dot", "diamond"),
    ):
        y = f"{chances[digit]}8:{chances[digit]}{last}"
        line(chart, page, f"p({digit})", f"F8:F{last}", y, colour, dash=dash, marker=marker)
    limits(chart, "x", 0, STEPS, 5)
    limits(chart, "y", 0, 1, 0.25)
    page.notes(f"F{last + 3}:AB{last + 8}", "What to see", MANY)
    page.one_page(f"A1:AB{last + 8}")
    page.freeze(7)
