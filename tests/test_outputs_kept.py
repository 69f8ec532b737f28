"""Runs that are killed, that meet, or that run out of disk: what a person has stays, and what was trained, too."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sgdsheet
from sgdsheet.apps.cli import checkpointing
from sgdsheet.errors import FileError
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.references import Cell
from sgdsheet.system import atomic, book_lock
from sgdsheet.system.atomic import replacing, sweep, write_atomically
from sgdsheet.system.book_lock import lock_file
from sgdsheet.system.state_folder import snapshot_folder
from sgdsheet.train.checkpoints import read_checkpoint
from tests.cli_books import SLOPE, line_book, run
from tests.errors import refusal
from tests.full_disks import limited_files, small_disk

PATIENCE = 120.0
LONG = ("--optimizer", "sgd", "--lr", "0.01", "--steps", "1000000000")
SOME = ("--optimizer", "sgd", "--lr", "0.001", "--steps", "2000")

pytestmark = pytest.mark.usefixtures("state")


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`sgdsheet` in a process of its own, which is over when the block is left."""
    command = [sys.executable, "-m", "sgdsheet", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(reached: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def slope_in(path: Path) -> object:
    return load(path).sheets["Model"].values[1, 5]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".sgdsheet")]


# --- kill -9 --------------------------------------------------------------------------------------------------


def test_the_first_checkpoint_comes_at_once(tmp_path: Path) -> None:
    """A run that is killed before its first second is over can be gone on with, and its log is there."""
    book, checkpoint, log = line_book(tmp_path), tmp_path / "run.json", tmp_path / "log.csv"
    before = book.read_bytes()
    with started("train", book, *LONG, "--checkpoint", checkpoint, "--log", log, "--in-place") as process:
        until(checkpoint.exists, process)
        process.kill()
    assert book.read_bytes() == before
    steps = read_checkpoint(checkpoint)["steps"]
    assert steps >= 1
    lines = log.read_text().splitlines()
    assert len(lines) > steps - 1
    assert all(line.count(",") == 7 for line in lines)
    common = ("--optimizer", "sgd", "--lr", "0.01", "--resume", checkpoint, "--in-place", "--json")
    assert run("train", book, *common, "--steps", steps + 3).json["steps"] == steps + 3
    assert leftovers(tmp_path) == []


def test_checkpoints_come_ever_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first step, then after one, two and four times the first pause: not at every step."""
    monkeypatch.setattr(checkpointing, "_FIRST", 0.2)
    path, written = tmp_path / "run.json", list[int]()
    checkpoints = checkpointing.Checkpoints(str(path))
    session = sgdsheet.Session(sgdsheet.compile(load(line_book(tmp_path))), optimizer="sgd", lr=0.01, steps=10**9)
    for _ in session:
        checkpoints.keep(session)
        if path.stat().st_mtime_ns not in written:
            written.append(path.stat().st_mtime_ns)
            if len(written) == 4:
                break
    pauses = [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(written)]
    assert pauses[0] > 0.19
    assert pauses[1] > 0.39
    assert pauses[2] > 0.79


WRITER = """
import sys, time
from pathlib import Path
from sgdsheet.system.atomic import replacing, write_atomically
path = Path(sys.argv[1])
data = b"new" * 1_000_000
while True:
    with replacing(path) as temporary:
        with temporary.open("r+b") as stream:
            for start in range(0, len(data), 10_000):
                stream.write(data[start : start + 10_000])
                stream.flush()
        print("written", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_killed_while_writing(tmp_path: Path) -> None:
    """The file is the old one or the new one, whole; the next who writes there clears what is left."""
    path, whole, left = tmp_path / "file", b"new" * 1_000_000, 0
    for delay in (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032):
        path.write_bytes(b"old")
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"old", whole)
        left += len(leftovers(tmp_path))
        atomic._swept.clear()  # as in a new process
        write_atomically(tmp_path / "other", b"")
        assert leftovers(tmp_path) == []
    assert left  # else nothing was tried


def test_only_what_is_dead_and_ours_is_cleared(tmp_path: Path) -> None:
    here, dead = atomic._machine(), _dead_process()
    keep = {
        "alive": f".sgdsheet-{here}-{os.getpid()}-{'0' * 16}.tmp",
        "elsewhere": f".sgdsheet-{'f' * 8}-{dead}-{'0' * 16}.tmp",
        "an older version's": f".sgdsheet-{'0' * 16}.tmp",
        "nearly": f".sgdsheet-{here}-{dead}-{'0' * 15}.tmp",
        "another's": f".sgdsheet-{here}-{dead}-{'0' * 16}.tmp.xlsx",
        "a person's": ".sgdsheet-notes.tmp",
    }
    for name in keep.values():
        (tmp_path / name).write_text("x")
    gone = tmp_path / f".sgdsheet-{here}-{dead}-{'a' * 16}.tmp"
    gone.write_text("x")
    (tmp_path / f".sgdsheet-{here}-{dead}-{'b' * 16}.tmp").mkdir()
    (tmp_path / "precious").write_text("x")
    (tmp_path / f".sgdsheet-{here}-{dead}-{'c' * 16}.tmp").symlink_to("precious")
    expected = {path.name for path in tmp_path.iterdir()} - {gone.name}
    assert sweep(tmp_path) == [gone]
    assert {path.name for path in tmp_path.iterdir()} == expected
    for path in tmp_path.iterdir():
        if path.is_file() and not path.is_symlink():
            os.utime(path, (time.time() - 90_000,) * 2)
    sweep(tmp_path)  # a day later
    assert {path.name for path in tmp_path.iterdir()} == expected - {
        keep["alive"],  # a number that another process has by now
        keep["elsewhere"],
        keep["an older version's"],
    }


