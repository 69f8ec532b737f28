"""`sgdsheet addin`: the add-in for Excel."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from sgdsheet.apps import examples
from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.files import OutputFile, guard
from sgdsheet.apps.cli.state import leave_state
from sgdsheet.apps.excel_addin import addin_install as installing
from sgdsheet.apps.excel_addin.build import build as build_addin
from sgdsheet.apps.excel_addin.checklist import Line, numbered
from sgdsheet.apps.excel_addin.excel_folders import ADDIN, Places, places
from sgdsheet.errors import FileError, HostError
from sgdsheet.system import outputs
from sgdsheet.system.atomic import write_atomically

HELP_LINE, PLACE = "Install the add-in for Excel", 130

Answered = TypeVar("Answered")


@click.group("addin")
def command() -> None:
    """The add-in for Excel: a ribbon tab “SGD”, and on Windows the SGD_ functions."""


@command.command()
@click.option(
    "-o",
    "--output",
    type=OutputFile(outputs.ADDIN),
    metavar="FILE",
    default=ADDIN,
    show_default=True,
    help="Where to write.",
)
def build(output: str) -> None:
    """Only build the add-in. The same versions of sgdsheet and xlwings give the same bytes."""
    path = Path(output)
    guard()
    try:
        write_atomically(path.resolve(), _built())
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    console().print(shown(f"Wrote {path}"))


@command.command()
def install() -> None:
    """Build the add-in and put it where Excel loads it. It will use this very Python."""
    found = _places()
    out = console()
    for line in installing.install(found, _built(), sys.executable, getattr(sys, "_base_executable", "")):
        out.print(shown(line))
    out.print(shown(f"The ribbon starts {sys.executable}"))
    out.print("Restart Excel: it then has a tab “SGD”.")
    if sys.platform == "darwin":
        out.print("At the first click macOS asks whether Python may control Excel: choose OK, or no button can work.")


@command.command()
@click.option("--all", "everything", is_flag=True, help="Also what Undo and Reset need, the log and the key.")
def uninstall(everything: bool) -> None:
    """Remove the add-in and everything that `install` wrote, and end the background trainer."""
    done = installing.uninstall(_places())
    out = console()
    for line in done:
        out.print(shown(line))
    out.print("Restart Excel: the tab is gone." if done else "There was no add-in to remove.")
    leave_state("addin", everything=everything)


@command.command()
@json_option
def status(as_json: bool) -> None:
    """Say what is installed, and which Python the ribbon starts."""
    found = installing.status(_places(), _built)
    if as_json:
        print_json(asdict(found) | {"advice": found.advice})
        return
    out = console()
    state = "not installed" if not found.installed else "up to date" if found.current else "of another version"
    out.print(shown(f"add-in  {state}: {found.addin}"))
    missing = "" if found.interpreter_exists else " (is not there)"
    out.print(shown(f"Python  {found.interpreter or 'unknown'}{missing if found.interpreter else ''}"))
    if found.advice:
        out.print(shown(found.advice))


@command.command()
@click.option("--only", metavar="NUMBERS", default="", help="Some lines only, such as 5,12-16.")
@click.option("--alone", is_flag=True, help="Ask nothing: only what it can press and compare by itself.")
@click.option(
    "-o",
    "--output",
    type=OutputFile(outputs.REPORT),
    metavar="FILE",
    default="sgdsheet-verify.md",
    show_default=True,
    help="Where to write the report.",
)
def verify(only: str, alone: bool, output: str) -> None:
    """Go through the checklist in real Excel, and write a report to send.

    It opens workbooks of its own, and closes them at the end. Without Excel it tries what can be tried.
    """
    from sgdsheet.apps.excel_addin import excel_desk, probes, verification  # import xlwings: not for the help page

    wanted = _numbers(only)
    path = Path(output)
    guard()
    out = console()
    try:
        status = installing.status(_places(), _built)
    except HostError:
        status = None

    def tell(outcome: verification.Outcome) -> None:
        if outcome.came is not verification.Came.LEFT_OUT:  # the report has these
            seen = f": {outcome.seen}" if outcome.seen else ""
            out.print(shown(f"{outcome.number:3} {outcome.came.value}  {outcome.line.do}{seen}"))

    with tempfile.TemporaryDirectory(prefix="sgdsheet-", ignore_cleanup_errors=True) as folder:
        walk = verification.Walk(
            probes.Here(_built, status),
            partial(excel_desk.find_excel, Path(folder)),
            None if alone else partial(_ask, verification.Answer),
            tell,
        )
        outcomes = walk.go(wanted)
    text = verification.report(outcomes, walk.excel())
    try:
        write_atomically(path.resolve(), text.encode("utf-8"))
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    out.print(shown(verification.summary(outcomes)))
    if walk.missing:
        out.print(shown(f"What is missing here is Excel: {walk.missing}"))
    out.print(shown(f"Wrote {path}"))
    if any(outcome.came is verification.Came.DIFFERENT for outcome in outcomes):
        raise SystemExit(1)


def _numbers(text: str) -> set[int]:
    """The numbers of lines: `5,12-16`."""
    found: set[int] = set()
    last = max(number for number, _, _ in numbered())
    for part in filter(None, text.replace(" ", "").split(",")):
        first, _, end = part.partition("-")
        if not (first.isdecimal() and (end or first).isdecimal()):
            raise click.UsageError(f"--only {text}: write numbers of lines, such as 5,12-16")
        found |= set(range(int(first), int(end or first) + 1))
    if found and not found <= set(range(1, last + 1)):
        raise click.UsageError(f"--only {text}: the lines have the numbers 1 to {last}")
    return found


def _ask(answer: Callable[..., Answered], number: int, line: Line) -> Answered:
    """Ask the person what they see."""
    console().print(shown(f"{number:3} Do: {line.do}\n    Expect: {line.expect}"))
    choice = click.prompt("    Is it so?", type=click.Choice(["y", "n", "skip"]), default="skip")
    if choice == "skip":
        return answer(None)
    seen = click.prompt("    What was different?", default="", show_default=False) if choice == "n" else ""
    return answer(choice == "y", seen)


def _places() -> Places:
    return places(sys.platform, Path.home(), os.environ)


def _built() -> bytes:
    from sgdsheet.apps.udf.declarations import declarations  # imports torch: not for the help page

    return build_addin(declarations(), examples.names())
