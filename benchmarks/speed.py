"""How fast a sheet trains, beside hand-written PyTorch of the same model in the same run.

    python benchmarks/speed.py [--json FILE]

One thread, float64, medians of many steps taken in turn: ours, theirs, ours, theirs. The hand-written models are
what one would write for the same loss: a matrix product, `mse_loss`, no spare operations.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import xlsxwriter
from torch import Tensor, nn

import sgdsheet
from sgdsheet.compiler.proof import prove
from sgdsheet.problem.settings import combine
from sgdsheet.train.drivers import descent_for
from sgdsheet.train.run import Run

HERE = Path(__file__).parent.parent
SOLVED = HERE.parent / "shared" / "data" / "workbooks" / "titanic_solved.xlsx"
OWN = HERE / "workbooks" / "titanic.xlsx"
STEPS = 2000
SMALL, LARGE = 0.70, 1.00
"""How long a training step should take at most, as a share of that by hand: of small sheets, and of any."""

RUN, RESTARTS = 0.80, 2.5
"""The same for a run with its bookkeeping; and how many times one run 64 starts should take at most."""


def median_steps(model: sgdsheet.SheetModel, theirs: Callable[[], Tensor], weights: list[nn.Parameter]) -> list[float]:
    """Median seconds of a step as training takes it, with the model as a module, and by hand, all taken in turn.

    A step is loss, gradient and update; in training, also a look at the loss and the best parameters.
    """
    run = Run(model, combine(model.problem.settings, {"optimizer": "sgd", "learning_rate": 1e-9, "steps": STEPS}))
    descent, objective = descent_for(run), run.objective()
    optimizers = torch.optim.SGD(model.parameters(), lr=1e-9), torch.optim.SGD(weights, lr=1e-9)

    def by_autograd(loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    ways = (
        lambda: descent.step(objective, run.keep_best),
        lambda: by_autograd(model, optimizers[0]),
        lambda: by_autograd(theirs, optimizers[1]),
    )
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(STEPS):
        for way, taken in zip(ways, seconds, strict=True):
            start = time.perf_counter()
            way()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def compared(name: str, model: sgdsheet.SheetModel, theirs: Callable[[], Tensor], weights: list[nn.Parameter],
             most: float = SMALL) -> dict:  # fmt: skip
    """One row: the losses must be the same before speed means anything. `most` is the ratio that should be kept."""
    loss, expected = model().item(), theirs().item()
    if not abs(loss - expected) < 1e-9 * max(1.0, abs(loss)):  # true for NaN, too
        raise SystemExit(f"{name}: the losses differ, {loss!r} from the sheet and {expected!r} by hand")
    ours, module, written = median_steps(model, theirs, weights)
    return {"what": name, "ours_us": ours * 1e6, "module_us": module * 1e6, "hand_written_us": written * 1e6,
            "ratio": ours / written, "at most": most}  # fmt: skip


def numbers(book: sgdsheet.sheet.workbook.Workbook, area: str, sheet: str) -> Tensor:
    """A range of the sheet as a tensor."""
    found = sgdsheet.sheet.references.parse_range(area, sheet)
    values = [book.sheets[sheet].values.get((cell.row, cell.column), 0.0) for cell in found.cells()]
    return torch.tensor(values, dtype=torch.float64).reshape(found.height, found.width).squeeze()


def parameter(model: sgdsheet.SheetModel) -> nn.Parameter:
    return nn.Parameter(next(iter(model.parameters())).detach().clone())


def titanic() -> list[dict]:
    """The models of the Titanic workbooks: Solver's, if it is there, and our own."""
    rows = []
    if SOLVED.exists():
        book = sgdsheet.load(SOLVED)
        for sheet in ("linear", "nnet", "mmult"):
            model = sgdsheet.compile(book, sheet)
            data, truth, weights = numbers(book, "G4:P715", sheet), numbers(book, "A4:A715", sheet), parameter(model)
            written = {
                "linear": lambda x=data, y=truth, w=weights: F.mse_loss(x @ w, y),
                "nnet": lambda x=data, y=truth, w=weights: F.mse_loss(torch.relu(x @ w.T).sum(1), y),
                "mmult": lambda x=data, y=truth, w=weights: F.mse_loss(torch.relu(x @ w).sum(1), y),
            }[sheet]
            rows.append(compared(f"Solver's Titanic workbook, {sheet} (712 rows)", model, written, [weights]))
    book = sgdsheet.load(OWN)
    model = sgdsheet.compile(book, "nnet")
    data, truth, weights = numbers(book, "E9:J2209", "nnet"), numbers(book, "D9:D2209", "nnet"), parameter(model)
    rows.append(
        compared(
            "workbooks/titanic.xlsx, nnet (2,201 rows)",
            model,
            lambda: F.mse_loss(torch.relu(data @ weights.T).sum(1), truth),
            [weights],
        )
    )
    return rows


