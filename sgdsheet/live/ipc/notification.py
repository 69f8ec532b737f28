"""A message on the person's desktop, for when there is no workbook to show it in. Standard library only."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
from contextlib import suppress

TITLE = "sgdsheet"

_WARNING_ON_TOP = 0x30 | 0x10000 | 0x40000  # MB_ICONWARNING | MB_SETFOREGROUND | MB_TOPMOST
_MAC = 'on run argv\ndisplay alert "sgdsheet" message (item 1 of argv) as warning\nend run'
_PATIENCE = 10.0  # seconds that a desktop may take to show a notification


def show(text: str) -> None:
    """Show a message and wait until the person has closed it: a box on Windows and a Mac, elsewhere a notification."""
    if sys.platform == "win32":
        ctypes.windll.user32.MessageBoxW(None, text, TITLE, _WARNING_ON_TOP)
    elif sys.platform == "darwin":
        subprocess.run(["osascript", "-e", _MAC, text], check=False)
    elif program := shutil.which("notify-send"):
        with suppress(subprocess.TimeoutExpired):
            subprocess.run([program, f"--app-name={TITLE}", "--", TITLE, text], check=False, timeout=_PATIENCE)


def show_soon(text: str) -> None:
    """Show a message as `show` does, but return at once."""
    threading.Thread(target=_show_guarded, args=(text,), name="sgdsheet notification", daemon=True).start()


def _show_guarded(text: str) -> None:
    with suppress(OSError):  # there is nobody left to tell; the log has it
        show(text)
