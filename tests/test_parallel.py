"""Several processes on one batch, started by torchrun: what one process would do alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from tests.bound_books import Rows, numbers, parameters, session
from tests.cli_books import run
from tests.shared_data import MNIST, shared_data
from tests.test_bound_example import PARAMETERS, book_of, convolutional, samples
from tests.training_books import ROOT

SECONDS = 120

PROGRAM = """
import json, sys
from pathlib import Path
import sgdsheet
from sgdsheet.system import processes
from sgdsheet.errors import SgdSheetError
from tests.bound_books import parameters, session

found = []
for path, precision, options in json.loads(Path(sys.argv[1]).read_text()):
    model = sgdsheet.compile(sgdsheet.load(path), precision=precision)
    try:
        one = session(model, **options)
        losses = [step.loss for step in one]
        found.append([losses, parameters(model).tolist(), one.loss, one.stopped])
    except SgdSheetError as error:
        found.append(str(error))
one.leave()
Path(sys.argv[2] + str(processes.rank())).with_suffix(".json").write_text(json.dumps(found))
processes.end(0)
"""


def launch(*arguments: object, count: int = 2) -> subprocess.CompletedProcess[str]:
    """Start processes by torchrun; they may take so long, and no longer."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        env=environment,
        check=False,
    )


def in_processes(folder: Path, runs: list[tuple[Path, str, dict[str, Any]]], count: int = 2) -> list[list[Any]]:
    """What each process found for each run: losses, parameters, loss at the end, why it stopped."""
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "runs.json").write_text(json.dumps([(str(path), *rest) for path, *rest in runs]), encoding="utf-8")
    ended = launch(folder / "program.py", folder / "runs.json", folder / "found", count=count)
    assert ended.returncode == 0, ended.stderr
    return [json.loads((folder / f"found{rank}.json").read_text(encoding="utf-8")) for rank in range(count)]


def book(folder: Path, name: str, rows: Rows | None = None, data: Any = None) -> Path:
    (folder / name).mkdir()
    return (rows or Rows()).file(folder / name, data or numbers(), shown=3)


def falling_root() -> tuple[Rows, dict[str, np.ndarray]]:
    """After some steps one sample's root is of a negative number, and only the second process sees that sample."""
    rows = Rows(["=SQRT($K$1-C{r})+0*D{r}", "=F{r}+0*E{r}"], start={"K1": 1})
    data = {name: np.zeros(10) for name in "xzy"}
    data["x"][7] = 0.8
    return rows, data


