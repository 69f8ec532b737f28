"""A workbook may name data beside or below itself. Anything else needs a person's word."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest

import sgdsheet
from sgdsheet.data.locate import list_of_allowed, locate
from sgdsheet.errors import FileError
from sgdsheet.sheet.workbook import DefinedName
from tests.bound_books import Rows, idx, numbers, save
from tests.cli_books import run
from tests.errors import refusal
from tests.live_books import SHEET, Desk, calculate, line_workbook
from tests.memory_host import MemoryHost
from tests.training_books import write

REFUSED = "a workbook may not choose files elsewhere"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own settings, empty, and a home folder with something private in it."""
    folder = tmp_path / "config"
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name, **more: folder / name)
    monkeypatch.setenv("HOME", str(tmp_path / "owner"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "owner"))
    (tmp_path / "owner").mkdir()
    save(tmp_path / "owner" / "private.csv", numbers())
    return folder


@pytest.fixture
def book(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a workbook, in a folder of its own, that names a source."""
    folder = tmp_path / "received"
    (folder / "sub").mkdir(parents=True)
    save(folder / "data.npz", numbers())
    save(folder / "sub" / "deeper.csv", numbers())

    def make(source: str) -> Path:
        rows = Rows()
        names = {**rows.all_names(3), "sgd_source": "A2", "sgd_output": "F4:F6"}
        return write(folder / "book.xlsx", {**rows.cells(numbers(), 3), "A2": source}, names)

    return make


COMMANDS = [("train", "--steps", "2"), ("predict",), ("find-lr",)]
OUTSIDE = [
    "../owner/private.csv",
    "{tmp}/owner/private.csv",
    "~/private.csv",
    "sub/../../owner/private.csv",
    "link.csv",
    "linked/private.csv",
    "link.csv where x is 3",
    "../owner/there-is-no-such-file.csv",
    "loop.csv",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("source", OUTSIDE)
def test_files_elsewhere_are_refused(
    book: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = book(source.replace("{tmp}", str(tmp_path)))
    (path.parent / "link.csv").symlink_to(tmp_path / "owner" / "private.csv")
    (path.parent / "linked").symlink_to(tmp_path / "owner")
    (path.parent / "loop.csv").symlink_to("loop.csv")
    before = sorted(tmp_path.rglob("*"))
    name, *options = command
    refused = run(name, path, *options)
    assert (refused.status, refused.out) == (1, "")
    assert REFUSED in refused.err
    assert refused.err.startswith("sgdsheet: Model!A2: ")
    assert str(list_of_allowed()) in refused.err
    assert refused.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_tells_whether_a_file_is_there(book: Callable[[str], Path]) -> None:
    there = run("train", book("../owner/private.csv")).err
    assert there.replace("private", "nothing") == run("train", book("../owner/nothing.csv")).err


NETWORKS = ["\\\\host\\share\\x.csv", "//host/share/x.csv", "smb:host/x.csv", "\\\\?\\C:\\x.csv"]


@pytest.mark.parametrize("source", NETWORKS)
def test_networks_and_devices(book: Callable[[str], Path], source: str) -> None:
    refused = run("train", book(source))
    assert refused.status == 1
    assert "is not a file on this machine" in refused.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("name", ["pipe.csv", "pipe.npz", "train-images-idx3-ubyte", "pipe"])
def test_pipes_are_not_waited_for(book: Callable[[str], Path], name: str) -> None:
    path = book(name)
    os.mkfifo(path.parent / name)
    refused = run("train", path)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.count("\n") == 1


def test_links_among_the_files_of_a_folder(book: Callable[[str], Path], tmp_path: Path) -> None:
    private = idx(tmp_path / "pictures", np.zeros((4, 2, 2)), np.zeros(4))
    path = book("sub")
    for item in private.iterdir():
        (path.parent / "sub" / item.name).symlink_to(item)
    refused = run("train", path)
    assert refused.status == 1
    assert REFUSED in refused.err


def test_inspect_says_it_and_goes_on(book: Callable[[str], Path]) -> None:
    found = run("inspect", book("../owner/private.csv"), "--json")
    assert found.status == 0
    assert REFUSED in found.json["file"]["error"]
    assert found.json["file"]["samples"] is None
    assert found.json["file"]["fields"] == []


INSIDE = ["data.npz", "./data.npz", "sub/deeper.csv", "sub/../data.npz", "inner.csv", "{folder}/data.npz"]


@pytest.mark.parametrize("source", INSIDE)
def test_beside_and_below(book: Callable[[str], Path], tmp_path: Path, source: str) -> None:
    folder = tmp_path / "received"
    (folder / "inner.csv").symlink_to(folder / "sub" / "deeper.csv")
    assert run("train", book(source.replace("{folder}", str(folder))), "--steps", "2").status == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_person_says(
    book: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *options = command
    path = book("data.npz") if name == "predict" else book("../owner/private.csv")
    said = run(name, path, "--source", tmp_path / "owner" / "private.csv", *options)
    assert (said.status, said.err) == (0, "")


def test_what_predict_reads_besides_is_the_workbooks_choice(
    book: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Averages over the training data come from the source that the workbook names, whatever --source says."""
    monkeypatch.chdir(tmp_path)
    rows = Rows(formulas=("=$K$1*(C{r}-AVERAGE(C${a}:C${b}))+$K$2*D{r}+$K$3", "=(F{r}-E{r})^2"))
    names = {**rows.all_names(3), "sgd_source": "A2", "sgd_output": "F4:F6"}
    path = tmp_path / "received" / "book.xlsx"
    write(path, {**rows.cells(numbers(), 3), "A2": "../owner/private.csv"}, names)
    refused = run("predict", path, "--source", path.parent / "data.npz")
    assert refused.status == 1
    assert REFUSED in refused.err


def test_a_list_of_ones_own(book: Callable[[str], Path], tmp_path: Path) -> None:
    path = book("../owner/private.csv")
    assert run("train", path, "--steps", "2").status == 1
    list_of_allowed().parent.mkdir(parents=True)
    list_of_allowed().write_text(f"# mine\n\nrelative\n{tmp_path / 'elsewhere'}\n", encoding="utf-8")
    assert run("train", path, "--steps", "2").status == 1
    list_of_allowed().write_text(f"{tmp_path / 'elsewhere'}\n{tmp_path / 'owner'}\n", encoding="utf-8")
    assert run("train", path, "--steps", "2").status == 0


def test_python_says_it_as_an_argument(book: Callable[[str], Path], tmp_path: Path) -> None:
    workbook = sgdsheet.load(book("../owner/private.csv"))
    with refusal(FileError, cell="Model!A2", cause=REFUSED):
        sgdsheet.Session(sgdsheet.compile(workbook), steps=2)
    session = sgdsheet.Session(sgdsheet.compile(workbook, source=tmp_path / "owner" / "private.csv"), steps=2)
    assert session.run() > 0
    assert session.source == "private.csv"


def test_a_workbook_that_was_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program happens to run is nobody's choice."""
    monkeypatch.chdir(tmp_path / "owner")
    with refusal(FileError, cause="not saved"):
        locate("private.csv", None)
    assert locate("private.csv", None, chosen=True) == Path("private.csv")


def test_live(tmp_path: Path, state: Path) -> None:
    workbook = line_workbook({"steps": 30.0})
    workbook.sheets[SHEET].values[10, 1] = "../owner/points.csv"
    workbook.names += [
        DefinedName("sgd_source", f"{SHEET}!$A$10", SHEET),
        DefinedName("sgd_data", f"{SHEET}!$A$2:$D$6", SHEET),
    ]
    workbook.folder = tmp_path / "received"
    calculate(workbook)
    with (tmp_path / "owner" / "points.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["x", "y"], *([float(row), 2.0 * row] for row in range(20))])
    host = MemoryHost(workbook, calculate, "line.xlsx")
    before = host.read().sheets[SHEET].values.copy()
    with Desk(host) as desk:
        for command in ("step", "find-lr"):
            reply = desk.ask(command)
            assert not reply["ok"]
            assert REFUSED in reply["error"]
        desk.ask("train")
        status = desk.until_idle()
    assert status["failed"] == "FileError"
    assert status["message"].startswith(f"{SHEET}!A10: ")
    assert REFUSED in status["message"]
    assert str(list_of_allowed()) in status["message"]
    assert host.read().sheets[SHEET].values == before
