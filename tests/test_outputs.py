"""No output of a command is one of its inputs, another of its outputs, or what a person made. Every option is tried."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest

from sgdsheet.apps.cli import COMMANDS, cli
from sgdsheet.apps.cli.files import DATA, InputFile, OutputFile
from sgdsheet.errors import FileError, SettingError
from sgdsheet.system.outputs import CHECKPOINT, LOG, Output, check, ready, same
from sgdsheet.system.state_folder import VARIABLE
from tests.bound_books import Rows, idx, numbers, save
from tests.cli_books import Run, line_book, run
from tests.errors import refusal
from tests.training_books import write

FILES = ("FILE", "OUT", "BOOK", "FOLDER", "DIR")
NO_FILES_OF_OURS = {
    "attach BOOK": "a workbook that is open elsewhere, which is reached through its program",
    "libreoffice install --office": "LibreOffice's own folders, which its tool uses",
    "libreoffice install --profile": "",
    "libreoffice uninstall --office": "",
    "libreoffice uninstall --profile": "",
    "libreoffice status --office": "",
    "libreoffice status --profile": "",
}


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands, and those of the groups."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from (((name, inner), command.commands[inner]) for inner in command.commands)
        else:
            yield (name,), command


class Option(NamedTuple):
    """An option that names a file to write, and the command that has it."""

    words: tuple[str, ...]
    flag: str
    kind: OutputFile

    @property
    def arguments(self) -> list[str]:
        """The command with what it needs besides."""
        needed = {"surface": ["book.xlsx", "--params", "K1"], "new": ["quadratic"], "addin": [], "libreoffice": []}
        return [*self.words, *needed.get(self.words[0], ["book.xlsx"])]

    def __str__(self) -> str:
        return " ".join((*self.words, self.flag))


OPTIONS = [
    Option(words, max(parameter.opts, key=len) if "--log" not in parameter.opts else "--log", parameter.type)
    for words, command in commands()
    for parameter in command.params
    if isinstance(parameter.type, OutputFile)
]
READING = [option for option in OPTIONS if option.words[0] not in ("new", "addin", "libreoffice")]


def test_every_option_for_a_file_says_what_it_does() -> None:
    """An option that names a file is declared as an input or an output: else nobody would check it."""
    found = set()
    for words, command in commands():
        for parameter in command.params:
            name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
            assert not isinstance(parameter.type, click.Path | click.File), "say InputFile or OutputFile"
            if isinstance(parameter.type, InputFile | OutputFile):
                continue
            if parameter.metavar in FILES or name.strip("[]") in FILES:
                found.add(" ".join((*words, name)))
    assert found == set(NO_FILES_OF_OURS)


def test_all_known_outputs_are_among_them() -> None:
    """That the search finds something."""
    assert {str(option) for option in OPTIONS} >= {
        *(f"train {flag}" for flag in ("--output", "--log", "--plot", "--tensorboard", "--checkpoint")),
        *(
            "animate --output",
            "surface --output",
            "predict --output",
            "export --output",
            "find-lr --plot",
            "new --output",
        ),
        *("addin build --output", "libreoffice build --output"),
    }


# --- inputs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook that names its data, other data for it, and a checkpoint."""
    place = tmp_path_factory.mktemp("template")
    book = Rows(names={"sgd_output": "F4:F{b}"}).file(place, numbers(), source="data.csv")
    save(book.with_name("other.csv"), numbers(seed=7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(place / "state"))
        checkpoint = ("--checkpoint", book.with_name("run.json"))
        done = run("train", book, "--steps", 1, *checkpoint, "-o", book.with_name("trained.xlsx"))
    assert done.status == 0, done.err
    return book.parent


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> Path:
    """A copy of the template, which is the working directory."""
    place = tmp_path / "place"
    shutil.copytree(template, place)
    monkeypatch.chdir(place)
    return place


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def refused(folder: Path, *arguments: object, status: int = 2) -> str:
    """The line that a command says; no file is another than before, or there is a new one."""
    before = contents(folder)
    ended = run(*arguments)
    assert contents(folder) == before
    assert (ended.status, ended.out) == (status, ""), ended
    (line,) = ended.err.splitlines()
    assert line.startswith("sgdsheet: ")
    return line


def ending(option: Option) -> str:
    return (*option.kind.product.endings, ".xlsx")[0]


def symbolic(victim: Path, name: str) -> str:
    Path(name).symlink_to(victim)
    return name


def hard(victim: Path, name: str) -> str:
    os.link(victim, name)
    return name


def chain(victim: Path, name: str) -> str:
    """A link to a link, through a folder that is one."""
    Path("first").symlink_to(victim.resolve())
    Path("loop").symlink_to(".")
    Path(name).symlink_to("loop/first")
    return f"loop/../place/{name}"


DISGUISES: dict[str, Callable[[Path, str], str]] = {
    "itself": lambda victim, name: str(victim),
    "dots": lambda victim, name: f"./../place/./{victim.name}",
    "whole path": lambda victim, name: str(victim.resolve()),
    "link": symbolic,
    "hard link": hard,
    "chain": chain,
}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("victim", ["book.xlsx", "data.csv", "other.csv", "run.json"])
@pytest.mark.parametrize("option", READING, ids=str)
def test_no_output_is_an_input(folder: Path, option: Option, victim: str, disguise: str) -> None:
    known = dict(commands())[option.words].params
    arguments = option.arguments
    if victim == "other.csv":
        if all(parameter.type is not DATA for parameter in known):
            pytest.skip("it reads no other data")
        arguments += ["--source", "other.csv"]
    if victim == "run.json":
        if all("--resume" not in parameter.opts for parameter in known):
            pytest.skip("it reads no checkpoint")
        if option.kind.product is CHECKPOINT:
            pytest.skip("to go on in the same file is what a person wants")
        arguments += ["--resume", "run.json"]
    name = DISGUISES[disguise](Path(victim), f"output{ending(option)}")
    if option.words == ("train",) and option.flag == "--output" and Path(name).resolve().suffix != ".xlsx":
        assert "cannot be saved" in refused(folder, *arguments, option.flag, name, status=1)
        return
    line = refused(folder, *arguments, option.flag, name)
    if option.words == ("train",) and option.flag == "--output" and victim == "book.xlsx":
        assert line.endswith("itself. Say --in-place if that is meant")
    else:
        words = {"book.xlsx": "the workbook", "run.json": "the checkpoint"}.get(victim, "the data")
        assert f"would write over {words} “{victim}”. Give it another name" in line


@pytest.mark.parametrize("option", READING, ids=str)
def test_it_is_said_before_any_work(folder: Path, monkeypatch: pytest.MonkeyPatch, option: Option) -> None:
    monkeypatch.setattr("sgdsheet.compiler.model.compile", lambda *arguments, **options: pytest.fail("it was compiled"))
    name = "book.xlsx" if option.flag == "--output" and option.words == ("train",) else "data.csv"
    refused(folder, *option.arguments, option.flag, name)


def test_all_files_of_a_dataset(folder: Path) -> None:
    """MNIST's four files, packed and not, also those of the part that is not read, and the folder."""
    random = np.random.default_rng(1)
    images, labels = random.integers(0, 255, (5, 2, 2)), random.integers(0, 9, 5)
    for part in ("train", "t10k"):
        idx(folder / "set", images, labels, part)
        idx(folder / "set", images, labels, part, packed=True)
    files = sorted(path.name for path in (folder / "set").iterdir())
    assert len(files) == 8
    for source, name in itertools.product(("set", "set/train-images-idx3-ubyte"), files):
        line = refused(folder, "train", "book.xlsx", "--source", source, "--checkpoint", f"set/{name}")
        assert f"--checkpoint would write over the data “{name}”" in line
    assert "over the data “set”" in refused(folder, "train", "book.xlsx", "--source", "set", "--tensorboard", "set/.")


def test_the_data_of_another_sheet(folder: Path) -> None:
    cells = {"A1": 1, "A2": "=(A1-3)^2", "C1": "data.csv", "Other!A1": "other.csv"}
    write(folder / "two.xlsx", cells, {"sgd_loss": "A2", "sgd_params": "A1"})
    import openpyxl

    book = openpyxl.load_workbook(folder / "two.xlsx")
    name = openpyxl.workbook.defined_name.DefinedName("sgd_source", attr_text="Other!$A$1")
    book["Other"].defined_names["sgd_source"] = name
    book.save(folder / "two.xlsx")
    assert "over the data “other.csv”" in refused(folder, "train", "two.xlsx", "--log", "other.csv")


def test_going_on_in_the_same_checkpoint(folder: Path) -> None:
    """A run that goes on from a file may keep its state there; a run that is refused leaves it as it is."""
    again = ("train", "book.xlsx", "--resume", "run.json", "--checkpoint", "./run.json", "-o", "trained.xlsx")
    old = (folder / "run.json").read_bytes()
    assert run(*again, "--steps", 5, "--json").json["steps"] == 5
    new = (folder / "run.json").read_bytes()
    assert new != old
    assert run(*again, "--steps", 9, "--json").json["steps"] == 9
    line_book(folder, name="line.xlsx")
    kept = (folder / "run.json").read_bytes()
    assert "belongs to another model" in refused(
        folder, "train", "line.xlsx", "--resume", "run.json", "--checkpoint", "run.json", status=1
    )
    assert (folder / "run.json").read_bytes() == kept


# --- outputs among each other ---------------------------------------------------------------------------------


TRAIN = [option for option in OPTIONS if option.words == ("train",)]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(TRAIN, 2)), ids=str)
def test_no_two_outputs_are_one(folder: Path, one: Option, other: Option) -> None:
    """Where their endings allow it; also by a link, and by a case that not every disk tells apart."""
    common = {
        end
        for end in (".xlsx", ".csv", ".png", "")
        if all(end in option.kind.product.endings or not option.kind.product.endings for option in (one, other))
        and all(option.flag != "--output" or end == ".xlsx" for option in (one, other))
    }
    if not common:
        pytest.skip("their names end differently")
    name = "out" + sorted(common)[0]
    for first, second in ((name, name), (name, f"../place/{name}"), (name, name.upper()), (name, "dangling" + name)):
        if second.startswith("dangling"):
            Path(second).symlink_to(name)
        line = refused(folder, "train", "book.xlsx", one.flag, first, other.flag, second)
        assert f"{one.flag} and {other.flag} are the same file" in line


