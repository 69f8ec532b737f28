"""README.md to the letter: its commands where an environment is active, and what it says they print.

`tests/test_guide.py` reads addin/GUIDE.md. `sgdsheet libreoffice` and the buttons are run and pressed, where an
environment is active, in `tests/test_extension_office.py`; `attach` is run in `tests/test_live_attach.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import xlsxwriter

from sgdsheet.apps import examples
from sgdsheet.apps.cli import COMMANDS, cli
from sgdsheet.data.datasets import DATASETS
from sgdsheet.problem.settings import DECLARATIONS
from tests.activated import Environment, environment_with_sgdsheet
from tests.cli_books import run
from tests.shared_data import SOLVED, shared_data

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = [(kind, content.rstrip("\n")) for kind, content in re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.M | re.S)]
SHOWN = {content.splitlines()[0]: content.splitlines() for _, content in BLOCKS}
"""Every block by its first line."""

INSTALL = "python -m venv .venv && .venv/bin/pip install -c constraints.txt"
MNIST = "$ sgdsheet data mnist"
NOT_RUN = {
    f'{INSTALL} -e ".[test]" && .venv/bin/pytest': "these are the tests; .ci/run gives this command",
    MNIST: "fetches the digits and trains for a minute: tests/test_mnist_golden.py and tests/test_data_command.py",
}
TIME = re.compile(r"[\d,.]+ (?:s|steps/s)\b")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w.])")


def alike(shown: list[str], printed: list[str]) -> bool:
    """The same words, whatever the times; counts are equal, other numbers nearly."""
    if len(shown) != len(printed):
        return False
    for said, found in zip(shown, printed, strict=True):
        one, two = TIME.sub("TIME", said), TIME.sub("TIME", found)
        if NUMBER.sub("#", one).split() != NUMBER.sub("#", two).split():
            return False
        for left, right in zip(NUMBER.findall(one), NUMBER.findall(two), strict=True):
            if "." not in left and left != right:
                return False
            if float(left.replace(",", "")) != pytest.approx(float(right.replace(",", "")), rel=1e-4):
                return False
    return True


def test_alike() -> None:
    line = "loss 0.2704461608 → 0.1550302642 in 500 steps, 0.09 s, 5,600 steps/s"
    assert alike([line], ["loss 0.2704461608 → 0.15503026 in 500 steps, 12.1 s, 41 steps/s"])
    for other in (line.replace("0.155", "0.156"), line.replace("500", "501"), line.replace("loss", "metric")):
        assert not alike([line], [other])
    assert not alike([line], [line, line])


# --- in the shell -----------------------------------------------------------------------------------------


class Place:
    """A copy of what a person has fetched, with the environment that the first command makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Environment = environment_with_sgdsheet(folder / ".venv")
        shutil.copytree(ROOT / "workbooks", folder / "workbooks")
        if SOLVED.exists():
            shutil.copyfile(SOLVED, folder / "passengers.xlsx")

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        line = f"source .venv/bin/activate && {command}"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True, encoding="utf-8"
        )

    def prints(self, command: str) -> list[str]:
        done = self.shell(command)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="sgdsheet-readme-"))
    yield Place(folder)
    shutil.rmtree(folder)


def test_the_environment_is_active(place: Place) -> None:
    here = str(place.folder / ".venv" / "bin")
    assert place.prints("command -v python sgdsheet") == [f"{here}/python", f"{here}/sgdsheet"]


def first_command(place: Place) -> None:
    (command,) = (line for line in SHOWN if line.startswith(INSTALL) and "sgdsheet train" in line)
    *_, train = command.split(" && ")  # the parts before have made the environment
    shown = BLOCKS[[content for _, content in BLOCKS].index(command) + 1][1].splitlines()
    assert alike(shown, place.prints(train))
    assert (place.folder / "workbooks" / "titanic-trained.xlsx").is_file()


def dialogue(first: str) -> Callable[[Place], None]:
    """A command after a $ and what it prints."""

    def check(place: Place) -> None:
        command, *shown = SHOWN[first]
        assert alike(shown, place.prints(command.removeprefix("$ ")))

    return check


def message(place: Place) -> None:
    with xlsxwriter.Workbook(place.folder / "raw.xlsx") as book:
        sheet = book.add_worksheet("raw")
        sheet.write("F1", 1.5)
        for row in range(2, 21):
            sheet.write(row - 1, 1, row if row != 12 else "n/a")
            sheet.write_formula(f"D{row}", f"=B{row}*$F$1-A{row}", None, row * 1.5 if row != 12 else "#VALUE!")
        sheet.write_formula("F2", "=SUMSQ(D2:D20)", None, "#VALUE!")
    before = (place.folder / "raw.xlsx").read_bytes()
    done = place.shell("sgdsheet train raw.xlsx --loss F2 --params F1")
    assert done.returncode == 1
    assert done.stderr.splitlines() == SHOWN[next(first for first in SHOWN if first.startswith("sgdsheet: "))]
    assert (place.folder / "raw.xlsx").read_bytes() == before
    assert not (place.folder / "raw-trained.xlsx").exists()


