"""The functions that Excel's cells call: converters, errors, and the gradient of a cell of an open workbook.

xlwings' own code for such functions runs on Windows only, because it imports pywin32. Here it gets stand-ins for the
three modules of pywin32, and its cleaning of values is taken from its own source; everything else is the real thing.
"""

from __future__ import annotations

import ast
import datetime
import importlib
import json
import math
import numbers
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import xlwings as xw
import xlwings.conversion
import xlwings.main

import sgdsheet
from sgdsheet.apps.udf.declarations import FAILURE, declarations
from sgdsheet.apps.udf.gradient import Gradients
from sgdsheet.apps.udf.prediction import Predictors
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.errors import DataError, FileError, ProblemError, SgdSheetError
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook
from tests.errors import refusal
from tests.memory_host import MemoryHost
from tests.sheets import HOME, book
from tests.training_books import write

MISSING = -2147352572
"""How VBA says that an argument was left out."""
DIVISION_BY_ZERO = -2146826281
"""How Excel's COM interface says #DIV/0!."""


# --- xlwings as on Windows --------------------------------------------------------------------------------


class _ComRange:
    """A range as VBA hands it over: values in rows, and where it is."""

    def __init__(self, rows: list[list[Any]], area: Range | None = None, key: str = "book") -> None:
        self.rows, self.area, self.key = rows, area, key


def _engine() -> xw.Engine:
    """The engine of Excel on Windows, as far as it cleans values: cut out of xlwings' source."""
    source = Path(xw.__file__).with_name("_xlwindows.py").read_text(encoding="utf-8")
    wanted = {"cell_errors", "time_types", "_clean_value_data_element", "_com_time_to_datetime", "Engine"}
    body = [
        node
        for node in ast.parse(source).body
        if getattr(node, "name", None) in wanted
        or (isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & wanted)
    ]
    space: dict[str, Any] = {
        **{"xlwings": xw, "dt": datetime, "np": None, "pd": None, "numbers": numbers},
        "pywintypes": types.SimpleNamespace(TimeType=datetime.datetime),
        "_datetime_to_com_time": lambda moment: moment,
    }
    exec(compile(ast.Module(body, []), "_xlwindows.py", "exec"), space)
    assert wanted <= space.keys()
    return xw.Engine(impl=space["Engine"]())


@pytest.fixture(scope="module")
def call() -> Iterator[Callable[..., Any]]:
    """`call("SGD_RELU", values)` through xlwings' `call_udf`; None is an argument that was left out."""
    patch = pytest.MonkeyPatch()
    for name in ("pythoncom", "pywintypes", "win32com", "win32com.client"):
        patch.setitem(sys.modules, name, types.ModuleType(name))
    patch.setattr(sys.modules["pythoncom"], "CoInitialize", lambda: None, raising=False)
    patch.setattr(sys.modules["win32com.client"], "Dispatch", lambda item: item, raising=False)
    patch.setitem(sys.modules, "xlwings.com_server", types.SimpleNamespace(loop=None))
    udfs = importlib.import_module("xlwings.udfs")
    windows = types.SimpleNamespace(is_range_instance=lambda item: isinstance(item, _ComRange), Range=lambda xl: xl)
    patch.setattr(xw, "_xlwindows", windows, raising=False)
    patch.setattr(udfs, "Range", lambda impl: _range(impl))
    for name in ("func", "arg", "ret"):
        patch.setattr(xw, name, getattr(udfs, f"xl{name}"))
    before = dict(xw.engines.engines_by_name)
    xw.engines.engines_by_name["excel"] = _engine()
    sys.modules.pop("sgdsheet.apps.udf.xlwings_functions", None)
    importlib.import_module("sgdsheet.apps.udf.xlwings_functions")

    def run(name: str, *arguments: Any) -> Any:
        given = tuple(MISSING if item is None else item for item in arguments)
        return udfs.call_udf("sgdsheet.apps.udf.xlwings_functions", name, given)

    yield run
    xw.engines.engines_by_name.clear()
    xw.engines.engines_by_name.update(before)
    for name in ("sgdsheet.apps.udf.xlwings_functions", "xlwings.udfs"):
        sys.modules.pop(name, None)
    patch.undo()


def _range(impl: _ComRange | None) -> Any:
    if impl is None:
        return types.SimpleNamespace(address="$A$1")
    area = impl.area or Range(HOME, 1, 1, len(impl.rows), len(impl.rows[0]))
    app = types.SimpleNamespace(engine=xw.engines.engines_by_name["excel"], pid=1)
    open_book = types.SimpleNamespace(app=app, fullname=impl.key)
    return types.SimpleNamespace(
        raw_value=tuple(map(tuple, impl.rows)),
        impl=types.SimpleNamespace(max_cells_per_read=None),
        address=area.a1,
        shape=(area.height, area.width),
        sheet=types.SimpleNamespace(book=open_book, name=area.sheet),
    )


