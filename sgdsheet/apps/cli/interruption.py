"""What a person is told who has pressed Ctrl-C: files are complete or as they were, and which of them are."""

from __future__ import annotations

from pathlib import Path

_saved: list[Path] = []


def note_saved(path: Path) -> None:
    """Remember that a workbook has been written."""
    _saved.append(path)


def forget_saved() -> None:
    """Begin anew, for another command."""
    _saved.clear()


def what_was_written() -> str:
    """What has become of the workbooks, in words."""
    return f"“{_saved[-1]}” has been written" if _saved else "no workbook was written"