def _dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


# --- two at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("--in-place",), ("-o", "OUT")], ids=" ".join)
def test_two_runs_at_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The second is refused, also by another name of the file; when the first is killed, it may."""
    book = line_book(tmp_path)
    (tmp_path / "link.xlsx").symlink_to(book)
    where = [str(tmp_path / "out.xlsx") if item == "OUT" else item for item in options]
    log = tmp_path / "log.csv"
    with started("train", book, *LONG, *where, "--log", log) as process:
        until(log.exists, process)
        for name in (book, tmp_path / "link.xlsx"):
            second = run("train", name, *SOME, *where)
            assert (second.status, second.out) == (1, "")
            (line,) = second.err.splitlines()
            assert "is being written by another sgdsheet (train, attach or a toolbar). Wait for it or stop it" in line
        third = run("train", book, *SOME, "-o", tmp_path / "third.xlsx", "--log", log)
        assert "“log.csv” is being written by another sgdsheet" in third.err
        assert slope_in(book) == SLOPE
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    trained = slope_in(book if options == ("--in-place",) else tmp_path / "out.xlsx")
    assert trained != SLOPE  # what the first has learnt is kept
    with started("train", book, *LONG, *where, "--log", log) as process:
        until(lambda: log.stat().st_size > 1000, process)
        process.kill()
    until(lambda: run("train", book, *SOME, *where).status == 0)


def test_a_terminal_that_trains_the_open_workbook(tmp_path: Path) -> None:
    """Live training holds the same lock: by the key of a workbook that has a file, its whole path."""
    book = line_book(tmp_path)
    held = lock_file(book.resolve())
    assert "is being written by another sgdsheet" in run("train", book, *SOME, "--in-place").err
    held.release()
    assert run("train", book, *SOME, "--in-place").status == 0


def test_no_folder_for_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SGDSHEET_STATE_DIR", str(tmp_path / "file" / "state"))
    assert run("train", line_book(tmp_path), *SOME, "--in-place").status == 0


def test_old_locks_are_cleared(tmp_path: Path) -> None:
    lock_file(tmp_path / "one").release()
    held = lock_file(tmp_path / "two")
    one, two = sorted(snapshot_folder().glob("*.lock"), key=lambda path: path.stat().st_mtime_ns)
    for path in (one, two):
        os.utime(path, (time.time() - book_lock._OLD - 60,) * 2)
    third = lock_file(tmp_path / "three")
    assert not one.exists()
    assert two.exists()
    held.release()
    third.release()


def test_changed_in_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program saves while the new file is on its way to the disk: what it saved is kept."""
    book = line_book(tmp_path)
    other = line_book(tmp_path, {"A1": "other"}, name="other.xlsx").read_bytes()
    fsync = os.fsync

    def saved_meanwhile(number: int) -> None:
        fsync(number)
        book.write_bytes(other)

    host = FileHost(book)
    host.write({Cell("Model", 1, 5): 9.0})
    monkeypatch.setattr(os, "fsync", saved_meanwhile)
    with refusal(FileError, cause="was changed by another program since it was read"):
        host.save()
    assert book.read_bytes() == other
    assert leftovers(tmp_path) == []


