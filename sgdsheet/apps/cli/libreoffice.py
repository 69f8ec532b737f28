"""`sgdsheet libreoffice`: the extension for LibreOffice Calc."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.files import OutputFile, guard
from sgdsheet.apps.cli.state import leave_state
from sgdsheet.apps.libreoffice_ext import extension_install as installing
from sgdsheet.apps.libreoffice_ext.oxt import FILE_NAME, write
from sgdsheet.errors import FileError
from sgdsheet.system.outputs import EXTENSION

if TYPE_CHECKING:
    from sgdsheet.apps.libreoffice_ext.calc_functions import CalcFunction

_office = click.option("--office", metavar="DIR", help="LibreOffice's program folder, if it is not found.")
_profile = click.option("--profile", metavar="DIR", help="Another profile of LibreOffice's than the usual one.")


HELP_LINE, PLACE = "Install the extension for LibreOffice Calc", 120


@click.group("libreoffice")
def command() -> None:
    """The extension for LibreOffice Calc: a toolbar and a menu “SGD”, and the SGD_ functions."""


@command.command()
@_office
@_profile
def install(office: str | None, profile: str | None) -> None:
    """Build the extension, install it, and see that it answers. It will use this very Python."""
    done = installing.install(_functions(), office, profile)
    found, out = done.status, console()
    if done.repaired:
        out.print("LibreOffice's register of extensions was empty, after a crash. It was made anew.")
    out.print(shown(f"Installed sgdsheet {found.version} with {found.office}"))
    out.print(shown(f"The office starts {found.python}, as {found.settings} says"))
    out.print("Restart LibreOffice: Calc then has a menu and a toolbar “SGD”, and the functions SGD_RELU and so on.")
    if done.left_out is not None:
        out.print(f"The LibreOffice that is installed as a {done.left_out} cannot have it: start the other one.")
    if not done.from_terminal:
        out.print("Start it from its menu, not from this terminal, whose Python leads LibreOffice astray.")


@command.command()
@_office
@_profile
@click.option("--all", "everything", is_flag=True, help="Also what Undo and Reset need, the log and the key.")
def uninstall(office: str | None, profile: str | None, everything: bool) -> None:
    """Remove the extension and what `install` wrote, and end the background trainer."""
    removed = installing.uninstall(office, profile)
    console().print("Removed the extension. Restart LibreOffice." if removed else "It was not installed there.")
    if removed or everything:
        leave_state("libreoffice", everything=everything)


@command.command()
@_office
@_profile
@json_option
def status(office: str | None, profile: str | None, as_json: bool) -> None:
    """Say what is installed, whether it answers, and which Python the office starts."""
    found = installing.status(office, profile)
    if as_json:
        print_json(found._asdict())
        return
    out = console()
    out.print(shown(f"extension  {found.version or 'not installed: run sgdsheet libreoffice install'}"))
    if found.version is not None:
        out.print(shown(f"answers  {'yes' if found.trouble is None else f'no: {found.trouble}'}"))
    out.print(shown(f"LibreOffice's tool  {found.office}"))
    out.print(shown(f"Python  {found.python}"))


@command.command()
@click.option(
    "-o",
    "--output",
    type=OutputFile(EXTENSION),
    metavar="FILE",
    default=FILE_NAME,
    show_default=True,
    help="Where to write it.",
)
def build(output: str) -> None:
    """Build the .oxt file only, for LibreOffice's Extension Manager."""
    path = Path(output)
    guard()
    try:
        write(path.resolve(), _functions())
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    console().print(shown(f"Wrote {path}"))


def _functions() -> list[CalcFunction]:
    from sgdsheet.apps.libreoffice_ext.calc_functions import calc_functions
    from sgdsheet.apps.udf.declarations import declarations  # imports torch: not for the help page

    declared: list[dict[str, Any]] = declarations()
    return calc_functions(declared)