def test_names_that_differ_by_case(tmp_path: Path) -> None:
    """They are two files where the disk has both, and one where that cannot be known yet."""
    one, other = tmp_path / "Run.csv", tmp_path / "run.CSV"
    assert same(one, other)
    one.write_text("a")
    if not other.exists():  # a disk that tells them apart
        assert not same(one, other)
        other.write_text("b")
        assert not same(one, other)
    assert same(tmp_path / "nowhere" / "a", tmp_path / "nowhere" / "b" / ".." / "a")
    assert not same(tmp_path / "a" / "x", tmp_path / "b" / "x")
    (tmp_path / "loop").symlink_to("loop")
    assert not same(tmp_path / "loop", one)


# --- what lies there already ------------------------------------------------------------------------------------


FOREIGN = {
    "text": b"Dear diary,\n",
    "data": b"x,y\n1,2\n",
    "json": b'{"format": "mine"}',
    "workbook": b"PK\x03\x04 and more",
    "picture": b"\x89PNG\r\n\x1a\n of my dog",
    "zeros": bytes(100),
    "parquet": b"PAR1 mine PAR1",
}


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_what_is_not_ours_stays(folder: Path, option: Option, content: str) -> None:
    """Whatever lies under the name is kept, unless it is what the option writes."""
    name = f"mine{ending(option)}"
    Path(name).write_bytes(FOREIGN[content])
    if option.kind.product.endings == (".xlsx",):
        assert "exists already" in refused(folder, *option.arguments, option.flag, name, status=1)
    elif option.words == ("train",) and option.flag == "--output" and content == "workbook":
        assert run(*option.arguments, option.flag, name, "--steps", 1).status == 0  # the contract: it is replaced
    else:
        line = refused(folder, *option.arguments, option.flag, name, status=1)
        assert "exists and is not" in line or "is not a folder" in line