def test_changed_during_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained is not lost, either: it is beside the workbook, under a name that was free."""
    book = line_book(tmp_path)
    other = line_book(tmp_path, {"A1": "other"}, name="other.xlsx").read_bytes()
    (tmp_path / "line-trained.xlsx").write_text("taken")
    save = FileHost.save

    def late(host: FileHost, output: Path | None = None) -> None:
        book.write_bytes(other)
        save(host, output)

    monkeypatch.setattr(FileHost, "save", late)
    ended = run("train", book, *SOME, "--in-place")
    assert ended.status == 1
    place = tmp_path / "line-trained-2.xlsx"
    assert ended.err.endswith(
        f"“line.xlsx” was changed by another program since it was read. The trained workbook is in “{place}”\n"
    )
    assert book.read_bytes() == other
    assert slope_in(place) != SLOPE
    assert (tmp_path / "line-trained.xlsx").read_text() == "taken"


# --- offices ------------------------------------------------------------------------------------------------------


LOCKS = {"Excel": "~$line.xlsx", "LibreOffice": ".~lock.line.xlsx#"}


@pytest.mark.parametrize("program", LOCKS)
def test_a_workbook_that_is_open_in_an_office(tmp_path: Path, program: str) -> None:
    book = line_book(tmp_path)
    lock = tmp_path / LOCKS[program]
    lock.write_text("somebody")
    before = book.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.xlsx").symlink_to(book)
    for name in (book, tmp_path / "elsewhere" / "link.xlsx"):
        ended = run("train", name, *SOME, "--in-place", "--json")
        assert (ended.status, ended.out) == (1, "")
        assert f"” is open in {program}, which would save over what was trained. Close it there" in ended.err
        assert ended.err.endswith(f"If it is not open at all, delete {lock.name}\n")
    assert book.read_bytes() == before
    warning = f"line.xlsx is open in {program}: what was not saved there was not trained on"
    assert run("train", book, *SOME, "--json").json["warnings"] == [warning]
    assert warning in run("train", book, *SOME).out
    lock.unlink()
    assert run("train", book, *SOME, "--in-place", "--json").json["warnings"] == []


@pytest.mark.parametrize("program", LOCKS)
def test_a_trained_copy_that_is_open_in_an_office(tmp_path: Path, program: str) -> None:
    book = line_book(tmp_path)
    (tmp_path / LOCKS[program].replace("line", "line-trained")).write_text("somebody")
    (warning,) = run("train", book, *SOME, "--json").json["warnings"]
    assert warning.startswith(f"line-trained.xlsx is open in {program}: close it there without saving")


# --- full disks ---------------------------------------------------------------------------------------------------


EXTRAS = {"--log": "log.csv", "--checkpoint": "run.json", "--plot": "plot.png", "--tensorboard": "events"}


@pytest.mark.parametrize("flag", EXTRAS)
def test_a_full_disk_does_not_lose_the_workbook(tmp_path: Path, flag: str) -> None:
    """What else was wanted fails, in the middle or at once; the workbook is written, and it is said."""
    book = line_book(tmp_path)
    with small_disk(tmp_path / "small", 12) as disk:
        if flag in ("--checkpoint", "--plot"):
            (disk / "filler").write_bytes(bytes(12 * 1024))
        arguments = ("train", book, *SOME, flag, disk / EXTRAS[flag])
        done = run(*arguments, "--json")
        assert (done.status, done.err) == (0, "")
        (warning,) = done.json["warnings"]
        assert f"{EXTRAS[flag]}” cannot be written: No space left on device" in warning
        assert leftovers(disk) == []
        if flag == "--log":
            assert (disk / "log.csv").read_bytes().endswith(b"\n")
    assert slope_in(tmp_path / "line-trained.xlsx") != SLOPE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """The same for whoever may not mount a disk; for people, in a line behind the results."""
    book = line_book(tmp_path)
    with limited_files(book.stat().st_size + 2000):
        done = run("train", book, *SOME, "--log", tmp_path / "log.jsonl")
    assert done.status == 0
    assert "log.jsonl” cannot be written: File too large" in done.out
    assert done.out.splitlines()[-1] == f"Wrote {tmp_path / 'line-trained.xlsx'}"
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(len(lines)))
    assert slope_in(tmp_path / "line-trained.xlsx") != SLOPE


def test_no_room_for_the_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put where there is room, and the old one stays as it is."""
    book = line_book(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with small_disk(tmp_path / "small", 12) as disk:
        old = line_book(disk, name="out.xlsx").read_bytes()
        (disk / "filler").write_bytes(bytes(12 * 1024 - 4096 * -(-len(old) // 4096)))
        ended = run("train", book, *SOME, "-o", disk / "out.xlsx")
        assert (disk / "out.xlsx").read_bytes() == old
        assert leftovers(disk) == []
    place = tmp_path / "temporary" / "out-trained.xlsx"
    assert ended.status == 1
    assert f"cannot be written: No space left on device. The trained workbook is in “{place}”" in ended.err
    assert slope_in(place) != SLOPE


@pytest.mark.parametrize("command", ["predict", "export", "new"])
def test_a_full_disk_leaves_what_is_there(tmp_path: Path, command: str) -> None:
    from tests.bound_books import Rows, numbers

    book = Rows(names={"sgd_output": "F4:F{b}"}).file(tmp_path, numbers(5_000), source="data.csv")
    name = {"predict": "found.csv", "export": "model.py", "new": "titanic.xlsx"}[command]
    arguments = {"predict": [book], "export": [book], "new": ["titanic", "--force"]}[command]
    with small_disk(tmp_path / "small", 1200) as disk:
        assert run(command, *arguments, "-o", disk / name).status == 0
        old = (disk / name).read_bytes()
        free = os.statvfs(disk)
        (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - min(4096, len(old) // 2)))
        ended = run(command, *arguments, "-o", disk / name)
        assert ended.status == 1
        assert f"{name}” cannot be written: No space left on device" in ended.err
        assert (disk / name).read_bytes() == old
        assert leftovers(disk) == []


def test_an_owner_is_kept(tmp_path: Path) -> None:
    """An administrator who trains somebody's workbook does not take it away from them."""
    if sys.platform == "win32" or os.getuid():
        pytest.skip("only an administrator can give files away")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, 12345, 23456)
    with replacing(path) as temporary:
        assert temporary.stat().st_mode & 0o077 == 0o040  # never more readable than the old one
        temporary.write_bytes(b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 23456, 0o640)
