"""`sgdsheet open` in a real browser: how soon there are cells, how often they change, and how fast it trains meanwhile.

    python benchmarks/web.py [--seconds N] [--data FOLDER] [--only PART] [--json FILE]

FOLDER is that of MNIST, which the sheet with pictures learns from. Needs Chromium and the built page. What is measured
is what the page draws: a refresh counts when a message of cells has been drawn and its frame is over. A cold start
reads the program from the disk again, as far as the system lets go of its cache. Run it on a machine that does nothing
else: browser, server and training share its cores. Elsewhere the costs in processor time, on Linux, tell more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import xlsxwriter
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import sgdsheet  # noqa: E402
from sgdsheet.hosts.file import FileHost  # noqa: E402
from sgdsheet.sheet.references import Cell  # noqa: E402
from sgdsheet.system.state_folder import VARIABLE  # noqa: E402
from tests.web.browser import CHROMIUM, started_browser  # noqa: E402

BOOKS = ROOT / "workbooks"
MNIST = ROOT.parent / "shared" / "data" / "mnist"
PATIENCE = 180.0

WARM, COLD = 2.0, 4.0  # seconds to the first cells
TITANIC, PICTURES = 15.0, 10.0  # refreshes a second
SHARE = 0.8  # of the speed of training on the file
STOPPED = 0.3  # seconds
FRAMES, ROWS, COLUMNS = 30.0, 100_000, 14
WEIGHT = 1_500_000  # bytes

WATCH = """
(() => {
  const seen = window.bench = {first: null, drawn: 0, cells: 0, step: 0, state: "", socket: null};
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...rest) {
      super(...rest);
      seen.socket = this;
      this.addEventListener("message", ({data}) => {
        const type = data.slice(9, data.indexOf('"', 9));
        if (type === "cells") requestAnimationFrame(() => setTimeout(() => {
          seen.first ??= Date.now();
          seen.drawn += 1;
          seen.cells += data.length;
        }));
        else if (type === "status") {
          const status = JSON.parse(data);
          [seen.step, seen.state] = [status.step, status.state];
        }
      });
    }
  };
})()
"""

SCROLL = """
async (milliseconds) => {
  const scroller = [...document.querySelectorAll(".dvn-scroller")].at(-1);
  const times = [];
  const begin = performance.now();
  await new Promise((done) => {
    const turn = (now) => {
      times.push(now);
      scroller.scrollTop += 37;
      if (now - begin < milliseconds) requestAnimationFrame(turn); else done();
    };
    requestAnimationFrame(turn);
  });
  const gaps = times.slice(1).map((at, place) => at - times[place]);
  return {frames: gaps.length / (times.at(-1) - times[0]) * 1000, longest: Math.max(...gaps), top: scroller.scrollTop};
}
"""

Result = dict[str, Any]


class Report:
    """What was measured, line by line, and in the end what is not met."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self.found: Result = {}

    def say(self, name: str, text: str, met: bool, **numbers: float) -> None:
        self.found[name] = numbers
        if not met:
            self.missed.append(name)
        print(f"{name:24} {text}{'' if met else '   NOT MET'}", flush=True)


class Opened:
    """A tab with a workbook."""

    def __init__(self, page: Page, process: subprocess.Popen[str], started: float) -> None:
        self.page, self.process, self.started = page, process, started

    def first_cells(self) -> float:
        """Seconds from the start of the program to the first cells."""
        self.page.wait_for_function("() => window.bench.first !== null", timeout=PATIENCE * 1000)
        return float(self.page.evaluate("() => window.bench.first")) / 1000 - self.started

    def show(self, sheet: str) -> None:
        self.page.get_by_role("tab", name=sheet, exact=False).first.click()
        self.page.wait_for_timeout(500)

    def command(self, name: str, sheet: str, **options: Any) -> None:
        message = {"type": "command", "id": 10**9, "name": name, "sheet": sheet, "options": options}
        self.page.evaluate("(text) => window.bench.socket.send(text)", json.dumps(message))

    def seen(self) -> Result:
        found: Result = self.page.evaluate("() => ({...window.bench, socket: null, at: performance.now() / 1000})")
        return found

    def until(self, holds: Callable[[Result], bool], what: str) -> Result:
        end = time.monotonic() + PATIENCE
        while not holds(found := self.seen()):
            if time.monotonic() > end:
                sys.exit(f"not within {PATIENCE:g} s: {what}; {found}")
            self.page.wait_for_timeout(10)
        return found


