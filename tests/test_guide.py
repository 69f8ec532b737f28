"""addin/GUIDE.md says what is there: commands, buttons, functions and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sgdsheet.apps import examples
from sgdsheet.apps.cli import cli
from sgdsheet.apps.excel_addin.generated import ribbon
from sgdsheet.apps.libreoffice_ext.actions import ACTIONS
from sgdsheet.live.commands import COMMANDS as COMMANDS_LIVE

GUIDE = Path(__file__).parent.parent / "addin" / "GUIDE.md"
TEXT = GUIDE.read_text(encoding="utf-8")
PICTURES = sorted((GUIDE.parent / "pictures").iterdir())
LARGEST = 150_000  # bytes

RIBBON = set(re.findall(r' label="([^"]+)"', ribbon(examples.names())))
TOOLBAR = {action.label for action in ACTIONS}
PROSE = {"Real Excel was never run", "Excel was never started"}
"""What is bold and no button."""

COMMANDS = sorted({found.strip() for found in re.findall(r"`[^`\n]*?\b(sgdsheet(?: +[\w./-]+)+)`", TEXT)})
FIRST_WORDS = {line.split()[1] for line in COMMANDS}


def bold() -> list[str]:
    return [found.removesuffix(".") for found in re.findall(r"\*\*([^*]+)\*\*", TEXT)]


def button_table() -> str:
    """The part between the two comments, from the declarations of the commands."""
    rows = ["| button | what it does |", "|---|---|"]
    shown = [command.button for command in COMMANDS_LIVE.values() if command.button is not None]
    rows += [f"| **{button.label}** | {button.tip[0].upper()}{button.tip[1:]}. |" for button in shown]
    return "\n".join(rows)


def written(text: str) -> str:
    """The guide with its table as it should be."""
    pattern = r"(<!-- buttons: [^>]*-->\n).*?(\n<!-- end of buttons -->)"
    return re.sub(pattern, lambda found: found[1] + button_table() + found[2], text, flags=re.DOTALL)


def subcommand(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that a line names, and what it gives it."""
    found: click.Command = cli
    rest = words
    while isinstance(found, click.Group):
        assert rest, f"{' '.join(words)} is no whole command"
        under = found.get_command(click.Context(found), rest[0])
        assert under is not None, f"there is no command {' '.join(words)}"
        found, rest = under, rest[1:]
    return found, rest


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_exist(line: str) -> None:
    command, rest = subcommand(line.split()[1:])
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= options
    takes = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    assert takes or not rest or rest[0].startswith("-"), f"{line}: {rest[0]} is no argument"


def test_commands_are_those_of_the_two_installers() -> None:
    assert {"addin", "libreoffice", "attach", "train"} <= FIRST_WORDS
    for installer in ("addin", "libreoffice"):
        for action in ("install", "uninstall", "status"):
            assert f"sgdsheet {installer} {action}" in COMMANDS


@pytest.mark.parametrize("label", sorted(set(bold()) - PROSE))
def test_buttons_exist(label: str) -> None:
    assert label in RIBBON | TOOLBAR


def test_every_button_of_the_toolbar_is_told_of() -> None:
    assert {action.label for action in ACTIONS if action.on_toolbar} <= set(bold())


def test_buttons_of_excel_only() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| **Highlight**"))
    for label in re.findall(r"\*\*([^*]+)\*\*", row):
        assert label in RIBBON - TOOLBAR


def test_the_table_of_buttons() -> None:
    """`.venv/bin/python -m tests.test_guide` writes it anew."""
    assert TEXT.count("<!-- end of ") == 1
    assert written(TEXT) == TEXT


def test_pictures_exist_and_are_used() -> None:
    shown = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", TEXT)
    assert sorted(target for _, target in shown) == [f"pictures/{path.name}" for path in PICTURES]
    for words, _ in shown:
        assert len(words.split()) >= 4, "a picture has words for those who do not see it"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) <= LARGEST


def test_links_lead_somewhere() -> None:
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
                for line in TEXT.splitlines() if line.startswith("#")}  # fmt: skip
    for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", TEXT):
        assert target[1:] in headings if target.startswith("#") else (GUIDE.parent / target).is_file()


def test_files_named_exist() -> None:
    for name in re.findall(r"`(workbooks/[\w.]+)`", TEXT):
        assert (GUIDE.parent.parent / name).is_file()


if __name__ == "__main__":
    GUIDE.write_text(written(TEXT), encoding="utf-8")
