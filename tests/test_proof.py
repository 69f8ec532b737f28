"""Before the first step, what the program has for every cell on the way is compared with what the workbook holds."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl import load_workbook
from openpyxl.workbook.defined_name import DefinedName

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.compiler.proof import NEVER_CALCULATED, prove
from sgdsheet.errors import ProofError
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.cli_books import NAMES, SLOPE, Run, line_book, line_cells, run, write_book
from tests.errors import refusal
from tests.live_books import Desk, line_host
from tests.training_books import write

SHEET = "Model"
HOW = "Recalculate it in a spreadsheet and save it"
TRUST = "--trust-formulas"


def calculated(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """The straight line as a program that calculates saves it: nothing asks for another calculation."""
    return patched(line_book(folder, changes), lambda text: text.replace(' fullCalcOnLoad="1"', ""))


def patched(path: Path, change: Callable[[str], str], part: str = "xl/workbook.xml") -> Path:
    """The file with one part rewritten by hand."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts[part] = change(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return path


def saved(path: Path, cell: str, text: str) -> Path:
    """The file with another saved value in a cell, and nothing else changed."""
    pattern = re.compile(rf'(<c r="{cell}"[^>]*>(?:<f[^>]*>[^<]*</f>)?<v>)[^<]*(</v>)')

    def change(part: str) -> str:
        assert len(pattern.findall(part)) == 1
        return pattern.sub(rf"\g<1>{text}\g<2>", part)

    return patched(path, change, "xl/worksheets/sheet1.xml")


def refused(path: Path, *arguments: str) -> str:
    """The line of a refusal, after which no file was written."""
    before = path.read_bytes()
    found = run("train", path, "--steps", "5", *arguments)
    assert (found.status, found.out) == (1, "")
    assert path.read_bytes() == before
    assert not path.with_name(f"{path.stem}-trained.xlsx").exists()
    (line,) = found.err.splitlines()
    return line.removeprefix("sgdsheet: ")


def trained(path: Path, *arguments: str) -> dict[str, Any]:
    found = run("train", path, "--steps", "5", "--json", *arguments)
    assert (found.status, found.err) == (0, "")
    return found.json


# --- what is refused ----------------------------------------------------------------------------------------


def test_a_workbook_that_was_calculated_is_trained_without_a_word(tmp_path: Path) -> None:
    done = trained(calculated(tmp_path))
    assert done["warnings"] == []
    assert done["loss_start"] == pytest.approx(18.6745)


def test_a_wrong_saved_loss(tmp_path: Path) -> None:
    line = refused(saved(calculated(tmp_path), "E4", "36"))
    assert line.startswith("Model!E4: saved as 36, but its formula gives 18.6745. Either the workbook was changed")
    assert HOW in line
    assert TRUST in line


def test_a_saved_loss_that_is_nearly_right(tmp_path: Path) -> None:
    line = refused(saved(calculated(tmp_path), "E4", "18.6745000999999"))
    assert line.startswith("Model!E4: saved as 18.6745000999999")


def test_a_wrong_intermediate_value_is_the_cause_and_what_follows_is_not(tmp_path: Path) -> None:
    """D3 was saved from another C3, and the loss from that D3: both are right if C3 is."""
    path = calculated(tmp_path)
    right = (1.5 - 2.9) ** 2
    wrong_loss = (18.6745 * 5 - (0.75 - 2.9) ** 2 + right) / 5
    for cell, value in (("C3", 1.5), ("D3", right), ("E4", wrong_loss)):
        saved(path, cell, repr(value))
    line = refused(path)
    assert line.startswith("Model!C3: saved as 1.5, but its formula gives 0.75; 2 more differ.")


def test_several_causes_in_the_order_of_calculation(tmp_path: Path) -> None:
    path = saved(saved(saved(calculated(tmp_path), "E4", "1"), "C5", "7"), "C2", "9")
    line = refused(path)
    assert "Model!C2: saved as 9, but its formula gives 0.25; likewise Model!C5 (7, not 1.75)" in line
    assert line.index("C2") < line.index("C5") < line.index("E4 (1, not")


@pytest.mark.parametrize(("cell", "value"), [("A4", "5"), ("B6", "0"), ("E1", "0.75")])
def test_a_datum_or_parameter_that_was_edited_without_recalculating(tmp_path: Path, cell: str, value: str) -> None:
    line = refused(saved(calculated(tmp_path), cell, value))
    assert "changed without being recalculated" in line


