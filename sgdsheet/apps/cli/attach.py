"""`sgdsheet attach`: train a workbook that is open in a spreadsheet, from a terminal."""

from __future__ import annotations

import math
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.guidance import candidate_to_mark
from sgdsheet.apps.cli.outcome import STOPPED
from sgdsheet.apps.cli.progress import progress_bar
from sgdsheet.apps.cli.setting_options import settings_options
from sgdsheet.errors import (
    BookClosedError,
    HostError,
    NoModelError,
    ProblemError,
    SeveralModelsError,
    SgdSheetError,
    TrainingError,
    quoted,
)
from sgdsheet.hosts.live_hosts import LIVE_HOSTS, connect, leave, open_books
from sgdsheet.live.ipc.trainer import Trainer

_TICK = 0.1
_LONG = 3600.0
_ENDING = 60.0
_KINDS = {kind.__name__: kind for kind in (BookClosedError, HostError, NoModelError, ProblemError, SeveralModelsError)}


HELP_LINE, PLACE = "Train a workbook that is open in a spreadsheet", 80


@click.command("attach")
@click.argument("book", required=False)
@click.option("--sheet", "-s", metavar="NAME", help="The sheet; the active one unless given.")
@click.option("--host", type=click.Choice(list(LIVE_HOSTS)), help="The program; whichever has the workbook open.")
@click.option("--where", default="", metavar="NAME", help="Which instance: LibreOffice's pipe, Excel's process.")
@click.option("--log-sheet", is_flag=True, help="Add a sheet “SGD log” with a chart that grows.")
@click.option("--undo", is_flag=True, help="Do not train: take back what the last training has changed.")
@settings_options
@json_option
def command(
    book: str | None,
    sheet: str | None,
    host: str | None,
    where: str,
    log_sheet: bool,
    undo: bool,
    chosen: dict[str, Any],
    as_json: bool,
) -> None:
    """Train the workbook BOOK where it is open, in Excel or LibreOffice, which stays usable meanwhile.

    Without BOOK, the only workbook that is open. Ctrl-C stops and leaves the best parameters in the sheet.
    """
    # In this process and not in the background trainer: who closes the terminal wants the training to end.
    said = {key: value for key, value in chosen.items() if value is not None}
    if undo and (said or log_sheet):
        raise click.UsageError("--undo trains nothing: leave out what is said of a training")
    if undo and sheet is not None:
        raise click.UsageError("--undo takes back the last change, on whatever sheet it was: leave out --sheet")
    options = None if undo else {**said, "log": log_sheet}
    try:
        _attach(*_find(book, host, where), where, sheet, options, as_json=as_json)
    finally:
        leave()


def _attach(
    name: str, key: str, where: str, sheet: str | None, chosen: dict[str, Any] | None, *, as_json: bool
) -> None:
    """Train the workbook `key` in the program `name`, and say how it ended. If nothing is chosen, undo a training."""
    trainer = Trainer(connect)
    request = {"host": name, "book": key, "where": where, "sheet": sheet}
    if not as_json and chosen is not None:
        console().print(f"[bold]{shown(key)}[/bold] in {shown(name)}; Ctrl-C stops")
    try:
        outcome = _undo(trainer, request) if chosen is None else _train(trainer, request, chosen, quiet=as_json)
    except NoModelError as error:
        error.more = _candidate_to_mark(name, key, where, sheet)
        raise
    finally:
        trainer.close()
    if as_json:
        print_json({"book": key, "host": name, **outcome})
    else:
        console().print(shown(str(outcome["message"])))


