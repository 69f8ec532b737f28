"""Kills at any moment, full disks, and files that change meanwhile: nothing that a person has is lost.

python -m tests.fuzz.kills --seed 1 --count 300
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.file import load
from tests.cli_books import line_book
from tests.fuzz.corpus import EXAMPLES
from tests.fuzz.forked import Ended, call, warm_up
from tests.fuzz.packagediff import differences
from tests.gallery import GALLERY

EVENTS = {"open", "os.rename", "os.remove", "os.chmod", "os.link", "os.truncate", "os.mkdir", "tempfile.mkstemp"}
"""What Python tells of before it happens: where a command touches files."""

COMMANDS = (
    ["train", "{book}", "--in-place", "--steps", "20"],
    ["train", "{book}", "--in-place", "--steps", "20", "--log-sheet", "--json"],
    ["train", "{book}", "-o", "out.xlsx", "--steps", "20"],
    ["train", "{book}", "-o", "out.xlsx", "--steps", "20", "--checkpoint", "state.json", "--log", "log.csv"],
    ["train", "{book}", "--in-place", "--steps", "20", "--checkpoint", "state.json"],
    ["export", "{book}", "-o", "model.py"],
    ["predict", "{book}", "-o", "predictions.csv"],
)
OLD = {
    "out.xlsx": b"",
    "state.json": b"",
    "log.csv": b"step,epoch,loss,old\r\n1,2\r\n",
    "model.py": b'"""A model of old.\n\nWritten by sgdsheet.\n"""\n',
    "predictions.csv": b"sample,old\r\n1,2\r\n",
}


@dataclass(slots=True)
class Result:
    """What a run came to."""

    kills: int = 0
    """Commands that were killed before they had ended."""
    ended: int = 0
    full: int = 0
    changed: int = 0
    leftovers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Place:
    """A folder with a workbook and files of earlier runs."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.book = folder / f"book{source.suffix}"
        self.before = source.read_bytes()
        self.book.write_bytes(self.before)
        for name, data in OLD.items():
            (folder / name).write_bytes(data if data else self.old(name))

    def old(self, name: str) -> bytes:
        return self.before if name.endswith(".xlsx") else b'{"format": "sgdsheet checkpoint 1"}'

    def faults(self, arguments: list[str], *, complete: bool) -> list[str]:
        """What is broken: each file is whole, as it was or anew."""
        found = []
        now = self.book.read_bytes() if self.book.exists() else b""
        if now != self.before:
            found += [] if "--in-place" in arguments else ["the input was changed"]
            found += [f"the book: {item}" for item in self._workbook(self.book, arguments)]
        for name, data in OLD.items():
            path = self.folder / name
            now = path.read_bytes() if path.exists() else b""
            if now == (data or self.old(name)):
                continue
            if name not in arguments:
                found.append(f"{name} was touched")
            elif name == "out.xlsx":
                found += [f"{name}: {item}" for item in self._workbook(path, arguments)]
            elif name == "state.json":
                found += _json_faults(now)
            elif name == "model.py":
                found += [] if b"def forward" in now and now.endswith(b"\n") else ["model.py is cut off"]
            elif name == "predictions.csv":
                found += [] if now.endswith(b"\n") else ["predictions.csv is cut off"]
        return found

    def _workbook(self, path: Path, arguments: list[str]) -> list[str]:
        try:
            load(path)
        except (SgdSheetError, OSError) as error:
            return [f"does not open: {error}"]
        return differences(self.before, path.read_bytes()) if "--log-sheet" not in arguments else []

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name not in OLD and path != self.book)


def _json_faults(data: bytes) -> list[str]:
    try:
        json.loads(data)
    except ValueError:
        return ["the checkpoint is cut off"]
    return []


