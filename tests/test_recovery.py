"""What was not saved is kept: complete or not there, found again, discarded, forgotten after a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sgdsheet.errors import FileError
from sgdsheet.system import recovery
from sgdsheet.system.state_folder import recovery_folder
from tests.errors import refusal

pytestmark = pytest.mark.usefixtures("state")

BOOK = "/some/where/a “book”.xlsx"
DATA = b"PK\3\4\n\0 of a workbook\n"


def test_kept_and_found_again() -> None:
    assert recovery.find(BOOK) is None
    assert recovery.listed() == []
    kept = recovery.keep(BOOK, recovery.digest_of(b"old"), DATA)
    found = recovery.find(BOOK)
    assert found == kept
    assert found is not None
    assert found.data() == DATA
    assert found.fits(b"old")
    assert not found.fits(b"new")


def test_the_newest_takes_the_place_of_the_one_before() -> None:
    recovery.keep(BOOK, "", b"1")
    recovery.keep("other", "", b"2")
    newest = recovery.keep(BOOK, "", b"3")
    assert [item.book for item in recovery.listed()] == [BOOK, "other"]
    assert recovery.listed()[0] == newest
    assert newest.data() == b"3"
    assert len(list(recovery_folder().iterdir())) == 2


def test_discarded_and_forgotten() -> None:
    recovery.discard(BOOK)
    for name in ("a", "b", "c"):
        recovery.keep(name, "", DATA)
    recovery.discard("b")
    assert [item.book for item in recovery.listed()] == ["c", "a"]
    assert recovery.expire() == []
    assert {item.book for item in recovery.expire(0)} == {"a", "c"}
    assert recovery.listed() == []


def test_damaged_files() -> None:
    kept = recovery.keep(BOOK, "", DATA)
    kept.path.write_bytes(kept.path.read_bytes()[:-1])
    with refusal(FileError, cause="damaged", remedy="Open the workbook itself"):
        kept.data()
    for text in (b"", b"{}\n", b"[1]\n", b"no JSON", b"\xff\xfe\n", json.dumps({"format": "other"}).encode()):
        kept.path.write_bytes(text)
        assert recovery.find(BOOK) is None
        assert recovery.listed() == []
    recovery.discard(BOOK)
    with refusal(FileError, cause="cannot be used"):
        kept.data()


def test_a_file_of_another_book_is_not_taken_for_it() -> None:
    kept = recovery.keep(BOOK, "", DATA)
    kept.path.write_bytes(kept.path.read_bytes().replace(b"some", b"same", 1))
    assert recovery.find(BOOK) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_nobody_else_can_read_it() -> None:
    recovery.keep(BOOK, "", DATA)
    assert recovery_folder().stat().st_mode & 0o077 == 0


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = recovery.keep(BOOK, "", DATA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recovery, "write_atomically", full)
    with refusal(FileError, cause="No space left", remedy="Save the workbook"):
        recovery.keep(BOOK, "", b"more")
    assert kept.data() == DATA


_KEEPER = """
import sys
from sgdsheet.system import recovery
print("ready", flush=True)
while True:
    recovery.keep(sys.argv[1], "", sys.argv[2].encode() * 100_000)
"""


def test_a_process_that_is_killed_leaves_the_last_whole_state() -> None:
    for _ in range(3):
        keeper = subprocess.Popen([sys.executable, "-c", _KEEPER, BOOK, "abc"], stdout=subprocess.PIPE, env=os.environ)
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"ready\n"
        while recovery.find(BOOK) is None:
            pass
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()
        found = recovery.find(BOOK)
        assert found is not None
        assert found.data() == b"abc" * 100_000