def test_parameters_are_those_of_one_process(tmp_path: Path) -> None:
    """Batches of any size, also with a last one of a single sample; rows and one example; both precisions."""
    (tmp_path / "pictures").mkdir()
    pictures = book_of(tmp_path / "pictures", convolutional(), samples(), PARAMETERS)
    penalty = book(tmp_path, "penalty", Rows(loss="=AVERAGE(G{a}:G{b})+0.1*SUMSQ(K1:K3)"))
    line = book(tmp_path, "line")
    runs: list[tuple[Path, str, dict[str, Any]]] = [
        (line, "float64", {"steps": 20, "batch_size": 4, "shuffle": "yes", "seed": 2}),
        (line, "float64", {"steps": 20, "batch_size": 5, "optimizer": "adam"}),
        (line, "float64", {"steps": 20, "batch_size": 11}),
        (line, "float64", {"steps": 5, "batch_size": 1}),
        (penalty, "float64", {"steps": 20, "batch_size": 7, "shuffle": "yes"}),
        (pictures, "float64", {"steps": 20, "batch_size": 4, "shuffle": "yes"}),
        (pictures, "float32", {"steps": 20, "batch_size": 5}),
        (line, "float32", {"steps": 20, "batch_size": 6, "optimizer": "adam", "validation": 0.2}),
        (book(tmp_path, "root", *falling_root()), "float64", {"steps": 20, "batch_size": 10, "lr": 0.1}),
        (book(tmp_path, "rms", Rows(loss="=SQRT(AVERAGE(G{a}:G{b}))")), "float64", {}),
        (line, "float64", {"steps": 3}),
    ]
    found = in_processes(tmp_path, runs)
    assert found[0] == found[1]
    for (path, precision, options), several in zip(runs, found[0], strict=True):
        if path.parent.parent.name == "rms":
            assert several.startswith("Model!A1: several processes cannot share this loss: it is no sum or average")
            continue
        one = session(sgdsheet.compile(sgdsheet.load(path), precision=precision), **options)
        losses = [step.loss for step in one]
        tolerance = 1e-10 if precision == "float64" else 1e-5
        torch.testing.assert_close(several[0], losses, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(several[1], parameters(one.model).tolist(), rtol=tolerance, atol=tolerance)
        assert several[2] == pytest.approx(one.loss, rel=tolerance)
        assert several[3] == one.stopped
        if path.parent.parent.name == "root":
            assert one.stopped == "diverged"
            assert one.reason.startswith("the loss became nan at step ")
            assert 0 < len(losses) < 20


def test_the_first_process_talks_and_writes(tmp_path: Path) -> None:
    """Three processes, and batches of two samples; one JSON object, one workbook."""
    path = book(tmp_path, "line")
    options = ("--steps", 20, "--batch-size", 2, "--seed", 3, "--precision", "float64", "--validation", 0.1)
    several = launch("-m", "sgdsheet", "train", path, *options, "--json", "-o", tmp_path / "several.xlsx", count=3)
    assert several.returncode == 0, several.stderr
    found = json.loads(several.stdout)
    one = run("train", path, *options, "--json", "-o", tmp_path / "one.xlsx").json
    for key in ("loss_start", "loss", "valid_loss"):
        assert found[key] == pytest.approx(one[key], rel=1e-10)
    assert (found["steps"], found["samples"]) == (20, one["samples"])
    trained = [sgdsheet.load(tmp_path / f"{name}.xlsx").sheets["Model"].values for name in ("one", "several")]
    for row in (1, 2, 3):
        assert trained[0][row, 11] == pytest.approx(trained[1][row, 11], rel=1e-10)
    assert sorted(item.name for item in path.parent.iterdir()) == ["book.xlsx", "data.npz"]


def test_a_mistake_ends_all_processes(tmp_path: Path) -> None:
    """Each line on stderr that is ours is one line, and nothing is written."""
    path = book(tmp_path, "line")
    path.with_name("data.npz").write_bytes(b"no such thing")
    ended = launch("-m", "sgdsheet", "train", path, "--json")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "sgdsheet: Model!A2: “data.npz” cannot be read" in ended.stderr
    assert ended.stderr.count("sgdsheet: Model") == 1  # what else is there comes from torchrun
    assert sorted(item.name for item in path.parent.iterdir()) == ["book.xlsx", "data.npz"]


def test_only_train_is_for_several_processes(tmp_path: Path) -> None:
    """Two of them would write the same file."""
    path = book(tmp_path, "line")
    ended = launch("-m", "sgdsheet", "predict", path, "--cells", "F4:F6", "-o", tmp_path / "found.csv")
    assert ended.returncode == 1
    assert ended.stderr.count("sgdsheet: predict is for one process. Start it without torchrun") == 1
    assert not (tmp_path / "found.csv").exists()


@shared_data("mnist")
def test_mnist(tmp_path: Path) -> None:
    """20 steps of the network of 784, 30 and 10 units on real digits; batches that cannot be halved."""
    path = tmp_path / "mnist.xlsx"
    shutil.copy(ROOT / "workbooks" / path.name, path)
    options = ("train", path, "--source", MNIST, "--steps", 20, "--batch-size", 255, "--seed", 1, "--json")
    several = launch("-m", "sgdsheet", *options, "-o", tmp_path / "several.xlsx")
    assert several.returncode == 0, several.stderr
    one = run(*options, "-o", tmp_path / "one.xlsx").json
    for key in ("loss_start", "loss", "test_loss", "test_metric"):
        assert json.loads(several.stdout)[key] == pytest.approx(one[key], rel=1e-4)
    trained = [sgdsheet.compile(sgdsheet.load(tmp_path / f"{name}.xlsx")) for name in ("one", "several")]
    torch.testing.assert_close(parameters(trained[1]), parameters(trained[0]), rtol=1e-5, atol=1e-5)
    assert not torch.equal(parameters(trained[0]), parameters(sgdsheet.compile(sgdsheet.load(path))))
