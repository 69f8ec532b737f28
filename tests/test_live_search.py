"""Searches in an open spreadsheet: whole numbers and losses without a gradient, by Train and by Step."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sgdsheet.sheet.workbook import DefinedName
from tests.live_books import SHEET, START, Desk, X, Y, line_host, parameters
from tests.memory_host import MemoryHost

SEARCHED: dict[str, Any] = {"optimizer": "auto", "learning rate": None, "steps": None}


def whole_host(**settings: Any) -> MemoryHost:
    """A straight line through points with a whole slope and a whole intercept."""
    host = line_host({**SEARCHED, **settings})
    host.workbook.names.append(DefinedName("sgd_integer", f"{SHEET}!$E$1:$E$2", SHEET))
    return host


def mean_square(slope: float, intercept: float) -> float:
    return sum((slope * x + intercept - y) ** 2 for x, y in zip(X, Y, strict=True)) / len(X)


BEST = min(itertools.product(range(-9, 10), repeat=2), key=lambda pair: mean_square(*pair))


def test_train_with_whole_numbers() -> None:
    host = whole_host()
    with Desk(host) as desk:
        desk.done("train")
        desk.until_idle()
        assert parameters(host) == BEST
        said = " ".join([*host.messages, host.status_bar])
        assert "optimal: proved by outer approximation" in said
        desk.done("undo")
        assert parameters(host) == START


def test_step_with_whole_numbers() -> None:
    """A click is a look at the search: in the end it says that there is nothing more to do."""
    host = whole_host()
    with Desk(host) as desk:
        for _ in range(100):
            reply = desk.ask("step")
            if not reply["ok"]:
                break
            assert all(float(number).is_integer() for number in parameters(host)) or parameters(host) == START
            if parameters(host) == BEST:
                break
        assert parameters(host) == BEST


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_a_search_is_stopped(command: str) -> None:
    host = line_host({**SEARCHED, "optimizer": "evolutionary", "time limit": 600.0})
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(3)
        desk.done(command)
        if command == "pause":
            desk.done(command)
            desk.done("stop")
        desk.until_idle()
        assert mean_square(*parameters(host)) <= mean_square(*START)


def test_train_an_evolutionary_search_to_its_end() -> None:
    host = line_host({**SEARCHED, "optimizer": "evolutionary"})
    with Desk(host) as desk:
        desk.done("train")
        desk.until_idle()
        assert parameters(host) == pytest.approx((1.99, 1.04), abs=1e-6)
        assert "nothing proves that it is the optimum" in " ".join([*host.messages, host.status_bar])
