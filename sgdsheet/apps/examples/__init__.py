"""The example workbooks: one module each, found because it is in this folder.

An example module has a `TITLE` and a `DESCRIPTION` (one line each), a `PLACE` (the chapter of the tour, and the number
in it), a `LESSON` (the words of its sheet `Start`, and the numbers that must come out) and `build(path, **options)`,
which writes the workbook; `style` is what they share. Building the same example twice gives the same bytes.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Protocol, cast

from xlsxwriter.exceptions import XlsxFileError  # type: ignore[import-untyped]

from sgdsheet.apps.examples.lesson import Lesson
from sgdsheet.errors import FileError, SettingError
from sgdsheet.system.atomic import replacing

CHAPTERS = ("Descend", "Networks", "How to train", "Pictures and words")
"""The chapters of the tour: in this order a learner meets the examples."""


class Example(Protocol):
    """What a module in this folder offers."""

    TITLE: str
    PLACE: tuple[str, float]
    DESCRIPTION: str
    LESSON: Lesson

    def build(self, path: Path, **options: object) -> None: ...


def names() -> dict[str, str]:
    """Every example and its one-line description, in alphabetical order."""
    return {name: example.DESCRIPTION for name, example in _examples().items()}


def titles() -> dict[str, str]:
    """The title of every example, by its name."""
    return {name: example.TITLE for name, example in _examples().items()}


def tour() -> dict[str, list[str]]:
    """The names of all examples by chapter, in the order in which a learner meets them."""
    places = {name: example.PLACE for name, example in _examples().items()}
    return {
        chapter: sorted((name for name, place in places.items() if place[0] == chapter), key=lambda name: places[name])
        for chapter in CHAPTERS
    }


def lessons() -> dict[str, Lesson]:
    """What every example teaches, by its name."""
    return {name: example.LESSON for name, example in _examples().items()}


def build(name: str, path: Path, last_look: Callable[[], None] = lambda: None, **options: object) -> None:
    """Write the example workbook `name` to `path`, complete or not at all; options are the example's own.

    What `last_look` raises keeps the file that is there.
    """
    examples = _examples()
    if name not in examples:
        raise SettingError(f"there is no example “{name}”", remedy=f"Choose one of: {', '.join(examples)}")
    known = signature(examples[name].build).parameters
    for option in options:
        if option not in known:
            able = [other for other, example in examples.items() if option in signature(example.build).parameters]
            raise SettingError(
                f"the example “{name}” takes no {option}", remedy=f"It is for: {', '.join(able) or 'none'}"
            )
    try:
        with replacing(Path(path), last_look) as temporary:
            examples[name].build(temporary, **options)
    except XlsxFileError as error:
        reason = getattr(error.args[0] if error.args else None, "strerror", None) or error
        raise FileError(f"“{path}” cannot be written: {reason}", remedy="Write somewhere else") from None


def _examples() -> dict[str, Example]:
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name: import_module(f"{__name__}.{name}") for name in found}
    return {name: cast(Example, module) for name, module in modules.items() if hasattr(module, "DESCRIPTION")}