def of_option(option: Option, name: str) -> Run:
    more = {
        "train": ["--steps", "2"],
        "new": ["--force"],
        "animate": ["--steps", "2", "--seconds", "1", "--width", "320"],
        "surface": ["--steps", "2"],
    }
    if name.endswith(".mp4") and shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg")
    return run(*option.arguments, *more.get(option.words[0], []), option.flag, name)


@pytest.mark.parametrize(
    ("option", "end"),
    [(option, end) for option in OPTIONS for end in (option.kind.product.endings or (".xlsx",))],
    ids=str,
)
def test_what_is_ours_is_replaced(folder: Path, option: Option, end: str) -> None:
    """A second run writes over what the first wrote, and keeps its permissions; an empty file is nobody's."""
    name = f"ours{end}"
    if not option.kind.product.is_folder:
        Path(name).touch()
    for _ in range(2):
        done = of_option(option, name)
        assert done.status == 0, done.err
    path = Path(name)
    if path.is_dir():
        assert len(list(path.iterdir())) == 2  # each run adds a file of its own
        return
    path.chmod(0o600)
    linked = Path(f"link{end}")
    linked.symlink_to(name)
    assert of_option(option, str(linked)).status == 0
    assert linked.is_symlink()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    assert not [item for item in Path().iterdir() if item.name.startswith(".sgdsheet")]