def test_an_edit_through_our_own_host(tmp_path: Path) -> None:
    host = FileHost(calculated(tmp_path))
    host.read()
    host.write({Cell(SHEET, 4, 1): 7.0})
    host.save()
    assert refused(host.path).startswith("Model!C4: saved as 1.25, but its formula gives 3.75")


@pytest.mark.parametrize(
    ("formula", "old", "new"),
    [
        ('=IF(E1>9,"big","small")', "small", "large"),
        ("=E1<1", "1", "0"),
    ],
)
def test_text_and_booleans(tmp_path: Path, formula: str, old: str, new: str) -> None:
    value: Value = old == "1" if old in "01" else old
    held = ('=AVERAGE(D2:D6)+IF(OR(G2=TRUE,G2="small"),0,1)', 18.6745)
    path = calculated(tmp_path, {"G2": (formula, value), "E4": held})
    assert trained(path)["warnings"] == []
    path.with_name("line-trained.xlsx").unlink()
    assert refused(saved(path, "G2", new)).startswith("Model!G2: saved as ")


def test_an_error_that_should_be_a_number(tmp_path: Path) -> None:
    path = calculated(tmp_path, {"G2": ("=E1*2", 1.0), "E4": ("=AVERAGE(D2:D6)+IFERROR(G2,0)*0", 18.6745)})
    part = "xl/worksheets/sheet1.xml"
    patched(path, lambda text: text.replace('<c r="G2"><f>E1*2</f><v>1.0', '<c r="G2" t="e"><f>E1*2</f><v>#N/A'), part)
    patched(path, lambda text: text.replace('<c r="G2"><f>E1*2</f><v>1<', '<c r="G2" t="e"><f>E1*2</f><v>#N/A<'), part)
    assert load(path).sheets[SHEET].values[2, 7] is ExcelError.NA
    assert refused(path).startswith("Model!G2: saved as #N/A, but its formula gives 1")


def test_a_constant_formula_on_the_way(tmp_path: Path) -> None:
    """G1 depends on no parameter: its saved value was used as it stood."""
    path = calculated(tmp_path, {"G1": ("=SUM(B2:B6)", 25.1), "E4": ("=AVERAGE(D2:D6)+G1", 43.7745)})
    assert trained(path)["loss_start"] == pytest.approx(43.7745)
    path.with_name("line-trained.xlsx").unlink()
    saved(saved(path, "G1", "20"), "E4", "38.6745")
    line = refused(path)
    assert line.startswith("Model!G1: saved as 20, but its formula gives 25.1. Either")
    done = trained(path, TRUST)
    assert done["loss_start"] == pytest.approx(43.7745)  # the formulas' own, not the saved one's
    assert done["warnings"] == [
        "trained on what the formulas give: Model!G1: saved as 20, but its formula gives 25.1; 1 more differs"
    ]
    written = load(Path(done["output"])).sheets[SHEET].values
    assert written[1, 7] == pytest.approx(25.1)
    assert written[4, 5] == pytest.approx(done["loss"])


def test_constraints_are_on_the_way(tmp_path: Path) -> None:
    cells = {**line_cells(), "G1": ("=E1+E2", 0.75)}
    names = {
        "solver_opt": "Model!$E$4", "solver_adj": "Model!$E$1:$E$2", "solver_typ": "2", "solver_num": "1",
        "solver_lhs1": "Model!$G$1", "solver_rel1": "1", "solver_rhs1": "2", "solver_neg": "2",
    }  # fmt: skip
    path = write_book(tmp_path / "line.xlsx", cells, {f"Model!{name}": text for name, text in names.items()})
    patched(path, lambda text: text.replace(' fullCalcOnLoad="1"', ""))
    assert trained(path)["warnings"] == []
    path.with_name("line-trained.xlsx").unlink()
    assert refused(saved(path, "G1", "1.5")).startswith("Model!G1: saved as 1.5, but its formula gives 0.75.")


# --- the way on ---------------------------------------------------------------------------------------------


def test_trust_on_the_command_line(tmp_path: Path) -> None:
    done = trained(saved(calculated(tmp_path), "E4", "36"), TRUST)
    assert done["loss_start"] == pytest.approx(18.6745)
    assert done["warnings"] == [
        "trained on what the formulas give: Model!E4: saved as 36, but its formula gives 18.6745"
    ]


