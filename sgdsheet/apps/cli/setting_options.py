"""The options of a training's settings, from the one declaration of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from sgdsheet.problem.settings import DECLARATIONS, combine

Command = Callable[..., Any]


def settings_options(command: Command) -> Command:
    """One option per setting: the command gets them as `chosen`, by their keys, None where nothing is said."""

    @wraps(command)
    def with_settings(**options: Any) -> Any:
        chosen = {item.key: options.pop(item.key) for item in DECLARATIONS}
        combine((), chosen)  # a wrong flag is wrong usage, whatever the workbook holds
        return command(chosen=chosen, **options)

    decorated: Command = with_settings
    for item in reversed(DECLARATIONS):
        if item.switch:
            option = click.option(item.flag, item.key, is_flag=True, default=None, help=f"{item.help}.")
        else:
            option = click.option(item.flag, item.key, metavar="VALUE", help=f"{item.help} ({item.allowed}).")
        decorated = option(decorated)
    return decorated
