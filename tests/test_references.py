"""References as Excel has them: calculated corners, OFFSET and INDIRECT, several sheets, unions and intersections."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.errors import DataError, FormulaError
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Table
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.fuzz import engines, sheetfile
from tests.office import LibreOffice
from tests.sheets import HOME, book, check, compiled, value, values

GRID: dict[str, Any] = {
    "A1:A6": [10, 20, 30, 40, 50, 60],
    "B1:B6": [1, 2, 3, 4, 5, 6],
    "C1:C6": [7, 0, 5, 2, 9, 4],
    "D1": 2,
    "D2": "B",
    "D3": "Feb!A2",
    "D4": "x y",
    "Feb!A1:B3": [[1, 2], [3, 4], [5, 6]],
    "Mar!A1:B3": [[10, 20], [30, 40], [50, 60]],
}

FORMULAS: dict[str, float | bool | str] = {
    # OFFSET
    "OFFSET(A1,2,1)": 3,
    "OFFSET(A1,D1,0)": 30,
    "SUM(OFFSET(A1,1,0,3,1))": 90,
    "SUM(OFFSET(A1:B2,1,0))": 55,
    "SUM(OFFSET(A6,0,0,-3,1))": 150,
    "SUM(OFFSET(B6,0,0,-2,-2))": 121,
    "SUM(OFFSET(A1,0,0,D1,D1))": 33,
    "SUM(OFFSET(A1,1,,2))": 50,
    "SUM(OFFSET(A1:A3,1,0,,2))": 99,
    "OFFSET(A2,-1.9,0)": 10,
    "OFFSET(A1,-1,0)": "#REF!",
    "SUM(OFFSET(A1,0,0,0,1))": "#REF!",
    'OFFSET(A1,"x",0)': "#VALUE!",
    "OFFSET(A1,1/0,0)": "#DIV/0!",
    "IFERROR(OFFSET(A1,-1,0),7)": 7,
    "AVERAGE(OFFSET($A$1,COUNT(A1:A6)-3,0,3,1))": 50,
    "MATCH(40,OFFSET(A1,0,0,COUNTA(A1:A6),1),0)": 4,
    "ROW(OFFSET(A1,3,0))+COLUMN(OFFSET(A1,0,2))": 7,
    "ROWS(OFFSET(A1,0,0,4,2))*COLUMNS(OFFSET(A1,0,0,4,2))": 8,
    "SUMPRODUCT(OFFSET(A1,0,0,3,1),OFFSET(B1,1,0,3,1))": 200,
    'SUMIF(OFFSET(B1,0,0,4,1),">2",OFFSET(A1,0,0,4,1))': 70,
    "SUM(OFFSET(Feb!A1,1,0,2,2))": 18,
    "SUBTOTAL(9,OFFSET(A1,0,0,2,1))": 30,
    "VLOOKUP(30,OFFSET(A1,0,0,6,2),2,FALSE)": 3,
    # corners
    "SUM(A1:INDEX(A1:A6,3))": 60,
    # references that decide where others are
    'INDIRECT(ADDRESS(ROW(INDIRECT("A3")),COLUMN(B1)))': 3,
    'SUM(OFFSET(A1,ROW(INDIRECT("B2"))-1,0,ROWS(A1:INDEX(A1:A6,2))))': 50,
    "SUM(B1:INDEX(B1:B6,MATCH(4,OFFSET(B1,0,0,6),0)))": 10,
    'IFERROR(INDIRECT(ADDRESS(ROW(INDIRECT("nowhere 1")),1)),"none")': "none",
    "SUM(INDEX(A1:A6,2):INDEX(A1:A6,4))": 90,
    "SUM(INDEX(A1:B6,5,2):A4)": 99,
    "SUM(A2:OFFSET(A2,D1,0))": 90,
    "SUM(OFFSET(A1,1,0):OFFSET(A1,2,1))": 55,
    "SUM(A1:INDEX(A:A,MATCH(40,A:A,0)))": 100,
    "SUM(INDEX(A1:B6,0,2):INDEX(A1:B6,0,2))": 21,
    "SUM(CHOOSE(D1,A1,A3):A5)": 120,
    "SUM(IF(D1>1,A5,A1):A6)": 110,
    "SUM(A1:IF(D1>5,A6,A2))": 30,
    "COUNT(A1:INDEX(A1:A6,9))": 0,
    "SUM(A1:INDEX(A1:A6,9))": "#REF!",
    "ROW(INDEX(A1:A6,3))": 3,
    "ISREF(INDEX(A1:A6,3))": True,
    "ROWS(A2:INDEX(A1:A6,5))": 4,
    "SUM((A1:A2):B3)": 66,
    'COUNTIF(INDEX(A1:B6,0,1),">20")': 4,
    'SUMIF(INDEX(A1:B6,0,1),">20",INDEX(A1:B6,0,2))': 18,
    'SUMIFS(CHOOSE(2,A1:A6,B1:B6),A1:A6,">20")': 18,
    'COUNTIFS(IF(D1>1,A1:A6,B1:B6),">20",B1:B6,"<6")': 3,
    "SUBTOTAL(9,INDEX(A1:B6,0,2))": 21,
    # INDIRECT
    'INDIRECT("A3")': 30,
    'INDIRECT("A"&D1)': 20,
    'SUM(INDIRECT(D2&"1:"&D2&"3"))': 6,
    "INDIRECT(D3)": 3,
    "INDIRECT(\"'Mar'!B3\")": 60,
    "INDIRECT(D4)": "#REF!",
    'INDIRECT("")': "#REF!",
    'INDIRECT("R2C1",FALSE)': 20,
    'SUM(INDIRECT("R1C1:R2C2",FALSE))': 33,
    'SUM(INDIRECT("C2",FALSE))': 21,
    'SUM(INDIRECT("A:A"))': 210,
    'SUM(INDIRECT("A1"):INDIRECT("B2"))': 33,
    'ROWS(INDIRECT("1:"&D1))': 2,
    'SUMPRODUCT(ROW(INDIRECT("1:4"))^2)': 30,
    # several sheets
    "SUM(Feb:Mar!A1:B3)": 231,
    "AVERAGE(Feb:Mar!A2)": 16.5,
    "MAX(Feb:Mar!A1:A3)": 50,
    "COUNT(Mar:Feb!A1:B3)": 12,
    "LARGE(Feb:Mar!A1:B3,2)": 50,
    "MEDIAN(Feb:Mar!B1:B3)": 13,
    "STDEV.P(Feb:Mar!A1)": 4.5,
    "PRODUCT(Feb:Mar!A1)": 10,
    # unions
    "SUM((A1:A2,B1:B2))": 33,
    "SUM((A1,A3,A5))": 90,
    "LARGE((A1:A2,B5:B6),2)": 10,
    "SMALL((A1:A2,B5:B6),1)": 5,
    "COUNT((A1:A6,D1:D4))": 7,
    "AREAS((A1:A2,B5,C1:C3))": 3,
    "INDEX((A1:A3,B1:B3),2,1,2)": 2,
    "RANK(30,(A1:A3,A5))": 2,
    "PERCENTILE((A1:A2,A5:A6),0.5)": 35,
    "MAX((A1:A2,B1))": 20,
    # intersections
    "SUM(A1:B3 B2:C6)": 5,
    "SUM(A1:A3 B1:B3)": "#NULL!",
    "A2:C2 B1:B6": 2,
    "SUM(A:A 2:3)": 50,
    "SUM(A1:B6 A2:INDEX(B1:B6,3))": 55,
}

NOT_LIKE_OFFICE = {
    "SUM(OFFSET(A6,0,0,-3,1))": "it has no negative heights, which Excel counts upwards",
    "SUM(OFFSET(B6,0,0,-2,-2))": "it has no negative heights, which Excel counts upwards",
    "SUM(A1:IF(D1>5,A6,A2))": "it takes IF for the first corner only",
    "ISREF(INDEX(A1:A6,3))": "its TRUE is the number 1",
    "SUM(A1:A3 B1:B3)": "it has another error for an empty intersection",
}
"""Formulas for which LibreOffice has another result, and why."""


@pytest.mark.parametrize("formula", FORMULAS)
def test_value(formula: str) -> None:
    expected = FORMULAS[formula]
    found = value(f"={formula}", GRID)
    assert str(found) == expected if isinstance(expected, str) else found == pytest.approx(expected), found


@pytest.fixture(scope="module")
def office_values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What LibreOffice makes of the formulas, which stand in column H."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not there")
    made = book({**GRID, **{f"H{row}": f"={formula}" for row, formula in enumerate(FORMULAS, start=1)}})
    found = engines.libreoffice(office, made, tmp_path_factory.mktemp("office"))
    return {formula: found.get(Cell(HOME, row, 8)) for row, formula in enumerate(FORMULAS, start=1)}


def test_libreoffice_s_own_files(tmp_path: Path, converter: LibreOffice) -> None:
    """What it writes for references of every kind, as .xlsx and as .ods, is read as the same formula."""
    kinds = ("SUM(Feb:Mar!A1:B3)", "SUM((A1:A2,B1:B2))", "LARGE((A1:A2,B5:B6),2)", "SUM(A1:B3 B2:C6)", "SUM(A:A 2:3)")
    formulas = [*kinds, "SUM(OFFSET(A1,1,0,3,1))", "SUM(A1:INDEX(A1:A6,3))", "INDIRECT(D3)", "SUM(CHOOSE(D1,A1,A3):A5)"]
    made = book({**GRID, **{f"H{row}": f"={formula}" for row, formula in enumerate(formulas, start=1)}})
    plain = tmp_path / "plain.xlsx"
    sheetfile.write(made, plain)
    for ending in (".xlsx", ".ods"):
        workbook = sgdsheet.load(converter.convert(plain, tmp_path / "calculated" / f"book{ending}"))
        report = check_workbook(workbook)
        assert (report.supported, report.compared) == (len(formulas), len(formulas))
        assert not report.mismatches


def test_values_are_those_of_libreoffice(office_values: dict[str, object]) -> None:
    different = {}
    for formula, expected in FORMULAS.items():
        found = office_values[formula]
        if isinstance(found, ExcelError):
            found = expected if found is engines.WITHOUT_KIND and isinstance(expected, str) else str(found)
        if formula not in NOT_LIKE_OFFICE and found != pytest.approx(expected):
            different[formula] = (found, expected)
    assert not different


# --- with parameters --------------------------------------------------------------------------------------

GRADIENTS: dict[str, dict[str, Any]] = {
    "a lag": {"A1:A6": [1, 2, 3, 4, 5, 6], "B1": 2, "C3:C6": "=OFFSET(A3,-$B$1,0)*A3", "Z1": "=SUM(C3:C6)"},
    "a window": {"A1:A6": [1, 2, 3, 4, 5, 6], "B1": 3, "C3:C6": "=SUMSQ(OFFSET(A3,0,0,-$B$1,1))", "Z1": "=SUM(C3:C6)"},
    "another cell for each row": {
        "A1:A6": [1, 2, 3, 4, 5, 6],
        "B1:B6": [5, 1, 3, 2, 0, 4],
        "C1:C6": "=OFFSET($A$1,B1,0)^2*ROW()",
        "Z1": "=SUM(C1:C6)",
    },
    "another window for each row": {
        "A1:A6": [1, 2, 3, 4, 5, 6],
        "B1:B3": [6, 1, 3],
        "C1:C3": "=SUMSQ($A$1:INDEX($A$1:$A$6,B1))",
        "Z1": "=SUM(C1:C3)",
    },
    "an address": {"A1:A6": [1, 2, 3, 4, 5, 6], "C1:C6": '=INDIRECT("A"&7-ROW())*A1', "Z1": "=SUM(C1:C6)"},
    "a union": {"A1:A6": [1, 2, 3, 4, 5, 6], "Z1": "=SUMSQ((A1:A3,A4:A6))+LARGE((A1:A2,A5),1)"},
    "an intersection": {"A1:A6": [1, 2, 3, 4, 5, 6], "Z1": "=SUMSQ(A1:B6 A:A)"},
    "several sheets": {"A1:A6": [1, 2, 3, 4, 5, 6], "Two!A1:A6": "=Sheet1!A1^2", "Z1": "=SUM(Sheet1:Two!A1:A6)"},
    "a chain of lags": {
        "A1:A6": [1, 2, 3, 4, 5, 6],
        "B1": 1,
        "B2:B6": "=OFFSET(B2,-1,0)*0.5+A2*A1",
        "Z1": "=SUM(B1:B6)",
    },
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name: str) -> None:
    check(GRADIENTS[name], "A1:A6", None)


def test_where_another_cell_for_each_row_is() -> None:
    cells = {"A1:A4": [10, 20, 30, 40], "B1:B4": [3, 0, 2, 1], "C1:C4": "=ROW(OFFSET($A$1,B1,0))"}
    assert values({**cells, "D1:D4": '=COUNTIF(OFFSET($A$1,B1,0),">25")'}, "C1:D4") == [4, 1, 1, 0, 3, 1, 2, 0]


@pytest.mark.parametrize(
    ("lagged", "direct"),
    [("OFFSET(A2,0,0)", "A2"), ("OFFSET(A2,-$G$1,0)", "A1"), ("SUM(A2:OFFSET(A2,0,1))", "SUM(A2:B2)")],
)
def test_mini_batches_see_what_a_plain_reference_does(lagged: str, direct: str) -> None:
    losses = []
    for reference in (lagged, direct):
        rows = [[i * 0.1, 0.3 + 0.05 * i] for i in range(40)]
        cells = {"A1:B40": rows, "E1:E2": [0.1, 0.2], "G1": 1, "C2:C40": f"=$E$1+$E$2*{reference}"}
        workbook = book({**cells, "D2:D40": "=(C2-B2)^2", "F1": "=AVERAGE(D2:D40)"})
        names = {"sgd_loss": "$F$1", "sgd_params": "$E$1:$E$2", "sgd_data": "$A$2:$B$40"}
        workbook.names = [DefinedName(name, f"{HOME}!{text}", HOME) for name, text in names.items()]
        session = Session(sgdsheet.compile(workbook), batch_size=8, steps=5, optimizer="adam", lr=0.05)
        losses.append([step.loss for step in session])
    assert losses[0] == losses[1]


def test_other_cells_for_each_sample_cannot_be_cut_into_batches() -> None:
    cells = {"A1:B8": [[i, i] for i in range(8)], "E1": 0.1, "C1:C8": "=$E$1*OFFSET($A$1,MOD(B1*3,8),0)"}
    workbook = book({**cells, "D1:D8": "=(C1-B1)^2", "F1": "=AVERAGE(D1:D8)"})
    names = {"sgd_loss": "$F$1", "sgd_params": "$E$1", "sgd_data": "$A$1:$B$8"}
    workbook.names = [DefinedName(name, f"{HOME}!{text}", HOME) for name, text in names.items()]
    model = sgdsheet.compile(workbook)
    with refusal(FormulaError, cell="Sheet1!C1", cause="other cells for each sample"):
        Session(model, batch_size=2, steps=5)


def test_a_lag_costs_what_a_reference_costs() -> None:
    """One operation for the whole column, however many rows there are."""
    direct = {"A1:A500": 2, "C3:C500": "=A1*A3", "Z1": "=SUM(C3:C500)"}
    lagged = {**direct, "B1": 2, "C3:C500": "=OFFSET(A3,-$B$1,0)*A3"}
    one, two = (len(compiled(cells, "A1:A500").program.graph.nodes) for cells in (direct, lagged))
    assert one == two


@pytest.mark.parametrize(
    "formula",
    ["=OFFSET(A1,B1,0)*B1", "=SUM(A1:INDEX(A1:A3,B1))*B1", '=INDIRECT("A"&B1)*B1', "=SUM(A1:IF(B1>1,A2,A3))*B1"],
)
def test_references_that_parameters_decide_are_refused(formula: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="depends on a parameter"):
        compiled({"A1:A3": [1, 2, 3], "B1": 2, "Z1": formula}, "B1")


def test_a_parameter_that_only_decides_a_reference() -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="depends on a parameter"):
        compiled({"A1:A3": [1, 2, 3], "B1": 2, "Z1": "=OFFSET(A1,B1,0)+A1"}, "A1,B1")


def test_what_decides_is_calculated_where_nothing_is_saved() -> None:
    """Each reference depends on what another one finds, over two sheets."""
    cells = {
        "A1:A5": [1, 2, 3, 4, 5],
        "B1": "=OFFSET(A1,Other!A1,0)",
        "Other!A1": "=OFFSET(Sheet1!A1,Sheet1!C1,0)",
        "C1": "=OFFSET(A1,0,0)",
        "D1:D3": "=OFFSET($A$1,B1,0)",
    }
    assert values(cells, "B1:D1", "Other!A1") == [3, 1, 4, 2]


def test_saved_values_decide_where_there_are_some() -> None:
    workbook = book({"A1:A3": [1, 2, 3], "B1": "=1+0", "Z1": "=OFFSET(A1,B1,0)*A2"})
    workbook.sheets[HOME].values |= {(1, 2): 2.0, (1, 26): 6.0}
    assert float(sgdsheet.compile(workbook, HOME, loss="Z1", params="A2:A3")().detach()) == 6.0


@pytest.mark.parametrize("cells", [{"B1": "=OFFSET(A1,C1,0)", "C1": "=B1"}, {"B1:B3": "=OFFSET(A1,N(B2),0)"}])
def test_a_reference_that_depends_on_itself(cells: dict[str, Any]) -> None:
    with refusal(FormulaError, cell="Sheet1!B1", cause="depend on the reference itself"):
        values({"A1:A3": [1, 2, 3], **cells}, "B1")


@pytest.mark.parametrize("formula", ["=SUMPRODUCT((A1:A2,A3:A4))", "=VLOOKUP(1,(A1:A2,B1:B2),1)", "=SUM(A1:SUM(A2))"])
def test_what_excel_does_not_have_is_refused(formula: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1"):
        value(formula, GRID)


def test_changed_cells_that_decide_a_reference() -> None:
    """The values of all cells follow a change of the distance, without compiling the model again."""
    model = compiled({"A1:A4": [1, 2, 3, 4], "B1": 1, "C1": "=OFFSET(A1,B1,0)", "Z1": "=SUMSQ(A1:A4)"}, "A1:A4")
    found = model.dependent_cells(changed={Cell(HOME, 1, 2): 3.0}).values
    assert found[Cell(HOME, 1, 3)] == 4.0
    assert model.dependent_cells().values[Cell(HOME, 1, 3)] == 2.0


def test_names_with_calculated_references() -> None:
    names = {"recent": f"OFFSET({HOME}!$A$1,COUNT({HOME}!$A:$A)-{HOME}!$B$1,0,{HOME}!$B$1,1)"}
    cells = {"A1:A6": [1, 2, 3, 4, 5, 6], "B1": 2, "Z1": "=SUMSQ(recent)"}
    model = check(cells, "A5:A6", 61, names=names)
    assert model.plan.blocks[0].reads()[0] == parse_range("A5:A6", HOME)


def test_a_table_of_blocks_is_settled_once(tmp_path: Path) -> None:
    """Ten thousand rows that each look up a cell of their own are one block."""
    count = 10_000
    cells = {f"A1:A{count}": 1.5, **{f"B{row}": (row * 7) % count for row in range(1, count + 1)}}
    model = compiled({**cells, f"C1:C{count}": "=OFFSET($A$1,B1,0)^2", "Z1": f"=SUM(C1:C{count})"}, f"A1:A{count}")
    assert len(model.blocks) == 2


# --- tables -----------------------------------------------------------------------------------------------

SALES = Table("Sales", parse_range("A1:D5", HOME), ("Item", "Net Price", "Qty #", "Tax [x]"), 1, 1)
ROWS: dict[str, Any] = {
    "A1:D1": [["Item", "Net Price", "Qty #", "Tax [x]"]],
    "A2:D4": [["a", 1, 2, 3], ["b", 4, 5, 6], ["c", 7, 8, 9]],
    "A5:D5": [["Total", 12, 15, 18]],
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(Sales[Net Price])", 12),
        ("SUM(sales[[net price]:[Qty '#]])", 27),
        ("SUM(Sales[Tax '[x']])", 18),
        ("Sales[[#Headers],[Net Price]]", "Net Price"),
        ("Sales[[#Totals],[Net Price]]", 12),
        ("ROWS(Sales[#All])+10*ROWS(Sales)+100*COLUMNS(Sales[#Headers])", 435),
        ("SUM(Sales[[#Data],[#Totals],[Net Price]])", 24),
        ("SUM(Sales[[#Totals],[Net Price]:[Tax '[x']]])", 45),
        ("SUM(Sales[[Net Price]:[Tax '[x']]] Sales[Qty '#])", 15),
        ("SUM(OFFSET(Sales[[#Headers],[Net Price]],1,0,2,1))", 5),
        ("SUM(INDEX(Sales[Net Price],2):INDEX(Sales[Net Price],3))", 11),
        ('SUM(INDIRECT("Sales[Net Price]"))', 12),
        ("SUM(Sales[Net Price],Sales[Qty '#])", 27),
    ],
)
def test_table(formula: str, expected: float | str) -> None:
    assert value(f"={formula}", ROWS, tables=[SALES]) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=Sales[[#This Row],[Net Price]]*2", [2, 8, 14]),
        ("=SUM(Sales[@[Net Price]:[Qty '#]])", [3, 9, 15]),
        ("=Sales[@Item]", ["a", "b", "c"]),
        ("=Sales[Net Price]", [1, 4, 7]),
    ],
)
def test_a_table_s_own_row(formula: str, expected: list[float | str]) -> None:
    """Beside its header, its totals and beyond it there is none, also from another sheet."""
    for sheet in (HOME, "Two"):
        found = values({**ROWS, f"{sheet}!F1:F6": formula}, f"{sheet}!F1:F6", tables=[SALES])
        wrong = ExcelError.VALUE
        assert found == [wrong, *expected, wrong, wrong]


def test_columns_that_a_table_does_not_have() -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="a column “Nope”", remedy="Item, Net Price"):
        value("=SUM(Sales[Nope])", ROWS, tables=[SALES])
    with refusal(FormulaError, cell="Sheet1!Z1", cause="cannot be read"):
        value("=SUM(Sales[[Item],[Net Price]])", ROWS, tables=[SALES])


# --- one value where a range is written -------------------------------------------------------------------


def test_implicit_intersection() -> None:
    """A formula that was not entered as an array formula takes the cell in its own row or column, else #VALUE!."""
    cells = {"A1:A3": [1, 2, 3], "B1:D1": [[10, 20, 30]]}
    wrong = ExcelError.VALUE
    assert values({**cells, "F1:F5": "=$A$1:$A$3*2"}, "F1:F5") == [2, 4, 6, wrong, wrong]
    assert values({**cells, "A5:F5": "=$B$1:$D$1+1"}, "A5:F5") == [wrong, 11, 21, 31, wrong, wrong]
    assert values({**cells, "F1:F5": "=SUM($A$1:$A$3)+$A$1:$A$3"}, "F1:F5") == [7, 8, 9, wrong, wrong]
    assert values({**cells, "F1:F3": "=$A$1:$B$3"}, "F1:F3") == [wrong] * 3
    assert values({**cells, "Two!A1:B3": "=Sheet1!$A$1:$B$3"}, "Two!A1:B3") == [1, 10, 2, 0, 3, 0]


