"""The Titanic sheet trained live in LibreOffice, beside the same training on the file; and a large sheet's first move.

    python benchmarks/live.py [--seconds N]

Refreshes are counted where they reach the workbook. The large sheet has 100,000 rows of two formulas: measured is how
long it takes from a click on Train to the first parameters in the sheet, and from Undo to those of before. In the
extension, torch is loaded when a workbook with a model is opened; here, too, it is loaded before the first click. Run
it on a machine that does nothing else: office, trainer and agent share its cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

import sgdsheet
from sgdsheet.hosts import libreoffice
from sgdsheet.hosts.base import LiveHost
from sgdsheet.hosts.libreoffice.office_process import Office
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.ipc.worker import load
from sgdsheet.system.state_folder import VARIABLE

BOOK = Path(__file__).parent.parent / "workbooks" / "titanic.xlsx"
SHEET = "nnet"
OPTIONS: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.001, "steps": 10**8}
REFRESHES, SHARE = 10.0, 0.7
ROWS, CLICKS = 100_000, 3
FIRST_MOVE, UNDONE = 3.0, 1.0


def on_file(seconds: float) -> float:
    """Steps a second without a spreadsheet."""
    steps = iter(sgdsheet.Session(sgdsheet.compile(sgdsheet.load(BOOK), SHEET), **OPTIONS))
    for _ in range(200):
        next(steps)
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(steps)
        taken += 1
    steps.close()  # type: ignore[attr-defined]
    return taken / seconds


def live(office: Office, key: str, seconds: float, *, log: bool) -> None:
    """Train for so long, and print what came out."""
    refreshes = [0]

    def connect(host: str, book: str, where: str) -> LiveHost:
        found = libreoffice.connect(book, where)
        write = found.exchange

        def counted(values: Any) -> Any:
            refreshes[0] += 1
            return write(values)

        found.exchange = counted  # type: ignore[method-assign]
        return found

    trainer = Trainer(connect)

    def ask(command: str, wait: float = 60.0, **options: Any) -> dict[str, Any]:
        request = {"command": command, "host": "libreoffice", "book": key, "where": office.pipe, "sheet": SHEET}
        return trainer.handle({**request, "options": options, "wait": wait})

    ask("step", **{**OPTIONS, "steps": 1})
    before = on_file(seconds / 2)
    start = time.perf_counter()
    ask("train", wait=0.08, **OPTIONS, log=log)
    returned = time.perf_counter() - start
    while ask("status")["step"] < 5:
        time.sleep(0.05)
    time.sleep(2.0)
    first, refreshes[0], start = ask("status")["step"], 0, time.perf_counter()
    time.sleep(seconds)
    taken, counted, spent = ask("status")["step"] - first, refreshes[0], time.perf_counter() - start
    start = time.perf_counter()
    ask("stop", wait=0.0)
    while ask("status")["state"] != "idle":
        time.sleep(0.002)
    stopped = time.perf_counter() - start
    share = taken / spent / ((before + on_file(seconds / 2)) / 2)
    met = "" if counted / spent >= REFRESHES and share >= SHARE else "  NOT MET"
    what = "with log" if log else "no log"
    print(f"{what:9} {counted / spent:5.1f} refreshes/s  {share:.2f} of the file's speed  ", end="")
    print(f"Train returns in {returned:.3f} s  Stop acts in {stopped:.3f} s{met}")
    trainer.close()


def large_sheet(path: Path) -> None:
    """A line through many points: a prediction and the square of its error beside each."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("line")
        sheet.write_row("F1", [0.5, 0.25])
        total = 0.0
        for row in range(1, ROWS + 1):
            x = row / ROWS
            y = 3 * x + 1 + (row * 7919 % 1000) / 10_000
            error = (0.5 * x + 0.25 - y) ** 2
            total += error
            sheet.write_row(row, 0, [x, y])
            sheet.write_formula(row, 2, f"=A{row + 1}*F$1+G$1", None, 0.5 * x + 0.25)
            sheet.write_formula(row, 3, f"=(C{row + 1}-B{row + 1})^2", None, error)
        sheet.write_formula("H1", f"=AVERAGE(D2:D{ROWS + 1})", None, total / ROWS)
        book.define_name("line!sgd_loss", "=line!$H$1")
        book.define_name("line!sgd_params", "=line!$F$1:$G$1")


def first_move(office: Office, key: str) -> None:
    """Train and undo a few times, and print how long each takes to be seen."""
    written = threading.Event()

    def connect(host: str, book: str, where: str) -> LiveHost:
        found = libreoffice.connect(book, where)
        write = found.exchange

        def noticed(values: Any) -> Any:
            done = write(values)
            written.set()
            return done

        found.exchange = noticed  # type: ignore[method-assign]
        return found

    load()
    trainer = Trainer(connect)

    def ask(command: str, wait: float = 60.0, **options: Any) -> dict[str, Any]:
        request = {"command": command, "host": "libreoffice", "book": key, "where": office.pipe, "sheet": "line"}
        return trainer.handle({**request, "options": options, "wait": wait})

    for click in range(1, CLICKS + 1):
        written.clear()
        start = time.perf_counter()
        ask("train", wait=0.08, **OPTIONS)
        if not written.wait(60.0):
            raise SystemExit(ask("status")["message"])
        moved = time.perf_counter() - start
        time.sleep(1.0)
        ask("stop")
        start = time.perf_counter()
        ask("undo")
        undone = time.perf_counter() - start
        met = "" if moved <= FIRST_MOVE and undone <= UNDONE else "  NOT MET"
        print(f"click {click} on Train with {2 * ROWS:,} formulas: {moved:.1f} s to the first move, ", end="")
        print(f"Undo takes {undone:.2f} s{met}")
    trainer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, Office() as office:
        os.environ[VARIABLE] = str(Path(folder) / "state")
        key = office.open(shutil.copy(BOOK, folder))
        for log in (False, False, True):
            live(office, key, seconds, log=log)
        large = Path(folder) / "line.xlsx"
        large_sheet(large)
        first_move(office, office.open(large))
        print(f"wanted: {FIRST_MOVE:g} s to the first move, {UNDONE:g} s for Undo")
        print(f"load {os.getloadavg()[0]:.1f}; wanted: {REFRESHES:g} refreshes/s at {SHARE:g} of the speed")


if __name__ == "__main__":
    main()
