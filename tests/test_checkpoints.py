"""Checkpoints: a resumed run is the run that was never interrupted, and nothing else is ever resumed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sgdsheet
from sgdsheet.apps.cli import main
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import FileError, TrainingError
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.train.checkpoints import FORMAT, decode, encode, read_checkpoint, write_checkpoint
from sgdsheet.train.session import Session
from sgdsheet.train.start_objectives import FlatObjectives
from sgdsheet.train.step_objectives import FlatObjective
from tests.errors import refusal
from tests.sheets import HOME, book, compiled
from tests.training_books import FOURTH_POWER, fourth_power, values, write

SAMPLES = 11


def samples() -> SheetModel:
    """A curve with three parameters and 11 samples, not linear, two of them for validation."""
    last = SAMPLES + 1
    cells = {
        "A1:A3": [[0.5], [-0.5], [1.0]],
        f"C2:C{last}": [[index / 5 - 1] for index in range(SAMPLES)],
        f"D2:D{last}": [[(index * 7 % 11) / 5] for index in range(SAMPLES)],
        f"E2:E{last}": "=($A$1*TANH($A$2*C2+$A$3)-D2)^2",
        "F2:F12": [[index in (3, 8)] for index in range(SAMPLES)],
        "Z1": f"=AVERAGE(E2:E{last})",
    }
    names = {"sgd_loss": "Z1", "sgd_params": "A1:A2,A3", "sgd_data": "C2:E12", "sgd_valid": "F2:F12"}
    return sgdsheet.compile(book(cells, names=names), HOME)


def steps_of(session: Session) -> list[tuple[int, float, float, int | None, float | None]]:
    return [(step.number, step.loss, step.learning_rate, step.epoch, step.valid_loss) for step in session]


RUNS: list[dict[str, Any]] = [
    *({"optimizer": name} for name, row in OPTIMIZERS.items() if row.family is not Family.POPULATION),
    *({"optimizer": "adam", "schedule": name} for name in SCHEDULES if name != "constant"),
    {"optimizer": "sgd", "schedule": "onecycle", "momentum": 0.8},
    {"optimizer": "sgd", "zero_gradients": "no"},
    *(
        {"optimizer": name, "batch_size": 4}
        for name, row in OPTIMIZERS.items()
        if row.family not in (Family.LINE_SEARCH, Family.POPULATION)
    ),
    {"optimizer": "adam", "batch_size": 3, "shuffle": "no"},
    {"optimizer": "sgd", "lr": 0.3, "early_stopping": 6},
    {"optimizer": "sgd", "lr": 0.3, "batch_size": 4, "early_stopping": 6, "start": "normal 0.3"},
]


def label(options: dict[str, Any]) -> str:
    return " ".join(str(value) for value in options.values())


@pytest.mark.parametrize(
    ("options", "at"),
    [(options, at) for options in RUNS for at in ((5, 6) if "batch_size" in options else (6,))],
    ids=lambda value: label(value) if isinstance(value, dict) else str(value),
)
def test_resumed_bit_for_bit(tmp_path: Path, options: dict[str, Any], at: int) -> None:
    """Through a file, in a session of a fresh model. With batches of 4 of 9 rows, step 6 ends an epoch."""
    options = {"steps": 20, "seed": 3, **options}
    whole = samples()
    session = Session(whole, **options)
    expected = steps_of(session)

    first, seen = Session(samples(), **options), []
    for step in first:
        seen.append(step)
        if step.number == at:
            write_checkpoint(tmp_path / "run.json", first.state())
            break
    second_model = samples()
    second = Session(second_model, **options)
    second.restore(read_checkpoint(tmp_path / "run.json"))
    assert second.steps_taken == at
    assert steps_of(second) == expected[at:]
    assert values(second_model) == values(whole)
    assert second.loss == session.loss
    assert second.stopped == session.stopped


ENDLESS = [
    options
    for options in RUNS
    if options["optimizer"] != "annealing" and not {"schedule", "early_stopping"} & set(options)
]
"""Runs whose steps do not depend on how many there will be."""


@pytest.mark.parametrize("options", ENDLESS, ids=label)
def test_a_finished_run_goes_on(tmp_path: Path, options: dict[str, Any]) -> None:
    """12 steps and 8 more are a run of 20, though the first left its best parameters in the model."""
    whole = samples()
    expected = steps_of(Session(whole, **options, steps=20))
    first = Session(samples(), **options, steps=12)
    first.run()
    write_checkpoint(tmp_path / "run.json", first.state())
    second_model = samples()
    second = Session(second_model, **options, steps=20)
    second.restore(read_checkpoint(tmp_path / "run.json"))
    assert steps_of(second) == expected[12:]
    assert values(second_model) == values(whole)


def test_the_file_is_json(tmp_path: Path) -> None:
    session = Session(samples(), optimizer="adam", steps=3)
    session.run()
    write_checkpoint(tmp_path / "run.json", session.state())
    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["format"] == FORMAT
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64, torch.uint8, torch.bool])
def test_tensors_come_back(dtype: torch.dtype) -> None:
    for shape in [(), (0,), (3,), (2, 3), (2, 0)]:
        tensor = (torch.rand(shape, dtype=torch.float64) * 3).to(dtype)
        found = decode(json.loads(json.dumps(encode(tensor))))
        assert found.dtype == dtype
        assert torch.equal(found, tensor)
    special = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 0.1])
    assert repr(decode(json.loads(json.dumps(encode(special))))) == repr(special)


# --- what is refused ------------------------------------------------------------------------------------


GARBAGE = {
    "empty": b"",
    "text": b"hello",
    "binary": bytes(range(256)),
    "another format": b'{"format": "sgdsheet checkpoint 99", "state": {}}',
    "a list": b"[1, 2, 3]",
    "nothing": b"null",
    "cut off": b'{"format": "sgdsheet checkpoint 1", "state": {"pairs": [',
    "deep lists": b"[" * 100_000,
    "deep state": b'{"format": "sgdsheet checkpoint 1", "state": ' + b"[" * 900 + b"]" * 900 + b"}",
    "deep objects": b'{"format": "sgdsheet checkpoint 1", "state": '
    + b'{"pairs": [["a", ' * 600
    + b"1"
    + b"]]}" * 600
    + b"}",
    "no state": b'{"format": "sgdsheet checkpoint 1"}',
    "number": b'{"format": "sgdsheet checkpoint 1", "state": 3}',
    "long number": b'{"format": "sgdsheet checkpoint 1", "state": ' + b"1" * 10_000 + b"}",
    "no tensor": b'{"format": "sgdsheet checkpoint 1", "state": {"tensor": 3}}',
    "a pickle": b"\x80\x04\x95\x10",
    "unhashable": b'{"format": "sgdsheet checkpoint 1", "state": {"pairs": [[[1], 2]]}}',
    "huge tensor": b'{"format": "sgdsheet checkpoint 1", "state": {"tensor": [], "dtype": "torch.float64",'
    b' "shape": [0, 1e300]}}',
    "odd shape": b'{"format": "sgdsheet checkpoint 1", "state": {"tensor": [1], "dtype": "torch.float64",'
    b' "shape": [-1, -1]}}',
    "mixed tensor": b'{"format": "sgdsheet checkpoint 1", "state": {"tensor": [1, "a"], "dtype":'
    b' "torch.float64", "shape": [2]}}',
    "dtype": b'{"format": "sgdsheet checkpoint 1", "state": {"tensor": [1], "dtype": ["x"], "shape": [1]}}',
    "float": b'{"format": "sgdsheet checkpoint 1", "state": {"float": "0x1p99999"}}',
    "NaN": b'{"format": "sgdsheet checkpoint 1", "state": NaN}',
    "surrogates": b'{"format": "sgdsheet checkpoint 1", "state": "\\ud800"}',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_files_that_are_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(GARBAGE[name])
    with refusal(FileError, cause="checkpoint") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "none" / "run.json"):
        with refusal(FileError, cause="cannot be read"):
            read_checkpoint(path)
    for path in (tmp_path / "none" / "run.json", tmp_path):
        with refusal(FileError, cause=r"is not a folder|is a folder"):
            write_checkpoint(path, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_writing_follows_no_link_that_was_laid(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".run.json.{os.getpid()}.tmp").symlink_to(victim)
    write_checkpoint(tmp_path / "run.json", {"a": 1})
    assert victim.read_text() == "precious"
    assert read_checkpoint(tmp_path / "run.json") == {"a": 1}


def state_of(**options: Any) -> dict[str, Any]:
    session = Session(samples(), **{"steps": 6, **options})
    session.run()
    return session.state()


def test_foreign_checkpoints() -> None:
    state = state_of(optimizer="adam")
    with refusal(TrainingError, cause=r"belongs to another model \(loss “Sheet1!Z1”\)"):
        Session(compiled({"A1": 1.0, "Z1": "=A1^2"}, "A1"), optimizer="adam").restore(state)
    other = compiled({"A1:A2": 1.0, "A3": 1.0, "Z2": "=SUMSQ(A1:A3)"}, "A1:A2,A3", loss="Z2")
    with refusal(TrainingError, cause="another model"):
        Session(other, optimizer="adam").restore(state)
    with refusal(TrainingError, cause=r"made with the optimizer “adam”"):
        Session(samples(), optimizer="sgd").restore(state)
    with refusal(TrainingError, cause="restarts cannot be resumed"):
        Session(samples(), restarts=3).restore(state)


def trees(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places within a state."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += trees(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += trees(item, (*path, index))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {key: replaced(item, path[1:], new) if key == path[0] else item for key, item in value.items()}
    return [replaced(item, path[1:], new) if index == path[0] else item for index, item in enumerate(value)]


STRANGE = [
    None, "text", -1, 10**30, float("nan"), float("inf"), [], {}, True, {"a": 1}, [None], [[1.0]],
    torch.zeros(0), torch.zeros(7, 7), torch.full((2,), torch.nan, dtype=torch.float64), torch.tensor(3),
]  # fmt: skip


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("optimizer", ["adam", "momentum", "lbfgs", "annealing", "wiggle"])
def test_damaged_states(data: st.DataObject, optimizer: str) -> None:
    """Whatever stands in a checkpoint is refused or trains to an end, and the parameters are never worse."""
    if optimizer not in STATES:
        whole = Session(SMALL, optimizer=optimizer, steps=6)
        whole.run()
        STATES[optimizer] = decode(json.loads(json.dumps(encode(whole.state()))))
        SMALL.reset_parameters()
    state = STATES[optimizer]
    path = data.draw(st.sampled_from([place for place in trees(state) if place]))
    damaged = replaced(state, path, data.draw(st.sampled_from(STRANGE)))
    session = Session(SMALL, optimizer=optimizer, steps=9)
    before, message = values(SMALL), ""
    try:
        session.restore(damaged)
    except TrainingError as error:
        message = str(error)
    if message:
        assert "\n" not in message
        assert values(SMALL) == before
        return
    with suppress(TrainingError):
        session.run()
    loss = float(SMALL().detach())
    SMALL.reset_parameters()
    assert loss <= session.loss_start


SMALL = compiled({"A1:A3": [[0.5], [-0.5], [1.0]], "Z1": "=(A1*TANH(A2+A3)-1)^2+SUMSQ(A1:A3)"}, "A1:A2,A3")
STATES: dict[str, Any] = {}


# --- Ctrl-C ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs", "annealing", "wiggle", "auto"])
def test_interrupted_inside_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    model = fourth_power(tmp_path, 1)
    session = Session(model, optimizer=optimizer, steps=1000, lr=0.01)
    seen, calls = [], 0
    as_objective = model.as_objective

    def interrupting(loss: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == (60 if optimizer == "annealing" else 12):  # its first step takes some looks more
            raise KeyboardInterrupt
        return as_objective(loss)

    def interrupted(objective: FlatObjective) -> torch.Tensor:
        return interrupting(value(objective))

    value = FlatObjective.value
    monkeypatch.setattr(model, "as_objective", interrupting)
    monkeypatch.setattr(FlatObjective, "value", interrupted)

    def run() -> None:
        for step in session:
            seen.append(step.loss)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert seen
    assert session.loss <= min(seen)
    assert session.loss == pytest.approx((values(model)[0] ** 2 - 9) ** 2)


def test_interrupted_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = samples()
    session = Session(model, restarts=8, seed=1, steps=400)
    calls = 0
    with_gradients = FlatObjectives.with_gradients

    def interrupting(objectives: FlatObjectives, stacks: Sequence[torch.Tensor]) -> Any:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise KeyboardInterrupt
        return with_gradients(objectives, stacks)

    monkeypatch.setattr(FlatObjectives, "with_gradients", interrupting)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert calls == 100
    assert session.loss < session.loss_start
    assert session.distribution is not None


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two halves, with a file in between, give the book that one run gives."""
    book_path = write(tmp_path / "book.xlsx", {"A1": 1, "A2": FOURTH_POWER}, {"sgd_loss": "A2", "sgd_params": "A1"})
    checkpoint = str(tmp_path / "run.json")
    common = ["train", str(book_path), "--optimizer", "adam", "--lr", "0.1", "--json"]
    main([*common, "--steps", "40", "-o", str(tmp_path / "whole.xlsx")])
    main([*common, "--steps", "15", "--checkpoint", checkpoint, "-o", str(tmp_path / "half.xlsx")])
    capsys.readouterr()
    main([*common, "--steps", "40", "--resume", checkpoint, "-o", str(tmp_path / "both.xlsx")])
    assert json.loads(capsys.readouterr().out)["steps"] == 40
    assert (tmp_path / "whole.xlsx").read_bytes() == (tmp_path / "both.xlsx").read_bytes()


def test_command_line_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book_path = write(tmp_path / "book.xlsx", {"A1": 1, "A2": FOURTH_POWER}, {"sgd_loss": "A2", "sgd_params": "A1"})
    damaged = tmp_path / "run.json"
    damaged.write_bytes(GARBAGE["cut off"])
    with pytest.raises(SystemExit) as caught:
        main(["train", str(book_path), "--resume", str(damaged)])
    assert caught.value.code == 1
    assert capsys.readouterr().err.strip().count("\n") == 0
    assert not (tmp_path / "book-trained.xlsx").exists()
