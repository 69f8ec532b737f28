"""Workbooks, files and arguments that cannot be used: one line says where and why, and nothing is touched."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
import xlsxwriter
from openpyxl import load_workbook

from tests.cli_books import NAMES, SHEET, Run, line_book, line_cells, predictions, run, write_book

READERS = [["inspect"], ["check", "--json"], ["find-lr", "--json"], ["export", "-o", "never.py"]]
"""The other commands, which have to find the same fault."""

DATA = {"sgd_data": "Model!$A$2:$D$6"}
SETTINGS = {"sgd_settings": "Model!$G$1:$H$3"}
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"


@dataclass(frozen=True)
class Case:
    """A changed straight line, arguments, and the message: where, and pieces of it from left to right."""

    where: str
    words: tuple[str, ...]
    cells: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    only_train: bool = False


def expect(found: Run, where: str, words: tuple[str, ...], status: int = 1) -> None:
    """One line on stderr, with the cell in front and these words in this order, and nothing on stdout.

    Only `inspect` has shown there what names on the sheet say, before it compiled the formulas.
    """
    assert found.status == status
    assert found.out == "" or "(found by " in found.out.splitlines()[0]
    (line,) = found.err.splitlines()
    assert line.startswith(f"sgdsheet: {where}: " if where else "sgdsheet: ")
    assert ". " in line.removeprefix(f"sgdsheet: {where}: "), f"no remedy in: {line}"
    place = 0
    for piece in words:
        assert piece in line[place:], f"{piece!r} is missing in: {line}"
        place = line.index(piece, place) + len(piece)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def merge(book: Any, sheet: Any) -> None:
    sheet.merge_range("G1:H2", 0.5)


CASES = {
    # loss
    "loss is a number": Case(
        "Model!E4",
        ("the loss cell holds no formula", "Point the loss to the cell that calculates it"),
        {"E4": 3.0},
    ),
    "loss is empty": Case("Model!E4", ("the loss cell holds no formula", "Point"), {"E4": None}),
    "loss is a range": Case(
        "",
        ("the name sgd_loss on sheet Model must be one cell, not Model!$D$2:$D$6", "single cell"),
        names={"sgd_loss": "Model!$D$2:$D$6"},
    ),
    "loss is no reference": Case(
        "",
        ("the name sgd_loss on sheet Model is not a range of cells", "Write it like B2"),
        names={"sgd_loss": "3.5"},
    ),
    "names in a circle": Case(
        "",
        ("the name sgd_loss on sheet Model is not a range of cells", "Write it like"),
        names={"sgd_loss": "one", "one": "two", "two": "one"},
    ),
    "loss deleted": Case(
        "",
        (
            "the name sgd_loss on sheet Model points to cells that were deleted (#REF!)",
            "Point it to existing cells",
        ),
        names={"sgd_loss": "#REF!"},
    ),
    "loss is text": Case(
        "Model!E4",
        ("joins text that depends on a parameter", "Keep text out"),
        {"E4": ('=AVERAGE(D2:D6)&""', "")},
        only_train=True,
    ),
    # parameters
    "parameters deleted": Case(
        "",
        (
            "the name sgd_params on sheet Model points to cells that were deleted",
            "Point it to existing cells",
        ),
        names={"sgd_params": "Model!#REF!"},
    ),
    "parameter unused": Case(
        "Model!G1",
        (
            "the loss Model!E4 does not depend on this parameter",
            "Use it in a formula, or leave it out of the parameters",
        ),
        names={"sgd_params": "Model!$E$1:$E$2,Model!$G$1:$G$3"},
    ),
    "all parameters unused": Case(
        "Model!E1", ("the loss Model!E4 does not depend on this parameter",), {"E4": ("=AVERAGE(B2:B6)", 5.0)}
    ),
    "one cell of a range unused": Case(
        "Model!E2", ("the loss Model!E4 does not depend on this parameter",), predictions("=$E$1*A#")
    ),
    "last cell of a long range unused": Case(
        "Model!E3",
        ("the loss Model!E4 does not depend on this parameter", "leave it out"),
        {"E3": 7.0},
        {"sgd_params": "Model!$E$1:$E$3"},
    ),
    "only rounded": Case(
        "Model!E1",
        ("depends on this parameter only in steps (ROUND in Model!C2)", "no gradient", "Use a smooth formula"),
        predictions("=ROUND($E$1,1)*A#+$E$2"),
        arguments=("--optimizer", "adam"),
        only_train=True,
    ),
    "only compared": Case(
        "Model!E2",
        ("depends on this parameter only in steps (a comparison in Model!C2)", "no gradient", "Use a smooth"),
        predictions("=$E$1*A#+($E$2>0)"),
        arguments=("--optimizer", "adam"),
        only_train=True,
    ),
    "parameter is a formula": Case(
        "Model!E1",
        ("a parameter cell holds a formula", "Put a number there, or leave the cell out"),
        {"E1": ("=1/2", 0.5)},
    ),
    "parameter is text": Case(
        "Model!E1",
        ("a parameter cell holds “half” and not a number", "Put a number there"),
        {"E1": "half"},
    ),
    "parameter is long text": Case(
        "Model!E1",
        ("a parameter cell holds “one two one two", "…” and not a number"),
        {"E1": "one\ntwo\a\t" * 40},
    ),
    "parameter is a truth value": Case(
        "Model!E2", ("a parameter cell holds “TRUE” and not a number", "Put a number there"), {"E2": True}
    ),
    "parameter inside an array": Case(
        "Model!E2",
        (
            "a parameter cell is filled by the array formula in E1",
            "Choose a cell that holds a number",
        ),
        {"E1:E2": "{=A2:A3*1}"},
        {"sgd_params": "Model!$E$2"},
    ),
    "parameter inside a spill": Case(
        "Model!H3",
        ("a parameter cell is filled by the array formula in H1", "Choose a cell that holds a number"),
        {"H1:H4": "#=A2:A5*1"},
        {"sgd_params": "Model!$E$1,Model!$H$3"},
    ),
    "parameter in merged cells": Case(
        "Model!H1",
        (
            "a parameter cell is hidden by the merged cells G1:H2",
            "Unmerge them, or choose only their upper left cell",
        ),
        predictions("=$G$1*A#+$H$1"),
        {"sgd_params": "Model!$G$1:$H$1"},
        more={"adjust": merge},
    ),
    "protected sheet": Case(
        "Model!E1:E2",
        ("sheet Model is protected", "Unprotect the sheet (in Excel: Review, Unprotect Sheet) and save"),
        more={"adjust": lambda book, sheet: sheet.protect()},
        only_train=True,
    ),
    "only a condition": Case(
        "Model!E2",
        ("depends on this parameter only in steps (IF in Model!C2)", "no gradient", "Use a smooth formula"),
        predictions("=$E$1*A#+IF($E$2>0,1,2)"),
        arguments=("--optimizer", "adam"),
        only_train=True,
    ),
    # formulas
    "unsupported function": Case(
        "Model!C4",
        ("BESSELQ is not supported on the way from the parameters to the loss", "Rewrite it with functions"),
        {"C4": ("=BESSELQ($E$1,1)+$E$2", 1.0)},
        only_train=True,
    ),
    "circle": Case(
        "Model!C3",
        ("the formulas in C3, F3 depend on each other in a circle", "Let one of them read other cells"),
        {"C3": "=$E$1+$E$2+F3", "F3": "=C3*2"},
    ),
    "circle of one cell": Case(
        "Model!C3",
        ("the formula depends on its own cell", "Let it read other cells"),
        {"C3": "=$E$1+$E$2+C3"},
    ),
    "circle through the loss": Case(
        "Model!C3",
        ("the formulas in C3, D3, E4 depend on each other in a circle", "Let one"),
        {"C3": "=$E$1+E4"},
    ),
    "circle over two sheets": Case(
        "Model!C3",
        ("the formulas in C3, Other!B2 depend on each other in a circle", "Let one of them"),
        {"C3": "=$E$1+$E$2+Other!B2"},
        more={"more": {"Other": {"B2": "=Model!C3+1"}}},
    ),
    "another file": Case(
        "Model!C3",
        (
            "the formula refers to another file ([1]Sheet1!A1)",
            "Copy the values it needs into this workbook",
        ),
        {"C3": "=[1]Sheet1!A1*$E$1+$E$2"},
        only_train=True,
    ),
    "deleted cells in a formula": Case(
        "Model!C3",
        ("the formula =#REF!*$E$1+$E$2 refers to cells that were deleted", "Mend it"),
        {"C3": "=#REF!*$E$1+$E$2"},
    ),
    # data
    "error in the data": Case(
        "Model!A3",
        ("the cell holds the error #N/A, and Model!C3 needs it", "Mend it"),
        {"A3": ("=NA()", "#N/A")},
    ),
    "error beside the parameters": Case(
        "Model!B5",
        ("the cell holds the error #DIV/0!, and Model!D5 needs it", "Mend it"),
        {"B5": ("=1/0", "#DIV/0!")},
    ),
    "text in the data": Case(
        "Model!A3",
        ("the cell holds the text “many”, and Model!C3 calculates with it", "Put a number there"),
        {"A3": "many"},
    ),
    "text where it harms, not where it does not": Case(
        "Model!B4",
        ("the cell holds the text “?”, and Model!D4 calculates with it", "Put a number there"),
        {**{f"D{row}": f'=IF(A$1="x",(C{row}-B{row})^2,0)' for row in range(2, 7)}, "B4": "?"},
    ),
    "not a number at the start": Case(
        "Model!C2",
        ("the formula =LN($E$1)*A2+$E$2 does not give a finite number, but #NUM!", "Check the values that it reads"),
        {**predictions("=LN($E$1)*A#+$E$2"), "E1": 0.0},
        only_train=True,
    ),
    # arguments
    "unknown sheet": Case(
        "",
        ("the workbook has no sheet “Nope”", "Its sheets are Model"),
        arguments=("--sheet", "Nope"),
    ),
    "garbage for the loss": Case(
        "",
        ("the reference to the loss is not a range of cells (!!)", "Write it like B2, B2:C9 or Sheet1!B2:C9"),
        arguments=("--loss", "!!"),
    ),
    "range for the loss": Case(
        "",
        ("the reference to the loss must be one cell, not D2:D6", "Point it to a single cell"),
        arguments=("--loss", "D2:D6"),
    ),
    "loss on a sheet that is not there": Case(
        "",
        (
            "the reference to the loss points to a sheet that is not there (Nope!A1)",
            "Mend it; the sheets are Model",
        ),
        arguments=("--loss", "Nope!A1"),
    ),
    "nothing for the parameters": Case(
        "", ("the reference to the parameters is empty", "Point it to cells"), arguments=("--params", "")
    ),
    "half a range for the parameters": Case(
        "",
        ("the reference to the parameters is not a range of cells (E1:)", "Write it like"),
        arguments=("--params", "E1:"),
    ),
    "parameters outside of the grid": Case(
        "",
        ("the reference to the parameters is not a range of cells (ZZZZ1)", "Write it like"),
        arguments=("--params", "ZZZZ1"),
    ),
    "a column that holds the loss": Case(
        "Model!E4", ("a parameter cell holds a formula", "leave the cell out"), arguments=("--params", "E:E")
    ),
    # settings and other names
    "unknown setting": Case(
        "Model!G1",
        ("“lerning rate” is not a setting", "Settings are optimizer, learning rate, ", "seed"),
        {"G1": "lerning rate", "H1": 0.1},
        SETTINGS,
        only_train=True,
    ),
    "unknown optimizer": Case(
        "Model!H2",
        ("“adma” is not possible for optimizer", "Allowed: auto, sgd,", "adam"),
        {"G2": "Optimizer", "H2": "adma"},
        SETTINGS,
        only_train=True,
    ),
    "impossible learning rate": Case(
        "Model!H3",
        ("“-1” is not possible for learning rate", "Allowed: a number above 0"),
        {"G3": "Learning Rate", "H3": -1.0},
        SETTINGS,
        only_train=True,
    ),
    "settings in three columns": Case(
        "Model!G1:I3",
        ("the name sgd_settings is 3 columns wide", "Point it to two columns: setting and value"),
        names={"sgd_settings": "Model!$G$1:$I$3"},
    ),
    "metric is a range": Case(
        "",
        ("the name sgd_metric on sheet Model must be one cell", "single cell"),
        names={"sgd_metric": "Model!$G$1:$G$3"},
    ),
    "validation rows deleted": Case(
        "",
        ("the name sgd_valid on sheet Model points to cells that were deleted", "Point it"),
        names={**DATA, "sgd_valid": "#REF!"},
    ),
    "bound dataset": Case(
        "",
        (
            "“mnist.npz” does not exist",
            "Check the name of the source",
        ),
        names={"sgd_source": '"mnist.npz"'},
        only_train=True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    path = line_book(tmp_path, case.cells, case.names, **case.more)
    before = contents(tmp_path)
    expect(run("train", path, *case.arguments), case.where, case.words)
    expect(run("train", path, "--in-place", "--json", *case.arguments), case.where, case.words)
    for command, *options in READERS if not case.only_train else ():
        expect(run(command, path, *options, *case.arguments), case.where, case.words)
    assert contents(tmp_path) == before


def test_other_commands_read_protected_sheets(tmp_path: Path) -> None:
    path = line_book(tmp_path, adjust=lambda book, sheet: sheet.protect())
    assert run("check", path).status == 0
    assert run("inspect", path).status == 0


def test_error_as_parameter(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    book = load_workbook(path)
    book[SHEET]["E1"] = "#N/A"
    book.save(path)
    expect(run("train", path), "Model!E1", ("a parameter cell holds the error #N/A", "Put a number there"))


def test_blank_parameters_count_as_zero(tmp_path: Path) -> None:
    found = run("train", line_book(tmp_path, {"E1": None, "E2": None}), "--json").json
    assert found["loss_start"] == pytest.approx(sum(y * y for y in (1.1, 2.9, 5.2, 6.8, 9.1)) / 5, rel=1e-12)


def test_upper_left_of_merged_cells(tmp_path: Path) -> None:
    names = {"sgd_params": "Model!$G$1,Model!$E$2"}
    path = line_book(tmp_path, predictions("=$G$1*A#+$E$2"), names, adjust=merge)
    assert run("train", path, "--json").json["loss"] < 0.03


# --- which model --------------------------------------------------------------------------------------------


def test_no_loss(tmp_path: Path) -> None:
    path = write_book(tmp_path / "plain.xlsx", line_cells(), {})
    remedy = "Name the loss cell sgd_loss and the parameters sgd_params, or say --loss and --params"
    for arguments, cause in (([], "no loss cell was found"), (["--sheet", "model"], "sheet Model has no loss cell")):
        found = run("train", path, *arguments)
        first, candidate, more = found.err.splitlines()
        expect(replace(found, err=first), "", (cause, remedy))
        assert candidate.endswith(f": sgdsheet train {quote(str(path))} --sheet Model --loss E4 --params E1:E2")
        assert more.endswith(f": sgdsheet inspect {quote(str(path))}")
    expect(run("train", path, "--loss", "E4"), "", ("no parameter cells were given", "Say --params REF"))
    expect(run("train", path, "--params", "E1"), "", ("no loss cell was given", "Say --loss REF"))
    found = run("train", path, "--loss", "$E$4", "--params", "E1,E2", "--json").json
    assert (found["loss_cell"], found["parameters"]) == ("Model!E4", 2)


def test_loss_without_parameters(tmp_path: Path) -> None:
    path = write_book(tmp_path / "half.xlsx", line_cells(), {"sgd_loss": NAMES["sgd_loss"]})
    words = (
        "sheet Model has a loss cell (sgd_loss) and no parameters",
        "Name the parameter cells sgd_params",
    )
    expect(run("train", path), "", words)


def test_several_models(tmp_path: Path) -> None:
    names: dict[str, str] = {}
    for sheet in ("One", "Two"):
        names |= {f"{sheet}!{name}": text.replace("Model", sheet) for name, text in NAMES.items()}
    more = {"One": line_cells(), "Two": line_cells()}
    path = write_book(tmp_path / "several.xlsx", {"A1": "about"}, names, more=more)
    words = ("there are models on several sheets (One, Two)", "Choose one with --sheet, first “One”")
    found = run("train", path)
    first, *models = found.err.splitlines()
    expect(replace(found, err=first), "", words)
    assert [line.strip() for line in models] == [
        f"“{name}”, loss {name}!E4, 2 parameters: sgdsheet train {quote(str(path))} --sheet {name}"
        for name in ("One", "Two")
    ]
    assert run("inspect", path, "--sheet", "two", "--json").json["loss_cell"] == "Two!E4"


def test_solver_model_with_deleted_cells(tmp_path: Path) -> None:
    names = {"solver_opt": "Model!$E$4", "solver_adj": "#REF!", "solver_typ": "2"}
    path = write_book(tmp_path / "solver.xlsx", line_cells(), names)
    words = ("Solver's list of variable cells on sheet Model points to cells that were deleted", "Point it")
    expect(run("train", path), "", words)


# --- files --------------------------------------------------------------------------------------------------


def archive(members: Mapping[str, str]) -> Callable[[Path], bytes]:
    """A zip file with these members."""

    def build(folder: Path) -> bytes:
        with zipfile.ZipFile(folder / "made.zip", "w") as package:
            for name, text in members.items():
                package.writestr(name, text)
        data = (folder / "made.zip").read_bytes()
        (folder / "made.zip").unlink()
        return data

    return build


def cut_off(share: float) -> Callable[[Path], bytes]:
    def build(folder: Path) -> bytes:
        path = line_book(folder, name="whole.xlsx")
        data = path.read_bytes()
        path.unlink()
        return data[: int(len(data) * share)]

    return build


FILES: dict[str, tuple[Callable[[Path], bytes], str, str]] = {
    "notes.txt": (lambda _: b"hello", "is not an xlsx workbook but a text file", "Save it as .xlsx"),
    "picture.png": (
        lambda _: b"\x89PNG\r\n\x1a\n" + bytes(99),
        "is not an xlsx workbook",
        "Give the name of",
    ),
    "picture.xlsx": (
        lambda _: b"\x89PNG\r\n\x1a\n" + bytes(99),
        "is not an xlsx workbook",
        "Give the name of",
    ),
    "empty.xlsx": (lambda _: b"", "is empty, not an xlsx workbook", "Give the name of"),
    "secret.xlsx": (
        lambda _: OLE + "EncryptedPackage".encode("utf-16-le"),
        "is protected by a password",
        "Open it in Excel and save it without a password",
    ),
    "calc.ods": (
        archive({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"}),
        "is no spreadsheet",
        "Give the name of an .ods file",
    ),
    "letter.odt": (
        archive({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
        "is an OpenDocument file, but no spreadsheet",
        "Give the name of an .ods or .xlsx file",
    ),
    "photos.xlsx": (archive({"a.txt": "a"}), "is a zip archive, not an xlsx workbook", "Give the name of"),
    "letter.xlsx": (
        archive(
            {
                "_rels/.rels": f'<Relationships xmlns="{RELATIONSHIPS}">'
                f'<Relationship Id="a" Type="{OFFICE}" Target="word.xml"/></Relationships>',
                "word.xml": "<document/>",
            }
        ),
        "is no workbook",
        "Give the name of",
    ),
    "half.xlsx": (cut_off(0.5), "is damaged or incomplete", "Get the file again, or repair it in Excel"),
    "almost.xlsx": (cut_off(0.999), "is damaged or incomplete", "Get the file again, or repair it in Excel"),
}


@pytest.mark.parametrize("name", FILES)
def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    build, cause, remedy = FILES[name]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(build(tmp_path))
    before = contents(tmp_path)
    for command, *options in [["train", "--json"], ["train", "--in-place"], *READERS]:
        expect(run(command, path, *options), "", (f"“{name}” {cause}", remedy))
    assert contents(tmp_path) == before


def test_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "typo.xlsx"
    for command, *options in [["train"], *READERS]:
        expect(run(command, path, *options), "", (f"“{path}” does not exist", "Check the file name"))
    expect(run("train", tmp_path), "", (f"“{tmp_path}” is a folder", "Give the name of an .xlsx file"))


# --- outputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/out.xlsx", ("missing” is not a folder", "Create it, or save somewhere else")),
        ("folder.xlsx", ("folder.xlsx” is a folder", "Give a file name for the output")),
        ("line.xlsx/out.xlsx", ("line.xlsx” is not a folder", "Create it, or save somewhere else")),
        ("", ("is a folder", "Give a file name for the output")),
        ("out.csv", ("cannot be saved as .csv: “line.xlsx” is of another kind", "the ending .xlsx")),
        ("out.xlsm", ("cannot be saved as .xlsm: “line.xlsx” is of another kind", "the ending .xlsx")),
        ("out.txt", ("cannot be saved as .txt: “line.xlsx” is of another kind", "the ending .xlsx")),
        ("out", ("cannot be saved without an ending", "Give the output the ending .xlsx")),
        ("a" * 300 + ".xlsx", ("cannot be written", "Save somewhere else")),
    ],
)
def test_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    path = line_book(tmp_path)
    (tmp_path / "folder.xlsx").mkdir()
    before = contents(tmp_path)
    expect(run("train", path, "-o", output), "", words)
    assert contents(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_output_in_a_protected_folder(tmp_path: Path) -> None:
    path, folder = line_book(tmp_path), tmp_path / "protected"
    folder.mkdir()
    folder.chmod(0o500)
    words = ("cannot be written: it is protected", "Save somewhere else")
    expect(run("train", path, "-o", folder / "out.xlsx"), "", words)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("model.txt", ("“model.txt” is not the name of a model", "Let it end with .py")),
        ("missing/model.py", ("“missing” is not a folder", "Create it, or write somewhere else")),
        ("folder.py", ("“folder.py” is a folder", "Give a file name")),
    ],
)
def test_output_of_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    path = line_book(tmp_path)
    expect(run("export", path, "-o", output), "", words)
    assert list(contents(tmp_path)) == ["line.xlsx"]


# --- arguments: exit status 2 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "fast"], ("“fast” is not possible for --lr", "Allowed: a number above 0")),
        (["--lr", "-1"], ("“-1” is not possible for --lr", "Allowed: a number above 0")),
        (["--steps", "1.5"], ("“1.5” is not possible for --steps", "Allowed: a whole number, 0 or more")),
        (["--epochs", "-1"], ("“-1” is not possible for --epochs", "Allowed: a whole number, 0 or more")),
        (
            ["--batch-size", "0"],
            ("“0” is not possible for --batch-size", "Allowed: a whole number, 1 or more"),
        ),
        (["--optimizer", "adma"], ("“adma” is not possible for --optimizer", "Allowed: auto, sgd", "adam")),
        (["--seed", "x"], ("“x” is not possible for --seed", "Allowed: a whole number, 0 or more")),
        (["--restarts", "0"], ("“0” is not possible for --restarts", "Allowed: a whole number, 1 or more")),
        (["--device", "tpu"], ("“tpu” is not possible for --device", "Allowed: ", "cpu")),
    ],
)
def test_impossible_value(tmp_path: Path, arguments: list[str], words: tuple[str, ...]) -> None:
    path = line_book(tmp_path)
    before = contents(tmp_path)
    expect(run("train", path, *arguments, "--json"), "", words, status=2)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "Missing argument 'BOOK'"),
        (["train", "a.xlsx", "--nope"], "No such option '--nope'"),
        (["train", "a.xlsx", "--steps"], "Option '--steps' requires an argument"),
        (["train", "a.xlsx", "b.xlsx"], "Got unexpected extra argument (b.xlsx)"),
        (["train", "a.xlsx", "--in-place", "-o", "b.xlsx"], "--output and --in-place exclude each other"),
        (["tain"], "No such command 'tain'"),
        (["new", "nope"], "there is no example “nope”; choose one of"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    found = run(*arguments)
    assert (found.status, found.out) == (2, "")
    assert f"Error: {words}" in found.err or f"Error: Invalid value: {words}" in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize("book", [".", "/", ""])
def test_a_folder_is_no_workbook(book: str) -> None:
    found = run("train", book)
    assert (found.status, found.out) == (1, "")
    assert len(found.err.splitlines()) == 1


def test_another_sheet_may_do(tmp_path: Path) -> None:
    """The active sheet's model is unusable: the others are named."""
    names = {"One!sgd_loss": "One!$A$1", "One!sgd_params": "One!$A$2", "Two!sgd_loss": "Two!$A$1"}
    book = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(book) as made:
        for sheet in ("One", "Two"):
            page = made.add_worksheet(sheet)
            page.write("A1", 3.0)
            page.write("A2", 1.0)
        for name, place in names.items():
            made.define_name(name, f"={place}")
    expect(run("train", book), "One!A1", ("holds no formula", "choose another sheet with a model: --sheet “Two”"))
