"""Slow motion: steps that a person can watch, and a trainer that listens meanwhile."""

from __future__ import annotations

import time

import pytest

from tests.live_books import SHEET, Desk, line_host, most, parameters, taken, until

pytestmark = pytest.mark.usefixtures("state")


def test_so_many_steps_a_second_and_no_more() -> None:
    with Desk(line_host({"steps per second": 20.0})) as desk:
        start = time.perf_counter()
        desk.done("train")
        desk.until_step(6)
        step = desk.ask("status")["step"]
        assert step <= 20 * (time.perf_counter() - start) + 1
        assert time.perf_counter() - start >= 5 / 20
        desk.done("stop")


def test_without_it_nothing_waits() -> None:
    with Desk(line_host({"steps": 5000.0})) as desk:
        desk.done("train")
        desk.until_idle()
        assert desk.ask("status")["step"] == 5000


def test_the_last_state_is_exact() -> None:
    fast, slow = line_host({"steps": 4.0}, "fast"), line_host({"steps": 4.0, "steps per second": 10.0}, "slow")
    with Desk(fast, slow) as desk:
        for book in ("fast", "slow"):
            desk.done("train", book)
            desk.until_idle(book)
        assert parameters(fast) == parameters(slow)
        assert desk.ask("status", "slow")["step"] == 4


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_it_acts_at_once(command: str) -> None:
    with Desk(line_host({"steps per second": 0.05})) as desk:  # twenty seconds from step to step
        desk.done("train")
        desk.until_step(1)
        assert taken(lambda: desk.done(command)) < most(1.0, 15.0)
        assert desk.ask("status")["step"] == 1
        desk.done("stop")


def test_the_speed_can_be_changed_meanwhile() -> None:
    host = line_host({"steps per second": 0.01})
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(1)
        with host.turn:
            host.workbook.sheets[SHEET].values[4, 8] = 1000.0
        desk.until_step(20)
        desk.done("stop")


def test_an_edit_is_taken_up_while_it_waits() -> None:
    host = line_host({"steps per second": 0.01})
    with Desk(host) as desk:
        desk.done("train")
        desk.until_step(1)
        with host.turn:
            host.workbook.sheets[SHEET].values[1, 5] = 5.0
        desk.until_step(2)  # a change begins a step
        desk.done("stop")


def test_another_speed_counts_at_once() -> None:
    with Desk(line_host({"steps per second": 0.01})) as desk:  # a hundred seconds from step to step
        desk.done("train")
        desk.until_step(1)
        desk.done("speed")
        desk.until_step(200)
        assert desk.done("speed", steps_per_second=0.01)["message"] == "0.01 steps a second"

        def rests() -> bool:
            step = desk.ask("status")["step"]
            time.sleep(0.3)
            return bool(desk.ask("status")["step"] == step)

        until(rests)
        desk.done("stop")


def test_a_speed_needs_a_run() -> None:
    with Desk(line_host()) as desk:
        assert "nothing is being trained" in desk.ask("speed")["error"]


def test_from_a_flag() -> None:
    with Desk(line_host({"steps": 3.0})) as desk:
        start = time.perf_counter()
        desk.done("train", steps_per_second=8)
        desk.until_idle()
        assert time.perf_counter() - start >= 3 / 8
