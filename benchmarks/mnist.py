"""MNIST from the sheets, beside hand-written PyTorch: the same start values and batches, in the same run.

    python benchmarks/mnist.py [--data FOLDER] [--golden FOLDER] [--only SHEET] [--epochs N] [--threads N] [--json FILE]

An epoch of ours, an epoch of theirs, and so on; times are medians over the epochs, of the processor's time, which other
programs disturb less than the clock's. Peak memory is that of a process of its own that trains for one epoch.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mnist_by_hand import NETWORKS, ByHand, Part, Recipe, Trainer, accuracy, read, valid_loss

import sgdsheet
from sgdsheet.problem.chosen_source import with_source
from sgdsheet.problem.definition import find_problem
from sgdsheet.problem.optimizers import OPTIMIZERS

HERE = Path(__file__).parent.parent
SHARED = HERE.parent / "shared" / "data"
BOOKS = {"linear": "mnist_3_or_7", "net": "mnist_3_or_7", "mnist": "mnist", "cnn": "mnist_cnn"}
LIMITS = {"mnist": (0.002, 0.97), "cnn": (0.002, 0.985)}  # accuracy's difference, accuracy
RATIO, MEMORY, COMPILE = 1.0, 1.15, 5.0  # times theirs; seconds


def compiled(sheet: str, source: str) -> tuple[sgdsheet.SheetModel, dict[str, float]]:
    """The model of a sheet on a source, and how long it took to get it."""
    start = time.perf_counter()
    book = sgdsheet.load(HERE / "workbooks" / f"{BOOKS[sheet]}.xlsx")
    loaded = time.perf_counter()
    model = sgdsheet.compile(book, problem=with_source(find_problem(book, sheet), source))
    return model, {"load": loaded - start, "compile": time.perf_counter() - loaded}


def recipe_of(session: sgdsheet.Session, epochs: int) -> Recipe:
    """The settings of the sheet, in torch's words."""
    settings, plan = session.settings, session.plan
    row = OPTIMIZERS[plan.optimizer.name]
    options: dict[str, Any] = {"lr": plan.learning_rate, "weight_decay": settings.weight_decay}
    if settings.momentum is not None:
        options["momentum"] = settings.momentum
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[row.name]
    seed, size = settings.seed or 0, settings.batch_size or 256
    return Recipe(optimizer, options, settings.schedule, size, epochs, seed, settings.shuffle)


def both(sheet: str, data: Path, epochs: int | None) -> tuple[sgdsheet.Session, ByHand, Trainer, dict[str, float]]:
    """The session, and the hand-written network with its trainer, from the same start."""
    digits = (3, 7) if BOOKS[sheet] == "mnist_3_or_7" else range(10)
    model, seconds = compiled(sheet, f"{data} where label is 3 or 7" if len(digits) == 2 else str(data))
    start = time.perf_counter()
    session = sgdsheet.Session(model, **({"epochs": epochs} if epochs else {}))
    seconds["session"] = time.perf_counter() - start
    network = NETWORKS[sheet]([parameter for _, parameter in model.ranges()])
    stated = epochs or session.settings.epochs
    assert stated is not None
    return session, network, Trainer(network, read(data, "train", digits), recipe_of(session, stated)), seconds


def by_epoch(session: sgdsheet.Session) -> Iterator[tuple[float, list[float]]]:
    """Seconds and losses of each epoch."""
    losses, start = [], time.process_time()
    for step in session:
        losses.append(step.loss)
        if step.epoch is not None:
            yield time.process_time() - start, losses
            losses, start = [], time.process_time()


def compared(sheet: str, data: Path, epochs: int | None) -> dict[str, Any]:
    """One network: accuracy, time per epoch and compile time."""
    session, network, trainer, seconds = both(sheet, data, epochs)
    ours, theirs, apart = [], [], []
    for taken, losses in by_epoch(session):
        start = time.process_time()
        expected = trainer.epoch()
        theirs.append(time.process_time() - start)
        ours.append(taken)
        apart.append(max(abs(one - two) for one, two in zip(losses, expected, strict=True)))
    test = read(data, "test", (3, 7) if BOOKS[sheet] == "mnist_3_or_7" else range(10))
    ratios = [one / two for one, two in zip(ours, theirs, strict=True)]
    return {
        "sheet": sheet,
        "epochs": len(ours),
        "accuracy": session.test_metric,
        "accuracy_by_hand": accuracy(network, test),
        "epoch": statistics.median(ours),
        "epoch_by_hand": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "losses_apart_first_epoch": apart[0],
        **seconds,
    }