def whole_run() -> dict | None:
    """A run of 3,000 steps by `Session` (best parameters kept, every loss looked at) against a bare loop."""
    if not SOLVED.exists():
        return None
    book, ratios, ours, theirs = sgdsheet.load(SOLVED), [], [], []
    for _ in range(5):
        model = sgdsheet.compile(book, "nnet")
        data, truth, weights = numbers(book, "G4:P715", "nnet"), numbers(book, "A4:A715", "nnet"), parameter(model)
        session = sgdsheet.Session(model, optimizer="sgd", lr=1e-6, steps=3000)
        start = time.perf_counter()
        session.run()
        middle = time.perf_counter()
        optimizer = torch.optim.SGD([weights], lr=1e-6)
        for _ in range(3000):
            optimizer.zero_grad()
            loss = F.mse_loss(torch.relu(data @ weights.T).sum(1), truth)
            loss.backward()
            optimizer.step()
            loss.item()
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
        ratios.append(ours[-1] / theirs[-1])
    return {
        "what": "a run of 3,000 steps, Solver's Titanic network",
        "ours": statistics.median(ours),
        "hand_written": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "at most": RUN,
    }


def smoothing(count: int, folder: Path) -> tuple[dict, dict]:
    """A series to be smoothed, one variable per point: far past Solver's 200."""
    path = folder / f"smooth{count}.xlsx"
    generator = torch.Generator().manual_seed(0)
    series = torch.sin(torch.linspace(0, 12, count)) + 0.3 * torch.randn(count, generator=generator)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("smooth")
        for row, value in enumerate(series.tolist()):
            sheet.write_row(row, 0, [value, 0.0])
            sheet.write_formula(row, 2, f"=(B{row + 1}-A{row + 1})^2")
            if row + 1 < count:
                sheet.write_formula(row, 3, f"=(B{row + 2}-B{row + 1})^2")
        sheet.write_formula("F1", f"=SUM(C1:C{count})+10*SUM(D1:D{count - 1})")
        book.define_name("smooth!sgd_loss", "=smooth!$F$1")
        book.define_name("smooth!sgd_params", f"=smooth!$B$1:$B${count}")
    start = time.perf_counter()
    book = sgdsheet.load(path)
    loaded = time.perf_counter()
    model = sgdsheet.compile(book)
    compiled = time.perf_counter()
    truth, weights = numbers(book, f"A1:A{count}", "smooth"), parameter(model)

    def written() -> Tensor:
        return ((weights - truth) ** 2).sum() + 10 * ((weights[1:] - weights[:-1]) ** 2).sum()

    row = compared(f"smoothing a series, {count:,} variables", model, written, [weights], LARGE)
    start_training = time.perf_counter()
    session = sgdsheet.Session(model)
    session.run()
    fact = {
        "what": f"smoothing with {count:,} variables, to the optimum",
        "seconds": time.perf_counter() - start_training,
        "load": loaded - start,
        "compile": compiled - loaded,
        "steps": session.steps_taken,
        "loss": session.loss,
    }
    return row, fact


RECURRENCES = {
    "GARCH": (("=$F$1+$F$2*A{above}^2+$F$3*B{above}", [0.02, 0.1, 0.8]), {1_000: 1.5, 10_000: 4.0}),
    "a square root of the row above": (
        ("=$F$1+$F$2*A{above}^2+$F$3*SQRT(B{above})", [0.02, 0.1, 0.8]),
        {1_000: 8.0, 10_000: 20.0},
    ),
}
"""Formulas down column B with their parameters F1:F3, and the most milliseconds that a step should take, by rows."""


