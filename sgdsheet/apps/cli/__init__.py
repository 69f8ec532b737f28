"""The command line. One module per command, found by its `HELP_LINE` and imported when the command is called."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sgdsheet import __version__
from sgdsheet.errors import SettingError, SgdSheetError, printable
from sgdsheet.system import garbage, interruption, processes
from sgdsheet.system.standard_output import for_ourselves

_LINE = re.compile(r'^HELP_LINE, PLACE = "(.+)", (\d+)$', re.MULTILINE)


def _found() -> dict[str, str]:
    """Every command with its line. Read from the text of its module: the help page imports none of them."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        text = Path(__file__).with_name(f"{module.name}.py").read_text(encoding="utf-8")
        if line := _LINE.search(text):
            found.append((int(line[2]), module.name.replace("_", "-"), line[1]))
    return {name: line for _, name, line in sorted(found)}


COMMANDS = _found()
"""The lines of the help page, in its order; the command `find-lr` is the module `find_lr`, and so on."""

_EXAMPLE = """\b
Try it:
  sgdsheet new titanic
  sgdsheet train titanic.xlsx --sheet nnet
"""


def module_of(name: str) -> str:
    """The module of a command: it has an underscore where the command has a dash."""
    return name.replace("-", "_")


class _Commands(click.Group):
    """Imports a command's module on first use, so that the help page is instant."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{module_of(name)}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXAMPLE,
)
@click.version_option(__version__, prog_name="sgdsheet")
@click.pass_context
def cli(context: click.Context) -> None:
    """Gradient descent in your spreadsheet.

    sgdsheet compiles the formulas between the parameter cells and the loss cell of a workbook into PyTorch,
    trains the parameters with exact gradients, and writes them back.
    """
    if processes.count() > 1 and context.invoked_subcommand != "train":
        raise SettingError(f"{context.invoked_subcommand} is for one process", remedy="Start it without torchrun")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exit status: 0 done, 1 the workbook has a problem, 2 wrong usage, 130 Ctrl-C."""
    garbage.collect_rarely()
    interruption.forget_saved()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # “ or ✓ on a terminal that does not know them
    try:
        with interruption.watched(), for_ourselves():
            cli(args=arguments, prog_name="sgdsheet", standalone_mode=False)
            sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):  # Click makes the one of the other, but not at its very end
        print(interruption.message(), file=sys.stderr)
        sys.exit(interruption.STATUS)
    except BrokenPipeError:  # whoever read the output, such as `head`, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        processes.wait_for_the_first()
        error.show()
        sys.exit(error.exit_code)
    except SgdSheetError as error:
        processes.wait_for_the_first()
        print(f"sgdsheet: {printable(str(error))}", file=sys.stderr)
        for line in error.more:
            print(printable(line), file=sys.stderr)
        sys.exit(2 if isinstance(error, SettingError) and error.cell is None else 1)
    except Exception:
        if not interruption.was_pressed():
            raise
        print(interruption.message(), file=sys.stderr)
        sys.exit(interruption.STATUS)
