"""What a person, or a crash, does to the workbook of `live_books` between two commands."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sgdsheet.sheet.workbook import Formula, Sheet
from sgdsheet.system.state_folder import VARIABLE
from tests.live_books import SHEET
from tests.memory_host import MemoryHost


def insert_rows(host: MemoryHost, count: int) -> None:
    """Insert rows above everything on the sheet: formulas and names follow."""
    with host.turn:
        old = host.workbook.sheets[SHEET]
        sheet = Sheet(SHEET, {(row + count, column): value for (row, column), value in old.values.items()})
        for (row, column), item in old.formulas.items():
            sheet.formulas[row + count, column] = Formula(_lower(item.text, count), row + count, column)
        names = [replace(item, text=_lower(item.text, count)) for item in host.workbook.names]
        host.workbook = replace(host.workbook, sheets={**host.workbook.sheets, SHEET: sheet}, names=names)


def _lower(text: str, count: int) -> str:
    return re.sub(r"(\$?\b[A-Z]\$?)(\d+)", lambda found: f"{found[1]}{int(found[2]) + count}", text)


def point_to(host: MemoryHost, areas: str) -> None:
    """Have the name sgd_params mean other cells."""
    with host.turn:
        names = host.workbook.names
        host.workbook.names = [replace(item, text=areas) if item.name == "sgd_params" else item for item in names]


def crash(state: Path, monkeypatch: pytest.MonkeyPatch, name: str = "later") -> None:
    """From now on, only what lies on the disk is left: all locks have gone with their process."""
    shutil.copytree(state / "snapshots", state.with_name(name) / "snapshots")
    monkeypatch.setenv(VARIABLE, str(state.with_name(name)))
