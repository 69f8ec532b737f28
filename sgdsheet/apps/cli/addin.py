"""`sgdsheet addin`: the add-in for Excel."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from sgdsheet.apps import examples
from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.files import OutputFile, guard
from sgdsheet.apps.cli.state import leave_state
from sgdsheet.apps.excel_addin import addin_install as installing
from sgdsheet.apps.excel_addin.build import build as build_addin
from sgdsheet.apps.excel_addin.excel_folders import ADDIN, Places, places
from sgdsheet.errors import FileError
from sgdsheet.system import outputs
from sgdsheet.system.atomic import write_atomically

HELP_LINE, PLACE = "Install the add-in for Excel", 130


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


def _places() -> Places:
    return places(sys.platform, Path.home(), os.environ)


def _built() -> bytes:
    from sgdsheet.apps.udf.declarations import declarations  # imports torch: not for the help page

    return build_addin(declarations(), examples.names())
