"""`sgdsheet export`: source that needs torch alone, gives the same loss and gradient, obeys nobody's text."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import xlsxwriter

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.torch_source import save_export
from sgdsheet.problem.definition import sheets_with_problem
from sgdsheet.sheet.workbook import Workbook
from tests.cli_books import fill, line_book, run
from tests.shared_data import SOLVED, shared_data, there
from tests.solver_models import GOAL, PRODUCT_MIX, solver_names, write

EXAMPLES = sorted((Path(__file__).parent.parent / "workbooks").glob("*.xlsx"))
SHEETS = [
    *("class", "import", "None", "self", "torch", "model", "forward", "__init__", "training"),
    *("2020 data", "1", "größe", "日本", "Модель", "x{y}z", "%s", "Model-1", "  wide  ", "a#b", "e\u0301"),
    *("m²", "①", "ﬁt", "ª", "℘", "·x", "\u0301a", "½", "K", "x\u037a", "ℌ②", "٣", "²", "class²"),
    *('"""', 'x"', "$(echo)", "a,b", "\u2028", "\N{GRINNING FACE}"),
]
TEXTS = [
    '"""',
    "'''",
    "\\",
    "\\N{x}",
    "{0}",
    'a" + 1/0 + "',
    "a\nimport os\nb",
    "a\nraise SystemExit",
    "# x",
    "\u2028raise",
]

RUNNER = """
import contextlib, io, json, runpy, sys
import torch
sys.modules["sgdsheet"] = sys.modules["formualizer"] = None  # importing them is an error
before = set(sys.modules)
outputs = {}
for path in json.loads(sys.stdin.read()):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(path, run_name="__main__")
    outputs[path] = out.getvalue()
new = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps({"outputs": outputs, "imports": sorted(new - {"torch", "__mp_main__"})}))
"""


