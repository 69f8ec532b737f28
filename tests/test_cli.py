"""The command line's contract: commands, flags, exit status, and what goes to stdout, stderr, a terminal."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from pkgutil import iter_modules

import pytest
import xlsxwriter
from click import Command, Context, Option

import sgdsheet
from sgdsheet.apps import examples
from sgdsheet.apps.cli import COMMANDS, cli, main
from sgdsheet.apps.cli.common import console, shown
from sgdsheet.hosts.file import load
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS
from tests.cli_books import Run, fill, line_book, line_cells, predictions, run

ROOT = Path(__file__).parent.parent
ESCAPE = "\x1b"
FIRST = [
    "train",
    "predict",
    "check",
    "find-lr",
    "inspect",
    "animate",
    "surface",
    "attach",
    "export",
    "new",
    "data",
    "libreoffice",
    "addin",
    "functions",
]
CONTRACT = {
    "train": "--sheet --loss --params --steps --epochs --lr --optimizer --batch-size --seed --restarts"
    " --device --source -o --in-place --json",
    "check": "--sheet --all --json",
    "inspect": "--sheet --json",
    "export": "--sheet -o",
    "new": "-o",
    "functions": "--json",
}
TRAIN_KEYS = "sheet loss_cell parameters loss_start loss steps epochs seconds seconds_per_step metric valid_loss output"
CHECK_KEYS = "formulas supported mismatches unsupported loss_saved loss_computed gradient_max_error dead_parameters"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return line_book(tmp_path)


def loss_of(path: Path) -> float:
    return float(load(path).sheets["Model"].values[4, 5])  # type: ignore[arg-type]


def command(name: str) -> Command:
    found = cli.get_command(Context(cli), name)
    assert found is not None
    return found


# --- commands and flags -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTRACT)
def test_flags(name: str) -> None:
    flags = {flag for item in command(name).params if isinstance(item, Option) for flag in item.opts}
    assert set(CONTRACT[name].split()) <= flags


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = run(*name.split(), "--help")
    assert (found.status, found.err) == (0, "")
    assert max(map(len, found.out.splitlines())) <= 80
    assert ESCAPE not in found.out
    for item in command(name).params if name else ():
        assert max(item.opts, key=len) in found.out or item.opts == [item.name]
        assert not isinstance(item, Option) or item.help
    for known in () if name else COMMANDS:
        assert f"\n  {known} " in found.out


def test_every_module_with_a_command_is_listed() -> None:
    package = importlib.import_module("sgdsheet.apps.cli")
    modules = [importlib.import_module(f"{package.__name__}.{each.name}") for each in iter_modules(package.__path__)]
    commands = {module.command.name: module.HELP_LINE for module in modules if hasattr(module, "command")}
    assert commands == COMMANDS
    assert [name for name in COMMANDS if name in FIRST] == FIRST, "the order of the help page"


def test_every_help_page_is_instant() -> None:
    """Torch takes seconds to import."""
    pages = f"""
import sys
from sgdsheet.apps.cli import main
for name in {list(COMMANDS)}:
    for arguments in ([name, "--help"], ["--help"]):
        try:
            main(arguments)
        except SystemExit as ended:
            assert not ended.code