def test_trust_as_a_setting_of_the_sheet(tmp_path: Path) -> None:
    path = line_book(tmp_path, {"J1": "Trust formulas", "K1": "yes"}, {"sgd_settings": "Model!$J$1:$K$1"})
    patched(path, lambda text: text.replace(' fullCalcOnLoad="1"', ""))
    assert trained(saved(path, "E4", "36"))["loss_start"] == pytest.approx(18.6745)


def test_python(tmp_path: Path) -> None:
    path = saved(calculated(tmp_path), "E4", "36")
    book = sgdsheet.load(path)
    with refusal(ProofError, cell="Model!E4", cause=r"^saved as 36, but its formula gives 18\.6745"):
        sgdsheet.Session(sgdsheet.compile(book), steps=1)
    session = sgdsheet.Session(sgdsheet.compile(book), steps=1, trust_formulas=True)
    assert session.loss_start == pytest.approx(18.6745)
    assert [item.cell for item in session.proof.mismatches] == [Cell(SHEET, 4, 5)]
    assert sgdsheet.Session(sgdsheet.compile(book, trust_formulas=True), steps=1).proof.mismatches


def test_python_with_a_wrong_constant(tmp_path: Path) -> None:
    """The model was compiled with it: only a new one is of use."""
    path = calculated(tmp_path, {"G1": ("=SUM(B2:B6)", 20.0), "E4": ("=AVERAGE(D2:D6)+G1", 38.6745)})
    book = sgdsheet.load(path)
    with refusal(
        ProofError,
        cell="Model!G1",
        cause="compiled with the saved value$",
        remedy="^Compile it with trust_formulas=True",
    ):
        sgdsheet.Session(sgdsheet.compile(book), trust_formulas=True)
    session = sgdsheet.Session(sgdsheet.compile(book, trust_formulas=True))
    assert session.loss_start == pytest.approx(43.7745)


def test_a_session_on_a_trained_model_is_compared_at_the_workbooks_parameters(tmp_path: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(calculated(tmp_path)))
    sgdsheet.Session(model, steps=5).run()
    assert sgdsheet.Session(model, steps=5).loss_start < 18


@pytest.mark.parametrize("command", ["find-lr", "train"])
def test_find_lr_and_restarts(tmp_path: Path, command: str) -> None:
    path = saved(calculated(tmp_path), "E4", "36")
    more = ("--restarts", "3", "--steps", "3") if command == "train" else ()
    found = run(command, path, *more)
    assert found.status == 1
    assert "Model!E4: saved as 36" in found.err
    assert run(command, path, *more, TRUST) != Run(1, "", found.err)


# --- files that were never calculated -----------------------------------------------------------------------


def test_openpyxl_writes_no_values(tmp_path: Path) -> None:
    book = OpenpyxlWorkbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = SHEET
    for reference, content in line_cells().items():
        sheet[reference] = content[0] if isinstance(content, tuple) else content
    for name, text in NAMES.items():
        sheet.defined_names[name] = DefinedName(name, attr_text=text)
    path = tmp_path / "book.xlsx"
    book.save(path)
    done = trained(path)
    assert done["warnings"] == [NEVER_CALCULATED]
    assert done["loss_start"] == pytest.approx(18.6745)


def test_xlsxwriter_writes_zeros(tmp_path: Path) -> None:
    cells = {key: item[0] if isinstance(item, tuple) else item for key, item in line_cells().items()}
    done = trained(write_book(tmp_path / "zeros.xlsx", cells, NAMES))
    assert done["warnings"] == [NEVER_CALCULATED]
    assert done["loss_start"] == pytest.approx(18.6745)


def test_zeros_that_nothing_asks_to_calculate_are_values(tmp_path: Path) -> None:
    cells = {key: item[0] if isinstance(item, tuple) else item for key, item in line_cells().items()}
    path = write_book(tmp_path / "zeros.xlsx", cells, NAMES)
    patched(path, lambda text: text.replace(' fullCalcOnLoad="1"', ""))
    assert refused(path).startswith("Model!C2: saved as 0, but its formula gives 0.25")


def test_text_of_a_person(tmp_path: Path) -> None:
    cells = {key: item[0] if isinstance(item, tuple) else item for key, item in line_cells().items()}
    found = run("train", write_book(tmp_path / "zeros.xlsx", cells, NAMES), "--steps", "5")
    assert NEVER_CALCULATED in found.out


def test_openpyxl_drops_all_values_when_it_edits(tmp_path: Path) -> None:
    path = calculated(tmp_path)
    book = load_workbook(path)
    book[SHEET]["A4"] = 7
    book.save(path)
    done = trained(path)
    assert done["warnings"] == [NEVER_CALCULATED]