@contextmanager
def opened(browser: Browser, book: Path) -> Iterator[Opened]:
    """`sgdsheet open` with a workbook, in a fresh tab of a browser that runs already.

    Python may keep what it has compiled, as it does where a person has installed the package.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    started = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdsheet", "open", str(book), "--no-browser", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    try:
        assert process.stdout is not None
        page.goto(json.loads(process.stdout.readline())["url"])
        yield Opened(page, process, started)
    finally:
        context.close()
        process.terminate()
        process.wait(PATIENCE)


def starts(browser: Browser, folder: Path, report: Report) -> None:
    """How soon the first cells are on screen."""
    book = Path(shutil.copy(BOOKS / "titanic.xlsx", folder))
    forget_files()
    with opened(browser, book) as tab:
        cold = tab.first_cells()
    times = []
    for _ in range(3):
        with opened(browser, book) as tab:
            times.append(tab.first_cells())
    warm = statistics.median(times)
    report.say("first cells, cold", f"{cold:5.2f} s (wanted {COLD:g})", cold <= COLD, seconds=cold)
    report.say("first cells, warm", f"{warm:5.2f} s (wanted {WARM:g})", warm <= WARM, seconds=warm)


def forget_files() -> None:
    """Have the system drop Python's libraries from its cache, as far as they are not in use."""
    if not hasattr(os, "posix_fadvise"):
        return
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")}
    for folder in (str(Path(sgdsheet.__file__).parent), *libraries):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def weight(browser: Browser, folder: Path, report: Report) -> None:
    """What a page loads before there are cells."""
    book = Path(shutil.copy(BOOKS / "gradient_descent.xlsx", folder))
    with opened(browser, book) as tab:
        tab.first_cells()
        sizes: Result = tab.page.evaluate(
            "() => Object.fromEntries([performance.getEntriesByType('navigation')[0],"
            " ...performance.getEntriesByType('resource')].map((each) => [each.name, each.decodedBodySize]))"
        )
    total = sum(sizes.values())
    report.say("page weight", f"{total / 1e6:5.2f} MB (wanted {WEIGHT / 1e6:g})", total <= WEIGHT, bytes=total)


def scrolling(browser: Browser, folder: Path, seconds: float, report: Report) -> None:
    """Frames a second while a long sheet goes by."""
    book = folder / "long.xlsx"
    with closing(xlsxwriter.Workbook(str(book), {"constant_memory": True})) as made:
        sheet = made.add_worksheet("long")
        for row in range(ROWS):
            numbers = (((row * 7919 + place * 104729) % 1000) / 8 for place in range(COLUMNS - 1))
            sheet.write_row(row, 0, [row + 1, *numbers])
    with opened(browser, book) as tab:
        first = tab.first_cells()
        tab.page.wait_for_timeout(1500)
        found: Result = tab.page.evaluate(SCROLL, seconds * 1000)
    met = found["frames"] >= FRAMES
    text = f"{found['frames']:5.1f} frames/s, the longest {found['longest']:.0f} ms (wanted {FRAMES:g})"
    report.say(f"scrolling {ROWS:,} rows", f"{text}; first cells after {first:.2f} s", met, **found)


def training(
    browser: Browser, book: Path, sheet: str, options: dict[str, Any], wanted: float, seconds: float, report: Report
) -> None:
    """Refreshes a second, and the speed of training beside that on the file."""
    before = on_file(book, sheet, options, seconds / 2)
    with opened(browser, book) as tab:
        tab.first_cells()
        tab.show(sheet)
        tab.page.wait_for_timeout(3000)
        tab.command("train", sheet, **options)
        tab.until(lambda now: now["state"] == "training" and now["step"] > 20, "training begins")
        tab.page.wait_for_timeout(2000)
        start, used = tab.seen(), processor_times(tab.process.pid)
        tab.page.wait_for_timeout(seconds * 1000)
        end, used_then = tab.seen(), processor_times(tab.process.pid)
        stop = time.perf_counter()
        tab.command("stop", sheet)
        tab.until(lambda now: now["state"] == "idle", "training ends")
        stopped = time.perf_counter() - stop
    spent = end["at"] - start["at"]
    refreshes, speed = (end["drawn"] - start["drawn"]) / spent, (end["step"] - start["step"]) / spent
    file = (before + on_file(book, sheet, options, seconds / 2)) / 2
    share = speed / file
    name = f"{book.stem}, {sheet}"
    beside = f"{share:.2f} of the file's {file:.0f} steps/s (wanted {SHARE:g})"
    report.say(
        name,
        f"{refreshes:5.1f} refreshes/s (wanted {wanted:g}), {beside}",
        refreshes >= wanted and share >= SHARE,
        refreshes=refreshes,
        share=share,
        file=file,
    )
    taken, drawn = max(1, end["step"] - start["step"]), max(1, end["drawn"] - start["drawn"])
    if used:
        step, server, page = costs(used, used_then)
        text = f"{step / taken:.2f} ms of processor a step; a refresh {server / drawn:.1f} ms in the server,"
        more = {"step": step / taken, "server": server / drawn, "page": page / drawn}
        report.say(f"{name}: costs", f"{text} {page / drawn:.1f} in the browser", True, **more)
    report.say(f"{name}: Stop", f"{stopped:5.2f} s (wanted {STOPPED:g})", stopped <= STOPPED, seconds=stopped)