print({{"torch", "numpy", "scipy", "matplotlib"}} & sys.modules.keys())
"""
    found = subprocess.run([sys.executable, "-c", pages], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "set()"


def test_version() -> None:
    assert run("--version") == Run(0, f"sgdsheet, version {sgdsheet.__version__}\n", "")


# --- stdout -------------------------------------------------------------------------------------------------


def test_process(book: Path) -> None:
    """As a process of its own: JSON and nothing else, also no warning of some library on stderr."""
    arguments = ["train", str(book), "--json", "--steps", "3"]
    found = subprocess.run(
        [sys.executable, "-m", "sgdsheet", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["steps"] == 3


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["train", "BOOK"], TRAIN_KEYS),
        (["train", "BOOK", "--restarts", "3", "--steps", "5", "--log-sheet"], TRAIN_KEYS),
        (["train", "BOOK", "--in-place", "--optimizer", "adam", "--lr", "0.1", "--epochs", "2"], TRAIN_KEYS),
        (["check", "BOOK"], CHECK_KEYS),
        (["check", "BOOK", "--all"], CHECK_KEYS),
        (
            ["inspect", "BOOK"],
            "sheet loss_cell loss_formula loss parameters parameter_ranges blocks formulas",
        ),
        (["find-lr", "BOOK"], "suggestion"),
        (["functions"], "functions optimizers settings"),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)
def test_json_and_nothing_else(book: Path, arguments: list[str], keys: str) -> None:
    found = run(*[str(book) if item == "BOOK" else item for item in arguments], "--json")
    assert (found.status, found.err) == (0, "")
    assert set(keys.split()) <= found.json.keys()


def test_json_of_train(book: Path, tmp_path: Path) -> None:
    found = run("train", book, "--json", "--steps", "200").json
    output = tmp_path / "line-trained.xlsx"
    trained = load(output).sheets["Model"].values
    assert found["sheet"] == "Model"
    assert found["loss_cell"] == "Model!E4"
    assert found["parameters"] == 2
    assert found["loss_start"] == pytest.approx(18.6745, rel=1e-12)
    assert found["loss"] == trained[4, 5] == pytest.approx(0.0214, abs=1e-9)
    assert trained[1, 5] == pytest.approx(1.99, abs=1e-6)
    assert 0 < found["steps"] <= 200
    assert found["seconds_per_step"] == pytest.approx(found["seconds"] / found["steps"])
    assert found["epochs"] is found["metric"] is found["valid_loss"] is None
    assert found["output"] == str(output)


def test_nothing_on_stdout_is_json_by_accident(book: Path) -> None:
    """What JSON cannot say becomes null: a loss that is no number, a restart without a finite end."""
    path = line_book(book.parent, {**predictions("=LN($E$1)*A#+$E$2"), "E1": 0.0})
    found = run("inspect", path, "--json")
    assert "NaN" not in found.out
    assert found.json["loss"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "BOOK", "--steps", "3"],
        ["check", "BOOK"],
        ["inspect", "BOOK"],
        ["find-lr", "BOOK"],
        ["export", "BOOK", "-o", "OUT.py"],
        ["functions"],
        ["new"],
        ["new", "quadratic", "-o", "OUT.xlsx"],
    ],
    ids=" ".join,
)
def test_plain_text_without_a_terminal(book: Path, tmp_path: Path, arguments: list[str]) -> None:
    places = {"BOOK": str(book), "OUT.py": str(tmp_path / "out.py"), "OUT.xlsx": str(tmp_path / "new.xlsx")}
    found = run(*[places.get(item, item) for item in arguments])
    assert (found.status, found.err) == (0, "")
    assert found.out
    assert ESCAPE not in found.out
    assert "\r" not in found.out


def test_names_are_not_taken_for_markup(tmp_path: Path) -> None:
    """A file name, a formula and a setting with brackets come out as they are."""
    book = line_book(tmp_path, {"G1": "start", "H1": "keep"}, {"sgd_settings": "Model!$G$1:$H$1"}, "a [bold]b.xlsx")
    assert f"Wrote {tmp_path / 'a [bold]b-trained.xlsx'}" in run("train", book).out
    assert "a [bold]b.xlsx, sheet Model" in run("inspect", book).out
    table = {"G2": "half", "H2": "x", "G3": 0.5, **predictions("=$E$1*A#+$E$2+SUM(halves[half])")}

    def add_table(made: object, sheet: object) -> None:
        sheet.add_table("G2:H3", {"name": "halves", "columns": [{"header": "half"}, {"header": "x"}]})  # type: ignore[attr-defined]

    found = run("inspect", line_book(tmp_path, table, adjust=add_table))
    assert "SUM(halves[half])" in found.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_a_terminal_obeys_nothing_in_a_workbook(tmp_path: Path) -> None:
    """ESC and its one-character form U+009B start commands, U+202E turns the text round."""
    sheet, harm = "M\x9b2J\x7f\u202e", re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
    path = tmp_path / "a\x1b]0;b\x07.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        cells = line_cells()
        fill(book.add_worksheet(sheet), {**cells, "E4": (cells["E4"][0] + '+IF("\x9b31m"="",1,0)', cells["E4"][1])})
        for name, area in (("sgd_loss", "$E$4"), ("sgd_params", "$E$1:$E$2")):
            book.define_name(f"'{sheet}'!{name}", f"='{sheet}'!{area}")
    for arguments in (
        ["inspect", path],
        ["check", path],
        ["find-lr", path],
        ["train", path, "--steps", "2"],
        ["export", path, "-o", tmp_path / "c\x1b[2J.py"],
        ["inspect", path, "--sheet", "\x9bNope"],
    ):
        found = run(*arguments)
        assert found.out + found.err
        assert not harm.search(found.out + found.err), arguments
        assert (found.status == 0) == ("--sheet" not in arguments)
    for name in ("inspect", "check", "find-lr"):
        found = run(name, path, "--json")
        assert not harm.search(found.out)
        assert found.json["sheet"] == sheet


def test_shown() -> None:
    assert shown("a  \x1b[31mb\n[bold]") == "a   [31mb \\[bold]"
    assert console().render_str(shown("[bold] :smile:")).plain == "[bold] :smile:"


def test_other_encodings(tmp_path: Path) -> None:
    """A pipe that does not know “✓” gets a question mark; JSON stays whole."""
    path = line_book(tmp_path, name="grün.xlsx")
    for arguments in (["check"], ["inspect", "--json"]):
        stream = BytesIO()
        with redirect_stdout(TextIOWrapper(stream, encoding="ascii")) as out:
            main([*arguments, str(path)])
            out.flush()
        text = stream.getvalue().decode("ascii")
        assert json.loads(text)["book"] == "grün.xlsx" if "--json" in arguments else "? 11 cells" in text


def test_reader_that_goes_away(book: Path) -> None:
    """As in `sgdsheet new | head -1`: no traceback."""
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run([sys.executable, "-m", "sgdsheet", "new"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (found.returncode, found.stderr) == (1, b"")


# --- on a terminal ------------------------------------------------------------------------------------------


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIOWrapper, list[bytes]]]:
    """A terminal to write to, and what it shows (when it is closed)."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    inner, outer = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(inner, 4096):
                seen.append(data)
        except OSError:  # closed on the other side
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(outer, "w", encoding="utf-8") as stream:
        yield stream, seen
    reader.join()
    os.close(inner)


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, book: Path) -> None:
    with terminal(monkeypatch) as (stream, seen), redirect_stdout(stream), redirect_stderr(stream):
        main(["train", str(book), "--optimizer", "sgd", "--lr", "0.01", "--steps", "50"])
    text = b"".join(seen).decode()
    assert ESCAPE in text
    assert "step 50/50" in text or "step 0/50" in text
    assert "Wrote" in text


