"""What people read uses the words of the field: the derivative of a loss is its gradient; a line has a slope."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = (
    "apps/examples",
    "apps/cli/surface.py",
    "analysis/loss_surface.py",
    "plots",
    "compiler/functions/regression.py",
    "compiler/candidates/vocabulary.py",
)
"""Where lines and tangents are drawn or taught, which have a slope, or where it is what people write."""

REPLACED = {
    "alert": "notification",
    "buttons": "button_state",
    "course": "validation_curve",
    "explanations": "loss_check and failures",
    "job": "pending_request",
    "journal": "train.thinning",
    "leftovers": "state_cleanup",
    "moment": "progress",
    "own_sheets": "report_sheets",
    "pace": "refresh_rate",
    "prepared": "trainable",
    "shown": "parameter_cells",
    "sieve": "train.thinning",
    "stepper": "manual_run",
    "stillagent": "CalculatingAgent",
    "stillhost": "CalculatingHost",
    "turn": "exclusive",
    "watch": "change_detector",
}
"""Names of modules and classes that told nobody what is inside, and where that is now."""

FRAGMENT = re.compile(
    r"(Also|As for|At|Before|Both|By|Else|From|It|Likewise|Of|Over|Past"
    r"|That|The opposite|The same|These|They|Those|Up to)\b"
)
"""How a docstring begins that only who has read what stands before it understands."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module, but for docstrings; those of commands and functions are help pages, and count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and not (isinstance(node, ast.FunctionDef) and node.decorator_list)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def test_a_loss_has_a_gradient() -> None:
    found = []
    for path in sorted((ROOT / "sgdsheet").rglob("*.py")):
        name = path.relative_to(ROOT / "sgdsheet").as_posix()
        if not name.startswith(LINES):
            found += [f"{name}:{line}: {text}" for line, text in texts(path) if re.search(r"\bslopes?\b", text, re.I)]
    assert not found


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "addin/GUIDE.md", "addin/customUI14.xml"])
def test_so_do_the_papers(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if re.search(r"\bslopes?\b", line, re.I)]
    assert all(re.search(r"a slope in F2|slope of (the|a) (line|tangent)", line) for line in found), found


def test_modules_and_classes_say_what_is_inside() -> None:
    found = []
    for path in sorted((ROOT / "sgdsheet").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [path.stem, *(node.name.lstrip("_").lower() for node in tree.body if isinstance(node, ast.ClassDef))]
        found += [f"{path.relative_to(ROOT)}: {name} is {REPLACED[name]} now" for name in names if name in REPLACED]
    assert not found


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of attributes, classes and functions, but for the help pages of commands and functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        declared = isinstance(node, ast.FunctionDef) and any(isinstance(item, ast.Call) for item in node.decorator_list)
        for place, child in enumerate(node.body):
            if place == 0 and (declared or isinstance(node, ast.Module)):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                yield child.lineno, str(child.value.value)


def test_docstrings_can_be_read_by_themselves() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {' '.join(text.split())}"
        for path in sorted((ROOT / "sgdsheet").rglob("*.py"))
        for line, text in docstrings(path)
        if FRAGMENT.match(text.strip())
    ]
    assert not found
