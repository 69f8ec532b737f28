"""The notebooks run from the first cell to the last, and what is saved in them is what comes out."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
LARGEST = 600_000  # bytes
PICTURES = ("image/png", "text/html")


def cells(path: Path) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}, "nothing of the machine"
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def execute(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell as Jupyter does: what it prints, and the value of its last line if that is an expression."""
    tree, shown = ast.parse(source), None
    last = tree.body[-1]
    with redirect_stdout(io.StringIO()) as printed:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), names)
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(tree, "cell", "exec"), names)
    return printed.getvalue(), shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    names: dict[str, Any] = {}
    pictures = []
    for cell in cells(path):
        printed, shown = execute("".join(cell["source"]), names)
        saved = "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
        assert printed == saved
        results = [output["data"] for output in cell["outputs"] if output["output_type"] == "execute_result"]
        assert len(results) == (shown is not None)
        if hasattr(shown, "_repr_mimebundle_"):
            (kind,) = shown._repr_mimebundle_()
            assert kind in results[0]
            pictures.append(kind)
        elif results:
            assert "".join(results[0]["text/plain"]) == repr(shown)
    assert set(pictures) == set(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
