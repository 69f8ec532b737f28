"""The rules that keep the package a pipeline: who may import whom, what stays small, what stays instant."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import sgdsheet
from sgdsheet.compiler.functions import REGISTRY
from tests import slow

# The folders of the package, from the ground up. A module imports from its own folder or from those before it; a
# folder without a row belongs to the one around it. Nothing else has to be said of a new module.
FLOORS = (
    *("errors", "system", "sheet", "problem"),
    *("compiler.ir", "compiler.functions", "compiler.frontend", "compiler.passes", "compiler.backward"),
    "compiler",
    *(
        "data.formats",
        "data",
        "train.constrained",
        "train.discrete",
        "train",
        "analysis.diagnosis",
        "analysis",
        "plots",
    ),
    *("hosts", "live.undo", "live.run", "live.commands", "live.ipc", "live", "apps"),
)
ONLY_FROM_TOP = ("hosts", "examples")  # the stages in between never see where a workbook comes from
TOP = ("hosts", "live", "apps")

# Which modules may import what is slow, or is not everywhere. Patterns of module names.
GUARDED = {
    "torch": (
        *("compiler.ir.*", "compiler.functions.*", "compiler.passes.*", "compiler.[!f]*"),
        *("data.[!f]*", "train.*", "analysis.*", "live.commands.*", "live.run.*", "apps.udf.*"),
    ),
    "xlwings": ("hosts.excel.*", "apps.udf.xlwings_functions", "apps.excel_addin.excel_desk"),
    "uno": ("hosts.libreoffice.agent.*", "apps.libreoffice_ext.office.component"),
    "unohelper": ("hosts.libreoffice.agent.*", "apps.libreoffice_ext.office.component"),
    "com": ("hosts.libreoffice.agent.*", "apps.libreoffice_ext.office.component"),  # com.sun.star, which UNO puts there
    # where sheets are drawn, and for a table that is no workbook; never to save a person's file
    "xlsxwriter": (
        *("apps.examples.*", "hosts.xlsx.log_sheet", "hosts.xlsx.report_sheet", "hosts.xlsx.live_sheet"),
        *("hosts.text_table", "apps.excel_addin.excel_desk"),
    ),
    "starlette": ("apps.web.*",),
    "uvicorn": ("apps.web.server", "apps.web.waiting_connections"),
    "openpyxl": (),  # loses what it does not know; see hosts/file.py
}
# May call importlib.
IMPORT_BY_NAME = (
    *("sgdsheet", "apps.cli", "apps.cli.*", "compiler.functions", "apps.examples", "system.extras", "data.formats"),
    *("train.algorithms", "hosts.live_hosts", "hosts.web.calculation", "live.commands", "live.ipc.worker"),
)
IMPORT_IN_FUNCTIONS = ("__main__", "apps.cli", "apps.cli.*", "live.commands.*")  # to be instant until something is done
NAMED_BY_OTHERS = (
    "apps.cli.*",
    "live.commands.*",
    "apps.examples.*",
)  # modules called like their command, their example

FOLDERS = {"sgdsheet", "addin", "workbooks", "tests", "benchmarks", "docs", "notebooks", "web", ".ci"}
FILES = {
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"),
    *("pyproject.toml", "constraints.txt", ".gitignore"),
}

# Written so that they do not match themselves.
MACHINE = re.compile(
    r"/wor[k]/|/roo[t]/|/hom[e]/|/User[s]/|/tm[p]/|/op[t]/py|C:\\User[s]"
    r"|pypi[.-]|pythonhoste[d]|download\.pytorc[h]|--index-ur[l]|--find-link[s]"
)
INSTANT = 0.3  # seconds

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sgdsheet"


class Import(NamedTuple):
    """One import statement's target."""

    module: str
    line: int
    in_function: bool


# --- reading the code -------------------------------------------------------------------------------------


@cache
def files() -> tuple[Path, ...]:
    """The project's files, relative to its root, without what .gitignore names."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = [".git", *(line.rstrip("/") for line in lines)]

    def kept(name: str) -> bool:
        return not any(fnmatch(name, pattern) for pattern in ignored)

    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = filter(kept, folders)
        found += [(Path(folder) / name).relative_to(ROOT) for name in names if kept(name)]
    return tuple(sorted(found))


@cache
def modules() -> dict[str, Path]:
    """Every module of the package: its name without `sgdsheet.`, and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__") or "sgdsheet"] = path
    return found


def relative(name: str) -> str | None:
    """`sgdsheet.compiler.model` → `model`; None for what is not ours."""
    return name.removeprefix("sgdsheet.") if name.split(".")[0] == "sgdsheet" else None


@cache
def imports(module: str) -> tuple[Import, ...]:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    return tuple(dict.fromkeys(_imports(tree, in_function=False)))


def _imports(node: ast.AST, *, in_function: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, in_function)
    elif isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "")
        for alias in node.names:
            full = f"{source}.{alias.name}"  # a module, or a name in the module `source`
            yield Import(full if relative(full) in modules() else source, node.lineno, in_function)
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, in_function=inside)


