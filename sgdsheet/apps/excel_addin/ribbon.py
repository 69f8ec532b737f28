"""What a click on Excel's ribbon does: hand the action to the background trainer, and say what went wrong.

Excel starts this in a process of its own and waits for it, so it imports neither torch, numpy nor xlwings.
The workbook's name and the place for the reply come as digits (UTF-16), since a name is a stranger's text.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sgdsheet.errors import FileError, HostError, SettingError, SgdSheetError, one_line, quoted
from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.commands.declaration import Button, Group, Needs, When
from sgdsheet.live.ipc import client, notification
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.outputs import documents

OWN_BUTTONS = {
    "highlight": Button(
        group=Group.MODEL,
        place=40,
        label="Highlight",
        tip="selects what belongs to the model",
        title="Show what belongs to the model",
        help="Selects the loss; pressed again, the parameters, the data rows, the settings. Changes nothing.",
        image="FindDialog",
        key="H",
        when=When.ALWAYS,
    ),
    "about": Button(
        group=Group.HELP,
        place=20,
        label="About",
        tip="which version this is",
        title="About sgdsheet",
        help="Which version this is.",
        image="Info",
        key="A",
        needs=Needs.NOTHING,
        when=When.ALWAYS,
    ),
}
"""The buttons that VBA serves by itself."""

_SHOWN = {name.replace("-", "_"): command for name, command in COMMANDS.items() if command.button is not None}

BUTTONS = {**{action: command.button for action, command in _SHOWN.items() if command.button}, **OWN_BUTTONS}
"""Every button by its action. Examples come on top."""

ACTIONS = {**{action: command.name for action, command in _SHOWN.items()}, **dict.fromkeys(OWN_BUTTONS, "")}
"""The trainer's command for each action that has one; VBA serves the others itself."""

TOLD = 3
"""The exit status of a click that went wrong and has told the person so; the AppleScript knows it, too."""

_EXAMPLE = "example_"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PLAIN = re.compile(r"[a-z_]{1,40}")
_EXAMPLES = Path(__file__).parents[1] / "examples"
_PATIENCE = 60.0  # seconds for building an example

Call = Callable[[dict[str, Any]], dict[str, Any]]


def dispatch(action: str, arguments: Sequence[str] | None = None, call: Call = client.call) -> None:
    """Do what a button says. Ends the process with status `TOLD` if that fails, after telling the person why."""
    given = dict(_argument(text) for text in (sys.argv if arguments is None else arguments) if text.startswith("--"))
    try:
        _do(action, given, call)
    except SgdSheetError as error:
        _tell(one_line(str(error)), given.get("reply", ""))
    except Exception as error:  # never a traceback
        text = one_line(f"{type(error).__name__}: {error}")
        _tell(f"sgdsheet failed ({text}). Run in a terminal: sgdsheet addin status", given.get("reply", ""))
    else:
        return
    sys.exit(TOLD)


def example_action(name: str) -> str:
    """The action that opens an example: `mnist_3_or_7` → `example_mnist_three_or_seven`."""
    return _EXAMPLE + re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], name)


def _argument(text: str) -> tuple[str, str]:
    name, _, value = text.removeprefix("--").partition("=")
    return name, value


def from_digits(text: str) -> str:
    """A text from its UTF-16 code units of four hexadecimal digits each."""
    try:
        return bytes.fromhex(text).decode("utf-16-be", errors="replace")
    except ValueError:
        raise HostError("Excel's call is malformed", remedy="Run: sgdsheet addin install") from None


def _do(action: str, given: dict[str, str], call: Call) -> None:
    if not isinstance(action, str) or not _PLAIN.fullmatch(action):
        raise SettingError(f"{quoted(str(action))} is not a button", remedy="Run: sgdsheet addin install")
    if action.startswith(_EXAMPLE):
        _open_example(action)
        return
    if not ACTIONS.get(action):
        raise SettingError(f"{quoted(action)} is not a button of this sgdsheet", remedy="Run: sgdsheet addin install")
    book = posix_path(from_digits(given.get("book", "")))
    if not book:
        raise HostError("no workbook is open", remedy="Open one")
    where = str(process_of(given.get("window", "")) or "")
    request: dict[str, Any] = {
        "command": ACTIONS[action],
        "host": "excel",
        "book": book,
        "where": where,
        "sheet": None,
        "options": {},
    }
    reply = call(request)
    if not reply.get("ok"):
        raise HostError(str(reply.get("error") or "the background trainer gave no reason").rstrip("."))


def posix_path(book: str) -> str:
    """A Mac's `Macintosh HD:Users:me:a.xlsx` as a path of today; all other names as they are."""
    if sys.platform != "darwin" or "/" in book or ":" not in book:
        return book
    return "/" + book.partition(":")[2].replace(":", "/")


def process_of(window: str) -> int:
    """The number of the process that a window of Windows belongs to, or 0."""
    if sys.platform != "win32" or not window.isdecimal():
        return 0
    number = ctypes.c_ulong()
    ctypes.windll.user32.GetWindowThreadProcessId(ctypes.c_void_p(int(window)), ctypes.byref(number))
    return int(number.value)


# --- examples ---------------------------------------------------------------------------------------------


def _open_example(action: str) -> None:
    names = sorted(path.stem for path in _EXAMPLES.glob("[a-z]*.py"))
    found = [name for name in names if example_action(name) == action]
    if not found or found == ["style"]:
        raise SettingError("this sgdsheet does not have that example", remedy="Run: sgdsheet addin install")
    path = free_path(documents() / f"{found[0]}.xlsx")
    # In a process of its own: building imports a lot. It runs in a folder that is the person's own.
    command = [sys.executable, "-m", "sgdsheet", "new", found[0], "-o", str(path)]
    try:
        done = subprocess.run(
            command, cwd=path.parent, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FileError("the example takes too long", remedy=f"Run in a terminal: sgdsheet new {found[0]}") from None
    if done.returncode:
        raise FileError(one_line(done.stderr).removeprefix("sgdsheet: ") or "the example cannot be built")
    _open(path)


def free_path(path: Path) -> Path:
    """The path, or one with a number that does not exist: nobody's work is replaced."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem} {number}{path.suffix}")
        number += 1
    return candidate


def _open(path: Path) -> None:
    if sys.platform == "win32":
        os.startfile(path)
    else:
        subprocess.run(["open" if sys.platform == "darwin" else "xdg-open", str(path)], check=False)


# --- telling ----------------------------------------------------------------------------------------------


def _tell(text: str, reply: str) -> None:
    """Windows: into the file that Excel shows. A Mac: a dialog, since Excel does not wait. Else: standard error."""
    if reply:
        path = Path(from_digits(reply))
        if path.name.startswith("sgdsheet-") and path.suffix == ".txt":
            write_atomically(path, b"\xff\xfe" + text.encode("utf-16-le"))
            return
    if sys.platform == "darwin":
        notification.show(text)
    else:
        print(text, file=sys.stderr)