def test_partly_calculated(tmp_path: Path) -> None:
    """What has no value is calculated and said; what has one must be right."""
    path = calculated(tmp_path)
    part = "xl/worksheets/sheet1.xml"
    patched(path, lambda text: re.sub(r'(<c r="C3">.*?</f>)<v>[^<]*</v>', r"\1", text), part)
    assert (3, 3) not in load(path).sheets[SHEET].values
    done = trained(path)
    assert done["warnings"] == ["1 formula on the way was never calculated (Model!C3 first): calculated here"]
    path.with_name("line-trained.xlsx").unlink()
    assert refused(saved(path, "D3", "1")).startswith("Model!D3: saved as 1, but its formula gives 4.6225")


def test_a_stale_workbook_with_a_wrong_value(tmp_path: Path) -> None:
    """It asks to be calculated, but what stands there is no placeholder."""
    assert refused(saved(line_book(tmp_path), "E4", "36")).startswith("Model!E4: saved as 36")


def test_a_placeholder_of_a_function_that_nobody_knows_is_not_used(tmp_path: Path) -> None:
    """It is constant and cannot be calculated here: 0 was taken for its value."""
    found = run("train", line_book(tmp_path, {"G1": "=BESSELQ(1,1)", "E4": "=AVERAGE(D2:D6)*(1+G1)"}))
    assert found.status == 1
    assert found.err.startswith("sgdsheet: Model!G1: BESSELQ is not supported")


# --- rounding is no difference ------------------------------------------------------------------------------


def test_digits_that_another_program_does_not_keep(tmp_path: Path) -> None:
    """15 digits, in a model whose residuals are differences of large numbers, and at a perfect fit."""
    x = [1e6 + step / 7 for step in range(50)]
    y = [3.1 * value + 1 / 3 for value in x]
    cells = dict(line_cells(x, y, slope=3.1, intercept=1 / 3))
    for key, item in cells.items():
        if isinstance(item, tuple):
            cells[key] = (item[0], float(f"{item[1] + 1e-9 * (key[0] == 'C'):.15g}"))
    residuals = [cells[f"C{row}"][1] - y[row - 2] for row in range(2, 52)]
    for row, value in enumerate(residuals, 2):
        cells[f"D{row}"] = (cells[f"D{row}"][0], float(f"{value * value:.15g}"))
    cells["E4"] = (cells["E4"][0], float(f"{sum(value * value for value in residuals) / 50:.15g}"))
    path = write_book(tmp_path / "digits.xlsx", cells, NAMES)
    patched(path, lambda text: text.replace(' fullCalcOnLoad="1"', ""))
    assert prove(sgdsheet.compile(load(path))).mismatches == []


def test_a_whole_number_that_was_none(tmp_path: Path) -> None:
    """Near a minimum: G1 was 3 and a little less, and was saved as 3."""
    cells = {"G1": ("=A5*1+6.3E-14*0", 3.0), "G2": ("=4*G1*(G1^2-9)", -4.5e-12)}
    path = calculated(tmp_path, {**cells, "E4": ("=AVERAGE(D2:D6)+G2", 18.6745)})
    assert trained(path)["warnings"] == []
    path.with_name("line-trained.xlsx").unlink()
    assert refused(saved(path, "G2", "-4.5E-8")).startswith("Model!G2: saved as -4.5e-08, but its formula gives 0")


