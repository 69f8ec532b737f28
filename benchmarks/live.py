"""The Titanic sheet trained live in LibreOffice, beside the same training on the file, in the same run.

    python benchmarks/live.py [--seconds N]

Refreshes are counted where they reach the workbook. Run it on a machine that does nothing else: office, trainer and
agent share its cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import sgdsheet
from sgdsheet.hosts import libreoffice
from sgdsheet.hosts.base import LiveHost
from sgdsheet.hosts.libreoffice.office_process import Office
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.system.state_folder import VARIABLE

BOOK = Path(__file__).parent.parent / "workbooks" / "titanic.xlsx"
SHEET = "nnet"
OPTIONS: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.001, "steps": 10**8}
REFRESHES, SHARE = 10.0, 0.7


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, Office() as office:
        os.environ[VARIABLE] = str(Path(folder) / "state")
        key = office.open(shutil.copy(BOOK, folder))
        for log in (False, False, True):
            live(office, key, seconds, log=log)
        print(f"load {os.getloadavg()[0]:.1f}; wanted: {REFRESHES:g} refreshes/s at {SHARE:g} of the speed")


if __name__ == "__main__":
    main()
