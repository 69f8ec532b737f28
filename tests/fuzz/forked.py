"""One call of the command line in a process of its own, forked off: torch is imported already, memory and time are
limited, and what breaks there breaks nothing here."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sgdsheet.apps.cli import main
from tests.cli_books import line_book, run

SECONDS = 20
"""Of the processor, so that a busy machine makes nothing look like a hang."""
WALL = 120
MEMORY = 4 << 30
"""Bytes beyond what the parent has."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `signal` is what killed it, if something did."""

    status: int
    out: str
    err: str
    signal: int = 0
    seconds: float = 0.0

    @property
    def hung(self) -> bool:
        return self.signal in (signal.SIGXCPU, signal.SIGALRM)


def warm_up(folder: Path) -> None:
    """Import what the commands import, so that no child has to."""
    torch.set_num_threads(1)
    book = line_book(folder)
    out = folder / "warm"
    for arguments in (
        ["train", book, "-o", f"{out}.xlsx", "--steps", "2", "--log", f"{out}.csv", "--checkpoint", f"{out}.json"],
        ["train", book, "-o", f"{out}.xlsx", "--steps", "2", "--optimizer", "lbfgs", "--plot", f"{out}.png"],
        ["check", book, "--all"],
        ["inspect", book, "--json"],
        ["find-lr", book],
        ["export", book, "-o", f"{out}.py"],
        ["predict", book, "-o", f"{out}.csv"],
        ["animate", book, "-o", f"{out}.gif", "--steps", "2", "--seconds", "0.2", "--width", "200"],
        ["surface", book, "-o", f"{out}.png", "--no-path"],
    ):
        run(*arguments)


def call(
    arguments: Sequence[str],
    folder: Path,
    *,
    before: Callable[[], object] | None = None,
    meanwhile: Callable[[int], object] | None = None,
) -> Ended:
    """Run `sgdsheet` with these arguments in `folder`.

    `before` is called in the child before the command, `meanwhile` here with the child's number.
    """
    out, err = folder.parent / f"{folder.name}.out", folder.parent / f"{folder.name}.err"
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the child uses none of theirs
        child = os.fork()
    if child == 0:
        status = 70
        try:
            status = _in_child(arguments, folder, out, err, before)
        finally:
            os._exit(status)
    if meanwhile is not None:
        meanwhile(child)
    status = _waited(child)
    stopped = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (out, err)]
    return Ended(ended, texts[0], texts[1], stopped, time.perf_counter() - start)


def _waited(child: int) -> int:
    deadline = time.monotonic() + WALL
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGALRM)
    return os.waitpid(child, 0)[1]


def _in_child(arguments: Sequence[str], folder: Path, out: Path, err: Path, before: Callable[[], object] | None) -> int:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if before is not None:
        before()
    try:
        main(list(arguments))
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 71
    sys.stdout.flush()
    sys.stderr.flush()
    return status
