"""Damaged and hostile workbooks over every command: one line or a result, and nothing of a person's is touched.

python -m tests.fuzz.packages --seed 1 --count 5000
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.file import load
from tests.fuzz.corpus import Seed, seeds
from tests.fuzz.forked import Ended, call, warm_up
from tests.fuzz.mutation import mutated
from tests.fuzz.packagediff import differences

LARGEST = 200_000
"""Bytes of a workbook that is taken: larger ones take long and have nothing else in them."""
EACH = 4

COMMANDS = (
    ["check", "--all"],
    ["check", "--json"],
    ["check"],
    ["inspect"],
    ["inspect", "--json"],
    ["find-lr", "--json"],
    ["export", "-o", "model.py"],
    ["predict", "-o", "predictions.csv"],
    ["train", "--steps", "3", "-o", "out.xlsx", "--json"],
    ["train", "--steps", "3", "-o", "out.xlsx", "--log-sheet"],
    ["train", "--steps", "3", "-o", "out.xlsx", "--log", "log.csv", "--checkpoint", "state.json"],
    ["train", "--steps", "2", "-o", "out.xlsx", "--optimizer", "lbfgs"],
    ["train", "--steps", "2", "-o", "out.xlsx", "--optimizer", "adam", "--restarts", "2", "--json"],
    ["train", "--steps", "3", "--in-place"],
    ["train", "--steps", "3", "-o", "out.xlsx", "--plot", "loss.png"],
    ["train", "--steps", "3"],
    ["animate", "--steps", "3", "-o", "fit.gif", "--seconds", "0.5", "--width", "300"],
    ["surface", "--steps", "2", "-o", "loss.png"],
    ["surface", "--no-path", "-o", "loss.svg"],
)
WRITTEN = {
    *("model.py", "model.pt", "predictions.csv", "out.xlsx", "log.csv", "state.json"),
    *("loss.png", "loss.svg", "fit.gif"),
}


@dataclass(slots=True)
class Result:
    """What a run came to."""

    inputs: int = 0
    commands: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0


def problems_of(ended: Ended, folder: Path, book: Path, before: bytes, arguments: list[str]) -> list[str]:
    """What is wrong with how a command ended; nothing is as it should be."""
    found = []
    if ended.hung:
        return ["hang"]
    if ended.signal:
        return [f"killed by signal {ended.signal}"]
    if "Traceback" in ended.err or "Traceback" in ended.out or ended.status not in (0, 1, 2):
        return [f"traceback (status {ended.status}): {ended.err.strip()[-1500:]}"]
    # Commands to copy stand below, indented.
    lines = [line for line in ended.err.splitlines() if not (ended.status == 1 and line.startswith("  "))]
    if ended.status == 1 and (len(lines) != 1 or not lines[0].startswith("sgdsheet: ")):
        found.append(f"status 1 with {len(lines)} lines: {ended.err[:500]!r}")
    if ended.status == 0 and lines:
        found.append(f"status 0 with stderr: {ended.err[:500]!r}")
    in_place = "--in-place" in arguments and ended.status == 0
    after = book.read_bytes() if book.exists() else b""
    if after != before and not in_place:
        found.append("the input was changed")
    left = {path.name for path in folder.iterdir()} - WRITTEN - {book.name, f"{book.stem}-trained{book.suffix}"}
    if left:
        found.append(f"left behind: {sorted(left)}")
    if arguments[0] == "train" and ended.status == 0:
        found += _output(folder, book, before, arguments)
    return found


def _output(folder: Path, book: Path, before: bytes, arguments: list[str]) -> list[str]:
    output = (
        book
        if "--in-place" in arguments
        else folder / ("out.xlsx" if "-o" in arguments else f"{book.stem}-trained{book.suffix}")
    )
    if not output.exists():
        return ["no output"]
    try:
        load(output)
    except SgdSheetError as error:
        return [f"the output does not open: {error}"]
    try:
        return [
            f"the output: {item}" for item in differences(before, output.read_bytes()) if "--log-sheet" not in arguments
        ]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        return [f"the output is no sound archive: {error}"]


def run_one(random: Random, seed: Seed, folder: Path, result: Result, name: str, each: int) -> None:
    """One mutation of a workbook over some commands."""
    data, changes = mutated(random, seed.data)
    result.inputs += 1
    for arguments in random.sample(COMMANDS, each):
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        book = work / f"book{seed.suffix}"
        book.write_bytes(data)
        model = list(random.choice(seed.models)) if seed.models and random.random() < 0.95 else []
        command = [arguments[0], book.name, *arguments[1:], *model]
        ended = call(command, work)
        result.commands += 1
        result.statuses[ended.status] += 1
        result.slowest = max(result.slowest, ended.seconds)
        if ended.status == 1:
            result.messages[ended.err[:60]] += 1
        for problem in problems_of(ended, work, book, data, command):
            result.problems.append(f"{name} {seed.name} [{changes}] {' '.join(command)}: {problem}")


def run(seed: int, count: int, *, each: int = EACH, largest: int = LARGEST, keep: Path | None = None) -> Result:
    """`count` mutated workbooks, each over `each` commands. The inputs of those that go wrong are kept in `keep`."""
    result = Result()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        warm_up(folder / "seeds")
        corpus = seeds(folder / "seeds", largest=largest)
        trainable = [item for item in corpus if item.models]
        for number in range(count):
            random = Random(f"{seed}/{number}")
            before = len(result.problems)
            run_one(
                random,
                random.choice(corpus if random.random() < 0.1 else trainable),
                folder,
                result,
                f"{seed}/{number}",
                each,
            )
            if keep is not None and number % 100 == 99:
                print(f"… {result.inputs:,} inputs, {result.commands:,} commands", flush=True)
            if keep is not None and len(result.problems) > before:
                book = next((folder / "work").glob("book.*"), None)
                if book is not None:
                    shutil.copy(book, keep / f"{seed}-{number}{book.suffix}")
                print(*result.problems[before:], sep="\n", flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000, help="How many mutated workbooks.")
    parser.add_argument("--each", type=int, default=EACH, help="How many commands for each.")
    parser.add_argument("--keep", type=Path, help="A folder for the workbooks that something goes wrong with.")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    result = run(arguments.seed, arguments.count, each=arguments.each, keep=arguments.keep)
    print(
        f"{result.inputs:,} inputs, {result.commands:,} commands, statuses {dict(result.statuses)},"
        f" slowest {result.slowest:.1f} s"
    )
    for message, number in result.messages.most_common(25):
        print(f"  {number:6,}  {message}")
    print(f"{len(result.problems)} problems")
    if arguments.keep is None:
        print(*result.problems, sep="\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
