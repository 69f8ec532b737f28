"""Cells reach values: goal seek for one, and for several at once, from the command line, by names, and live."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from scipy.optimize import brentq, fsolve

import sgdsheet
from sgdsheet.errors import ProblemError, SettingError
from sgdsheet.problem.definition import find_problem
from sgdsheet.problem.solver_names import Direction
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook
from sgdsheet.train.session import Session
from tests.cli_books import Run, run
from tests.errors import refusal
from tests.live_books import Desk
from tests.memory_host import MemoryHost
from tests.sheets import Cells, book

LOAN = {"B1": 250_000.0, "B2": 0.05, "B3": 360.0, "B7": "=PMT(B2/12,B3,-B1)", "B8": "=B7*B3-B1"}


NEARBY = "converged: nothing nearby comes closer to what is wanted: "


def sought(cells: Cells, targets: Sequence[tuple[str, float]], params: str) -> Session:
    workbook = book(cells)
    session = Session(sgdsheet.compile(workbook, problem=find_problem(workbook, params=params, targets=targets)))
    session.run()
    return session


def values(session: Session, *cells: str) -> list[float]:
    model = session.model
    found = {str(cell).partition("!")[2]: value for cell, value in model.dependent_cells().values.items()}
    numbers = {str(cell).partition("!")[2]: value for cell, value in model.parameter_cells().items()}
    return [float({**found, **numbers}[cell]) for cell in cells]  # type: ignore[arg-type]


def payment(rate: float) -> float:
    return 250_000 * rate / 12 / (1 - (1 + rate / 12) ** -360)


def test_one_cell() -> None:
    session = sought(LOAN, [("B7", 1500.0)], "B2")
    assert session.loss == pytest.approx(1500, abs=1e-10 * 1500)
    assert values(session, "B2") == [
        pytest.approx(brentq(lambda r: payment(r) - 1500, 0.01, 0.2, xtol=1e-15), rel=1e-12)
    ]
    assert session.stopped == "converged"


def test_a_linear_one_takes_a_step() -> None:
    session = sought(LOAN, [("B7", 1500.0)], "B1")
    assert session.steps_taken == 1
    assert session.loss == pytest.approx(1500, rel=1e-13)


def test_several_cells() -> None:
    session = sought(LOAN, [("B7", 1500.0), ("B8", 200_000.0)], "B1,B2")
    assert values(session, "B7", "B8") == pytest.approx([1500.0, 200_000.0], rel=1e-12)
    assert session.stopped == "converged"


def test_magnitudes_far_apart() -> None:
    """One cell in thousands and one below 1: each is missed by a share of its value."""
    cells = {"B1": 0.05, "B2": 10.0, "B7": "=1000*(1+B1)^B2", "B8": "=B1*B2"}
    session = sought(cells, [("B7", 2000.0), ("B8", 0.7)], "B1:B2")
    b1, b2 = fsolve(lambda b: [(1 + b[0]) ** b[1] - 2, b[0] * b[1] - 0.7], [0.02, 35], xtol=1e-14)
    assert values(session, "B1", "B2") == pytest.approx([b1, b2], rel=1e-8)
    assert values(session, "B7", "B8") == pytest.approx([2000.0, 0.7], rel=1e-10)


def test_fewer_cells_than_may_change() -> None:
    session = sought({"B1": 1.0, "B2": 1.0, "B3": 1.0, "B7": "=B1*B2*B3"}, [("B7", 30.0)], "B1:B3")
    assert session.loss == pytest.approx(30, rel=1e-12)


def test_a_start_without_a_gradient() -> None:
    session = sought({"B1": 0.0, "B7": "=B1^2+1"}, [("B7", 5.0)], "B1")
    assert session.loss == pytest.approx(5, rel=1e-12)


def test_what_cannot_be_reached() -> None:
    session = sought({"B1": 3.0, "B7": "=B1^2+1"}, [("B7", 0.0)], "B1")
    assert session.loss == pytest.approx(1, abs=1e-6)
    session = sought({"B1": 1.0, "B2": 1.0, "B7": "=B1^2+B2^2", "B8": "=B1*B2"}, [("B7", 1.0), ("B8", 2.0)], "B1:B2")
    assert session.loss == pytest.approx(0.45, rel=1e-9)  # the squares of a miss of 0.6 of 2, and of 1.2 of 2
    assert session.ending.startswith(
        "converged: nothing nearby comes closer to what is wanted: Sheet1!B7 comes to 1.6, "
    )


def test_which_values_exclude_each_other_is_said() -> None:
    """x + y = 10 and 2x + 2y = 30 by least squares of what is missed, as shares of 10 and 30; x - y = 2 holds."""
    cells = {"A1": 1.0, "A2": 1.0, "B1": "=A1+A2", "B2": "=A1*2+A2*2", "B3": "=A1-A2"}
    session = sought(cells, [("B1", 10.0), ("B2", 30.0), ("B3", 2.0)], "A1:A2")
    total = 10 * (1 + 2 / 3) / (1 + 4 / 9)
    assert values(session, "B1", "B2", "B3") == pytest.approx([total, 2 * total, 2.0], rel=1e-9)
    first = f"Sheet1!B2 comes to {2 * total:.10g}, {30 - 2 * total:.3g} away from 30"
    second = f"Sheet1!B1 comes to {total:.10g}, {total - 10:.3g} away from 10"
    assert session.ending == f"converged: nothing comes closer to what is wanted: {first}; {second}"


def test_a_value_that_bounds_keep_away_is_said() -> None:
    cells = {"A1": 1.0, "B1": "=A1^2", "D1": "=A1<=2"}
    workbook = book(cells, names={"sgd_constraints": "Sheet1!D1"})
    session = Session(sgdsheet.compile(workbook, problem=find_problem(workbook, params="A1", targets=[("B1", 9.0)])))
    session.run()
    assert (
        session.ending
        == "converged: nothing nearby comes closer to what is wanted: Sheet1!B1 comes to 4, 5 away from 9"
    )


def test_what_is_refused() -> None:
    with refusal(ProblemError, cell="Sheet1!B7", cause="two values"):
        find_problem(book(LOAN), params="B1", targets=[("B7", 1.0), ("B7", 2.0)])
    with refusal(ProblemError, cell="Sheet1!B3", cause="the loss cell holds no formula"):
        find_problem(book(LOAN), params="B1", targets=[("B7", 1.0), ("B3", 2.0)])
    with refusal(SettingError, cause="another one is the loss"):
        find_problem(book(LOAN), loss="B8", params="B1", targets=[("B7", 1.0)])
    with refusal(SettingError, cause="no value"):
        find_problem(book(LOAN), params="B1", targets=[("B7", float("inf"))])


def test_names(tmp_path: Path) -> None:
    found = book({**LOAN, "C7": 1500.0, "C8": 200_000.0}, names={"sgd_targets": "Sheet1!B7:C9", "sgd_params": "B1:B2"})
    problem = find_problem(found)
    assert [(str(item.cell), item.value) for item in problem.targets] == [
        ("Sheet1!B7", 1500.0),
        ("Sheet1!B8", 200_000.0),
    ]
    found.names = [item for item in found.names if item.name != "sgd_params"]
    with refusal(ProblemError, cause="no parameters", remedy="sgd_params"):
        find_problem(found)
    wrong = book({**LOAN, "C7": "much"}, names={"sgd_targets": "Sheet1!B7:C7", "sgd_params": "B1:B2"})
    with refusal(ProblemError, cell="Sheet1!C7", cause="no number"):
        find_problem(wrong)
    wide = book(LOAN, names={"sgd_targets": "Sheet1!B7:D7", "sgd_params": "B1:B2"})
    with refusal(ProblemError, cell="Sheet1!B7:D7", cause="two columns"):
        find_problem(wide)


# --- the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def loan(tmp_path: Path) -> Path:
    path = tmp_path / "loan.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        sheet = made.add_worksheet("Loan")
        for cell, content in LOAN.items():
            sheet.write(cell, content)
        sheet.write_formula("B7", LOAN["B7"], None, payment(0.05))
        sheet.write_formula("B8", LOAN["B8"], None, payment(0.05) * 360 - 250_000)
    return path


def report(found: Run) -> dict[str, Any]:
    assert found.status == 0, found.err
    read: dict[str, Any] = json.loads(found.out)
    return read


def test_value(loan: Path) -> None:
    found = report(run("train", loan, "--loss", "B7", "--value", "1500", "--params", "B1", "--json"))
    assert found["loss"] == pytest.approx(1500, rel=1e-12)
    assert found["targets"][0]["cell"] == "Loan!B7"
    assert found["targets"][0]["missed_by"] <= 1e-9
    written = sgdsheet.load(loan.parent / "loan-trained.xlsx").sheets["Loan"].values
    assert written[7, 2] == pytest.approx(1500, rel=1e-12)


def test_value_of(loan: Path) -> None:
    options = ("--value-of", "B7=1500", "--value-of", "B8=200000", "--params", "B1:B2")
    found = report(run("train", loan, *options, "--json"))
    assert [item["missed_by"] <= 1e-10 * item["wanted"] for item in found["targets"]] == [True, True]
    assert report(run("inspect", loan, *options, "--json"))["targets"] == [
        {"cell": "Loan!B7", "value": 1500.0},
        {"cell": "Loan!B8", "value": 200_000.0},
    ]
    checked = run("check", loan, *options)
    assert checked.status == 0
    assert checked.out.startswith("what 2 cells miss of their values, as shares, squared: computed 0.0312")
    assert "What 2 cells miss, squared, is nonlinear." in checked.out
    shown = run("train", loan, *options).out
    assert "2 cells that are to reach values" in shown
    assert "Loan!B8 wanted 200000, now 200000: reached" in shown


@pytest.mark.parametrize(
    "options", [("--value", "3"), ("--value-of", "B7"), ("--value-of", "B7=x"), ("--value-of", "=3")]
)
def test_wrong_usage(loan: Path, options: tuple[str, ...]) -> None:
    assert run("train", loan, *options, "--params", "B1").status == 2


def test_a_named_loss_is_maximized() -> None:
    """It does not matter whether an option or a name says which cell it is. Targets have no largest value."""
    cells: Cells = {"A1": 1.0, "Z1": "=3-(A1-2)^2", "AA1": 5.0}
    found = book(cells, names={"sgd_loss": "Sheet1!Z1", "sgd_params": "Sheet1!A1"})
    problem = find_problem(found, maximize=True)
    assert (str(problem.loss), problem.direction) == ("Sheet1!Z1", Direction.MAXIMISE)
    several = book(
        {**cells, "Z2": "=A1", "AA2": 1.0}, names={"sgd_targets": "Sheet1!Z1:AA2", "sgd_params": "Sheet1!A1"}
    )
    with refusal(SettingError, cause="none of them is to be maximized"):
        find_problem(several, maximize=True)


# --- live ---------------------------------------------------------------------------------------------------


def calculate(workbook: Workbook) -> None:
    """B7 is what its formula says."""
    values = workbook.sheets["Loan"].values
    x = values[1, 2]
    assert isinstance(x, float)
    values[7, 2] = x * x + x


@pytest.fixture
def open_book() -> MemoryHost:
    sheet = Sheet("Loan", {(1, 2): 4.0, (7, 3): 12.0})
    sheet.formulas[7, 2] = Formula("B1*B1+B1", 7, 2)
    found = Workbook("loan.xlsx", {"Loan": sheet}, active="Loan")
    calculate(found)
    return MemoryHost(found, calculate)


@pytest.mark.usefixtures("state")
def test_live(open_book: MemoryHost) -> None:
    open_book.selected = (Range("Loan", 7, 2, 7, 3), Range("Loan", 1, 2, 1, 2))
    values = open_book.workbook.sheets["Loan"].values
    with Desk(open_book) as desk:
        assert desk.done("goal-seek", "loan.xlsx")["message"] == "Loan!B7 is 12"
        assert values[1, 2] == pytest.approx(3, rel=1e-12)
        assert values[7, 2] == pytest.approx(12, rel=1e-12)
        desk.done("undo", "loan.xlsx")
        assert values[1, 2] == 4.0
        values[7, 3] = -5.0
        message = desk.done("goal-seek", "loan.xlsx")["message"]
        assert message == "not reached: Loan!B7 comes to -0.25, 4.75 away from -5"


@pytest.mark.usefixtures("state")
def test_live_whatever_the_order_of_the_areas(open_book: MemoryHost) -> None:
    """LibreOffice tells them from top to bottom."""
    open_book.selected = (Range("Loan", 1, 2, 1, 2), Range("Loan", 7, 2, 7, 3))
    with Desk(open_book) as desk:
        assert desk.done("goal-seek", "loan.xlsx")["message"] == "Loan!B7 is 12"


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("left", [1, 3])
def test_live_of_cells_side_by_side(left: int) -> None:
    """A program tells areas that touch as one: a formula and the wanted value, and on one side of them what moves."""
    moves, sought = (1, 2) if left == 1 else (3, 1)
    sheet = Sheet("Loan", {(1, moves): 4.0, (1, sought + 1): 12.0})
    letter = "ABC"[moves - 1]
    sheet.formulas[1, sought] = Formula(f"{letter}1*{letter}1+{letter}1", 1, sought)

    def calculated(found: Workbook) -> None:
        values = found.sheets["Loan"].values
        values[1, sought] = float(values[1, moves]) ** 2 + float(values[1, moves])  # type: ignore[arg-type]

    host = MemoryHost(Workbook("loan.xlsx", {"Loan": sheet}, active="Loan"), calculated)
    host.selected = (Range("Loan", 1, 1, 1, 3),)
    with Desk(host) as desk:
        desk.done("goal-seek", "loan.xlsx")
        assert sheet.values[1, moves] == pytest.approx(3, rel=1e-12)
        host.selected = (Range("Loan", 1, 1, 1, 2),)  # nothing says what may change
        assert "nothing says which cells" in desk.ask("goal-seek", "loan.xlsx")["error"]


@pytest.mark.usefixtures("state")
def test_live_by_names(open_book: MemoryHost) -> None:
    open_book.define_name("sgd_targets", (Range("Loan", 7, 2, 7, 3),))
    open_book.define_name("sgd_params", (Range("Loan", 1, 2, 1, 2),))
    with Desk(open_book) as desk:
        assert desk.done("goal-seek", "loan.xlsx")["message"] == "Loan!B7 is 12"


@pytest.mark.usefixtures("state")
def test_several_goals_are_not_trained(open_book: MemoryHost) -> None:
    """Train, Step and their like watch one loss cell."""
    sheet = open_book.workbook.sheets["Loan"]
    sheet.formulas[8, 2], sheet.values[8, 3] = Formula("B7*2", 8, 2), 24.0
    sheet.values[8, 2] = 40.0
    open_book.define_name("sgd_targets", (Range("Loan", 7, 2, 8, 3),))
    open_book.define_name("sgd_params", (Range("Loan", 1, 2, 1, 2),))
    with Desk(open_book) as desk:
        assert "Press Goal seek" in str(desk.ask("train", "loan.xlsx"))
        assert desk.done("goal-seek", "loan.xlsx")["message"] == "Loan!B7 is 12, Loan!B8 is 24"


@pytest.mark.usefixtures("state")
def test_live_without_a_goal(open_book: MemoryHost) -> None:
    open_book.selected = (Range("Loan", 1, 2, 1, 2),)
    with Desk(open_book) as desk:
        reply = desk.ask("goal-seek", "loan.xlsx")
        assert not reply["ok"]
        assert "Select a calculated cell" in str(reply)