def test_the_numbers_beside_an_exported_model(folder: Path) -> None:
    """A large model has its numbers in a file of its own, which must not be anyone else's."""
    write(
        folder / "large.xlsx", {"A1:A2500": 0.5, "B1": "=SUMSQ(A1:A2500)"}, {"sgd_loss": "B1", "sgd_params": "A1:A2500"}
    )
    Path("model.pt").write_bytes(b"PK\x03\x04 weights of another network")
    assert "“model.pt” exists and is not the numbers of an exported model" in refused(
        folder, "export", "large.xlsx", status=1
    )
    Path("model.pt").unlink()
    for _ in range(2):
        assert run("export", "large.xlsx").status == 0
    shutil.copy("model.pt", "kept.pt")
    Path("model.py").write_text("print('mine')")
    assert "“model.py” exists and is not a model" in refused(folder, "export", "large.xlsx", status=1)


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_places_where_nothing_can_be_written(folder: Path, option: Option) -> None:
    end = ending(option)
    Path(f"folder{end}").mkdir()
    Path("file").write_text("")
    places = [f"file/x{end}"]
    if not option.kind.product.is_folder:
        places += [f"folder{end}", f"nowhere/x{end}"]
        if hasattr(os, "mkfifo"):
            os.mkfifo(f"pipe{end}")
            places.append(f"pipe{end}")
    before = {str(path) for path in folder.rglob("*")}
    for place in places:
        ended = run(*option.arguments, option.flag, place)
        assert (ended.status, ended.out) == (1, "")
        assert len(ended.err.splitlines()) == 1
        assert {str(path) for path in folder.rglob("*")} == before


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.kind.product.endings], ids=str)
def test_a_wrong_ending_is_said_before_any_work(folder: Path, monkeypatch: pytest.MonkeyPatch, option: Option) -> None:
    monkeypatch.setattr("sgdsheet.compiler.model.compile", lambda *arguments, **options: pytest.fail("it was compiled"))
    assert "Let it end with" in refused(folder, *option.arguments, option.flag, "name.doc", status=1)


def test_a_name_that_no_system_knows(tmp_path: Path) -> None:
    for name in ("a\0b.csv", "a" * 5000 + ".csv"):
        with refusal(FileError, cause="cannot be written"):
            ready(tmp_path / name, LOG)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(FileError):
        ready(tmp_path / "loop.csv", LOG)
    with refusal(SettingError, cause="--log and --other are the same file"):
        check([], [Output("--log", tmp_path / "a.csv", LOG), Output("--other", tmp_path / "a.csv", LOG)])
