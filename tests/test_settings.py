"""Settings: each of them in the sheet and as a flag, what it may be, and what is said if it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sgdsheet
from sgdsheet.apps.cli import main
from sgdsheet.errors import SettingError
from sgdsheet.problem.definition import Setting
from sgdsheet.problem.initialisers import INITIALISERS
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import DECLARATIONS, Declaration, Settings, combine
from sgdsheet.sheet.references import Cell
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.training_books import FOURTH_POWER, HOME, model, write

GOOD: dict[str, list[tuple[Any, Any]]] = {
    "optimizer": [
        *((name, name) for name in OPTIMIZERS),
        ("auto", "auto"), ("ADAM", "adam"), (" L-BFGS ", "lbfgs"), ("l_bfgs", "lbfgs"), ("RMS prop",
        "rmsprop"), ], "learning_rate": [(0.1, 0.1), ("0.1", 0.1), ("1e-5", 1e-5), (" 3 ", 3.0), (5e-324,
        5e-324)], "momentum": [(0, 0.0), (0.9, 0.9), (1, 1.0), ("0.5", 0.5)], "weight_decay": [(0, 0.0),
        ("0.01", 0.01), (100.0, 100.0)], "schedule": [*((name, name) for name in SCHEDULES), ("One-Cycle",
        "onecycle"), ("WARM RESTARTS", "warmrestarts")], "steps": [(0, 0), (10.0, 10), ("100", 100), ("1e3",
        1000)], "epochs": [(0, 0), (3.0, 3), ("7", 7)], "batch_size": [(1, 1), (64.0, 64), ("256", 256)],
        "shuffle": [("yes", True), ("No", False), (True, True), (False, False), (1.0, True), (0.0, False),
        ("ON", True)], "validation": [(0.2, 0.2), ("20%", 0.2), ("20 %", 0.2), (0, 0.0), ("0.99", 0.99)],
        "early_stopping": [("no", None), (0, None), (5.0, 5), ("yes", 10), (True, 10), (False, None), ("12",
        12)], "restarts": [(1, 1), ("300", 300)], "start": [ *((name, f"{name}") for name in INITIALISERS),
        ("Uniform 0.1", "uniform 0.1"), ("kaiming, zeros", "kaiming, zeros"), (" normal   2 ", "normal 2"), ],
        "seed": [(0, 0), (42.0, 42), ("7", 7), (2**53, 2**53)], "zero_gradients": [("yes", True), ("no",
        False), ("off", False), (1, True)],
        "device": [("cpu", "cpu"), ("CPU", "cpu"), ("auto", "auto"), ("CUDA", "cuda")],
        "precision": [("float64", "float64"), ("Float-32", "float32")],
        "compile": [("no", False), ("Yes", True)], "trust_formulas": [("no", False), (True, True)],
        "overwrite_formulas": [("no", False), ("yes", True)],
        "steps_per_second": [(5, 5.0), ("0.5", 0.5)], }  # fmt: skip

NO_NUMBER = ["many", "1,5", "nan", "inf", "-inf", True, "0x10", "1e999"]

BAD: dict[str, list[Any]] = {
    "optimizer": ["adamm", "sgd,adam", 3, "none", True],
    "learning_rate": [0, -0.1, "0", *NO_NUMBER],
    "momentum": [-0.1, 1.1, *NO_NUMBER],
    "weight_decay": [-1, *NO_NUMBER],
    "schedule": ["never", 1, True],
    "steps": [-1, 1.5, 1e30, *NO_NUMBER],
    "epochs": [-1, 0.5, *NO_NUMBER],
    "batch_size": [0, -3, 2.5, *NO_NUMBER],
    "shuffle": ["maybe", 2, "", -1.0],
    "validation": [1, 1.5, -0.1, "100%", "120 %", *NO_NUMBER, False],
    "early_stopping": [-1, 2.5, "sometimes", "nan", "inf"],
    "restarts": [0, -1, 1.5, *NO_NUMBER],
    "start": ["random", "uniform x", "uniform -1", "normal 0", "normal nan", "normal inf", "zeros,", 3, True],
    "seed": [-1, 0.5, 2**63, 1e300, *NO_NUMBER],
    "zero_gradients": ["perhaps", 2, 0.5],
    "device": ["cuda:x", "tpu", 1],
    "precision": ["float16", 64, "double"],
    "compile": ["fast", 2],
    "steps_per_second": [0, -1, *NO_NUMBER],
    "trust_formulas": ["perhaps", 2],
    "overwrite_formulas": ["perhaps", 2],
}


def row(name: str, value: Any) -> Setting:
    number = isinstance(value, int) and not isinstance(value, bool)
    return Setting(Cell("Net", 4, 8), name, float(value) if number else value)


def shown(key: str, found: Any) -> Any:
    return ", ".join(map(str, found)) if key == "start" else found


def good(item: Declaration) -> list[tuple[Any, Any]]:
    return [*GOOD.get(item.key, ()), *item.examples.items()]


def bad(item: Declaration) -> list[Any]:
    return [*BAD.get(item.key, ()), *item.refused]


def test_every_setting_is_here() -> None:
    """Or says itself what it may be."""
    assert set(GOOD) == set(BAD) <= {item.key for item in DECLARATIONS}
    assert [item.key for item in DECLARATIONS if not good(item) or not bad(item)] == []


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.key)
def test_good_values(item: Any) -> None:
    """In the sheet, in any spelling of its name, and as an option."""
    for value, expected in good(item):
        for label in (
            item.label,
            item.key,
            item.label.upper(),
            f" {item.label.title()} ",
            item.label.replace(" ", "-"),
        ):
            found = combine([row(label, value)], {})
            assert shown(item.key, getattr(found, item.key)) == expected
        assert shown(item.key, getattr(combine([], {item.key: value}), item.key)) == expected


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.key)
def test_bad_values(item: Any) -> None:
    """The message names the cell or the flag, the value, and all that is allowed."""
    for value in bad(item):
        if value != "":
            with pytest.raises(SettingError) as caught:
                combine([row(item.label, value)], {})
            message = str(caught.value)
            assert message.startswith("Net!H4: “")
            assert f"is not possible for {item.label}. Allowed: {item.allowed}" in message
            assert "\n" not in message
        with pytest.raises(SettingError) as caught:
            combine([], {item.key: value})
        assert f"is not possible for {item.flag}. Allowed: {item.allowed}" in str(caught.value)


def test_lists_of_what_is_allowed() -> None:
    allowed = {item.key: item.allowed for item in DECLARATIONS}
    for key, names in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("start", INITIALISERS)):
        for name in names:
            assert name in allowed[key]


def test_values_that_are_errors_or_text_over_lines() -> None:
    from sgdsheet.sheet.workbook import ExcelError

    for value in (ExcelError.NA, "a\nb", "x" * 10_000):
        with pytest.raises(SettingError) as caught:
            combine([row("steps", value)], {})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_unknown_settings() -> None:
    with pytest.raises(SettingError) as caught:
        combine([row("learning speed", 0.1)], {})
    message = str(caught.value)
    assert message.startswith("Net!G4: “learning speed” is not a setting. Settings are optimizer, learning rate, ")
    for item in DECLARATIONS:
        assert item.label in message
    with refusal(SettingError, cause="“speed” is not a setting"):
        combine([], {"speed": 1})


def test_defaults_and_gaps() -> None:
    assert combine([], {}) == Settings()
    assert combine([row("steps", None), row("optimizer", "")], {"epochs": None}) == Settings()


def test_options_come_first() -> None:
    rows = [row("optimizer", "adam"), row("learning rate", 0.5), row("steps", 10), row("seed", 3)]
    assert combine(rows, {}) == Settings(optimizer="adam", learning_rate=0.5, steps=10, seed=3)
    found = combine(rows, {"learning_rate": "0.1", "seed": 4})
    assert found == Settings(optimizer="adam", learning_rate=0.1, steps=10, seed=4)


def test_epochs_overrule_steps() -> None:
    """`--epochs 3` means 3, whatever number of steps stands in the sheet."""
    found = combine([row("steps", 500)], {"epochs": 3})
    assert (found.steps, found.epochs) == (None, 3)
    found = combine([row("epochs", 500)], {"steps": 3})
    assert (found.steps, found.epochs) == (3, None)


# --- through a file -------------------------------------------------------------------------------------

SETTABLE: dict[str, Any] = {
    "Optimizer": "SGD",
    "Learning  Rate": 0.02,
    "momentum": 0.5,
    "WEIGHT DECAY": 0.1,
    "Schedule": "cosine",
    "steps": 12,
    "seed": 5,
    "zero gradients": "yes",
    "precision": "float64",
    "device": "cpu",
}


def table(rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "A1": 1,
        "A2": FOURTH_POWER,
        f"D3:E{len(rows) + 2}": [[name, value] for name, value in rows.items()],
    }


def names(rows: dict[str, Any]) -> dict[str, str]:
    return {"sgd_loss": "A2", "sgd_params": "A1", "sgd_settings": f"D3:E{len(rows) + 2}"}


def test_settings_in_the_sheet(tmp_path: Path) -> None:
    trained = model(tmp_path, table(SETTABLE), names(SETTABLE))
    session = Session(trained)
    assert session.settings == Settings(
        optimizer="sgd",
        learning_rate=0.02,
        momentum=0.5,
        weight_decay=0.1,
        schedule="cosine",
        steps=12,
        seed=5,
        device="cpu",
        precision="float64",
    )
    session.run()
    assert session.steps_taken == 12
    assert session.plan.learning_rate == 0.02
    assert Session(trained, steps=3).settings.steps == 3


def test_empty_rows_and_headings_between_settings(tmp_path: Path) -> None:
    rows = [["steps", 4], [None, None], ["seed", None], [None, "a remark"]]
    cells = {"A1": 1, "A2": FOURTH_POWER, "D3:E6": rows}
    session = Session(model(tmp_path, cells, {"sgd_loss": "A2", "sgd_params": "A1", "sgd_settings": "D3:E6"}))
    assert session.settings == Settings(steps=4)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimiser", "sgd", "Model!D3: “optimiser” is not a setting"),
        ("steps", "many", "Model!E3: “many” is not possible for steps. Allowed: a whole number, 0 or more"),
        ("shuffle", 3, "Model!E3: “3” is not possible for shuffle. Allowed: yes or no"),
        ("restarts", False, "Model!E3: “FALSE” is not possible for restarts"),
    ],
)
def test_bad_settings_in_the_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: Any, message: str
) -> None:
    book = write(tmp_path / "book.xlsx", table({name: value}), names({name: value}))
    with pytest.raises(SystemExit) as caught:
        main(["train", str(book)])
    assert caught.value.code == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "book-trained.xlsx").exists()


FLAGS = {
    "optimizer": "sgd", "learning_rate": "0.02", "momentum": "0.5", "weight_decay": "0.1", "schedule":
    "cosine", "steps": "6", "epochs": "6", "batch_size": "4", "shuffle": "no", "validation": "20%",
    "early_stopping": "3", "restarts": "3", "start": "normal 0.1", "seed": "3", "zero_gradients": "no",
    "device": "cpu", "precision": "float32", "compile": "no",
    "steps_per_second": "50", }  # fmt: skip


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.key)
def test_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str], item: Any) -> None:
    """Each flag alone (with what it needs), on a line through ten points."""
    cells = {
        "A1:A2": [[0.1], [0.1]],
        "C2:D11": [[0.1 * index, 0.3 * index + 1] for index in range(10)],
        "E2:E11": "=($A$1*C{r}+$A$2-D{r})^2",
        "B1": "=AVERAGE(E2:E11)",
    }
    book = write(tmp_path / "book.xlsx", cells, {"sgd_loss": "B1", "sgd_params": "A1:A2", "sgd_data": "C2:E11"})
    text = FLAGS.get(item.key) or str(next(iter(item.examples), ""))
    flags = [item.flag] if item.switch else [item.flag, text]
    if item.key not in ("steps", "epochs"):
        flags += ["--steps", "6"]
    if item.key in ("momentum", "weight_decay", "schedule", "zero_gradients"):
        flags += ["--optimizer", "sgd"]
    if item.key == "early_stopping":
        flags += ["--validation", "0.3"]
    if item.key == "shuffle":
        flags += ["--batch-size", "3"]
    main(["train", str(book), *flags, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["loss"] < report["loss_start"]
    if item.switch:  # it is said without a value
        return
    with pytest.raises(SystemExit) as caught:
        main(["train", str(book), item.flag, "nonsense"])
    assert caught.value.code in (1, 2)
    assert f"“nonsense” is not possible for {item.flag}. Allowed: {item.allowed}" in capsys.readouterr().err


def test_python_options_are_the_same(tmp_path: Path) -> None:
    trained = model(tmp_path, table({}), {"sgd_loss": "A2", "sgd_params": "A1"})
    assert trained.problem.sheet == HOME
    session = sgdsheet.Session(trained, lr=0.01, steps=5, seed=2, optimizer="Adam")
    assert session.settings == Settings(optimizer="adam", learning_rate=0.01, steps=5, seed=2)
    with refusal(SettingError, cause="“-1” is not possible for --lr"):
        sgdsheet.Session(trained, lr=-1)
