"""The commands of the toolbar and the menu: those that `live/commands/` declares, and two of the office's own."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.commands.declaration import Group

PROTOCOL_SCHEME = "org.sgdsheet"
"""Commands are addresses such as `org.sgdsheet:train`."""

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

    @property
    def icon(self) -> str:
        """The SVG picture, of 24 x 24."""
        return "\n".join((_SVG, *self.drawing, "</svg>\n"))

    @property
    def url(self) -> str:
        return f"{PROTOCOL_SCHEME}:{self.name}"


def _of_groups(*groups: Group) -> tuple[Action, ...]:
    """The actions of commands that have their buttons in some groups."""
    shown = [(command.name, command.button) for command in COMMANDS.values() if command.button is not None]
    return tuple(
        Action(name, button.label, button.tip, button.on_toolbar, button.drawing)
        for name, button in shown
        if button.group in groups
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


def help_text() -> str:
    """What each button does."""
    paragraphs = ("\n".join(f"{each.label}: {each.tip}." for each in group if each.on_toolbar) for group in GROUPS)
    return "\n\n".join(filter(None, paragraphs)) + "\n"
