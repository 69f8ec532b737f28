"""What a command declares: its name, its button, whether it writes, and the function that does it.

Programs with buttons import this, and a click has to be instant. So no file in this folder imports torch, or what
imports torch, at its top: each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

    Do = Callable[[LiveBook, str | None, Options], Reply]
    """Works on the workbook's sheet (None: the active one) with the request's options. Raises SgdSheetError."""


class Group(Enum):
    """A group of Excel's ribbon, by the name of its place in `addin/customUI14.xml`."""

    MODEL = "model"
    TRAIN = "train"
    LEARN = "learn"
    HELP = "help"


class Needs(Enum):
    """What has to be there for Excel's button to be enabled."""

    NOTHING = auto()
    WORKBOOK = auto()
    MODEL = auto()
    """The active sheet names its loss."""


class When(Enum):
    """In which states of training Excel's button is enabled. Elsewhere the function itself has to refuse."""

    ALWAYS = auto()
    NOT_TRAINING = auto()
    TRAINING = auto()
    """While a model is being trained, and while training is paused or starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """How people see a command, in Excel's ribbon and in LibreOffice's menu and toolbar."""

    group: Group
    place: int
    """The button's place in its group: buttons stand in the order of these numbers."""
    label: str
    tip: str
    """What the button does, as part of a sentence, for LibreOffice's window “What the buttons do” and the guide."""
    title: str
    """The heading of Excel's tip."""
    help: str
    """Excel's tip: one to three sentences that teach."""
    image: str
    """Excel's icon, one of Office's own (its imageMso name)."""
    key: str
    """The letter of Excel's key tip; no other button has the same."""
    drawing: tuple[str, ...] = ()
    """LibreOffice's icon: the shapes of an SVG picture of 24 x 24, drawn in lines of width 2 with round ends."""
    ribbon_label: str = ""
    """The label in Excel's ribbon; empty if it is `label`."""
    large: bool = False
    needs: Needs = Needs.MODEL
    when: When = When.NOT_TRAINING
    on_toolbar: bool = True
    """Whether LibreOffice's toolbar has the button, with an icon; its menu has every button."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command. A file in this folder with a `COMMAND` is all that there is to a new one."""

    name: str
    """What a request calls it, such as `find-lr`."""
    do: Do
    button: Button | None = None
    writes: bool = False
    """Whether it writes to cells or names: only one program at a time may do that to a workbook."""
    shows: bool = False
    """Whether it makes a sheet of ours, which comes to the front where the option `front` of the request says so."""