def recurrence(name: str, rows: int, folder: Path) -> dict:
    """The log-likelihood of returns whose variance depends on the row above; by hand, a loop over the rows."""
    (formula, start), most = RECURRENCES[name]
    returns = torch.randn(rows, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.5
    path = folder / f"recurrence{rows}.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("model")
        sheet.write_column("F1", start)
        sheet.write("B1", 0.25)
        for row, value in enumerate(returns.tolist()):
            sheet.write(row, 0, value)
            if row:
                sheet.write_formula(row, 1, formula.format(above=row))
            sheet.write_formula(row, 2, f"=LN(B{row + 1})+A{row + 1}^2/B{row + 1}")
        sheet.write_formula("G1", f"=SUM(C1:C{rows})")
    begun = time.perf_counter()
    workbook = sgdsheet.load(path)
    loaded = time.perf_counter()
    model = sgdsheet.compile(workbook, loss="model!G1", params="model!F1:F3", trust_formulas=True)
    compiled = time.perf_counter()
    weights = parameter(model)

    def written() -> Tensor:
        variance = [torch.tensor(0.25, dtype=torch.float64)]
        for before in returns[:-1]:
            above = variance[-1] if name == "GARCH" else variance[-1].sqrt()
            variance.append(weights[0] + weights[1] * before**2 + weights[2] * above)
        whole = torch.stack(variance)
        return (whole.log() + returns**2 / whole).sum()

    def seconds(loss: Callable[[], Tensor], count: int) -> float:
        taken = []
        for _ in range(count):
            at = time.perf_counter()
            loss().backward()
            taken.append(time.perf_counter() - at)
        return statistics.median(taken)

    if not abs(model().item() - written().item()) < 1e-10 * abs(written().item()):
        raise SystemExit(f"{name}: the losses differ")
    ours, theirs = seconds(model, 50), seconds(written, 3)
    return {
        "what": f"{name}, {rows:,} rows, one step with gradient",
        "ms": ours * 1e3,
        "a loop over rows, ms": theirs * 1e3,
        "at most, ms": most[rows],
        "compile, s": compiled - loaded,
        "load, s": loaded - begun,
    }


def restarts() -> list[dict]:
    """64 starts at once against one run, 1,000 steps of Adam each; and the same with the polish of the best start."""
    book, sheet = (sgdsheet.load(SOLVED), "nnet") if SOLVED.exists() else (sgdsheet.load(OWN), "nnet")
    exploring: dict[int, list[float]] = {1: [], 64: []}
    whole: dict[int, list[float]] = {1: [], 64: []}
    for _ in range(5):
        for count in exploring:
            model = sgdsheet.compile(book, sheet)
            several = {"restarts": count} if count > 1 else {}
            steps = iter(sgdsheet.Session(model, optimizer="adam", lr=0.05, steps=1000, seed=0, **several))
            start = time.process_time()
            for _ in range(1000):
                next(steps)
            exploring[count].append(time.process_time() - start)
            for _ in steps:
                pass
            whole[count].append(time.process_time() - start)
    found = []
    for what, seconds in (("1,000 steps of Adam", exploring), ("the same with the polish of the best start", whole)):
        one, many = (min(seconds[count]) for count in (1, 64))
        found.append({"what": f"64 restarts against one run, {what}", "one": one, "sixty_four": many,
                      "ratio": many / one, "at most": RESTARTS})  # fmt: skip
    return found


def many_restarts() -> dict | None:
    """300 starts and a polish, as `sgdsheet train --restarts 300 --seed 0` does it."""
    if not SOLVED.exists():
        return None
    model = sgdsheet.compile(sgdsheet.load(SOLVED), "nnet")
    start = time.perf_counter()
    session = sgdsheet.Session(model, restarts=300, seed=0)
    session.run()
    return {"what": "300 restarts of Solver's Titanic network", "seconds": time.perf_counter() - start,
            "loss": session.loss, "solver": session.loss_start}  # fmt: skip


def start_up() -> list[dict]:
    """Reading, compiling and the proof before training, after the imports."""
    path = SOLVED if SOLVED.exists() else OWN
    load, compile_, proof = [], [], []
    for _ in range(5):
        start = time.perf_counter()
        book = sgdsheet.load(path)
        middle = time.perf_counter()
        model = sgdsheet.compile(book, "nnet")
        compiled = time.perf_counter()
        prove(model)
        proof.append(time.perf_counter() - compiled)
        load.append(middle - start)
        compile_.append(compiled - middle)
    seconds = {
        what: statistics.median(found) for what, found in (("load", load), ("compile", compile_), ("prove", proof))
    }
    share = seconds["prove"] / (seconds["load"] + seconds["compile"])
    return [
        {"what": f"load {path.name}", "seconds": seconds["load"]},
        {"what": f"compile {path.name}, nnet", "seconds": seconds["compile"]},
        {"what": f"prove {path.name}, nnet", "seconds": seconds["prove"], "share of load and compile": share},
    ]


STARTED = {
    "train": ("quadratic", "--sheet", "raw", "--steps", "3", "-o", "{folder}/trained.xlsx"),
    "check": ("quadratic", "--sheet", "raw"),
    "inspect": ("quadratic",),
    "predict": (
        *("linear_regression", "--sheet", "fit", "--source", "{folder}/points.csv", "--cells", "C8:C107"),
        *("-o", "{folder}/predictions.csv"),
    ),
}
"""Commands on a small workbook, of which starting is the main part."""

FIRST_LINE = "sgdsheet inspect, its first line"
"""What `inspect` shows before it loads torch."""

START, WITHOUT_TORCH = 1.25, {FIRST_LINE: 0.5, "sgdsheet functions": 0.5, "sgdsheet --help": 0.5}
"""How many times as long as `import torch` they should take at most, and what needs no torch, in seconds."""


def started() -> list[dict]:
    """Whole processes beside one that only imports torch, in turn: seconds of processor, the least of five.

    A round before that translates all modules to bytecode, as an installation has them.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "points.csv").write_text("x,y\n1,2\n2,3\n3,5\n", encoding="utf-8")
        programs = {"import torch": [sys.executable, "-c", "import torch"]}
        for command, (book, *rest) in STARTED.items():
            path, options = HERE / "workbooks" / f"{book}.xlsx", [item.format(folder=folder) for item in rest]
            programs[f"sgdsheet {command}"] = [sys.executable, "-m", "sgdsheet", command, str(path), *options]
        programs[FIRST_LINE] = programs["sgdsheet inspect"]
        programs["sgdsheet functions"] = [sys.executable, "-m", "sgdsheet", "functions"]
        programs["sgdsheet --help"] = [sys.executable, "-m", "sgdsheet", "--help"]
        least = dict.fromkeys(programs, float("inf"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        for program in programs.values():
            subprocess.run(program, check=True, capture_output=True, env=environment)
        for _ in range(5):
            for name, program in programs.items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                with subprocess.Popen(program, stdout=subprocess.PIPE, env=environment) as process:
                    assert process.stdout is not None
                    process.stdout.readline()
                    if name == FIRST_LINE:
                        process.kill()
                    process.stdout.read()
                if process.returncode and name != FIRST_LINE:
                    raise SystemExit(f"{name} ended with {process.returncode}")
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                least[name] = min(least[name], taken)
    torch_alone = least["import torch"]
    found: list[dict] = []
    for name, taken in least.items():
        found.append({"what": name, "seconds of processor": taken, "times import torch": taken / torch_alone})
        if name in WITHOUT_TORCH:
            found[-1]["at most, seconds"] = WITHOUT_TORCH[name]
        elif name != "import torch":
            found[-1]["at most, times"] = START
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    steps, facts = titanic(), [*started(), *start_up()]
    with tempfile.TemporaryDirectory() as folder:
        for count in (2_000, 50_000):
            row, fact = smoothing(count, Path(folder))
            steps.append(row)
            facts.append(fact)
        facts += [recurrence(name, rows, Path(folder)) for name, (_, most) in RECURRENCES.items() for rows in most]
    facts += restarts()
    facts += [fact for fact in (whole_run(), many_restarts()) if fact is not None]
    print(f"{'one step, median, µs':56} {'training':>9} {'module':>9} {'by hand':>9} {'ratio':>6}")
    for row in steps:
        figures = f"{row['ours_us']:9.1f} {row['module_us']:9.1f} {row['hand_written_us']:9.1f}"
        print(f"{row['what']:56} {figures} {row['ratio']:6.2f}")
    print()
    for fact in facts:
        figures = ", ".join(f"{key} {value:.4g}" for key, value in fact.items() if key != "what")
        print(f"{fact['what']}: {figures}")
    missed = [fact["what"] for fact in facts if fact.get("ms", 0.0) > fact.get("at most, ms", float("inf"))]
    missed += [row["what"] for row in steps if row["ratio"] > row["at most"]]
    missed += [fact["what"] for fact in facts if fact.get("ratio", 0.0) > fact.get("at most", float("inf"))]
    limits = {"seconds of processor": "at most, seconds", "times import torch": "at most, times"}
    missed += [
        f"{fact['what']} ({figure})"
        for fact in facts
        for figure, limit in limits.items()
        if fact.get(figure, 0.0) > fact.get(limit, float("inf"))
    ]
    print("Not met: " + ("; ".join(missed) if missed else "nothing"))
    if arguments.json:
        arguments.json.write_text(json.dumps({"steps": steps, "facts": facts}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