# --- converters -------------------------------------------------------------------------------------------


def test_ranges_and_arrays(call: Callable[..., Any]) -> None:
    rows = [[1.0, -2.0], [-3.0, 4.0]]
    wanted = [[1.0, 0.0], [0.0, 4.0]]
    assert call("SGD_RELU", _ComRange(rows)) == wanted
    assert call("SGD_RELU", tuple(map(tuple, rows))) == wanted


def test_scalars(call: Callable[..., Any]) -> None:
    assert call("SGD_RELU", 2.5) == [[2.5]]
    assert call("SGD_RELU", -2) == [[0.0]]
    assert call("SGD_RELU", True) == [[1.0]]
    assert call("SGD_RELU", _ComRange([[7.0]])) == [[7.0]]


def test_rows_and_columns(call: Callable[..., Any]) -> None:
    assert call("SGD_RELU", _ComRange([[1.0, -1.0, 2.0]])) == [[1.0, 0.0, 2.0]]
    assert call("SGD_RELU", _ComRange([[1.0], [-1.0]])) == [[1.0], [0.0]]
    assert call("SGD_RELU", (1.0, -1.0)) == [[1.0, 0.0]]  # an array of one dimension is a row
    assert call("SGD_LINEAR", _ComRange([[1.0, 2.0]]), _ComRange([[3.0], [4.0]]), None) == [[11.0]]


def test_empty_cells_text_errors_dates_and_currency(call: Callable[..., Any]) -> None:
    assert call("SGD_RELU", _ComRange([[None, "", 1.0]])) == [[0.0, 0.0, 1.0]]
    assert call("SGD_RELU", _ComRange([["text", "12", DIVISION_BY_ZERO]])) == [["#VALUE!", 12.0, "#DIV/0!"]]
    moment = datetime.datetime(2024, 2, 29, 12)
    assert call("SGD_RELU", _ComRange([[moment]])) == [[45351.5]]


def test_an_error_spoils_only_what_reads_it(call: Callable[..., Any]) -> None:
    scores = _ComRange([[1.0, 1.0], [DIVISION_BY_ZERO, 1.0]])
    assert call("SGD_SOFTMAX", scores) == [[0.5, 0.5], ["#DIV/0!", "#DIV/0!"]]
    assert call("SGD_MSE", scores, scores) == [["#DIV/0!"]]


def test_missing_arguments(call: Callable[..., Any]) -> None:
    inputs, weights = _ComRange([[1.0, 2.0]]), _ComRange([[3.0], [4.0]])
    assert call("SGD_LINEAR", inputs, weights, None) == call("SGD_LINEAR", inputs, weights, _ComRange([[None]]))
    assert call("SGD_CONV2D", inputs, 2.0, None, None, 1.0) == [[0.0] * 4, [0.0, 2.0, 4.0, 0.0], [0.0] * 4]


def test_labels_of_text(call: Callable[..., Any]) -> None:
    found = call("SGD_ONEHOT", _ComRange([["male"], ["Female"]]), _ComRange([["female"], ["male"]]))
    assert found == [[0.0, 1.0], [1.0, 0.0]]


def test_many_cells(call: Callable[..., Any]) -> None:
    rows = torch.randn(1000, 100, dtype=torch.float64).tolist()
    start = time.process_time()
    found = call("SGD_RELU", _ComRange(rows))
    assert time.process_time() - start < 5
    assert found == [[max(number, 0.0) for number in row] for row in rows]


def test_failures_are_one_line_with_a_reason(call: Callable[..., Any]) -> None:
    rows = _ComRange([[1.0, 2.0]])
    found = call("SGD_LINEAR", rows, rows, None)
    assert found.startswith(
        FAILURE + "the formula calls SGD_LINEAR with inputs and weights that do not fit (1x2 and 1x2)"
    )
    assert "\n" not in found
    assert call("SGD_RANDN", rows, None, None, None) == FAILURE + "rows has to be one cell. Give it a single value"
    assert call("SGD_MSE", rows, 1.0).startswith(FAILURE + "the formula calls SGD_MSE with arrays of different sizes")


