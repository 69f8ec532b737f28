"""The parts of a model's source, opened and checked against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.binding import Binding
from sgdsheet.data.formats import Source, open_source, parse_selection
from sgdsheet.data.locate import locate
from sgdsheet.errors import DataError, FileError, ProblemError, quoted
from sgdsheet.problem.definition import Problem


def open_parts(model: SheetModel) -> dict[str, Source]:
    """The parts of a model's source."""
    with _located(model) as (path, choose):
        train = open_source(path)
        return {part: choose(train if part == "train" else open_source(path, part)) for part in train.parts()}


def open_part(model: SheetModel, part: str | None, origin: str | None = None) -> Source:
    """One part of a model's source, or of another: the named part, or test if there is one, or train."""
    with _located(model, origin) as (path, choose):
        if part is not None:
            return choose(open_source(path, part))
        train = open_source(path)
        return choose(open_source(path, "test") if "test" in train.parts() else train)


@contextmanager
def _located(model: SheetModel, origin: str | None = None) -> Iterator[tuple[Path, Callable[[Source], Source]]]:
    """The path of a model's data, and what chooses the wanted samples of a part."""
    problem = model.problem
    name, selection = parse_selection(origin or origin_of(problem))
    with blaming(problem):
        path = locate(name, model.workbook.folder, chosen=problem.origin_chosen and origin is None)
        if selection is None and not path.exists():
            _refuse_words(name)
        yield path, selection.of if selection is not None else _all


def origin_of(problem: Problem) -> str:
    """Which data the model is for. ProblemError if they are not in a file."""
    if problem.origin is None:
        raise ProblemError(
            "the sheet names no data", cell=problem.sheet, remedy="Say --source FILE, or name a cell sgd_source"
        )
    return problem.origin


def _refuse_words(name: str) -> None:
    """A name with words that look like a choice of samples, but are none."""
    found = re.search(r"\swhere\s+(.+)", name, re.I | re.S)
    if found is not None:
        raise DataError(
            f"{quoted(found[1])} is no choice of samples", remedy="Write it as in “mnist where label is 3 or 7”"
        )


@contextmanager
def blaming(problem: Problem) -> Iterator[None]:
    """A context in which errors of a file are said of the cell that names it."""
    try:
        yield
    except (FileError, DataError) as error:
        raise type(error)(error.cause, cell=error.cell or problem.origin_cell, remedy=error.remedy) from None


def refuse_other(source: Source, train: Source, bindings: Sequence[Binding]) -> None:
    """Every part has to have the fields that formulas read, in the shape that the training part has."""
    for name in dict.fromkeys(piece.field for binding in bindings for piece in binding.pieces if piece.read):
        if name not in source.fields:
            raise DataError(
                f"the part “{source.part}” of {quoted(source.name)} has no {quoted(name)}",
                remedy="Add it, or leave out that part",
            )
        shape, expected = (list(item.fields[name].shape[1:]) for item in (source, train))
        if shape != expected:
            raise DataError(
                f"{quoted(name)} of the part “{source.part}” of {quoted(source.name)} has the shape {shape} per sample,"
                f" and {expected} in the part “train”",
                remedy="Use files that belong together",
            )


def _all(source: Source) -> Source:
    return source
