"""Commands that only look, for whoever shows it beside the sheet: gradients, slices, findings, candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgdsheet.live.commands import COMMANDS
from tests.live_books import LOSS, PARAMETERS, SHEET, START, Desk, X, Y, line_host

pytestmark = pytest.mark.usefixtures("state")


def gradient(slope: float, intercept: float) -> list[float]:
    misses = [slope * x + intercept - y for x, y in zip(X, Y, strict=True)]
    return [2 * sum(miss * x for miss, x in zip(misses, X, strict=True)) / len(X), 2 * sum(misses) / len(X)]


@pytest.mark.parametrize("name", ["gradient-values", "loss-slice", "findings", "candidates"])
def test_they_write_nothing_and_have_no_button(name: str) -> None:
    assert not COMMANDS[name].writes
    assert COMMANDS[name].button is None


def test_gradients_are_those_of_the_present_parameters() -> None:
    with Desk(line_host()) as desk:
        reply = desk.done("gradient-values")
        assert [item[:3] for item in reply["gradients"]] == [list(cell) for cell in PARAMETERS]
        assert [item[3] for item in reply["gradients"]] == pytest.approx(gradient(*START))
        desk.done("step")
        assert desk.done("gradient-values")["gradients"] != reply["gradients"]


def test_gradients_of_a_run_that_goes_on() -> None:
    with Desk(line_host({"steps per second": 50.0})) as desk:
        desk.done("train")
        desk.until_step(2)
        assert len(desk.done("gradient-values")["gradients"]) == 2
        assert desk.done("findings")["findings"] == []
        desk.done("stop")


def test_a_slice_has_the_loss_and_its_tangent() -> None:
    with Desk(line_host()) as desk:
        reply = desk.done("loss-slice", cells="E1")
        at, loss = reply["at"]
        assert at == START[0]
        assert reply["gradient"] == pytest.approx(gradient(*START)[0])
        assert len(reply["x"]) == len(reply["loss"])
        assert min(reply["x"]) < at < max(reply["x"])
        assert min(reply["loss"]) < loss < max(reply["loss"])


def test_two_parameters_span_a_surface() -> None:
    with Desk(line_host()) as desk:
        reply = desk.done("loss-slice", cells="E1:E2")
        assert reply["at"] == list(START)
        assert (len(reply["loss"]), len(reply["loss"][0])) == (len(reply["y"]), len(reply["x"]))


@pytest.mark.parametrize("cells", ["A1", "E4", "nonsense", "E1:E3", ""])
def test_what_is_no_parameter_is_refused(cells: str) -> None:
    with Desk(line_host()) as desk:
        reply = desk.ask("loss-slice", cells=cells)
        assert reply["ok"] is (cells == "")  # without cells: both parameters


def test_findings_are_sentences_with_cells() -> None:
    host = line_host()
    for row in range(2, len(X) + 2):
        host.workbook.sheets[SHEET].values[row, 1] = 0.0  # the slope is multiplied by nothing else
    with Desk(host) as desk:
        found = desk.done("findings")["findings"]
        assert [item["kind"] for item in found] == ["zero gradient"]
        assert found[0]["cells"] == [str(PARAMETERS[0])]


def test_candidates_of_a_workbook_without_a_model() -> None:
    host = line_host()
    host.workbook = replace(host.workbook, names=[])
    with Desk(host) as desk:
        (best, *_) = desk.done("candidates")["candidates"]
        assert (best["sheet"], best["loss"]) == (SHEET, str(LOSS))
        assert best["params"]