def ours(module: str) -> Iterator[tuple[str, int]]:
    """The package's modules that a module imports, with the line."""
    for item in imports(module):
        name = relative(item.module)
        if name is not None:
            yield name, item.line


def floor(module: str) -> int | None:
    """The row of the module, or of the nearest folder around it."""
    if module in ("sgdsheet", "__main__"):
        return len(FLOORS)
    while module not in FLOORS and "." in module:
        module = module.rpartition(".")[0]
    return FLOORS.index(module) if module in FLOORS else None


def matches(module: str, patterns: tuple[str, ...]) -> bool:
    """`functions.*` includes the package itself."""
    return any(fnmatch(module, pattern) or module == pattern.removesuffix(".*") for pattern in patterns)


def report(offences: list[str]) -> None:
    if offences:
        pytest.fail("\n".join(offences), pytrace=False)


# --- imports ----------------------------------------------------------------------------------------------


def test_every_module_has_a_floor() -> None:
    report(
        [
            f"sgdsheet.{module} stands in no folder of FLOORS, on top of this file"
            for module in modules()
            if floor(module) is None
        ]
    )


def test_no_import_from_a_higher_floor() -> None:
    floors = {module: found for module in modules() if (found := floor(module)) is not None}
    report(
        [
            f"sgdsheet.{module}:{line} (floor {floors[module]}) imports {name} (floor {floors[name]})"
            for module in floors
            for name, line in ours(module)
            if floors.get(name, 0) > floors[module] and name != "sgdsheet"  # its version
        ]
    )