Times = dict[tuple[str, int], float]


def processor_times(server: int) -> Times:
    """Seconds of processor that each thread of the server, and each process of the browser, has used; Linux only.

    They tell what a refresh costs also where other programs share the machine.
    """
    if not Path("/proc").is_dir():
        return {}
    found = {("server", int(path.name)): ticks(path / "stat") for path in Path(f"/proc/{server}/task").iterdir()}
    family = {os.getpid()}
    for pid, path in sorted((int(path.parent.name), path) for path in Path("/proc").glob("[0-9]*/stat")):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent in family and pid != server:
            family.add(pid)
            found["browser", pid] = ticks(path)
    return found


def costs(before: Times, after: Times) -> tuple[float, float, float]:
    """Milliseconds of the server's busiest thread, which trains, of its other threads, and of the browser."""
    spent = {key: 1000 * (seconds - before.get(key, 0.0)) for key, seconds in after.items()}
    server = [taken for (what, _), taken in spent.items() if what == "server"]
    return max(server), sum(server) - max(server), sum(taken for (what, _), taken in spent.items() if what == "browser")


def ticks(path: Path) -> float:
    """Seconds of processor that a process or a thread has used."""
    try:
        found = path.read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def on_file(book: Path, sheet: str, options: dict[str, Any], seconds: float) -> float:
    """Steps a second without a spreadsheet."""
    steps = iter(sgdsheet.Session(sgdsheet.compile(sgdsheet.load(book), sheet), **options))
    for _ in range(20):
        next(steps)
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(steps)
        taken += 1
    spent = time.perf_counter() - start
    steps.close()  # type: ignore[attr-defined]
    return taken / spent


def titanic(browser: Browser, folder: Path, seconds: float, report: Report) -> None:
    """Batches, so that the numbers never come to rest: what looks the same is not sent again."""
    book = Path(shutil.copy(BOOKS / "titanic.xlsx", folder))
    options = {"optimizer": "adam", "learning_rate": 0.05, "batch_size": 100, "steps": 10**8}
    training(browser, book, "nnet", options, TITANIC, seconds, report)


def pictures(browser: Browser, folder: Path, data: Path, seconds: float, report: Report) -> None:
    if not data.is_dir():
        print(f"mnist_cnn                not measured: there is no folder {data}")
        return
    book = Path(shutil.copy(BOOKS / "mnist_cnn.xlsx", folder))
    host = FileHost(book)
    host.read()
    host.write({Cell("cnn", 21, 2): shutil.copytree(data, folder / "source", dirs_exist_ok=True).name})
    host.save(book)
    training(browser, book, "cnn", {"epochs": 10_000}, PICTURES, seconds, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--data", type=Path, default=MNIST)
    parser.add_argument("--only", choices=("starts", "weight", "scrolling", "titanic", "pictures"))
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("There is no Chromium here (on Debian: apt-get install chromium)")
    report = Report()
    with tempfile.TemporaryDirectory() as name, started_browser() as browser:
        folder = Path(name)
        os.environ[VARIABLE] = str(folder / "state")
        parts: dict[str, Callable[[], None]] = {
            "starts": lambda: starts(browser, folder, report),
            "weight": lambda: weight(browser, folder, report),
            "scrolling": lambda: scrolling(browser, folder, chosen.seconds, report),
            "titanic": lambda: titanic(browser, folder, chosen.seconds, report),
            "pictures": lambda: pictures(browser, folder, chosen.data, chosen.seconds, report),
        }
        for part, measure in parts.items():
            if chosen.only in (None, part):
                measure()
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report.found, indent=1), encoding="utf-8")
    print(f"load {os.getloadavg()[0]:.1f}; not met: {', '.join(report.missed) or 'nothing'}")


if __name__ == "__main__":
    main()
