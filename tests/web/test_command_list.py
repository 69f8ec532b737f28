"""What the page is told of commands and settings."""

from __future__ import annotations

import json

from sgdsheet.apps.web.command_list import choices, commands
from sgdsheet.live.commands import COMMANDS
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS


def test_every_button_is_there_in_its_order() -> None:
    found = json.loads(json.dumps(commands()))
    assert [item["name"] for item in found] == [item.name for item in COMMANDS.values() if item.button is not None]
    assert all(item["help"] and item["tip"] and item["label"] for item in found)
    assert {item["needs"] for item in found} <= {"nothing", "workbook", "model"}
    assert {item["when"] for item in found} <= {"always", "not_training", "training"}


def test_every_setting_and_optimizer_can_be_chosen() -> None:
    found = json.loads(json.dumps(choices()))
    assert [item["name"] for item in found["settings"]] == [item.label for item in DECLARATIONS]
    assert [item["name"] for item in found["optimizer"]] == ["auto", *OPTIMIZERS]
    assert all(item["help"] for item in found["optimizer"] + found["schedule"])