# --- peak memory ------------------------------------------------------------------------------------------


def alone(sheet: str, data: Path, side: str) -> None:
    """Train one side for an epoch in this process, and print its peak memory in MB."""
    if side == "ours":
        digits = " where label is 3 or 7" if BOOKS[sheet] == "mnist_3_or_7" else ""
        model, _ = compiled(sheet, f"{data}{digits}")
        sgdsheet.Session(model, epochs=1).run()
    else:
        shapes = {"linear": [(784,), ()], "net": [(784, 30), (30,), (30,), ()],
                  "mnist": [(784, 30), (30,), (30, 10), (10,)],
                  "cnn": [(5, 40), (8,), (80, 40), (16,), (40, 64), (10,)]}[sheet]  # fmt: skip
        network = NETWORKS[sheet]([0.05 * torch.randn(shape) for shape in shapes])
        digits_ = (3, 7) if BOOKS[sheet] == "mnist_3_or_7" else range(10)
        size = 128 if sheet == "cnn" else 256
        recipe = Recipe(torch.optim.SGD, {"lr": 0.01}, "constant", size, 1, 1, True)
        Trainer(network, read(data, "train", digits_), recipe).epoch()
        accuracy(network, read(data, "test", digits_))
    print(_peak())


def _peak() -> float:
    """The most memory that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage counts what the parent had, too
        return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def peak(sheet: str, data: Path, side: str, threads: int) -> float:
    command = [
        sys.executable,
        __file__,
        "--data",
        str(data),
        "--threads",
        str(threads),
        "--peak",
        side,
        "--only",
        sheet,
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


# --- the recorded traces ----------------------------------------------------------------------------------


def traces(data: Path, golden: Path) -> list[dict[str, Any]]:
    """3 against 7 with the recorded start values, in order: largest differences from the recorded results."""
    recorded = json.loads((golden / "mnist37_f64.json").read_text())
    train, valid = (read(data, part, (3, 7), by_name=True) for part in ("train", "test"))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "threes_and_sevens.npz"
        arrays = {"train_image": train.images, "train_label": train.labels, "valid_image": valid.images,
                  "valid_label": valid.labels}  # fmt: skip
        np.savez(path, **{name: tensor.numpy() for name, tensor in arrays.items()})
        for sheet, rate, epochs in (("linear", 1.0, 21), ("net", 0.1, 40)):
            found.append(_traced(sheet, path, golden, recorded, (train, valid), rate, epochs))
    return found


def _traced(
    sheet: str, path: Path, golden: Path, recorded: dict[str, list[float]], parts: tuple[Part, Part], rate: float,
    epochs: int,
) -> dict[str, Any]:  # fmt: skip
    name = "mnist37_linear1_init.npz" if sheet == "linear" else "mnist37_golden_init.npz"
    start, keys = np.load(golden / name), ("w", "b") if sheet == "linear" else ("net_w1", "net_b1", "net_w2", "net_b2")
    model, _ = compiled(sheet, str(path))
    with torch.no_grad():
        for (_, parameter), key in zip(model.ranges(), keys, strict=True):
            values = torch.from_numpy(start[key].T if key == "net_w1" else start[key])
            parameter.copy_(values.reshape(parameter.shape))
    session = sgdsheet.Session(model, optimizer="sgd", lr=rate, batch_size=256, epochs=epochs, shuffle=False)
    network = NETWORKS[sheet]([parameter for _, parameter in model.ranges()])
    trainer = Trainer(network, parts[0], Recipe(torch.optim.SGD, {"lr": rate}, "constant", 256, epochs, 0, False))
    losses, accuracies, by_hand = [], [_mean_of_batches(sheet, model, parts[1])], []
    for step in session:
        if step.epoch is not None:
            losses.append(step.valid_loss)
            accuracies.append(_mean_of_batches(sheet, model, parts[1]) if sheet == "linear" else step.metric)
            trainer.epoch()
            by_hand.append(valid_loss(network, parts[1]))
    expected = recorded["linear1_batchacc"] if sheet == "linear" else recorded["simple_net_acc"]
    loss = recorded["simple_net_valid_loss"] if sheet == "net" else by_hand
    return {
        "sheet": sheet,
        "loss_apart": max(abs(one - two) for one, two in zip(losses, loss, strict=True)),
        "loss_apart_by_hand": max(abs(one - two) for one, two in zip(losses, by_hand, strict=True)),
        "accuracy_apart": max(abs(one - two) for one, two in zip(accuracies[-len(expected) :], expected, strict=True)),
        "accuracy": accuracies[-1],
    }


def _mean_of_batches(sheet: str, model: sgdsheet.SheetModel, part: Part) -> float:
    """The published accuracy: the mean over batches, whose last one is smaller."""
    network = NETWORKS[sheet]([parameter for _, parameter in model.ranges()])
    with torch.no_grad():
        right = network.right(*part).double()
    return float(torch.stack([batch.mean() for batch in right.split(256)]).mean())


# --- the report -------------------------------------------------------------------------------------------


def verdicts(row: dict[str, Any]) -> list[str]:
    """What a network must show and does not."""
    failed = []
    if row["load"] + row["compile"] > COMPILE:
        failed.append(f"compiled in {row['load'] + row['compile']:.1f} s, not in {COMPILE:.0f} s")
    if "peak" in row and row["peak"] > MEMORY * row["peak_by_hand"]:
        failed.append(f"{row['peak']:.0f} MB, by hand {row['peak_by_hand']:.0f} MB")
    if row["ratio"] > RATIO:
        failed.append(f"takes {row['ratio']:.2f} times as long, not {RATIO:.2f}")
    if row["sheet"] in LIMITS:
        apart, reached = LIMITS[row["sheet"]]
        if abs(row["accuracy"] - row["accuracy_by_hand"]) > apart:
            failed.append(f"accuracy {row['accuracy']:.4f}, by hand {row['accuracy_by_hand']:.4f}")
        if row["accuracy"] < reached:
            failed.append(f"accuracy {row['accuracy']:.4f} is below {reached}")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "mnist", help="folder with MNIST's four files")
    parser.add_argument("--golden", type=Path, default=SHARED / "golden", help="folder with the recorded traces")
    parser.add_argument("--only", choices=list(BOOKS), help="one sheet")
    parser.add_argument("--epochs", type=int, help="instead of what the sheet says")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--peak", choices=["ours", "by hand"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        return alone(arguments.only, arguments.data, arguments.peak)
    rows = []
    print(f"{'sheet':8} {'epochs':>6} {'accuracy':>9} {'by hand':>8} {'s/epoch':>8} {'by hand':>8} {'ratio':>6}"
          f" {'MB':>6} {'by hand':>8} {'compile':>8}")  # fmt: skip
    for sheet in [arguments.only] if arguments.only else BOOKS:
        row = compared(sheet, arguments.data, arguments.epochs)
        row["peak"] = peak(sheet, arguments.data, "ours", arguments.threads)
        row["peak_by_hand"] = peak(sheet, arguments.data, "by hand", arguments.threads)
        rows.append(row)
        print(f"{sheet:8} {row['epochs']:6} {row['accuracy']:9.4f} {row['accuracy_by_hand']:8.4f} {row['epoch']:8.3f}"
              f" {row['epoch_by_hand']:8.3f} {row['ratio']:6.2f} {row['peak']:6.0f} {row['peak_by_hand']:8.0f}"
              f" {row['load'] + row['compile']:6.2f} s", flush=True)  # fmt: skip
        for failure in verdicts(row):
            print(f"         NOT MET: {failure}")
    recorded = traces(arguments.data, arguments.golden) if arguments.golden.exists() and not arguments.only else []
    for row in recorded:
        print(f"recorded trace, {row['sheet']}: loss apart {row['loss_apart']:.1e}, accuracy apart"
              f" {row['accuracy_apart']:.1e}, accuracy at the end {row['accuracy']:.4f}")  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps({"networks": rows, "traces": recorded}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