def _find(book: str | None, host: str | None, where: str) -> tuple[str, str]:
    """The program and the key of the workbook that is meant. Raises HostError."""
    found = [(name, key) for name in ([host] if host else LIVE_HOSTS) for key in _books(name, where, quiet=not host)]
    listed = ", ".join(key for _, key in found)
    if book is None:
        if len(found) == 1:
            return found[0]
        if not found:
            raise _nothing_open("no workbook is open", "Open one in Excel or LibreOffice", where)
        raise HostError(f"several workbooks are open: {listed}", remedy="Say which: sgdsheet attach BOOK")
    path = Path(book).expanduser()
    exact = [item for item in found if item[1] == book or _same_file(item[1], path)]
    only_a_name = len(path.parts) == 1 and not path.exists()  # else another file of that name is not the one meant
    same = exact or [item for item in found if only_a_name and Path(item[1]).name.casefold() == book.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        raise HostError(f"several open workbooks are called “{Path(book).name}”", remedy="Give the full path")
    if not found:
        raise _nothing_open(f"“{book}” is not open in a spreadsheet", "Open it in Excel or LibreOffice", where)
    raise HostError(f"“{book}” is not open in a spreadsheet", remedy=f"Open there are {listed}")


def _nothing_open(cause: str, remedy: str, where: str) -> HostError:
    """Nothing is open, or nobody answers where we were told to look: programs don't say which."""
    if where:
        cause, remedy = f"{cause} at {quoted(where)}", f"{remedy} there, or leave out --where to look everywhere"
        return HostError(cause, remedy=remedy)
    return HostError(cause, remedy=f"{remedy}, then try again")


def _same_file(key: str, path: Path) -> bool:
    """Whether a key is this file, by whatever name."""
    return os.path.normcase(os.path.realpath(key)) == os.path.normcase(os.path.realpath(path))


def _books(name: str, where: str, *, quiet: bool) -> list[str]:
    """The open workbooks of a program; none if it was not asked for and cannot be reached."""
    try:
        return open_books(name, where)
    except HostError:
        if quiet:
            return []
        raise


def _candidate_to_mark(host: str, key: str, where: str, sheet: str | None) -> list[str]:
    """The best candidate of the open workbook, and where to see more."""
    with closing(connect(host, key, where)) as book:
        workbook = book.read()
    return candidate_to_mark(workbook, key, sheet if sheet is not None else workbook.active)


def _undo(trainer: Trainer, request: dict[str, Any]) -> dict[str, Any]:
    """Take back the last training, also of a terminal that was killed."""
    done = _checked(trainer.handle({**request, "command": "undo", "wait": _LONG}))
    return {"message": done["message"]}


def _train(trainer: Trainer, request: dict[str, Any], options: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Train to the end, or to Ctrl-C."""
    interrupted, replaced = False, list[str]()
    try:
        begun = _checked(trainer.handle({**request, "command": "train", "options": options, "wait": _LONG}))
        replaced += begun.get("replaced", [])
        if replaced and not quiet:
            console().print(f"Numbers took the place of formulas: {shown(', '.join(replaced))}", soft_wrap=True)
        _watch(trainer, request, quiet=quiet)
    except KeyboardInterrupt:
        interrupted = True
        _checked(trainer.handle({**request, "command": "stop", "wait": _ENDING}))
    status = _checked(trainer.handle({**request, "command": "status"}))
    if status.get("failed"):
        raise _KINDS.get(status["failed"], TrainingError)(status["message"])
    return {
        "message": status["message"],
        "loss": status["loss"],
        "steps": status["step"],
        "stopped": STOPPED if interrupted else status.get("stopped"),
        "overwritten_formulas": replaced,
    }


def _watch(trainer: Trainer, request: dict[str, Any], *, quiet: bool) -> None:
    status = trainer.handle({**request, "command": "status"})
    while status["state"] != "idle" and status["steps"] is None:  # it is being compiled
        time.sleep(_TICK)
        status = trainer.handle({**request, "command": "status"})
    with progress_bar(status["steps"] or 0, _number(status["loss"]), quiet=quiet) as show:
        while status["state"] != "idle":
            show(status["step"], _number(status["loss"]))
            time.sleep(_TICK)
            status = trainer.handle({**request, "command": "status"})


def _number(loss: float | None) -> float:
    return loss if loss is not None else math.nan


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply, or what is wrong as an exception."""
    if not reply["ok"]:
        raise _error(reply)
    return reply


def _error(reply: dict[str, Any]) -> SgdSheetError:
    return _KINDS.get(reply.get("kind", ""), TrainingError)(reply["error"])