def test_a_sum_of_many_rows_that_cancel(tmp_path: Path) -> None:
    """The last digits of a mean of residuals depend on the order in which they are added."""
    count = 20_000
    numbers = [(-1) ** row * (1.1 + row // 2 * 1e-4) for row in range(count)]
    cells = {
        f"A1:A{count}": [[number] for number in numbers],
        "C1": [[2.5]],
        "D1": f"=SUM(A1:A{count})*C1",
        "E1": "=(D1-C1)^2",
    }
    path = write(tmp_path / "sum.xlsx", cells, {"sgd_loss": "E1", "sgd_params": "C1"})
    book = load(path)
    book.sheets[SHEET].values |= {(1, 4): 2.5 * (sum(numbers[::2]) + sum(numbers[1::2])), (1, 5): 6.25}
    book.stale = False
    proof = prove(sgdsheet.compile(book))
    assert (proof.mismatches, proof.compared) == ([], 2)
    book.sheets[SHEET].values[1, 4] = 1e-4
    assert [item.cell for item in prove(sgdsheet.compile(book)).mismatches] == [Cell(SHEET, 1, 4)]


def test_a_jump_is_no_rounding(tmp_path: Path) -> None:
    """5 is not less than 5: that the smallest change would make it so excuses nothing."""
    jump = {"G1": ("=B2*1", 1.1), "G2": ("=IF(G1>=1.1,E1,E1*9)", 4.5)}
    path = calculated(tmp_path, {**jump, "E4": ("=AVERAGE(D2:D6)+G2", 23.1745)})
    assert refused(path).startswith("Model!G2: saved as 4.5, but its formula gives 0.5")


def test_rounding_within_a_formula(tmp_path: Path) -> None:
    """Excel's sine of π is 1.225148E-16, ours 1.224647E-16; no rounding makes 1E-9 of it."""
    known = {"G1": ("=SIN(PI())", 1.22514845490862e-16), "G3": ("=COS(RADIANS(G2))*1000", 6.12574227454310e-14)}
    path = calculated(tmp_path, {"G2": 90, **known})
    assert check_workbook(load(path)).mismatches == []
    for wrong in (("=SIN(PI())", 1e-9), ("=2*COS(RADIANS(G2))", 1e-6)):
        path = calculated(tmp_path, {"G2": 90, "G4": wrong})
        assert [str(item.cell) for item in check_workbook(load(path)).mismatches] == ["Model!G4"]


def test_float32_is_compared_in_float64(tmp_path: Path) -> None:
    path = calculated(tmp_path)
    assert trained(path, "--precision", "float32")["warnings"] == []
    path.with_name("line-trained.xlsx").unlink()
    assert refused(saved(path, "E4", "18.68"), "--precision", "float32").startswith("Model!E4: saved as 18.68, but")


def test_what_was_trained_is_proven_the_next_time(tmp_path: Path) -> None:
    path = calculated(tmp_path, {"G1": ("=E1*2", 2 * SLOPE)})
    for _ in range(3):
        assert trained(path, "--in-place")["warnings"] == []


def test_numbers_as_displayed_are_not_trained_on(tmp_path: Path) -> None:
    """Each number is rounded to its format there: a loss of 18.6745 that the workbook holds as 18.67 is not ours."""
    path = patched(calculated(tmp_path), lambda text: text.replace("<calcPr ", '<calcPr fullPrecision="0" '))
    said = "the workbook calculates with the numbers as displayed"
    for options in ((), (TRUST,)):
        assert f": {said}" in refused(path, *options)
    report = check_workbook(load(path))
    assert (report.compared, report.mismatches) == (0, [])
    assert {item.error.cause.partition(":")[0] for item in report.unsupported} == {said}
    open_book = OpenBook.open(path)
    open_book.edit([(Cell(SHEET, 1, 5), "1")])
    assert said in open_book.uncalculated[Cell(SHEET, 4, 5)]
    open_book.close()


def test_an_export_is_proved_before_it_is_written(tmp_path: Path) -> None:
    path, target = saved(calculated(tmp_path), "C3", "7"), tmp_path / "model.py"
    found = run("export", path, "-o", target)
    assert (found.status, found.out, target.exists()) == (1, "", False)
    assert found.err.startswith("sgdsheet: Model!C3: saved as 7, but its formula gives 0.75")
    assert run("export", path, "-o", target, TRUST).out.startswith("trained on what the formulas give: Model!C3")
    assert target.exists()


# --- open workbooks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "step", "gradients", "find-lr", "randomize", "export"])
def test_live_commands(command: str) -> None:
    """A spreadsheet that calculates otherwise than we do."""
    host = line_host({"steps": 5.0})
    right = host._calculate

    def wrong(workbook: Any) -> None:
        right(workbook)
        workbook.sheets[SHEET].values[4, 5] = 36.0

    host._calculate = wrong
    with Desk(host) as desk:
        reply = desk.ask(command)
        if command == "train":
            status = desk.until_idle()
            assert status["failed"] == "ProofError"
            text = status["message"]
        else:
            assert (reply["ok"], reply["kind"]) == (False, "ProofError")
            text = reply["error"]
        assert text.startswith("Model!E4: saved as 36, but its formula gives 18.6745")
        assert "Recalculate all of it (LibreOffice: Ctrl+Shift+F9, Excel: Ctrl+Alt+F9) and try again" in text
        assert host.workbook.sheets[SHEET].values[1, 5] == SLOPE
        host.workbook.sheets[SHEET].values |= {(1, 7): "trust formulas", (1, 8): "yes"}
        if command not in ("export",):
            assert desk.ask(command)["ok"]
