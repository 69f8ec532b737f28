"""A command loads what it needs, and nothing that takes long without being needed: counts, not seconds."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from sgdsheet.apps.cli import COMMANDS
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import Settings
from sgdsheet.train.algorithms import OWN
from sgdsheet.train.optimizer_factory import build_optimizer

ROOT = Path(__file__).parent.parent
HEAVY = {
    *("torch._dynamo", "torch._inductor", "torch.fx.experimental.symbolic_shapes", "sympy"),
    *("scipy.optimize", "scipy.special", "scipy.sparse", "scipy.stats"),
    *("requests", "pooch", "matplotlib", "pyarrow", "pandas", "numpy.testing", "openpyxl"),
}
"""Modules that take from a twentieth of a second to as long as torch itself."""

OWN_MODULES = {"train": 390, "check": 375, "inspect": 365, "predict": 300, "functions": 120}
"""How many modules of the package a command may load; each takes half a millisecond."""

OTHER_MODULES, COUNTED_APART = 520, ("sgdsheet", "torch", "torchgen", "numpy")
"""How many modules of others it may load, besides those that are as many as torch and NumPy want."""

PROGRAM = """
import ast
import sys
from sgdsheet.apps.cli import main
for arguments in ast.literal_eval(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as ended:
        assert not ended.code, ended.code
print(" ".join(sys.modules))
"""


def loaded(*commands: Sequence[object]) -> set[str]:
    """The modules that a program has loaded when it is done with some commands, each with its arguments."""
    words = repr([[str(item) for item in arguments] for arguments in commands])
    found = subprocess.run([sys.executable, "-c", PROGRAM, words], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return set(found.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "workbooks/quadratic.xlsx", "--sheet", "raw", "--steps", "3", "-o", "{folder}/out.xlsx"),
        (
            *("train", "workbooks/quadratic.xlsx", "--sheet", "raw", "--optimizer", "adam", "--steps", "3"),
            *("--checkpoint", "{folder}/state.json", "--log", "{folder}/log.csv", "-o", "{folder}/out.xlsx"),
        ),
        ("check", "workbooks/quadratic.xlsx", "--sheet", "raw"),
        ("inspect", "workbooks/quadratic.xlsx"),
        (
            *("predict", "workbooks/linear_regression.xlsx", "--sheet", "fit", "--source", "{folder}/points.csv"),
            *("--cells", "C8:C107", "-o", "{folder}/out.csv"),
        ),
        ("functions",),
    ],
    ids=["train", "train-adam", "check", "inspect", "predict", "functions"],
)
def test_nothing_heavy_is_loaded(arguments: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n2,3\n", encoding="utf-8")
    found = loaded([item.format(folder=tmp_path) for item in arguments])
    assert found & HEAVY == set()
    assert len([name for name in found if name.startswith("sgdsheet")]) <= OWN_MODULES[arguments[0]]
    assert len([name for name in found if name.split(".")[0] not in COUNTED_APART]) <= OTHER_MODULES


def test_what_is_left_out_is_there_where_it_is_needed(tmp_path: Path) -> None:
    """Least squares and the judgement of what it found: products with the Jacobian need no sympy."""
    arguments = ("workbooks/linear_regression.xlsx", "--sheet", "fit", "--optimizer", "auto")
    found = loaded(("train", *arguments, "-o", tmp_path / "out.xlsx"))
    assert "scipy.optimize" in found
    assert found & {"sympy", "torch.fx.experimental.symbolic_shapes", "torch._dynamo"} == set()


def test_what_needs_no_torch_has_none(tmp_path: Path) -> None:
    """The help pages of all commands, too: one process shows them all."""
    lists = (("--version",), ("functions",), ("functions", "SUMPRODUCT"), ("functions", "--json"), ("data",), ("new",))
    made = ("new", "quadratic", "-o", tmp_path / "new.xlsx")
    assert (
        loaded(made, *lists, ("--help",), *((command, "--help") for command in COMMANDS)) & {*HEAVY, "torch"} == set()
    )


def test_inspect_shows_what_needs_no_torch_before_it_loads_torch() -> None:
    program = """
import sys
from sgdsheet.apps.cli import main
class Torch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.exit("torch")
sys.meta_path.insert(0, Torch())
try:
    main(["inspect", "workbooks/titanic.xlsx", "--sheet", "nnet"])
except SystemExit as ended:
    assert ended.code == "torch"
main(["inspect", "workbooks/quadratic.xlsx"])
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (1, "torch\n")
    lines = [line.split() for line in found.stdout.splitlines() if line]
    assert ["parameters", "nnet!E6:J7", "12"] in lines
    assert lines[-1] == ["centred", "27", "15", "67", "46"]


def test_ctrl_c_is_looked_after_before_much_is_loaded() -> None:
    """What the program loads before takes a few milliseconds."""
    program = "import sys; from sgdsheet import __main__; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {"sgdsheet", "sgdsheet.__main__", "sgdsheet.system", "sgdsheet.system.interruption"}
    names = set(found.stdout.split())
    assert {name for name in names if name.startswith("sgdsheet")} == ours
    assert names & {"click", "typing", "re", "pathlib", "numpy"} == set()


def test_the_first_cells_in_the_browser_need_nothing_heavy() -> None:
    program = """
import sys
from pathlib import Path
from sgdsheet.apps.web.book_message import book_message
from sgdsheet.apps.web.bookshelf import Bookshelf
from sgdsheet.apps.web.server import Server
from sgdsheet.sheet.references import Range
served = Bookshelf().open(Path("workbooks/titanic.xlsx"))
assert book_message(served)["models"]["nnet"]["loss"] == [6, 15]
assert served.view("nnet").entries(Range("nnet", 1, 1, 60, 30), served.book.uncalculated_in)
assert served.charts("nnet")
print(" ".join(sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert set(found.stdout.split()) & {*HEAVY, "torch"} == set()


STEPPING = [name for name, row in OPTIMIZERS.items() if row.class_name in OWN or hasattr(torch.optim, row.class_name)]


@pytest.mark.parametrize("name", STEPPING)
def test_optimizers_keep_and_restore_their_state(name: str) -> None:
    """A step without torch's wrappers is the same step, also after its state went through a dictionary."""
    row = OPTIMIZERS[name]
    tensors = [torch.tensor([3.0, -2.0], dtype=torch.float64, requires_grad=True) for _ in range(2)]
    first, second = (build_optimizer(row, [item], row.learning_rate, Settings(), steps=20, seed=3) for item in tensors)

    def loss_of(tensor: torch.Tensor) -> torch.Tensor:
        return (tensor * torch.tensor([1.0, 4.0], dtype=torch.float64)).square().sum()

    def step(optimizer: torch.optim.Optimizer, tensor: torch.Tensor) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(tensor)
            if tensor.requires_grad and torch.is_grad_enabled():
                loss.backward()
            return loss

        closure()
        optimizer.step(closure)

    for _ in range(5):
        step(first, tensors[0])
    with torch.no_grad():
        tensors[1].copy_(tensors[0])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(5):
        step(first, tensors[0])
        step(second, tensors[1])
        torch.testing.assert_close(*tensors, rtol=1e-6, atol=0)  # torch reads nadam's state in another precision
    assert isinstance(first, torch.optim.Optimizer)


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=str)
def test_a_step_in_one_operation_is_that_of_torch(name: str, options: dict[str, float]) -> None:
    row = OPTIMIZERS[name]
    tensors = [[torch.tensor([3.0, -2.0]).requires_grad_(), torch.tensor(0.5).requires_grad_()] for _ in range(2)]
    ours = build_optimizer(row, tensors[0], 0.1, Settings(**options))
    theirs = getattr(torch.optim, row.class_name)(tensors[1], lr=0.1, fused=True, **row.options, **options)
    for number in range(5):
        for parameters in tensors:
            parameters[0].grad = parameters[0].detach() * (number - 1.5)
            parameters[1].grad = None if number == 2 else parameters[1].detach().exp()
        ours.step()
        theirs.step()
        assert all(map(torch.equal, *tensors))


def test_garbage_is_collected_as_usual_while_training() -> None:
    program = """
import gc
from sgdsheet.system import garbage
usual = gc.get_threshold()
garbage.collect_rarely()
assert gc.get_threshold()[0] > 10 * usual[0]
garbage.collect_as_usual()
assert gc.get_threshold() == usual
assert gc.get_freeze_count() > 0
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