def test_an_array_where_one_value_fits_shows_its_first() -> None:
    cells = {"A1:A3": [4, 2, 3], "B1:D1": [[10, 20, 30]]}
    formulas = {"F1": "={5,6,7}", "G1": "=MMULT(A1:A3,B1:D1)", "H1": "=A1:A3+{1,2}", "I1": "=TRANSPOSE(A1:A3)"}
    assert values({**cells, **formulas}, "F1:I1") == [5, 40, 5, 4]


def test_gradient_of_an_implicit_intersection() -> None:
    check({"A1:A3": [1, 2, 3], "B1:B3": "=$A$1:$A$3^2", "Z1": "=SUM(B1:B3)"}, "A1:A3", 14)


# --- names ------------------------------------------------------------------------------------------------

NAMES = {
    "rate": "0.05",
    "tax": f"{HOME}!$D$1*2",
    "numbers": f"{HOME}!$A$1:INDEX({HOME}!$A:$A,COUNT({HOME}!$A:$A))",
    "last": f"INDEX({HOME}!$A:$A,COUNT({HOME}!$A:$A))",
    "two": f"{HOME}!$A$1:$A$2,{HOME}!$A$4",
    "words": '"hello"',
    "line_2": f"{HOME}!$2:$2",
    "col": f"{HOME}!$A:$A",
    "up": f"{HOME}!A1048576",
    "nested": "rate*tax",
    "gone": f"{HOME}!#REF!",
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("rate*tax", 0.2),
        ("nested", 0.2),
        ("SUM(numbers)", 210),
        ("ROWS(numbers)", 6),
        ("SUM(A5:last)", 110),
        ("SUM(OFFSET(last,-1,0):last)", 110),
        ("SUM(two)+AREAS(two)", 72),
        ("INDEX(two,1,1,2)", 40),
        ('words&"!"', "hello!"),
        ("SUM(col line_2)", 20),
        ("SUM(two col)", 70),
        ('SUM(INDIRECT("col"))', 210),
        ('SUM(INDIRECT("numbers"))', "#REF!"),
        ("Sheet1!rate", 0.05),
        ("gone", "#REF!"),
        ("nobody+1", "#NAME?"),
        ("IFERROR(nobody,5)", 5),
    ],
)
def test_name(formula: str, expected: float | str) -> None:
    found = value(f"={formula}", GRID, names=NAMES)
    assert str(found) == expected if isinstance(found, ExcelError) else found == pytest.approx(expected)