def test_json_on_a_terminal(monkeypatch: pytest.MonkeyPatch, book: Path) -> None:
    """Neither colours on stdout nor a progress bar on stderr."""
    with terminal(monkeypatch) as (stream, seen), redirect_stderr(stream):
        found = TextIOWrapper(BytesIO(), encoding="utf-8")
        with redirect_stdout(found):
            main(["train", str(book), "--json"])
        found.seek(0)
        assert json.loads(found.read())["sheet"] == "Model"
    assert seen == []
    with terminal(monkeypatch) as (stream, seen), redirect_stdout(stream):
        main(["check", str(book), "--json"])
    assert json.loads(b"".join(seen))["passed"] is True


def test_error_on_a_terminal(monkeypatch: pytest.MonkeyPatch, book: Path) -> None:
    with terminal(monkeypatch) as (stream, seen), redirect_stderr(stream), pytest.raises(SystemExit):
        main(["train", str(book), "--sheet", "\x1b[31mNope"])
    assert b"".join(seen).decode().splitlines() == [
        "sgdsheet: the workbook has no sheet “ [31mNope”. Its sheets are Model"
    ]


# --- where the result goes ----------------------------------------------------------------------------------


def test_copy_beside_the_workbook(book: Path, tmp_path: Path) -> None:
    before = book.read_bytes()
    assert run("train", book).out.splitlines()[-1] == f"Wrote {tmp_path / 'line-trained.xlsx'}"
    assert book.read_bytes() == before
    assert loss_of(tmp_path / "line-trained.xlsx") < 0.03


