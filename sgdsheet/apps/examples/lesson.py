"""What a workbook teaches, declared next to its builder: the words of its `Start`, and numbers that must come out.

`Start` is written from it, and the tests train as it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Content = float | str


@dataclass(frozen=True, slots=True)
class Training:
    """What training a sheet gives, with the settings that stand in it.

    Numbers are texts, as a reader sees them: “52.67” stands for all that round to it, “> 0.95” and “< 0.2” for all
    on that side. `losses` are by the number of steps before them, 0 for the start. `best` is the loss at the end (the
    best that was seen), `valid` that of the validation rows and `metric` the metric at the end; `cells` are any cells
    (of this sheet, or “weights!B6”) once the parameters are written. `typed` are cells that a person changes before.
    `stopped` is a part of what is said if training ends before its last step. `needs` names the data it is trained on,
    unless they are in the sheet.
    """

    sheet: str
    losses: Mapping[int, str] = field(default_factory=dict)
    best: str = ""
    valid: str = ""
    metric: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, Content] = field(default_factory=dict)
    stopped: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """The words of `Start`, and the numbers of the lesson.

    `about` is three sentences. `questions` are questions and answers; the answers are hidden until one looks.
    `shows` are cells (“steps!D8”) and what stands in them without any training.
    """

    about: tuple[str, str, str]
    press: str
    watch: str
    wrong: str
    questions: tuple[tuple[str, str], ...]
    trainings: tuple[Training, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)


def agrees(said: str, number: float) -> bool:
    """Whether a number is what a text says: it rounds to it, or lies on its side.

    Raises ValueError for a text that says nothing of the kind.
    """
    found = re.fullmatch(r"([<>]?) ?(-?[\d,]*\.?\d+(?:e[+-]?\d+)?)", said.replace("−", "-"))
    if found is None:
        raise ValueError(f"“{said}” is no number to compare with")
    side, digits = found[1], found[2].replace(",", "")
    value = float(digits)
    if side:
        return number < value if side == "<" else number > value
    mantissa, _, power = digits.partition("e")
    last = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return math.isfinite(number) and abs(number - value) <= last / 2 * (1 + 1e-9)