def test_no_cycles() -> None:
    graph = {module: {name for name, _ in ours(module)} for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("an import cycle: " + " ← ".join(error.args[1]))


def test_hosts_and_examples_are_for_the_top_floors() -> None:
    report(
        [
            f"sgdsheet.{module}:{line} imports {name}; only {', '.join(TOP)} may"
            for module in modules()
            for name, line in ours(module)
            if "." in module and module.partition(".")[0] not in TOP and set(ONLY_FROM_TOP) & set(name.split("."))
        ]
    )


def test_imports_are_absolute_and_at_the_top() -> None:
    offences = []
    for module in modules():
        for item in imports(module):
            if item.in_function and not matches(module, IMPORT_IN_FUNCTIONS):
                offences.append(f"sgdsheet.{module}:{item.line} imports {item.module} inside a function")
            if item.module.startswith("."):
                offences.append(f"sgdsheet.{module}:{item.line} imports {item.module}: write the whole name")
            if item.module == "importlib" and not matches(module, IMPORT_BY_NAME):
                offences.append(f"sgdsheet.{module}:{item.line} imports by name")
    report(offences)


@pytest.mark.parametrize("library", GUARDED)
def test_guarded_import(library: str) -> None:
    allowed = ", ".join(GUARDED[library]) or "no module"
    report(
        [
            f"sgdsheet.{module}:{item.line} imports {item.module}; allowed only in: {allowed}"
            for module in modules()
            for item in imports(module)
            if item.module.split(".")[0] == library and not matches(module, GUARDED[library])
        ]
    )


def test_helpers_of_tests_have_one_name() -> None:
    """Else a module is there twice, with two of each of its classes."""
    folder = ROOT / "tests"
    helpers = {path.stem for path in folder.rglob("*.py")}
    offences = [
        f"{path}:{item.line} imports {item.module}: write the whole name, tests.…"
        for path in files()
        if path.suffix == ".py" and path.parts[0] != "sgdsheet"
        for item in _imports(ast.parse((ROOT / path).read_text(encoding="utf-8")), in_function=False)
        if item.module.startswith(".") or item.module.split(".")[0] in helpers
    ]
    found = {str(folder), str(folder / "fuzz")} & {os.path.abspath(entry) for entry in sys.path}
    report(offences + [f"{entry} is in sys.path" for entry in sorted(found)])


# --- one place each ---------------------------------------------------------------------------------------


def test_functions_are_named_where_they_are_declared() -> None:
    """What is known of an Excel function stands on its declaration: nobody else asks for it by its name.

    TRUE and FALSE are values, too, and the add-ins carry out some functions of our own.
    """
    report(
        [
            f"sgdsheet.{module}:{line} asks for the function {name} by its name: put the fact on its declaration"
            for module in modules()
            if not matches(module, ("compiler.functions.*", "apps.examples.*"))
            for name, line in _names_asked_for(module)
            if name in {*REGISTRY} - {"TRUE", "FALSE"} and not name.startswith("SGD_")
        ]
    )


def test_a_function_asked_for_by_its_name_is_found() -> None:
    for code in (
        'node.name == "SUM"',
        'name in {"SUM", "MAX"}',
        'Call(name="SUM")',
        'Call("SUM", ())',
        '{"SUM", "MAX"}',
    ):
        assert "SUM" in dict(_asked_for(ast.parse(code))), code
    assert "SUM" in dict(_asked_for(ast.parse("match x:\n    case Call(name='SUM'):\n        pass")))


def _names_asked_for(module: str) -> Iterator[tuple[str, int]]:
    return _asked_for(ast.parse(modules()[module].read_text(encoding="utf-8")))


def _asked_for(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The texts in comparisons with a name, in calls and patterns of `Call`, and in sets of capitals."""
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            parts = parts if any(_is_name(part) for part in parts) else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Call":
            parts = [*node.args[:1], *node.keywords]
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name) and node.cls.id == "Call":
            parts = [*node.patterns, *node.kwd_patterns]
        elif isinstance(node, ast.Set):
            parts = [node]
        for part in parts:
            for item in ast.walk(part):
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield item.value, item.lineno


def _is_name(node: ast.AST) -> bool:
    found = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return found in ("name", "function")


def test_shared_data_are_named_in_one_place() -> None:
    """Whoever needs the data beside the repository says so with the marker of `tests/shared_data.py`."""
    pattern = re.compile(r'/ "share[d]"|shared/dat[a]')
    report(
        [
            f"{path}:{number} names the folder itself: {line.strip()}"
            for path in files()
            if path.parts[0] == "tests" and path.suffix == ".py" and path.name != "shared_data.py"
            for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
            if pattern.search(line)
        ]
    )


def test_slow_tests_exist() -> None:
    """What `tests/slow.py` names; and of every package a module is imported by tests that are not slow."""
    found = {path.stem: collected_names(path) for path in (ROOT / "tests").rglob("test_*.py")}
    named = {**dict.fromkeys(slow.MODULES, ""), **slow.TESTS}
    unknown = [
        f"{module}: {name}" for module, names in named.items() for name in {*names.split()} - found.get(module, set())
    ]
    report(
        [f"tests/slow.py names what is not there: {each}" for each in [*unknown, *sorted(named.keys() - found.keys())]]
    )
    fast = [
        stem
        for stem, names in found.items()
        if stem not in slow.MODULES and names - {*slow.TESTS.get(stem, "").split()}
    ]
    reached = {name for path in (ROOT / "tests").rglob("test_*.py") if path.stem in fast for name in packages_of(path)}
    report([f"no fast test imports sgdsheet.{name}" for name in sorted(PACKAGES - reached)])


PACKAGES = {
    *("sheet", "problem", "compiler.ir", "compiler.functions", "compiler.frontend", "compiler.passes"),
    *("compiler.backward", "data", "train"),
    *("analysis", "plots", "hosts.xlsx", "hosts.excel", "live", "apps.cli", "apps.excel_addin", "apps.libreoffice_ext"),
    *("apps.udf", "apps.examples", "system"),
}


def collected_names(path: Path) -> set[str]:
    """The functions of a test module that pytest collects, also those in classes."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def packages_of(path: Path) -> set[str]:
    """The packages of PACKAGES that a file imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {item.module.removeprefix("sgdsheet.") for item in _imports(tree, in_function=False)}
    return {package for package in PACKAGES for name in names if f"{name}.".startswith(f"{package}.")}


# --- size and contents ------------------------------------------------------------------------------------


def test_no_two_modules_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for module, path in modules().items():
        if not matches(module, NAMED_BY_OTHERS) and path.name != "__init__.py":
            found.setdefault(module.rpartition(".")[2], []).append(module)
    report([f"{' and '.join(same)} have one name" for same in found.values() if len(same) > 1])


def test_top_level() -> None:
    folders = {path.parts[0] for path in files() if len(path.parts) > 1}
    assert folders == FOLDERS
    assert {path.name for path in files() if len(path.parts) == 1} == FILES


def test_no_traces_of_a_machine() -> None:
    offences = []
    for path in files():
        for name, text in _texts(ROOT / path):
            for number, line in enumerate(text.splitlines(), 1):
                if found := MACHINE.search(line):
                    offences.append(f"{path}{name}:{number} holds {found[0]}")
    report(offences)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """The file's text, or the texts inside a workbook. Nothing for other binary files."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as package:
            for name in package.namelist():
                yield f"!{name}", package.read(name).decode("utf-8", errors="replace")
        return
    try:
        yield "", path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return


def test_public_names_exist() -> None:
    assert sorted(set(sgdsheet.__all__)) == sorted(sgdsheet.__all__)
    for name in sgdsheet.__all__:
        assert getattr(sgdsheet, name) is not None


# --- what has to be instant -------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)


def best_time(*arguments: str) -> float:
    """Seconds of the processor, of which a process gets fewer a second on a busy machine."""
    spent = []
    for _ in range(5):
        before = os.times()
        run(*arguments)
        after = os.times()
        user, system = after.children_user - before.children_user, after.children_system - before.children_system
        spent.append(user + system)
    return min(spent)


@pytest.mark.parametrize("arguments", [("-c", "import sgdsheet"), ("-m", "sgdsheet", "--help")], ids=" ".join)
def test_instant(arguments: tuple[str, ...]) -> None:
    log = run("-X", "importtime", *arguments).stderr
    imported = {line.rpartition("|")[2].strip() for line in log.splitlines()}
    assert "sgdsheet.errors" in imported or "sgdsheet" in imported
    assert not imported & {"torch", "numpy", "scipy", "matplotlib"}
    bare = best_time("-c", "pass")  # on a slow machine, all things take longer
    assert best_time(*arguments) <= max(INSTANT, 6 * bare)