def from_python(place: Place) -> None:
    (code,) = (content for kind, content in BLOCKS if kind == "python")
    (place.folder / "workbooks" / "readme.py").write_text(code, encoding="utf-8")
    printed = place.prints("cd workbooks && python readme.py")
    steps = [line.split() for line in printed[:500]]
    assert [int(number) for number, _ in steps] == list(range(1, 501))
    assert float(steps[-1][1]) < float(steps[0][1]) < 0.2705
    assert any("nnet" in line and "O" in line for line in printed[500:])


SOLVER = "$ sgdsheet train passengers.xlsx --sheet nnet --restarts 300 --seed 0"
RUN: dict[str, Callable[[Place], None]] = {
    f"{INSTALL} . && .venv/bin/sgdsheet train workbooks/titanic.xlsx --sheet nnet": first_command,
    SOLVER: dialogue(SOLVER),
    next(first for first in SHOWN if first.startswith("sgdsheet: ")): message,
    "import sgdsheet": from_python,
}
PRINTED = {"titanic.xlsx, sheet nnet: 12 parameters, loss nnet!O6"}
"""Blocks with what the command before them prints."""


def test_every_block_is_run_or_has_a_reason() -> None:
    assert set(SHOWN) == {*RUN, *NOT_RUN, *PRINTED}
    assert all(NOT_RUN.values())


@pytest.mark.parametrize(
    "first", [pytest.param(first, marks=shared_data("workbooks") if first == SOLVER else ()) for first in RUN]
)
def test_block(place: Place, first: str) -> None:
    RUN[first](place)


# --- what is said in between ------------------------------------------------------------------------------


def options(command: click.Command) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            under = command.get_command(click.Context(command), name)
            assert under is not None
            found |= options(under)
    return found | {"--help"}


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, f"there is no command {name}"
    return found


def rows() -> list[tuple[list[str], str]]:
    """The table of the commands: which, and what is said about them."""
    section = TEXT.split("\n## Commands\n")[1].strip().split("\n\n")[0]
    found = [line.strip("| ").split(" | ", 1) for line in section.splitlines()[2:]]
    return [(re.findall(r"`sgdsheet ([\w-]+)", names), said) for names, said in found]


def test_every_command_has_a_row() -> None:
    assert sorted(name for names, _ in rows() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize(("names", "said"), rows(), ids=lambda each: each[0] if isinstance(each, list) else "")
def test_rows_name_options_that_exist(names: list[str], said: str) -> None:
    known = set().union(*(options(command(name)) for name in names))
    assert set(re.findall(r"`(--?[a-z][\w-]*)", said)) <= known


def test_commands_in_sentences_exist() -> None:
    for line in re.findall(r"`(sgdsheet [^`]+)`", TEXT):
        words = line.split()[1:]
        if words[0] == "--help":
            continue
        assert {word for word in words if word.startswith("-")} <= options(command(words[0])), line


def test_options_in_sentences_exist() -> None:
    everywhere = set().union(*(options(command(name)) for name in COMMANDS))
    others = {"--nproc-per-node"}  # torchrun's
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", TEXT)) <= everywhere | others


def listed(row: str) -> list[str]:
    """The names in backquotes of one row, without commands and options."""
    (said,) = (said for names, said in rows() if names == [row])
    return [name for name in re.findall(r"`([^`]+)`", said) if not name.startswith("-")]


def test_examples_and_datasets() -> None:
    assert set(listed("new")) <= set(examples.names())  # there are more lessons than the row tells of
    assert sorted(listed("data")) == sorted(DATASETS)


def test_every_setting_is_named() -> None:
    """In their order. Those that came later are in the list that is printed, whether the sentence names them or not."""
    (sentence,) = re.findall(r"lists them all\): (.*?)\. Of steps", TEXT, re.S)
    named = [re.sub(r" \(.*?\)", "", name).strip() for name in " ".join(sentence.split()).split(", ")]
    declared = [declaration.key.replace("_", " ") for declaration in DECLARATIONS]
    assert named == [name for name in declared if name in named]
    assert len(named) >= 20
    printed = {item["name"] for item in run("functions", "--json").json["settings"]}
    assert printed == {declaration.label for declaration in DECLARATIONS}


def test_help_and_json() -> None:
    pages = {name: run(name, "--help") for name in COMMANDS}
    assert {page.status for page in pages.values()} == {0}
    with_json = [name for name in COMMANDS if "--json" in options(command(name))]
    assert len(with_json) > len(COMMANDS) / 2


def test_exit_status(tmp_path: Path) -> None:
    book = Path(shutil.copy(ROOT / "workbooks" / "quadratic.xlsx", tmp_path / "q.xlsx"))
    assert run("inspect", book, "--sheet", "raw").status == 0
    assert run("inspect", book, "--sheet", "none").status == 1
    assert run("inspect", book, "--nonsense").status == 2


def test_links_and_files() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).is_file()
    for name in re.findall(r"`((?:workbooks|benchmarks)/[\w.]+|python benchmarks/[\w.]+)`", TEXT):
        path = ROOT / name.removeprefix("python ")
        assert path.is_file() or "-trained" in name
