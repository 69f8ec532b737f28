"""What the page is told of the package's declarations: the commands with their buttons, and what settings may be."""

from __future__ import annotations

from typing import Any

from sgdsheet.live.commands import COMMANDS
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import DECLARATIONS

_CHOOSE_FOR_ME = "Chosen by the kind of problem"


def commands() -> list[dict[str, Any]]:
    """The commands with a button, in the order of the buttons."""
    return [
        {
            "name": command.name,
            "label": button.label,
            "tip": button.tip,
            "title": button.title,
            "help": button.help,
            "group": button.group.value,
            "place": button.place,
            "needs": button.needs.name.lower(),
            "when": button.when.name.lower(),
            "writes": command.writes,
            "drawing": list(button.drawing),
            "key": button.key,
        }
        for command in COMMANDS.values()
        if (button := command.button) is not None
    ]


def choices() -> dict[str, list[dict[str, Any]]]:
    """What can be chosen: the optimizers, the schedules, and every setting with what is allowed for it."""
    optimizers = [
        {"name": row.name, "help": row.help, "learning_rate": row.learning_rate} for row in OPTIMIZERS.values()
    ]
    return {
        "optimizer": [{"name": AUTO, "help": _CHOOSE_FOR_ME, "learning_rate": None}, *optimizers],
        "schedule": [{"name": name, "help": schedule.help} for name, schedule in SCHEDULES.items()],
        "settings": [{"name": item.label, "allowed": item.allowed, "help": item.help} for item in DECLARATIONS],
    }