def test_relative_names() -> None:
    """The cell above the one that has the formula."""
    assert values({**GRID, "H1": 3, "H2:H4": "=up*2"}, "H2:H4", names=NAMES) == [6, 12, 24]


def test_a_name_that_nobody_defined_is_told() -> None:
    with refusal(DataError, cell="Sheet1!Z1", cause="the name “nobody” that is not defined"):
        compiled({"A1:A3": [1, 2, 3], "Z1": "=SUM(A1:A3)*nobody"}, "A1:A3")


# --- spills and circles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(H1#)", 120),
        ("SUM(_xlfn.ANCHORARRAY(H1))", 120),
        ("ROWS(H1#)", 3),
        ("INDEX(H1#,2)", 40),
        ("SUM(OFFSET(H1#,1,0))", 100),
        ("SUM((H1#,A1))", 130),
        ("J1#", 7),
        ("SUM(H2#)", "#REF!"),
        ("K9#", "#REF!"),
    ],
)
def test_spill(formula: str, expected: float | str) -> None:
    found = value(f"={formula}", {**GRID, "H1:H3": "{=A1:A3*2}", "J1": "=3+4"})
    assert str(found) == expected if isinstance(expected, str) else found == expected


def test_a_circle_refuses_its_own_cells_and_what_needs_them() -> None:
    cells = {"A1": 2, "B1": "=C1+1", "C1": "=B1+1", "D1": "=B1*2", "E1": "=A1*2", "F1": "=F1+1", "Z1": "=E1^2"}
    report = check_workbook(book(cells))
    refused = {item.area.a1: item.error.cause for item in report.unsupported}
    assert refused.keys() == {"C1", "F1"}
    assert "B1, C1 depend on each other in a circle" in refused["C1"]
    assert (report.formulas, report.supported) == (6, 2)
    check(cells, "A1", 16)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUMPRODUCT(SUBTOTAL(9,OFFSET(A1,ROW(A1:A4)-1,0)))", 10),
        ("SUMPRODUCT(SUBTOTAL(109,OFFSET(A1,0,0,ROW(A1:A4))))", 20),
        ("SUMPRODUCT(SUMIF(OFFSET(A1,ROW(A1:A4)-1,0),2))", 2),
        ("MATCH(TRUE,INDEX(SUBTOTAL(9,OFFSET(A1,0,0,ROW(A1:A4)))>5,0),0)", 3),
        ("SUMPRODUCT(OFFSET(A1,MATCH(2,A1:A4,0),0,2,1)*{1;10})", 43),
    ],
)
def test_four_numbers_where_arrays_are_calculated(formula: str, expected: float) -> None:
    """Where arrays are calculated, ROW(A1:A4) is four numbers, also in a plain formula: one range would be wrong."""
    assert value(f"={formula}", {"A1": [1, 2, 3, 4]}) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(A1:TAKE(A1:A4,2))", 3),
        ("SUM(TAKE(A1:A4,-1):A3)", 7),
        ("SUM(DROP(A1:A4,2):A4)", 7),
        ("SUM(A2:DROP(A1:B4,-1,-1))", 6),
        ("SUM(TAKE(A1:B4,9,-1):B4)", 100),
        ("ROW(TAKE(A1:A4,-2))", 3),
        ('SUMIF(TAKE(A1:A4,3),">1")', 5),
        ("SUM(A1:DROP(A1:A4,4))", ExcelError.CALC),
        ("SUM(A1:TAKE(A1:A4,0))", ExcelError.CALC),
    ],
)
def test_the_ends_of_a_range_as_corners(formula: str, expected: float | ExcelError) -> None:
    assert value(f"={formula}", {"A1": [1, 2, 3, 4], "B1": [10, 20, 30, 40]}) == expected


