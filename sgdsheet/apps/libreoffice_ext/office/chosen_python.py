"""Which Python the office starts for sgdsheet: `sgdsheet libreoffice install` writes it, the extension reads it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

PROTOCOL = 1
"""The version of the protocol: it counts up when the office and the trainer would no longer understand each other."""

INSTALL = "Run “sgdsheet libreoffice install” in a terminal, then start LibreOffice again."


class CannotStart(Exception):
    """There is no Python to start, or it cannot run sgdsheet. The message says what to do."""


class Settings(NamedTuple):
    """What the extension has to know of the machine."""

    python: str
    """The interpreter in which sgdsheet is installed."""

    profiles: tuple[str, ...] = ()
    """LibreOffice's profiles that have the extension; empty text is the usual one."""


def settings_file() -> Path:
    """The path of the settings: in the user's own configuration folder, never beside a workbook.

    A workbook could come from anybody.
    """
    if folder := os.environ.get("SGDSHEET_STATE_DIR"):
        return Path(folder) / "libreoffice.json"
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "sgdsheet" / "libreoffice.json"


def read_settings() -> Settings:
    """The settings, checked; CannotStart where they are missing."""
    path = settings_file()
    try:
        python = json.loads(path.read_text(encoding="utf-8"))["python"]
    except FileNotFoundError:
        raise CannotStart(f"Nothing says yet which Python has sgdsheet ({path} is missing). {INSTALL}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotStart(f"{path} cannot be read ({error}). {INSTALL}") from None
    if not isinstance(python, str) or not Path(python).is_file():
        raise CannotStart(f"The Python of sgdsheet is gone: {python}. {INSTALL}")
    return Settings(python)


def write_settings(settings: Settings) -> Path:
    path = settings_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings._asdict(), indent=2) + "\n", encoding="utf-8")
    return path
