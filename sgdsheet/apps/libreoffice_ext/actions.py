"""The commands of the toolbar and the menu: what stands on the button, and what it teaches."""

from __future__ import annotations

from dataclasses import dataclass

PROTOCOL_SCHEME = "org.sgdsheet"
"""Commands are addresses such as `org.sgdsheet:train`."""


@dataclass(frozen=True, slots=True)
class Action:
    """One command. `name` is the trainer's command; the picture is `icons/NAME.svg`.

    What is not on the toolbar is done by the office itself. `tip` stands in the window “What the buttons do”: where
    the mouse rests on a button of an extension, LibreOffice shows nothing but the label.
    """

    name: str
    label: str
    tip: str
    on_toolbar: bool = True

    @property
    def url(self) -> str:
        return f"{PROTOCOL_SCHEME}:{self.name}"


GROUPS = (
    (
        Action("set-loss", "Set loss", "the selected cell is what training makes as small as possible"),
        Action("set-params", "Set parameters", "the selected cells hold the numbers that training may change"),
        Action("set-data", "Set data rows", "the selected rows are the examples that batches are taken from"),
        Action("check", "Check", "compares values and gradients with the sheet, and finds what hinders training"),
    ),
    (
        Action("step", "Step", "one step of gradient descent: each parameter moves a little downhill"),
        Action("train", "Train", "many steps, with the sheet showing how it goes; Stop ends it"),
        Action("stop", "Stop", "ends training and keeps the parameters"),
        Action("undo", "Undo", "takes back the last thing that changed the parameters"),
        Action("reset", "Reset", "puts the parameters back to what they were before the first training"),
        Action("randomize", "Randomize", "new random starting values for the parameters"),
    ),
    (
        Action("find-lr", "Find learning rate", "tries larger and larger steps until the loss explodes"),
        Action("gradients", "Gradients", "a sheet with the gradient of the loss for each parameter"),
        Action("log", "Log", "while training, a sheet with the loss of each step and a chart; a second click ends it"),
        Action("export", "Export", "writes the model as readable Python beside the workbook"),
    ),
    (
        Action("help", "What the buttons do", "", on_toolbar=False),
        Action("why", "Why is this an error?", "", on_toolbar=False),
    ),
)
"""In the order of the menu, with a line between groups."""

ACTIONS = tuple(action for group in GROUPS for action in group)


def help_text() -> str:
    """What each button does."""
    paragraphs = ("\n".join(f"{each.label}: {each.tip}." for each in group if each.on_toolbar) for group in GROUPS)
    return "\n\n".join(filter(None, paragraphs)) + "\n"