SHEETS = {
    "A1:A8": [1, 2, 3, 4, 5, 6, 7, 8],
    "B1:B8": ["x", "y", "x", "y", "x", "x", "y", "x"],
    "F1:H2": [[1, 2, 3], [4, 5, 6]],
    "D1:D2": ["Jan", "Feb"],
    "Jan!A1:B4": [[1, "a"], [2, "b"], [3, "a"], [-4, "b"]],
    "Feb!A1:B4": [[10, "b"], [-20, "b"], [30, "a"], [40, "b"]],
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUMPRODUCT(SUBTOTAL(9,OFFSET(A1,ROW(A1:A8)-1,0)))", 36.0),
        ('SUMPRODUCT(SUBTOTAL(103,OFFSET(A1,ROW(A1:A8)-ROW(A1),0)),--(B1:B8="x"))', 5.0),
        ('SUMPRODUCT(SUMIF(INDIRECT({"Jan","Feb"}&"!A1:A4"),">0"))', 86.0),
        ('SUMPRODUCT(SUMIF(INDIRECT("\'"&D1:D2&"\'!B1:B4"),"a",INDIRECT("\'"&D1:D2&"\'!A1:A4")))', 34.0),
        ('SUMPRODUCT(COUNTIF(INDIRECT(D1:D2&"!B1:B4"),"b"))', 5.0),
        ('SUMPRODUCT(SUMIFS(INDIRECT(D1:D2&"!A1:A4"),INDIRECT(D1:D2&"!B1:B4"),"b"))', 28.0),
        ('SUM(SUMIF(INDIRECT({"Jan","Feb"}&"!A1:A4"),{">0";"<0"}))', 86.0 - 24.0),
        ("SUMPRODUCT(N(OFFSET(A1,{0,2,4},0)))", 9.0),
        ("SUMPRODUCT(LEN(T(OFFSET(B1,{0;1},0))))", 2.0),
        ("MAX(SUBTOTAL(9,OFFSET(F1:H1,{0;1},0)))", 15.0),
        ("SUMPRODUCT(SUBTOTAL(4,OFFSET(A1,0,0,ROW(A1:A8),1)))", 36.0),
        ("SUMPRODUCT(COUNTIF(OFFSET(B1,0,0,ROW(A1:A8)),B1:B8))", 21.0),
        ("MATCH(2,SUBTOTAL(9,OFFSET(A1,{0;1;2},0)),0)", 2.0),
        ('SUMPRODUCT(SUMIF(INDIRECT({"Jan","Mar"}&"!A1:A4"),">0"))', ExcelError.REF),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_several_references_from_one_function(formula: str, expected: Any, array: bool) -> None:
    assert value(f"{{={formula}}}" if array else f"={formula}", SHEETS) == expected


def test_several_references_have_gradients() -> None:
    """A running total by OFFSET: each parameter is in the sums from its own row on."""
    cells = {**SHEETS, "Z1": "=SUMPRODUCT(SUBTOTAL(9,OFFSET(A1,0,0,ROW(A1:A8),1)))"}
    model = compiled(cells, "A1:A8")
    model().backward()
    (parameter,) = model.parameters()
    assert parameter.grad is not None
    assert parameter.grad.flatten().tolist() == [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def test_one_range_is_wanted() -> None:
    with refusal(FormulaError, cell=f"{HOME}!Z1", cause="several ranges at once"):
        value("=SUMPRODUCT(OFFSET(A1,{0,1},0))", SHEETS)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"J1:K1": "{=INDEX(A1:A8,{1,3})}"}, [1.0, 3.0]),
        ({"J1:J2": "{=INDEX(A1:A8,{1;3})}"}, [1.0, 3.0]),
        ({"J1:K1": "{=INDEX(A1:A8,N(IF(1,{2,5})))}"}, [2.0, 5.0]),
        ({"J1:K1": "{=INDEX(F1:H2,{1,2},3)}"}, [3.0, 6.0]),
        ({"J1:K2": "{=INDEX(F1:H2,{1;2},{1,3})}"}, [1.0, 3.0, 4.0, 6.0]),
        ({"J1:K2": "{=INDEX(F1:H2,{1,2},{1;3})}"}, [1.0, 4.0, 3.0, 6.0]),
        ({"J1:K2": "{=INDEX(F1:H2,{1,#N/A},{1;3})}"}, [1.0, ExcelError.NA, 3.0, ExcelError.NA]),
    ],
)
def test_positions_side_by_side(cells: dict[str, Any], expected: list[Any]) -> None:
    (target,) = cells
    assert values({**SHEETS, **cells}, target) == expected


