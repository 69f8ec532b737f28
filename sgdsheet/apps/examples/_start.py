"""The sheet `Start`: what it is about, what to press and to watch, and a question whose answer is folded away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple, Protocol

from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from sgdsheet.apps.examples.lesson import Lesson, Training

NAME = "Start"
STEPS = (
    ("initialise", "give every parameter a value to start from"),
    ("predict", "let the formulas calculate, row by row"),
    ("loss", "one number that says how wrong the predictions are"),
    ("gradient", "how much the loss rises if a parameter rises by a little, for each parameter"),
    ("step", "move each parameter against its gradient: new = old − learning rate × gradient"),
    ("repeat", "predict again, with the new parameters"),
    ("stop", "when there were enough steps, or the loss falls no more"),
)
MARKS = "①②③④⑤⑥⑦"
_TEXT = 122  # characters that fit into a line of text, in a font wider than Calibri
_LINE = 16  # points
_MUTED, _DARK, _PALE = "#6B7280", "#27567F", "#EAF2F9"


class Formats(Protocol):
    """What gives a shared format for its properties."""

    def format(self, **properties: object) -> Format: ...


class Leaf(NamedTuple):
    """A sheet of the workbook, as `Start` lists it."""

    name: str
    title: str
    sentence: str


def mark(step: int, text: str = "") -> str:
    """`② prediction`: the number of one of the seven steps, in front of a header or a label."""
    return f"{MARKS[step - 1]} {text}".rstrip()


def write_start(sheet: Worksheet, book: Formats, title: str, lesson: Lesson, leaves: Sequence[Leaf]) -> None:
    """Fill the first sheet of a workbook."""
    writer = _Writer(sheet, book)
    sheet.hide_gridlines(2)
    for columns, width in {"A:A": 2.5, "B:B": 16, "C:C": 24, "D:D": 82}.items():
        sheet.set_column(columns, width, book.format())
    sheet.outline_settings(True, False, True, False)  # the sign that unfolds an answer stands at its question
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 1)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.set_footer("&L&9&A&R&9page &P of &N")
    sheet.set_row(0, 34)
    sheet.write_string("B1", title, book.format(bold=True, font_size=20))
    for sentence in lesson.about:
        writer.text(sentence)
    for heading, text in (("Press", lesson.press), ("Watch", lesson.watch), ("What goes wrong", lesson.wrong)):
        writer.pair(heading, text)
    _sheets(writer, leaves)
    _questions(writer, lesson.questions)
    _numbers(writer, lesson)
    _steps(writer)


def _sheets(writer: _Writer, leaves: Iterable[Leaf]) -> None:
    writer.heading("The sheets")
    for leaf in leaves:
        writer.row(leaf.name, leaf.title, leaf.sentence, link=f"internal:'{leaf.name}'!A1")
    writer.note(
        "Every number is an ordinary formula: Excel, LibreOffice and Google Sheets calculate it without any add-in. "
        "sgdsheet trains: press Train in its add-in, or type in a terminal:  sgdsheet train FILE.xlsx --sheet NAME"
    )


def _steps(writer: _Writer) -> None:
    writer.heading("The seven steps, by the numbers that mark them in every sheet")
    for number, (name, text) in enumerate(STEPS, 1):
        writer.row(mark(number), name, text)


def _numbers(writer: _Writer, lesson: Lesson) -> None:
    rows = [(item.sheet, *line) for item in lesson.trainings for line in _outcome(item)]
    if not rows:
        return
    writer.heading("Numbers that must come out when you train")
    for row in rows:
        writer.row(*row)


def _outcome(training: Training) -> Iterable[tuple[str, str]]:
    """What to compare, and with which number."""
    after = f"with {_typed(training.typed)}" if training.typed else "as it stands"
    if training.needs:
        after = f"on {training.needs}"
    if training.losses:
        pairs = [
            f"{value} after {step}" if step else f"{value} at the start" for step, value in training.losses.items()
        ]
        steps = ("", " step")[most] if (most := max(training.losses)) < 2 else " steps"
        yield after, f"loss {', '.join(pairs)}{steps}"
    ends = [("best loss", training.best), ("loss of the validation rows", training.valid), ("metric", training.metric)]
    ends += [(f"cell {cell}", value) for cell, value in training.cells.items()]
    said = [f"{name} {value}" for name, value in ends if value]
    if training.stopped:
        said.append(f"the run ends with “{training.stopped}”")
    if said:
        yield after, f"at the end: {', '.join(said)}"


def _typed(cells: Mapping[str, float | str]) -> str:
    return " and ".join(
        f"{value:g} in {cell}" if isinstance(value, float) else f"{value} in {cell}" for cell, value in cells.items()
    )


def _questions(writer: _Writer, questions: Sequence[tuple[str, str]]) -> None:
    writer.heading("Questions" if len(questions) > 1 else "A question")
    writer.note("Think first. The answer is in the folded row below: press the + at the left edge.")
    for question, answer in questions:
        writer.question(question, answer)


class _Writer:
    """Writes rows from top to bottom."""

    def __init__(self, sheet: Worksheet, book: Formats) -> None:
        self.sheet, self.book = sheet, book
        self.at = 1  # the next row, from 0

    def text(self, text: str) -> None:
        self._across(text, {"font_size": 12})

    def note(self, text: str) -> None:
        self._across(text, {"font_color": _MUTED, "italic": True, "font_size": 10})

    def heading(self, text: str) -> None:
        self.sheet.set_row(self.at, 10)
        self.sheet.set_row(self.at + 1, 22)
        look = self.book.format(bold=True, font_size=12, font_color="#FFFFFF", bg_color=_DARK, align="left", indent=1)
        self.sheet.merge_range(self.at + 1, 1, self.at + 1, 3, text, look)
        self.at += 2

    def pair(self, heading: str, text: str) -> None:
        """A bold word, and what belongs to it."""
        self._height(text, 116)
        look = {"valign": "top", "bottom": 1, "bottom_color": "#D1D5DB"}
        self.sheet.write_string(self.at, 1, heading, self.book.format(bold=True, font_color=_DARK, **look))
        self.sheet.merge_range(self.at, 2, self.at, 3, text, self.book.format(text_wrap=True, **look))
        self.at += 1

    def row(self, first: str, second: str, third: str, *, link: str = "") -> None:
        self._height(third, 100, second, 25)
        base: dict[str, object] = {"valign": "top", "align": "left", "bg_color": _PALE}
        base |= {"bottom": 1, "bottom_color": "#FFFFFF"}
        plain, bold = self.book.format(**base, text_wrap=True), self.book.format(**base, bold=True, indent=1)
        if link:
            look = self.book.format(**base, bold=True, indent=1, underline=1, font_color="#1D4ED8")
            self.sheet.write_url(self.at, 1, link, look, first)
        else:
            self.sheet.write_string(self.at, 1, first, bold)
        self.sheet.write_string(self.at, 2, second, plain)
        self.sheet.write_string(self.at, 3, third, plain)
        self.at += 1

    def question(self, question: str, answer: str) -> None:
        """A question, and below it the folded row with its answer."""
        self.sheet.set_row(self.at, self._points(question, _TEXT), None, {"collapsed": True})
        look = self.book.format(bold=True, text_wrap=True, valign="top", align="left", indent=1)
        self.sheet.merge_range(self.at, 1, self.at, 3, question, look)
        self.at += 1
        height = self._points(answer, _TEXT)
        self.sheet.set_row(self.at, height, None, {"level": 1, "hidden": True})
        look = self.book.format(
            text_wrap=True, valign="top", bg_color=_PALE, left=5, left_color=_DARK, align="left", indent=1
        )
        self.sheet.merge_range(self.at, 1, self.at, 3, answer, look)
        self.at += 1

    def _across(self, text: str, look: dict[str, object]) -> None:
        self._height(text, _TEXT)
        self.sheet.merge_range(self.at, 1, self.at, 3, text, self.book.format(text_wrap=True, valign="top", **look))
        self.at += 1

    def _height(self, text: str, fits: int, other: str = "", other_fits: int = 1) -> None:
        self.sheet.set_row(self.at, max(self._points(text, fits), self._points(other, other_fits)))

    @staticmethod
    def _points(text: str, fits: int) -> float:
        return 5 + _LINE * sum(max(1, ceil(len(line) / fits)) for line in text.split("\n"))
