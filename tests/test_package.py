"""What the package promises from outside: its metadata, its commands, its pages."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import entry_points, metadata, packages_distributions, requires, version
from importlib.resources import files
from pathlib import Path

import pytest

import sgdsheet

ROOT = Path(__file__).parent.parent
COMES_WITH_LIBREOFFICE = {"uno", "unohelper", "com"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> dict[str, str]:
    """The two commands that CI runs, by name."""
    return dict(re.findall(r"^(\w+)='(.+)'$", text(".ci/run"), re.MULTILINE))


def third_party(folder: str) -> set[str]:
    """Top-level names of what the modules in a folder import, without ours and the standard library."""
    found = set()
    paths = list((ROOT / folder).rglob("*.py"))
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    local = {path.stem for path in paths} | {"sgdsheet", "tests"}
    return found - local - set(sys.stdlib_module_names) - COMES_WITH_LIBREOFFICE


def declared(*, test: bool) -> set[str]:
    """The distributions in pyproject.toml, with or without those of the extra “test”."""
    lines = [line for line in requires("sgdsheet") or () if test or not re.search(r"extra == .test\b", line)]
    return {normalised(re.split(r"[^\w.-]", line)[0]) for line in lines}


def normalised(name: str) -> str:
    """The name of a distribution, of which the index sees no difference between - and _."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_version() -> None:
    assert version("sgdsheet") == sgdsheet.__version__
    assert f"## [{sgdsheet.__version__}]" in text("CHANGELOG.md")


def test_typed() -> None:
    assert (files("sgdsheet") / "py.typed").is_file()


def test_metadata_shows_the_readme() -> None:
    assert metadata("sgdsheet").json["description"]


def test_script() -> None:
    assert 'sgdsheet = "sgdsheet.__main__:main"' in text("pyproject.toml")
    (script,) = entry_points(group="console_scripts", name="sgdsheet")
    assert callable(script.load())


@pytest.mark.parametrize(
    ("folder", "test"), [("sgdsheet", False), ("tests", True), ("benchmarks", True), ("docs", True)]
)
def test_imports_are_declared(folder: str, test: bool) -> None:
    owners = packages_distributions()
    missing = [
        name
        for name in third_party(folder)
        if not declared(test=test) & {normalised(owner) for owner in owners.get(name, [name])}
    ]
    assert not missing, f"add to pyproject.toml: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
@pytest.mark.parametrize("name", ["job", "tests"])
def test_pages_give_the_commands_that_ci_runs(page: str, name: str) -> None:
    assert commands()[name] in text(page).splitlines(), f"{page} lacks the line: {commands()[name]}"


def test_security_names_tests_that_exist() -> None:
    """Every line of SECURITY.md's tables has its test, but for what nobody can test."""
    rows = [line for line in text("SECURITY.md").splitlines() if line.startswith("| ")]
    rows = [line for line in rows if "shown by" not in line]
    untested = [line for line in rows if "::" not in line]
    assert len(untested) == 1, untested
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text("SECURITY.md"))
    assert len(named) >= len(rows)
    missing = [f"{path}::{name}" for path, name in named if f"def {name}(" not in text(path)]
    assert not missing