def test_a_function_that_another_program_did_not_know() -> None:
    """LibreOffice 7.4 saves #NAME? for XLOOKUP: the constant is calculated, and the loss with it."""
    cells = {"A1": 1, "B1": "=XLOOKUP(2,D1:D3,E1:E3)", "D1:D3": [1, 2, 3], "E1:E3": [4, 5, 6], "Z1": "=(A1-B1)^2"}
    workbook = book(cells)
    for place in ((1, 2), (1, 26)):
        workbook.sheets[HOME].values[place] = ExcelError.NAME
    model = sgdsheet.compile(workbook, HOME, loss="Z1", params="A1")
    assert model().item() == 16.0


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("ROWS(A1:.B9)", 3),
        ("ROWS(A1.:B9)", 8),
        ("ROWS(A1.:.B9)", 2),
        ("SUM(Sheet1!A:.B)", 6),
        ("COLUMNS(A1:.C9)", 2),
        ("ROWS(_xlfn._TRO_ALL(A1:B9))", 2),
        ("ROWS(_xlfn._TRO_TRAILING(A1:B9))", 3),
        ("ROWS(_xlfn._TRO_LEADING(A1:B9))", 8),
    ],
)
def test_ranges_that_are_trimmed(formula: str, expected: float) -> None:
    assert value(f"={formula}", {"B2": 1, "A3:B3": [[2, 3]]}) == expected