def kill_at_event(number: int) -> None:
    """In the child: kill this process just before it touches a file for the `number`-th time."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in EVENTS and not (event == "open" and arguments[1] in ("r", "rb")):
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def kill_after(seconds: float) -> object:
    """In the parent: kill the child then, unless it has ended."""

    def meanwhile(child: int) -> None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)

    return meanwhile


def one_kill(random: Random, folder: Path, source: Path, result: Result, name: str, usual: dict[str, float]) -> None:
    arguments = random.choice(COMMANDS)
    place = Place(folder / "work", source)
    command = [item.format(book=place.book.name) for item in arguments]
    key = " ".join(command) + source.name
    if key not in usual:
        usual[key] = call(command, place.folder).seconds
        place = Place(folder / "work", source)
    if random.random() < 0.5:
        number = random.randint(1, 9)
        ended = call(command, place.folder, before=lambda: kill_at_event(number))
        how = f"killed at its {number}. touch of a file"
    else:
        moment = random.random() * usual[key]
        ended = call(command, place.folder, meanwhile=kill_after(moment))  # type: ignore[arg-type]
        how = f"killed after {moment:.3f} s"
    killed = ended.signal == signal.SIGKILL
    result.kills += killed
    result.ended += not killed
    faults = place.faults(command, complete=not killed)
    for left in place.leftovers():
        result.leftovers[left.split("-")[0]] += 1
    if killed:  # and the next run goes on as if nothing had been
        again = call(command, place.folder)
        faults += [f"the next run: {item}" for item in _bad(again)] + place.faults(command, complete=True)
        if place.leftovers():
            result.leftovers["after the next run"] += 1
    result.problems += [f"{name} {source.name} {' '.join(command)} {how}: {fault}" for fault in faults]


def _bad(ended: Ended, *, statuses: tuple[int, ...] = (0, 1)) -> list[str]:
    if ended.signal or "Traceback" in ended.err or ended.status not in statuses:
        return [f"status {ended.status}, signal {ended.signal}, {ended.err[-600:]!r}"]
    lines = ended.err.splitlines()
    if ended.status and (len(lines) != 1 or not lines[0].startswith("sgdsheet: ")):
        return [f"{len(lines)} lines of error: {ended.err[:400]!r}"]
    return []


def full_disk(random: Random, folder: Path, source: Path, result: Result, name: str) -> None:
    """No file may grow beyond some size."""
    arguments = random.choice(COMMANDS)
    place = Place(folder / "work", source)
    command = [item.format(book=place.book.name) for item in arguments]
    limit = random.choice([0, 1, 100, 1000, 4000, random.randint(1, len(place.before)), len(place.before) - 1])

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = call(command, place.folder, before=before)
    result.full += 1
    faults = place.faults(command, complete=False)
    if limit >= 1000:  # below, there is no room for the message either
        faults += _bad(ended)
    faults += [f"left behind: {left}" for left in place.leftovers()]
    result.problems += [f"{name} {source.name} {' '.join(command)} files up to {limit}: {fault}" for fault in faults]


def changed_meanwhile(random: Random, folder: Path, source: Path, result: Result, name: str) -> None:
    """Somebody saves, removes or locks the workbook while it is trained in place."""
    place = Place(folder / "work", source)
    command = ["train", place.book.name, "--in-place", "--steps", "4000", "--lr", "1e-9", "--optimizer", "sgd"]
    kind = random.choice(["saved", "removed", "folder", "empty"])
    other = place.before + b"\0"  # what another program has written: it must stay

    def meanwhile(child: int) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # until the workbook has been read
            time.sleep(0.01)
            if (place.folder / "started").exists():
                break
        time.sleep(random.random() * 0.3)
        if kind == "saved":
            place.book.write_bytes(other)
        elif kind == "empty":
            place.book.write_bytes(b"")
        else:
            place.book.unlink()
            if kind == "folder":
                place.book.mkdir()

    def before() -> None:
        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and str(arguments[0]).endswith(place.book.name):
                os.close(os.open(place.folder / "started", os.O_CREAT | os.O_WRONLY))

        sys.addaudithook(hook)

    ended = call(command, place.folder, before=before, meanwhile=meanwhile)
    result.changed += 1
    faults = _bad(ended, statuses=(0, 1))
    now = place.book.read_bytes() if place.book.is_file() else None
    wanted = {"saved": other, "empty": b"", "removed": None, "folder": None}[kind]
    if ended.status == 0 and now != wanted:
        # It may have ended before the change; then the change is what is there.
        faults.append(f"{kind} meanwhile, and overwritten")
    if ended.status == 1 and now != wanted:
        faults.append(f"{kind} meanwhile, and not left as it was")
    result.problems += [f"{name} {source.name} {kind} meanwhile: {fault}" for fault in faults]


def run(seed: int, count: int, *, examples: bool = True) -> Result:
    """`count` kills, a third as many full disks, and a tenth as many changes meanwhile."""
    result = Result()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        warm_up(folder / "seeds")
        sources = [line_book(folder / "seeds"), GALLERY["xlsxwriter"](folder / "seeds" / "gallery.xlsx")]
        sources += [EXAMPLES / "quadratic.xlsx"] if examples else []
        usual: dict[str, float] = {}
        number = 0
        while result.kills < count and number < 5 * count:
            number += 1
            random = Random(f"{seed}/{number}")
            one_kill(random, folder, random.choice(sources), result, f"{seed}/{number}", usual)
            if number % 3 == 0:
                full_disk(random, folder, random.choice(sources), result, f"{seed}/{number}")
            if number % 10 == 0:
                changed_meanwhile(random, folder, sources[0], result, f"{seed}/{number}")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300, help="How many kills.")
    arguments = parser.parse_args()
    result = run(arguments.seed, arguments.count)
    print(f"{result.kills} kills ({result.ended} had ended), {result.full} full disks, {result.changed} changed files")
    print(f"left behind {dict(result.leftovers)}; {len(result.problems)} problems")
    print(*result.problems, sep="\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
