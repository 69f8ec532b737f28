"""The commands of the toolbar and the menu: those that `live/commands/` declares, and two of the office's own."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.commands.declaration import Group, When

PROTOCOL_SCHEME = "org.sgdsheet"
"""Commands are addresses such as `org.sgdsheet:train`."""

_ENDS_TRAINING = ("undo", "reset", "gradients")
"""Commands that may be given while a model is trained, although Excel's buttons for them wait: the first two end it."""

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none"'
    ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
)


@dataclass(frozen=True, slots=True)
class Action:
    """One command. `name` is the trainer's command; `drawing` are the shapes of its icon.

    What is not on the toolbar is done by the office itself. `tip` stands in the window “What the buttons do”: where
    the mouse rests on a button of an extension, LibreOffice shows nothing but the label.
    """

    name: str
    label: str
    tip: str
    on_toolbar: bool = True
    drawing: tuple[str, ...] = ()
    when: When = When.ALWAYS
    """In which states of training the button is enabled."""
    shows: bool = False
    """Whether a click brings a sheet of ours to the front."""

    @property
    def icon(self) -> str:
        """The SVG picture, of 24 x 24."""
        return "\n".join((_SVG, *self.drawing, "</svg>\n"))

    @property
    def url(self) -> str:
        return f"{PROTOCOL_SCHEME}:{self.name}"


def _of_groups(*groups: Group) -> tuple[Action, ...]:
    """The actions of commands that have their buttons in some groups."""
    return tuple(
        Action(
            name=command.name,
            label=button.label,
            tip=button.tip,
            on_toolbar=button.on_toolbar,
            drawing=button.drawing,
            when=When.ALWAYS if command.name in _ENDS_TRAINING else button.when,
            shows=command.shows,
        )
        for command in COMMANDS.values()
        if (button := command.button) is not None and button.group in groups
    )


GROUPS = (
    _of_groups(Group.MODEL),
    _of_groups(Group.TRAIN),
    _of_groups(Group.LEARN, Group.HELP),
    (
        Action("help", "What the buttons do", "", on_toolbar=False),
        Action("why", "Why is this an error?", "", on_toolbar=False),
    ),
)
"""The buttons in the order of the menu, which has a line between two groups."""

ACTIONS = tuple(action for group in GROUPS for action in group)


def rules() -> dict[str, dict[str, object]]:
    """What the office has to know of each command: when its button is enabled, and whether it shows a sheet of ours."""
    return {each.name: {"when": each.when.name.lower(), "shows": each.shows} for each in ACTIONS}


def help_text() -> str:
    """What each button does."""
    paragraphs = ("\n".join(f"{each.label}: {each.tip}." for each in group if each.on_toolbar) for group in GROUPS)
    return "\n\n".join(filter(None, paragraphs)) + "\n"