def test_functions_of_google_sheets() -> None:
    """They are saved inside of an IFERROR with their result."""
    assert value('=IFERROR(__xludf.DUMMYFUNCTION("SPARKLINE(A1:A9)"),"shown")') == "shown"
    assert value('=__xludf.DUMMYFUNCTION("GOOGLEFINANCE(A1)")') is ExcelError.NAME


def test_names_that_only_look_like_cells() -> None:
    """There is no row 0, and no column of four letters: S0, P0 and YEAR2024 are names that people use."""
    names = {"S0": f"{HOME}!$A$1", "P0": "0.5", "YEAR2024": f"{HOME}!$A$2"}
    cells = {"A1:A2": [100, 3], "B1:B3": "=S0*EXP(P0*ROW())+YEAR2024"}
    found = values(cells, "B1:B3", names=names)
    assert found == pytest.approx([100 * math.exp(0.5 * row) + 3 for row in (1, 2, 3)])
    built = compiled({**cells, "Z1": "=(S0-7)^2"}, "A1", names=names)
    assert built().item() == 93.0**2
    assert value("=S0+1", {}) is ExcelError.NAME


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ('CELL("address",INDEX(A1:A6,3))', "$A$3"),
        ('CELL("row",OFFSET(A1,4,0))', 5),
        ('CELL("contents",INDIRECT("A2"))', 20),
        ('CELL("col",INDEX(A1:C6,1,MATCH(7,A1:C1,0)))', 3),
        ('CELL("row",#REF!)', ExcelError.REF),
    ],
)
def test_what_is_asked_about_a_calculated_cell(formula: str, expected: object) -> None:
    assert value(f"={formula}", GRID) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUM(IF(1,A1:A3,B1:B3))", 60),
        ("SUM(IF(D1>9,A1:A3,B1:B3))", 6),
        ("AVERAGE(IF(D1=2,A1:A6))", 35),
        ("COUNT(IF(D1=2,A1:A6,0))", 6),
        ("SUM(IFS(D1=3,A1:A3,TRUE,B1:B3))", 6),
        ("SUM(SWITCH(D1,2,A1:A3,B1:B3))", 60),
        ("SUM(SWITCH(D1,7,A1:A3,B1:B3))", 6),
        ("SUM(IF(TRUE,IF(FALSE,A1:A3,B1:B3)))", 6),
        ("SUM(IF(A1:A6>20,A1:A6,0))", ExcelError.VALUE),
        ("SUM(IF(D1=2,A1:A3*1,0))", ExcelError.VALUE),
    ],
)
def test_one_of_several_ranges(formula: str, expected: object) -> None:
    """By one condition, IF gives a range whole to a function that takes ranges, whichever row the formula is in."""
    assert values({**GRID, "Z9": f"={formula}"}, "Z9") == [expected]
    if not isinstance(expected, ExcelError):
        assert value(f"={formula}", GRID) == expected


def test_a_range_that_a_condition_chooses_has_a_gradient() -> None:
    built = compiled({"A1:A3": [1, 2, 3], "B1:B3": [4, 5, 6], "D1": 1, "Z1": "=SUM(IF(D1>0,A1:A3,B1:B3))"}, "A1:A3")
    built().backward()
    (parameter,) = built.parameters()
    assert parameter.grad is not None
    assert parameter.grad.flatten().tolist() == [1.0, 1.0, 1.0]


def test_where_a_cell_is_does_not_depend_on_what_it_holds() -> None:
    """CELL("address") of the formula's own cell is no circle; its contents would be."""
    assert value('=CELL("address",Z1)', {}) == "$Z$1"
    assert value('=CELL("row",Z1)+1', {}) == 2
    with refusal(FormulaError, cell="Sheet1!Z1", cause="the formula depends on its own cell"):
        value('=CELL("contents",Z1)', {})
