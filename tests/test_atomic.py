"""Files that are complete or untouched: for workbooks, checkpoints and datasets alike."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sgdsheet.system.atomic import write_atomically


def test_new_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    path.chmod(0o640)
    mode = stat.S_IMODE(path.stat().st_mode)
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda one, other: (events.append(one.name), replace(one, other))[1])
    for _ in range(2):
        write_atomically(tmp_path / "file", b"content")
    first, second = events[1], events[3]
    assert events == ["fsync", first, "fsync", second]
    assert first != second  # nobody can put a link where the next one will be written


@pytest.mark.parametrize("error", [OSError(28, "No space"), KeyboardInterrupt()])
def test_failure_leaves_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"original")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"original"
    assert list(tmp_path.iterdir()) == [path]
