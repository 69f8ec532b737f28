"""The files of a command: what it reads and what it writes, declared with its options and checked before any work."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from os.path import lexists
from pathlib import Path

import click

from sgdsheet.apps.cli.progress import working
from sgdsheet.errors import FileError, HostError, SgdSheetError
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.hosts.office_locks import holder_of
from sgdsheet.problem.definition import Problem, named_origin
from sgdsheet.problem.source_names import split_origin
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.system import interruption, processes
from sgdsheet.system.book_lock import lock_file
from sgdsheet.system.outputs import Input, Output, Product, check


class InputFile(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The type of an argument or option that names a file to read. One that is `continued` may be replaced."""

    name = "input"

    def __init__(self, what: str, continued: Product | None = None) -> None:
        self.what, self.continued = what, continued


class OutputFile(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The type of an option that names a file to write."""

    name = "output"

    def __init__(self, product: Product) -> None:
        self.product = product


BOOK = InputFile("the workbook")
DATA = InputFile("the data")
"""Names a source: which files that means, `guard` finds out."""


def guard(workbook: Workbook | None = None, problem: Problem | None = None, **places: Path | None) -> list[Path]:
    """Refuse, before any work, outputs of the running command that would write over something; returns the files.

    `places` are what stands for an option that was not given, or None for one that does not write.
    """
    context = click.get_current_context()
    inputs = list(_data(workbook, problem)) if workbook is not None else []
    outputs = []
    for parameter in context.command.params:
        given = {**context.params, **places}.get(str(parameter.name))
        if not isinstance(given, str | Path):
            continue
        kind, path = parameter.type, Path(given)
        if isinstance(kind, OutputFile):
            option = next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
            outputs.append(Output(option, path, kind.product))
        elif isinstance(kind, InputFile) and kind is not DATA:
            inputs.append(Input(kind.what, path, kind.continued))
    check(inputs, outputs)
    return [output.path for output in outputs if not output.product.is_folder]


def _data(workbook: Workbook, problem: Problem | None) -> Iterator[Input]:
    """The files of the model's source, and of those that any sheet names."""
    from sgdsheet.data.formats import source_files  # imports numpy: not for the help page
    from sgdsheet.data.locate import locate

    origins = [problem.origin] if problem is not None else []
    for sheet in workbook.sheets:
        with suppress(SgdSheetError):  # an error of a sheet that nobody asked for is none here
            origins.append(named_origin(workbook, sheet).get("origin"))
    for origin in filter(None, dict.fromkeys(origins)):
        with suppress(SgdSheetError):  # data that are not there cannot be written over
            for path in source_files(locate(split_origin(origin)[0], workbook.folder, chosen=True)):
                yield Input(DATA.what, path)


def read_book(book: str, *, quiet: bool) -> Workbook:
    """Read the workbook, with a bar if that takes long and unless it is to be `quiet`. Raises FileError."""
    with working(f"reading {Path(book).name}", quiet=quiet):
        return load(book)


# --- the trained workbook -----------------------------------------------------------------------------------


def hold(*paths: Path) -> None:
    """Keep other runs from writing to the same files, until the command ends. Raises TrainingError."""
    if processes.rank():
        return  # the first of several processes writes
    context = click.get_current_context()
    held: set[Path] = context.meta.setdefault(f"{__name__}.held", set())
    for path in paths:
        with suppress(HostError, OSError, RuntimeError):  # nothing can be locked: a change is still noticed in the end
            if (file := path.resolve()) not in held:
                context.call_on_close(lock_file(file).release)
                held.add(file)


def refuse_open(book: Path) -> None:
    """Raise FileError if an office has the workbook open that is to be written."""
    holder = holder_of(book)
    if holder is not None:
        raise FileError(
            f"“{book.name}” is open in {holder.program}, which would save over what was trained",
            remedy=f"Close it there, or write a copy with -o. If it is not open at all, delete {holder.lock.name}",
        )


def open_elsewhere(book: Path, target: Path) -> list[str]:
    """What to tell a person who has the workbook, or its trained copy, open in an office."""
    found = []
    if (holder := holder_of(book)) is not None and book != target:
        found.append(f"{book.name} is open in {holder.program}: what was not saved there was not trained on")
    if (holder := holder_of(target)) is not None:
        found.append(
            f"{target.name} is open in {holder.program}: close it there without saving, which would undo the training"
        )
    return found


def save(host: FileHost, target: Path, *, in_place: bool) -> None:
    """Save what was trained. If that fails, it is saved where there is room, and the FileError says where."""
    try:
        host.save(None if in_place else target)
        interruption.note_saved(target)
    except FileError as error:
        for place in (_free(target), _free(Path(tempfile.gettempdir()) / target.name)):
            with suppress(FileError):
                host.save(place)
                raise SavedElsewhere(error.cause, place) from None
        raise


class SavedElsewhere(SgdSheetError):
    """The trained workbook is not where it should be, but it is not lost."""

    def __init__(self, cause: str, place: Path) -> None:
        super().__init__(cause, remedy=f"The trained workbook is in “{place}”")


def _free(path: Path) -> Path:
    """A name like this one that nothing bears."""
    endings = ("-trained" if number == 1 else f"-trained-{number}" for number in itertools.count(1))
    names = (path.with_name(f"{path.stem.removesuffix('-trained')}{ending}{path.suffix}") for ending in endings)
    return next(name for name in names if not lexists(name))
