"""What can be asked of an open workbook: one command per file, found because it is in this folder."""

from __future__ import annotations

import importlib
import pkgutil

from sgdsheet.live.commands.declaration import Command, Group


def _place(command: Command) -> tuple[int, int, str]:
    """Groups in their order, the buttons in theirs; what has no button comes last."""
    if command.button is None:
        return len(Group), 0, command.name
    return list(Group).index(command.button.group), command.button.place, command.name


_MODULES = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
_FOUND: list[Command] = [module.COMMAND for module in _MODULES if hasattr(module, "COMMAND")]

COMMANDS = {command.name: command for command in sorted(_FOUND, key=_place)}
"""Every command by its name, in the order of the buttons."""