def run_all(paths: list[Path]) -> Mapping[str, str]:
    """What the exported files print, run in one process that cannot import sgdsheet."""
    found = subprocess.run(
        [sys.executable, "-I", "-c", RUNNER],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    result = json.loads(found.stdout)
    assert result["imports"] == []
    return {Path(path).stem: text for path, text in result["outputs"].items()}


def loss_and_norm(model: SheetModel) -> tuple[float, float]:
    slopes = model.gradients().values()
    with torch.no_grad():
        return float(model()), math.hypot(*slopes)


def expect(printed: str, model: SheetModel) -> None:
    """The one line that an exported file prints."""
    (line,) = printed.splitlines()
    loss, norm = (float(part.rpartition(" ")[2]) for part in line.split(", norm of the gradient"))
    expected = loss_and_norm(model)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    assert norm == pytest.approx(expected[1], rel=1e-9, abs=1e-15)


def check_source(path: Path) -> ast.Module:
    """Nothing but docstring, imports, the class and the main part: no text from the workbook is code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, *imports, model, main = tree.body
    assert isinstance(title, ast.Expr)
    assert isinstance(model, ast.ClassDef)
    assert isinstance(main, ast.If)
    names = {alias.name for item in imports if isinstance(item, ast.Import) for alias in item.names}
    names |= {item.module for item in imports if isinstance(item, ast.ImportFrom) and item.module}
    assert {"torch"} <= names <= {"torch", "pathlib"}
    about, *functions = model.body
    assert isinstance(about, ast.Expr)
    assert [item.name for item in functions if isinstance(item, ast.FunctionDef)] == ["__init__", "forward"]
    assert len(functions) == 2
    return tree


# --- the same numbers ---------------------------------------------------------------------------------------


def test_same_loss_and_gradient(tmp_path: Path) -> None:
    """Every kind of model, inline and with its data in a file beside it, in one process."""
    models: dict[str, SheetModel] = {}

    def export(name: str, book: Workbook, sheet: str | None = None) -> None:
        models[name] = sgdsheet.compile(book, sheet, precision="float64")
        written = save_export(models[name], tmp_path / f"{name}.py")
        assert [path.suffix for path in written] == (
            [".py", ".pt"] if name.startswith(("titanic", "mnist", "digits")) else [".py"]
        )
        check_source(tmp_path / f"{name}.py")

    for path in [*EXAMPLES, *there(SOLVED)]:
        book = sgdsheet.load(path)
        for sheet in sheets_with_problem(book):
            export(f"{path.stem}_{sheet}".replace(" ", "_"), book, sheet)
    export("line", sgdsheet.load(line_book(tmp_path)))
    for name, item in (("maximum", PRODUCT_MIX), ("goal", GOAL)):
        constraints, more = item.get("constraints", ()), {"val": item["val"]} if "val" in item else {}
        names = solver_names(item["loss"], item["params"], item["kind"], constraints, **more)
        cells = {**item["cells"], "B2": [[1.5, 2.5]]} if name == "maximum" else item["cells"]
        export(name, sgdsheet.load(write(tmp_path / f"{name}.xlsx", cells, names)))
    printed = run_all([tmp_path / f"{name}.py" for name in models])
    for name, model in models.items():
        expect(printed[name], model)
    shown = "The samples are those that the sheet shows, and the loss is theirs."
    assert {name for name in models if shown in (tmp_path / f"{name}.py").read_text(encoding="utf-8")} == {
        name for name in models if name.startswith("mnist")
    }
    assert "asks for a maximum: minimise -loss" in (tmp_path / "maximum.py").read_text(encoding="utf-8")
    assert "asks for the value 100.0: minimise (loss - value) ** 2" in (tmp_path / "goal.py").read_text(
        encoding="utf-8"
    )


@shared_data("workbooks")
def test_run_as_its_message_says(tmp_path: Path) -> None:
    """`python model.py`, from another folder, with its .pt file beside it."""
    printed = run("export", SOLVED, "--sheet", "nnet", "-o", tmp_path / "my model.py").out
    assert printed == (
        f"Wrote {tmp_path / 'my model.py'} and {tmp_path / 'my model.pt'}. "
        f"Run it: python '{tmp_path / 'my model.py'}'\n"
    )
    found = subprocess.run([sys.executable, "-I", tmp_path / "my model.py"], capture_output=True, text=True, check=True)
    assert found.stderr == ""
    expect(found.stdout, sgdsheet.compile(sgdsheet.load(SOLVED), "nnet"))


def test_training_the_exported_module(tmp_path: Path) -> None:
    """It is an ordinary module: its parameters are the cells, and an optimizer finds Solver's answer."""
    run("export", line_book(tmp_path), "-o", tmp_path / "line.py")
    space: dict[str, Any] = {"__name__": "line"}
    exec((tmp_path / "line.py").read_text(encoding="utf-8"), space)
    model = space["SheetModel"]()
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert model.Model_E1_E2.tolist() == pytest.approx([1.99, 1.04], abs=1e-5)
    assert closure().item() == pytest.approx(0.0214, abs=1e-9)


def test_readable(tmp_path: Path) -> None:
    """Variables are named after cells, and each block stands under its formula."""
    run("export", line_book(tmp_path), "-o", tmp_path / "line.py")
    text = (tmp_path / "line.py").read_text(encoding="utf-8")
    assert text.startswith('"""Sheet Model of line.xlsx, as PyTorch.\n')
    assert "# Model!C2:C6  =$E$1*A2+$E$2\n" in text
    assert "self.Model_E1_E2 = torch.nn.Parameter(torch.tensor([0.5, 0.25], dtype=torch.float64))" in text
    assert all(len(line.rstrip()) == len(line) for line in text.splitlines())


# --- names and texts that mean harm -------------------------------------------------------------------------


def hostile_book(path: Path, sheet: str, text: str) -> Path:
    """E1 and E2 are parameters; the loss compares a text and is 0.3125."""
    shown = text.replace('"', '""')
    loss = (f'=IF($A$1="{shown}",E1^2,1/0)+IF(A1&"x"="{shown}x",E2^2,1/0)', 0.3125)
    with xlsxwriter.Workbook(str(path)) as book:
        fill(book.add_worksheet(sheet), {"A1": text, "B1": loss, "E1": 0.5, "E2": 0.25})
        for name, cells in (("sgd_loss", "$B$1"), ("sgd_params", "$E$1:$E$2")):
            book.define_name(f"'{sheet}'!{name}", f"='{sheet}'!{cells}")
    return path


def test_hostile_names_and_texts(tmp_path: Path) -> None:
    paths = []
    for index, (sheet, text) in enumerate([(sheet, "x") for sheet in SHEETS] + [("S", text) for text in TEXTS]):
        book = hostile_book(tmp_path / "hostile.xlsx", sheet, text)
        paths.append(tmp_path / f"hostile{index}.py")
        found = run("export", book, "-o", paths[-1])
        assert (found.status, found.err) == (0, ""), (sheet, text)
        title = ast.get_docstring(check_source(paths[-1])) or ""
        assert title.startswith("Sheet ")
    for printed in run_all(paths).values():
        assert printed.startswith("loss 0.3125, norm of the gradient 1.118")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_hostile_file_names(tmp_path: Path) -> None:
    book = line_book(tmp_path, name='a""" + 1 \\ {x}\n# ".xlsx')
    found = run("export", book, "-o", tmp_path / 'out""" + 1 \\ .py')
    assert (found.status, found.err) == (0, "")
    check_source(tmp_path / 'out""" + 1 \\ .py')
    for solved in there(SOLVED):
        run("export", solved, "--sheet", "linear", "-o", tmp_path / 'x") + 1 #.py')
        check_source(tmp_path / 'x") + 1 #.py')