def test_no_traceback_in_a_cell(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(sys.modules["sgdsheet.apps.udf.xlwings_functions"], "calculate", fails)
    assert call("SGD_RELU", 1.0) == FAILURE + "SGD_RELU failed unexpectedly: ZeroDivisionError: oh no"


def test_version(call: Callable[..., Any]) -> None:
    assert call("SGD_VERSION") == [[sgdsheet.__version__]]


def test_xlwings_knows_names_arguments_and_help(call: Callable[..., Any]) -> None:
    module = sys.modules["sgdsheet.apps.udf.xlwings_functions"]
    for item in declarations():
        known = getattr(module, item["name"]).__xlfunc__
        assert known["name"] == item["name"]
        assert known["ret"]["doc"] == item["help"]
        assert [(arg["name"], arg["doc"], "optional" in arg) for arg in known["args"]] == [
            (arg["name"], arg["help"], arg["optional"]) for arg in item["arguments"]
        ]


# --- the declarations -------------------------------------------------------------------------------------

NAMES = (
    "RELU SIGMOID TANH SOFTMAX LINEAR CONV2D MSE MAE BCE CROSSENTROPY ACCURACY ONEHOT RANDN NORMALIZE GRAD STEP PREDICT"
    " VERSION"
)


def test_declarations() -> None:
    found = declarations()
    names = {item["name"] for item in found}
    assert names >= {f"SGD_{name}" for name in NAMES.split()}
    assert names == {name for name in REGISTRY if name.startswith("SGD_")}
    assert json.loads(json.dumps(found)) == found
    for item in found:
        texts = [item["help"], *(argument["help"] for argument in item["arguments"])]
        assert all(text.endswith(".") and "\n" not in text and len(text) <= 255 for text in texts), item["name"]
        words = [argument["name"] for argument in item["arguments"]]
        assert all(word.isidentifier() and word.islower() for word in words)
        assert len(set(words)) == len(words)
        optional = [argument["optional"] for argument in item["arguments"]]
        assert optional == sorted(optional), item["name"]
        assert {argument["kind"] for argument in item["arguments"]} <= {"array", "scalar", "reference"}


def test_importing_needs_no_excel() -> None:
    code = "import sgdsheet.apps.udf.xlwings_functions as u; print(u.SGD_RELU([[-1.0, 2.0]]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[[0.0, 2.0]]"


# --- the gradient of an open workbook ---------------------------------------------------------------------


def recalculate(workbook: Workbook) -> None:
    """Fill in the values of all formulas."""
    model = sgdsheet.compile(workbook, HOME, loss="Z1", params="A1:B3")
    for cell, found in model.dependent_cells(everything=True).values.items():
        workbook.sheets[cell.sheet].values[cell.row, cell.column] = found


def opened() -> MemoryHost:
    workbook = book(
        {
            "A1:B3": [[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]],
            "D1:F4": torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tolist(),
            "H1:I4": "{=SGD_TANH(SGD_LINEAR(D1:F4,A1:B3))}",
            "K1:K4": "=SGD_SIGMOID(H1-I1)*L$1",
            "L1": "=L2*2",
            "L2": 0.75,
            "Z1": "=SGD_MSE(K1:K4,D1:D4)",
        }
    )
    recalculate(workbook)
    return MemoryHost(workbook, recalculate, "book")


LOSS, PARAMS = Cell(HOME, 1, 26), Range(HOME, 1, 1, 3, 2)


def by_model(host: MemoryHost) -> list[list[float]]:
    slopes = sgdsheet.compile(host.read(), HOME, loss="Z1", params="A1:B3").gradients()
    return [[slopes[Cell(HOME, row, column)] for column in (1, 2)] for row in (1, 2, 3)]


def close(found: list[list[float]], wanted: list[list[float]]) -> bool:
    return all(
        math.isclose(one, two, rel_tol=1e-12, abs_tol=1e-14)
        for row, other in zip(found, wanted, strict=True)
        for one, two in zip(row, other, strict=True)
    )


def test_the_gradient_is_the_models() -> None:
    host = opened()
    found = Gradients().gradient(host, LOSS, PARAMS)
    assert close(found, by_model(host))
    assert all(slope != 0 for row in found for slope in row)


def test_a_recalculation_does_not_compile_again() -> None:
    host, gradients = opened(), Gradients()
    first = gradients.gradient(host, LOSS, PARAMS)
    for number in range(3):
        host.write({Cell(HOME, 1, 1): 0.5 + number, Cell(HOME, 3, 2): -1.0})
        assert close(gradients.gradient(host, LOSS, PARAMS), by_model(host))
    assert gradients.compilations == 1
    host.write({Cell(HOME, 1, 1): 0.5, Cell(HOME, 3, 2): 0.75})
    assert gradients.gradient(host, LOSS, PARAMS) == first


CHANGES: dict[str, Callable[[Workbook], None]] = {
    "a number of the data": lambda workbook: workbook.sheets[HOME].values.update({(2, 5): 9.0}),
    "a number that a fixed formula reads": lambda workbook: workbook.sheets[HOME].values.update({(2, 12): 0.5}),
    "a formula": lambda workbook: workbook.sheets[HOME].formulas.update(
        book({"L1": "=L2+A1"}).sheets[HOME].formulas,
    ),
    "the loss": lambda workbook: workbook.sheets[HOME].formulas.update(
        book({"Z1": "=SGD_MAE(K1:K4,D1:D4)"}).sheets[HOME].formulas,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_sheet_is_noticed(change: str) -> None:
    host, gradients = opened(), Gradients()
    before = gradients.gradient(host, LOSS, PARAMS)
    CHANGES[change](host.workbook)
    recalculate(host.workbook)
    after = gradients.gradient(host, LOSS, PARAMS)
    assert after != before
    assert close(after, by_model(host))
    assert gradients.compilations == 2


def test_a_step() -> None:
    host, gradients = opened(), Gradients()
    slopes = gradients.gradient(host, LOSS, PARAMS)
    values = [[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]]
    wanted = [
        [value - 0.1 * slope for value, slope in zip(*rows, strict=True)] for rows in zip(values, slopes, strict=True)
    ]
    assert close(gradients.step(host, PARAMS, LOSS, 0.1), wanted)
    assert gradients.compilations == 1
    assert host.writes == 0


def test_a_step_out_of_all_numbers() -> None:
    """Neither JSON nor a cell has infinity."""
    host = opened()
    host.workbook.sheets[HOME].formulas |= book({"Z1": "=1000*SUMXMY2(K1:K4,D1:D4)"}).sheets[HOME].formulas
    recalculate(host.workbook)
    with refusal(DataError, cause="no cell can hold", remedy="Use a lower learning rate"):
        Gradients().step(host, PARAMS, LOSS, 1e308)


def test_cells_that_the_loss_does_not_read_have_slope_zero() -> None:
    host = opened()
    found = Gradients().gradient(host, LOSS, Range(HOME, 3, 1, 5, 2))
    assert [row != [0.0, 0.0] for row in found] == [True, False, False]


REFUSED: dict[str, tuple[Cell, Range, str, str]] = {
    "no formula": (Cell(HOME, 1, 1), PARAMS, "A1", "^the loss cell holds no formula"),
    "formulas": (LOSS, Range(HOME, 1, 11, 4, 11), "K1", "^a parameter cell holds a formula"),
    "spilled": (LOSS, Range(HOME, 2, 8, 4, 8), "H2", "filled by the array formula in H1"),
    "text": (LOSS, Range(HOME, 6, 1, 6, 1), "A6", "^a parameter cell holds “text”"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_gradients_that_are_refused(case: str) -> None:
    host = opened()
    host.workbook.sheets[HOME].values[6, 1] = "text"
    loss, params, cell, cause = REFUSED[case]
    with refusal(SgdSheetError, cell=f"Sheet1!{cell}", cause=cause):
        Gradients().gradient(host, loss, params)


def test_gradient_in_excel(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """SGD_GRAD gets its arguments as references, and answers in their shape."""
    host = opened()
    monkeypatch.setattr(sys.modules["sgdsheet.apps.udf.xlwings_functions"].excel, "connect", lambda book, where: host)
    loss, params = _ComRange([[0.0]], Range.of_cell(LOSS)), _ComRange([[0.0] * 2] * 3, PARAMS)
    assert close(call("SGD_GRAD", loss, params), by_model(host))
    step = call("SGD_STEP", params, loss, 0.5)
    assert close(step, Gradients().step(host, PARAMS, LOSS, 0.5))
    assert call("SGD_STEP", params, loss, None) == Gradients().step(host, PARAMS, LOSS, 0.01)
    assert call("SGD_STEP", params, loss, "fast").startswith(FAILURE + "the learning rate is no number")
    assert call("SGD_GRAD", 3.0, params).startswith(FAILURE + "the loss has to be a reference")
    assert call("SGD_GRAD", params, params).startswith(FAILURE + "the loss has to be one cell")
    other = _ComRange([[0.0]], Range.of_cell(LOSS), key="another")
    assert call("SGD_GRAD", other, params).startswith(FAILURE + "loss and parameters are in two workbooks")


# --- predictions of a model file --------------------------------------------------------------------------

MODEL = {
    "A1:B2": [[1.0, -2.0], [3.0, 0.5]],
    "D1:E2": [[0.1, 0.2], [0.3, 0.4]],
    "G1": "=SUMPRODUCT(A1:B2,D1:E2)",
    "G2": "=G1^2+A1",
    "H1": 5.0,
    "Z1": "=(G1-H1)^2",
}
MODEL_NAMES = {"sgd_loss": "Z1", "sgd_params": "D1:E2", "sgd_output": "G1:G2"}


def model_file(folder: Path, **names: str) -> str:
    return str(write(folder / "model.xlsx", MODEL, {**MODEL_NAMES, **names}))


def test_predictions(tmp_path: Path) -> None:
    path = model_file(tmp_path, sgd_input="A1:B2")
    predictors = Predictors(sgdsheet.load)
    rows = [[1.0, -2.0, 3.0, 0.5], [0.0, 0.0, 0.0, 1.0], [2.0, 1.0, 0.0, 0.0]]
    sums = [row[0] * 0.1 + row[1] * 0.2 + row[2] * 0.3 + row[3] * 0.4 for row in rows]
    wanted = [[total, total**2 + row[0]] for total, row in zip(sums, rows, strict=True)]
    assert close(predictors.predict(path, [list(row) for row in rows]), wanted)
    alone = predictors.predict(path, [[1.0, -2.0], [3.0, 0.5]])  # the shape of the model's own inputs
    assert close(alone, [[number] for number in wanted[0]])
    assert predictors.compilations == 1
    before = os.stat(path).st_mtime_ns
    os.utime(path, ns=(before, before + 10**9))
    predictors.predict(path, [list(rows[0])])
    assert predictors.compilations == 2


def test_many_predictions(tmp_path: Path) -> None:
    rows = torch.randn(5000, 4, dtype=torch.float64)
    found = Predictors(sgdsheet.load).predict(model_file(tmp_path, sgd_input="A1:B2"), rows.tolist())
    wanted = rows @ torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    torch.testing.assert_close(torch.tensor(found)[:, 0].double(), wanted, rtol=1e-6, atol=1e-6)


def test_the_input_that_is_read_is_found(tmp_path: Path) -> None:
    path = model_file(tmp_path, sgd_input_image="A1:B2", sgd_input_label="H1")
    found = Predictors(sgdsheet.load).predict(path, [[0.0, 0.0, 0.0, 1.0]])
    assert close(found, [[0.4, 0.4**2]])


def test_models_that_are_refused(tmp_path: Path) -> None:
    with refusal(ProblemError, cause="read none of the cells named sgd_input"):
        Predictors(sgdsheet.load).predict(model_file(tmp_path), [[1.0]])
    with refusal(DataError, cause="the inputs are 1x3 cells, and the model reads Model!A1:B2"):
        Predictors(sgdsheet.load).predict(model_file(tmp_path, sgd_input="A1:B2"), [[1.0, 2.0, 3.0]])
    with refusal(DataError, cause="an input is “x” and not a number"):
        Predictors(sgdsheet.load).predict(model_file(tmp_path, sgd_input="A1:B2"), [["x", 1.0, 2.0, 3.0]])
    bare = write(tmp_path / "bare.xlsx", {"A1": 1.0}, {})
    with refusal(ProblemError, cause="no sheet with the name sgd_output"):
        Predictors(sgdsheet.load).predict(str(bare), [[1.0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"\\server\share\model.xlsx", "is not on this machine"),
        ("//server/share/model.xlsx", "is not on this machine"),
        ("https://example.org/model.xlsx", "is not on this machine"),
        ("file:///model.xlsx", "is not on this machine"),
        (r"\\?\UNC\server\share\model.xlsx", "is not on this machine"),
        ("model.xlsx", "is not a full path"),
        ("/models/model.py", "is no model file"),
        ("/models/model.pt", "is no model file"),
        ("", "no model file is named"),
        (3.0, "no model file is named"),
        ("/nowhere/model.xlsx", "there is no file"),
    ],
)
def test_paths_that_are_refused(text: object, message: str) -> None:
    with refusal(FileError, cause=message):
        Predictors(sgdsheet.load).predict(text, [[1.0]])


def test_prediction_in_excel(call: Callable[..., Any], tmp_path: Path) -> None:
    path = model_file(tmp_path, sgd_input="A1:B2")
    assert close(call("SGD_PREDICT", path, _ComRange([[0.0, 0.0, 0.0, 1.0]])), [[0.4, 0.4**2]])
    assert (
        call("SGD_PREDICT", "model.xlsx", 1.0) == FAILURE + "“model.xlsx” is not a full path. Write it with its folder"
    )