def test_relative_path(monkeypatch: pytest.MonkeyPatch, book: Path, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", "line.xlsx", "--json").json["output"] == "line-trained.xlsx"
    assert (tmp_path / "line-trained.xlsx").exists()


def test_in_place(monkeypatch: pytest.MonkeyPatch, book: Path, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = run("train", "line.xlsx", "--json", "--in-place").json
    assert Path(found["output"]) == Path("line.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["line.xlsx"]
    assert load(book).sheets["Model"].values[4, 5] == found["loss"]


def test_output(book: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    output = tmp_path / "folder" / "trained.XLSX"
    assert run("train", book, "-o", output, "--json").json["output"] == str(output)
    assert loss_of(output) < 0.03


def test_workbook_with_macros_keeps_its_ending(book: Path, tmp_path: Path) -> None:
    book.rename(tmp_path / "macros.xlsm")
    found = run("train", tmp_path / "macros.xlsm", "--json").json
    assert found["output"] == str(tmp_path / "macros-trained.xlsm")
    assert (tmp_path / "macros-trained.xlsm").exists()


# --- new, functions -----------------------------------------------------------------------------------------


def test_new_lists_the_examples() -> None:
    lines = run("new").out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == list(examples.names())
    assert all(len(line.partition("  ")[2]) > 10 for line in lines)


@pytest.mark.parametrize("name", examples.names())
def test_new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("new", name).out.split()
    assert said[:6] == ["Wrote", f"{name}.xlsx.", "Look", "inside:", "sgdsheet", "inspect"]
    assert run(*said[5:]).status == 0


def test_new_does_not_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "mine.xlsx"
    path.write_bytes(b"mine")
    found = run("new", "quadratic", "-o", path)
    message = f"sgdsheet: “{path}” exists already. Choose another name with -o, or say --force\n"
    assert found == Run(1, "", message)
    assert path.read_bytes() == b"mine"
    assert run("new", "quadratic", "-o", path, "--force").status == 0
    assert load(path).sheets


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/q.xlsx", "missing” is not a folder. Create it"),
        ("folder.xlsx", "folder.xlsx” is a folder. Give a file name"),
        ("q.csv", "q.csv” is not the name of a workbook. Let it end with .xlsx"),
        ("", "“.” is a folder. Give a file name"),
        ("a" * 300 + ".xlsx", "cannot be written: "),
    ],
)
def test_new_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.xlsx").mkdir()
    found = run("new", "quadratic", "-o", output)
    assert (found.status, found.out) == (1, "")
    assert words in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.xlsx"]


def test_new_when_the_system_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("xlsxwriter.workbook.ZipFile", refuse)
    found = run("new", "quadratic", "-o", tmp_path / "q.xlsx")
    assert found.err.endswith("q.xlsx” cannot be written: Permission denied. Write somewhere else\n")
    assert (found.status, found.out) == (1, "")


def test_functions() -> None:
    found = run("functions", "--json").json
    names = [item["name"] for item in found["functions"]]
    assert {"SUM", "AVERAGE", "SUMPRODUCT", "MMULT", "IF", "EXP"} <= set(names)
    assert names == sorted(names)
    assert all(item["help"] and item["category"] and item["derivative"] for item in found["functions"])
    assert [item["name"] for item in found["optimizers"]] == list(OPTIMIZERS)
    assert [item["flag"] for item in found["settings"]] == [item.flag for item in DECLARATIONS]
    text = run("functions").out
    assert all(f" {item['name']} " in f" {text} " for item in (*found["functions"], *found["optimizers"]))


def test_the_standard_output_is_ours() -> None:
    """What a library in C writes there, as HiGHS does, is in nobody's way, and ours goes on when it is over."""
    lines = [
        "import os",
        "from sgdsheet.system.standard_output import for_ourselves",
        "with for_ourselves():",
        "    print('one', flush=True)",
        "    os.write(1, b'theirs')",
        "    print('two')",
        "print('three')",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["one", "two", "three"]
