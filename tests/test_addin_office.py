"""The add-in's VBA, run by LibreOffice: its callbacks, its checks, what they do to cells.

LibreOffice has no ribbon control to give to a callback and no Python to start: there, `IRibbonControl` is a record
with a tag, and the two procedures that leave VBA write into a cell instead. It has no Windows either: what asks that
is replaced here, and `wine_chain.py` runs it under Wine. LibreOffice says nothing when a macro
fails, so every test looks at what must have come out. Its VBA makes names of a sheet, and cannot read their cells:
here, names are of the workbook.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sgdsheet.apps.excel_addin.generated import OLD_BLOCKS
from sgdsheet.apps.excel_addin.project import Module, vba_project
from sgdsheet.apps.excel_addin.ribbon import ACTIONS, from_digits
from sgdsheet.apps.excel_addin.xlam import xlam
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.problem.optimizers import normalised
from tests.addin_parts import modules

SOFFICE = shutil.which("soffice")
PYTHON = Path("/usr/bin/python3")
SIDE = Path(__file__).parent / "addin_office_side.py"

pytestmark = pytest.mark.skipif(SOFFICE is None or not PYTHON.exists(), reason="needs LibreOffice and its Python")

SHEET = "sgdsheet"  # the name of the add-in's own sheet
BOOK = "addin.xlam"  # what LibreOffice has for the full name of its file

PROBE = """Attribute VB_Name = "Probe"
Option VBASupport 1
Public Type Control
    Tag As String
    ID As String
End Type
Public Sub Press(ByVal Tag As String)
    Dim Pressed As Control
    Pressed.Tag = Tag
    SgdAction Pressed
End Sub
Public Function EnabledOf(ByVal Tag As String) As String
    Dim Asked As Control
    Dim Result As Variant
    Asked.Tag = Tag
    SgdEnabled Asked, Result
    EnabledOf = CStr(Result)
End Function
Public Function TextOf(ByVal Tag As String) As String
    Dim Asked As Control
    Dim Result As Variant
    Asked.Tag = Tag
    SgdSettingText Asked, Result
    TextOf = CStr(Result)
End Function
Public Sub Type_(ByVal Tag As String, ByVal Text As String)
    Dim Changed As Control
    Changed.Tag = Tag
    SgdSettingChanged Changed, Text
End Sub
Public Function Normalised(ByVal Text As String) As String
    SgdNormalise Text
    Normalised = Text
End Function
Public Function Optimizer() As String
    Dim Asked As Control
    Dim Result As Variant
    SgdOptimizerID Asked, Result
    Optimizer = CStr(Result)
End Function
Public Sub Choose(ByVal Index As Integer)
    Dim Changed As Control
    SgdOptimizerChosen Changed, "whatever", Index
End Sub
Public Sub NameIt(ByVal Name As String, ByVal Address As String)
    ActiveSheet.Parent.Names.Add Name:=Name, RefersTo:="='sgdsheet'!" & Address
End Sub
Public Function NamesOfSheet() As String
    Dim Item As Object
    For Each Item In ActiveSheet.Names
        NamesOfSheet = NamesOfSheet & Item.Name & Item.RefersTo
    Next Item
End Function
Public Function Interpreter() As String
    Dim Path As String
    FindInterpreter Path
    Interpreter = Path
End Function
Public Function Plain_(ByVal Text As String) As String
    Plain_ = CStr(IsPlain(Text))
End Function
Public Function Digits(ByVal Text As String) As String
    Digits = InDigits(Text)
End Function
Public Function Code(ByVal Action As String) As String
    Code = CodeFor(Action)
End Function
Public Function Fixed(ByVal Text As String) As String
    Fixed = "no error"
    If IsError(TrueError(Text)) Then Fixed = "error"
End Function
Public Function VersionOrReason() As String
    VersionOrReason = "no error"
    If IsError(SGD_VERSION()) Then VersionOrReason = "error"
End Function
Public Function Server() As Object
    Err.Raise 1000, "", "the server" & vbCrLf & "is missing"
End Function
Public Sub Offer(ByVal Name As String)
    ActiveSheet.Range("Z6").Value = Val(ActiveSheet.Range("Z6").Value) + 1
    If ActiveSheet.Range("Z5").Value = "refuse" Then Err.Raise 1004, "", "cannot edit a macro on a hidden workbook"
End Sub
Public Function SelectedAddress() As String
    SelectedAddress = Selection.Address
End Function
"""


_OF_LIBREOFFICE = """
Public Sub FindVariable(ByVal Name As String, ByRef Text As String)
    Text = Environ$(Name)
End Sub
Public Sub ReadText(ByVal Path As String, ByRef Text As String)
    Dim Bytes() As Byte
    Dim Number As Integer
    Dim Position As Long
    Text = ""
    On Error GoTo Missing
    If FileLen(Path) < 2 Then Exit Sub
    Number = FreeFile
    Open Path For Binary Access Read As #Number
    ReDim Bytes(0 To FileLen(Path) - 1)
    Get #Number, 1, Bytes
    Close #Number
    For Position = 0 To UBound(Bytes) - 1 Step 2
        Text = Text & ChrW(CLng(Bytes(Position)) + 256& * CLng(Bytes(Position + 1)))
    Next Position
    If Left$(Text, 1) = ChrW(&HFEFF&) Then Text = Mid$(Text, 2)
Missing:
End Sub
"""
"""How LibreOffice reads a file and the environment."""

_HAS_ANY = """
Public Function HasAny(ByVal Area As Range) As Variant
    Dim Cell As Range
    HasAny = False
    For Each Cell In Area.Cells
        If Left$(CStr(Cell.Formula), 1) = "=" Then HasAny = Null
    Next Cell
End Function
"""
"""What `HasFormula` is in Excel for an area of which some cells have a formula; LibreOffice's is Null for none, too."""

CALLER = 'CStr(ThisWorkbook.Sheets(1).Range("Z7").Value)'
"""What calls a procedure: LibreOffice does not tell, so it stands in a cell."""

MARK = 'IIf(CStr(ActiveSheet.Range("Z4").Value) = "", ".", CStr(ActiveSheet.Range("Z4").Value))'
"""The decimal mark of Excel: what stands in a cell, else a point."""


def for_office(module: Module) -> Module:
    """A module as LibreOffice can run it: everything public, a record for a control, a cell for what leaves VBA."""
    source = module.source.replace("As IRibbonControl", "As Variant").replace("As IRibbonUI", "As Object")
    source = source.replace("Private Sub", "Public Sub").replace("Private Function", "Public Function")
    if not module.document:
        source = source.replace("Option Explicit", "Option VBASupport 1\nOption Explicit", 1)
    # Windows' separator is no separator here.
    source = source.replace('"\\sgdsheet\\sgdsheet.conf"', '"/sgdsheet/sgdsheet.conf"')
    source = source.replace("RunOnWindows Action, Problem", 'ActiveSheet.Range("Z1").Value = CodeFor(Action)')
    source = source.replace("MsgBox ", 'ActiveSheet.Range("Z2").Value = CStr(Len("")) & ').replace(
        ", vbExclamation, TITLE", ""
    )
    source = source.replace(', vbExclamation, "sgdsheet"', "").replace(', vbInformation, "About sgdsheet"', "")
    source = source.replace(".Value2", ".Value")  # which LibreOffice does not have
    source = source.replace("Application.StatusBar", 'ActiveSheet.Range("Z3").Value')
    source = source.replace("Application.International(xlDecimalSeparator)", MARK)
    source = re.sub("    ThisWorkbook.SgdWatch.*", "", source)
    if module.name == "SgdBridge":
        source = source[: source.index("' A variable of the environment")] + _OF_LIBREOFFICE
    if module.name == "SgdCells":
        source = source.replace("Area.HasFormula", "HasAny(Area)") + _HAS_ANY
        source = source.replace("TypeName(Application.Caller)", CALLER)
    if module.name == "SgdWindows":
        source = re.sub(r"\n *#If Not Mac Then.*?#End If", "", source, flags=re.DOTALL)
    if module.name == "SgdFunctions":  # one module with Declare silences the whole project
        source = source[: source.index("#If VBA7")] + source[source.index("' Texts become true errors") :]
        source = re.sub("Application.MacroOptions .*", "Offer Name", source)
        version = source[source.index("\nPublic Function SGD_VERSION") :]
        source = source[: source.index("\nPublic Function SGD_")] + version
    return Module(module.name, source, module.document)


class Office:
    """Runs steps in a fresh copy of the add-in, in a LibreOffice of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = folder / "addin.xlam"
        parts = [for_office(module) for module in modules().values()] + [Module("Probe", PROBE)]
        self.book.write_bytes(xlam("<customUI/>", vba_project("sgdsheet", parts), ["sgdsheet"]))
        self.appdata = folder / "appdata"
        (self.appdata / "sgdsheet").mkdir(parents=True)

    def run(self, *steps: list[Any]) -> list[Any]:
        pipe = f"sgdsheet-test-{os.getpid()}"
        assert SOFFICE is not None
        office = subprocess.Popen(
            [
                SOFFICE, "--headless", "--norestore", "--nologo", "--nodefault",
                f"-env:UserInstallation={(self.folder / 'profile').as_uri()}", f"--accept=pipe,name={pipe};urp",
            ],
            env={**os.environ, "APPDATA": str(self.appdata)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            done = subprocess.run(
                [str(PYTHON), str(SIDE), pipe, self.book.as_uri()],
                input=json.dumps(steps), capture_output=True, text=True, timeout=90, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            office.wait(30)
        finally:
            if office.poll() is None:
                os.killpg(office.pid, 9)
                office.wait()
        found: list[Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def call(name: str, *arguments: Any) -> list[Any]:
    return ["call", f"Probe.{name}", list(arguments)]


def cell(address: str) -> list[Any]:
    return ["cell", SHEET, address]


def put(address: str, text: str) -> list[Any]:
    return ["formula", SHEET, address, text]


def test_a_button_runs_its_action(office: Office) -> None:
    buttons = [action for action, command in ACTIONS.items() if command]
    found = office.run(*(step for action in buttons for step in (put("Z1", ""), call("Press", action), cell("Z1"))))
    code = (
        "import sys; sys.path = [p for p in sys.path if p];"
        " from sgdsheet.apps.excel_addin.ribbon import dispatch; dispatch('{}')"
    )
    assert found[2::3] == [code.format(action) for action in buttons]


def test_no_tag_reaches_python_as_code(office: Office) -> None:
    """The real check in VBA, fed with what hypothesis and an attacker think of."""
    tags = ["", "Train", "train ", "train'", "a');import os;('", "é", "tráin", "ſtop", "train\n", "a" * 41, "ａ", "x0"]
    characters = st.characters(codec="utf-16", exclude_characters="\0")

    @given(st.lists(st.text(characters, max_size=45), min_size=50, max_size=50))
    @settings(max_examples=1, phases=[Phase.generate])
    def collect(texts: list[str]) -> None:
        tags.extend(texts)

    @given(st.lists(st.text(string.ascii_letters + "_'();", max_size=6), min_size=50, max_size=50))
    @settings(max_examples=1, phases=[Phase.generate])
    def collect_near(texts: list[str]) -> None:
        tags.extend(texts)

    collect()
    collect_near()
    steps = [
        step for tag in tags for step in (put("Z1", "untouched"), call("Press", tag), cell("Z1"), call("Plain_", tag))
    ]
    found = office.run(*steps)
    for tag, code, plain in zip(tags, found[2::4], found[3::4], strict=True):
        good = 0 < len(tag) <= 40 and set(tag) <= set(string.ascii_lowercase + "_")
        assert plain == str(good), repr(tag)
        assert good or code == "untouched", repr(tag)


def test_names_of_books_become_digits(office: Office) -> None:
    names = ["", "C:\\Users of it\\a & b^&calc.xlsx", "/a/$(touch x)`id`.xlsx", "ñ中.xlsx", "a'\");|%PATH%", "😀.xlsx"]
    found = office.run(*(call("Digits", name) for name in names))
    assert all(set(digits) <= set("0123456789ABCDEF") for digits in found)
    assert [from_digits(digits) for digits in found] == names


def test_the_workbook_cannot_change_the_interpreter(office: Office) -> None:
    """The user's file says which Python; sheets and files of any xlwings-like name beside it say nothing."""
    python = "C:\\Program Files\\Pythön 数\\python.exe"
    config = office.appdata / "sgdsheet" / "sgdsheet.conf"
    config.write_bytes(b"\xff\xfe" + f"{python}\r\n".encode("utf-16-le"))
    for name in ("sgdsheet.conf", "xlwings.conf", "myaddin.conf"):
        (office.folder / name).write_text('"INTERPRETER_WIN","C:\\evil.exe"\n"INTERPRETER","C:\\evil.exe"\n')
    evil = [
        put("A1", "INTERPRETER_WIN"),
        put("B1", "C:\\evil.exe"),
        put("A2", "INTERPRETER"),
        put("B2", "C:\\evil.exe"),
    ]
    assert office.run(*evil, call("Interpreter"))[-1] == python
    for bad in ('C:\\a" & calc "\\python.exe', "C:\\%TEMP%\\python.exe"):
        config.write_bytes(b"\xff\xfe" + bad.encode("utf-16-le"))
        assert office.run(call("Interpreter")) == [""]
    config.unlink()
    assert office.run(call("Interpreter")) == [""]


def test_settings_are_read_and_written_in_the_sheet(office: Office) -> None:
    rows = [put("D1", " Learning–rate:"), put("E1", "0.25"), put("D2", "optimizer"), put("E2", "L_BFGS.")]
    found = office.run(
        *rows,
        call("TextOf", "learning_rate"),
        call("Optimizer"),
        call("NameIt", "sgd_settings", "$D$1:$E$2"),
        call("TextOf", "learning_rate"),
        call("Optimizer"),
        call("Type_", "learning_rate", "0.5"),
        cell("E1"),
        call("Type_", "learning_rate", "=1+1"),
        cell("E1"),
        cell("Z2"),
        call("Choose", 7),
        cell("E2"),
        call("Type_", "epochs", "30"),
        cell("D3"),
        cell("E3"),
        call("NamesOfSheet"),
        call("Type_", "learning_rate", ""),
        cell("E1"),
    )
    assert found[4:6] == ["", "optimizer_auto"]  # nobody has said yet where the settings are
    assert found[7:9] == ["0.25", "optimizer_lbfgs"]
    assert found[10] == "0.5"
    assert found[12] == "0.5"  # a formula is no number
    assert "learning rate must be a number above 0" in found[13]
    assert found[15] == "adam"
    assert found[17:19] == ["epochs", "30"]  # a new row, and the name grows
    assert found[19] == "sgd_settings=sgdsheet!$D$1:$E$3"
    assert found[21] == ""


def test_what_is_impossible_for_a_setting_is_refused(office: Office) -> None:
    """With its reason, and before anything is written. A comma here would stand between thousands."""
    refused = {
        "learning_rate": ["-1", "0", "0,05", "1,000", "abc", "=1+1", "5%", "$5", "(5)", "&H10", "1 000", "1e", "1e999"],
        "epochs": ["2.5", "-1", "1e30", "1,0"],
        "batch_size": ["0", "-3", "1.5"],
    }
    taken = {"learning_rate": ["0.05", "1e-3", "+2", ".5"], "epochs": ["0", "7", "1e3"], "batch_size": ["1", " 64 "]}
    start = [put("D1", "learning rate"), put("D2", "epochs"), put("D3", "batch size")]
    start.append(call("NameIt", "sgd_settings", "$D$1:$E$3"))
    rows = {"learning_rate": "E1", "epochs": "E2", "batch_size": "E3"}

    def steps(cases: dict[str, list[str]]) -> list[list[Any]]:
        made = []
        for key, texts in cases.items():
            for text in texts:
                made += [put(rows[key], ""), put("Z2", ""), call("Type_", key, text), cell(rows[key]), cell("Z2")]
        return made

    found = office.run(*start, *steps(refused), *steps(taken))[len(start) :]
    shown, said = found[3::5], found[4::5]
    count = sum(map(len, refused.values()))
    assert shown[:count] == [""] * count
    allowed = {"learning_rate": "a number above 0", "epochs": "a whole number, 0", "batch_size": "a whole number, 1"}
    typed = [(key, text) for key, texts in refused.items() for text in texts]
    for (key, text), message in zip(typed, said[:count], strict=True):
        assert f"{key.replace('_', ' ')} must be {allowed[key]}" in message, text
    assert said[0].endswith("must be a number above 0, such as 0.05.")
    assert [float(text) for text in shown[count:]] == [0.05, 0.001, 2, 0.5, 0, 7, 1000, 1, 64]
    assert said[count:] == [""] * (len(said) - count)


def test_names_are_compared_as_in_python(office: Office) -> None:
    letters = "".join(chr(code) for first, last in OLD_BLOCKS for code in range(max(first, 32), last + 1))
    texts = [
        "Learning rate:",
        "L_BFGS",
        "Größe (Ω) №²",
        "ﬀ",
        "日本、語",
        "",
        *(letters[at : at + 500] for at in range(0, len(letters), 500)),
    ]
    found = office.run(*(call("Normalised", text) for text in texts))
    for text, result in zip(texts, found, strict=True):
        lower = "".join(character.lower() if character.isascii() else character for character in text)
        assert result == "".join(character for character in lower if character.isalnum())
    assert found[:2] == [normalised(text) for text in texts[:2]]


def test_settings_are_made_where_there_is_room(office: Office) -> None:
    found = office.run(
        put("B5", "7"), call("Type_", "batch_size", "32"), *(cell(f"D{row}") for row in range(1, 5)), cell("E3")
    )
    assert found[2:6] == ["optimizer", "learning rate", "batch size", "epochs"]
    assert found[6] == "32"


def test_buttons_are_enabled_by_state(office: Office) -> None:
    asked = ["about", "set_loss", "train", "stop", "learning_rate"]
    ask = [call("EnabledOf", tag) for tag in asked]
    found = office.run(
        *ask,
        call("NameIt", "sgd_loss", "$A$1"),
        *ask,
        ["call", "SgdRibbon.SgdState", ["training", BOOK]],
        *ask,
        ["call", "SgdRibbon.SgdState", ["idle", BOOK]],
        *ask,
        ["call", "SgdRibbon.SgdState", ["training", "another.xlsx"]],
        *ask,
        ["call", "SgdRibbon.SgdState", ["training", BOOK]],
        call("Press", "stop"),  # whoever stops waits for nobody
        *ask,
    )
    assert found[0:5] == ["True", "True", "False", "False", "False"]  # no model
    assert found[6:11] == ["True", "True", "True", "True", "True"]
    assert found[12:17] == ["True", "False", "False", "True", "False"]
    assert found[18:23] == ["True", "True", "True", "False", "True"]
    assert found[24:29] == ["True", "True", "True", "False", "True"]
    assert found[31:36] == ["True", "True", "True", "True", "True"]


def test_highlight_goes_through_the_model(office: Office) -> None:
    press = [call("Press", "highlight"), call("SelectedAddress")]
    named = [call("NameIt", "sgd_loss", "$A$1"), call("NameIt", "sgd_params", "$B$2:$B$5")]
    assert office.run(*named, *press, *press, *press)[3::2] == ["$A$1", "$B$2:$B$5", "$A$1"]


def test_texts_of_errors_become_errors(office: Office) -> None:
    texts = ["#VALUE!", "#N/A", "#DIV/0!", "#NUM!", "#SGD! the reason", "a text", "#hash", ""]
    assert office.run(*(call("Fixed", text) for text in texts)) == ["error"] * 5 + ["no error"] * 3


def test_why_a_function_has_no_result_stands_in_the_status_bar(office: Office) -> None:
    """When the calculation is over: a function must not touch Excel, so it leaves the status bar alone."""
    calculated = ["call", "SgdSheet.SgdShowPending", []]
    go_on = ["call", "SgdSheet.SgdEndMessage", []]
    first, *found = office.run(
        call("VersionOrReason"),
        cell("Z3"),
        calculated,
        cell("Z3"),
        go_on,  # the selection moves, since Enter ended the formula
        cell("Z3"),
        ["wait", 2.1],
        go_on,
        cell("Z3"),
        call("Fixed", "#SGD! too few rows"),
        calculated,
        cell("Z3"),
        ["wait", 2.1],
        put("Z3", "training"),  # somebody else's
        go_on,
        cell("Z3"),
        go_on,
        cell("Z3"),
    )
    assert first == "error"
    assert found[0] == ""
    assert found[2] == found[4] == "SGD: the server  is missing"
    assert found[7] == "FALSE"  # Excel's own again
    assert found[10] == "SGD: too few rows"
    assert found[14] == found[16] == "training"


def test_numbers_have_the_decimal_mark_of_excel(office: Office) -> None:
    """Which can be another than that of the system, where Excel does not use the system's separators."""
    found = office.run(
        put("Z4", ","),
        put("D1", "learning rate"),
        put("E1", "0.25"),
        call("NameIt", "sgd_settings", "$D$1:$E$1"),
        call("TextOf", "learning_rate"),
        call("Type_", "learning_rate", "0,05"),
        cell("E1"),
        call("Type_", "learning_rate", "0.06"),
        cell("E1"),
        cell("Z2"),
        call("Type_", "learning_rate", "1.000,5"),
        call("Type_", "learning_rate", "1,5e-3"),
        cell("E1"),
    )
    assert found[4] == "0,25"
    assert found[6] == found[8] == "0.05"
    assert found[9].endswith("must be a number above 0, such as 0,05.")
    assert float(found[12]) == 0.0015


def test_help_of_arguments_is_offered_until_excel_takes_it(office: Office) -> None:
    describe = ["call", "SgdFunctions.SgdDescribe", []]
    found = office.run(
        put("Z5", "refuse"), describe, cell("Z6"), describe, cell("Z6"), put("Z5", ""), describe, cell("Z6"),
        describe, cell("Z6"),
    )  # fmt: skip
    offered = [int(found[place]) for place in (2, 4, 7, 9)]
    functions = sum(1 for item in declarations() if item["arguments"])
    assert offered == [functions, 2 * functions, 3 * functions, 3 * functions]
    refused = office.run(put("Z5", "refuse"), *[describe] * 30, cell("Z6"))
    assert int(refused[-1]) == 20 * functions  # it does not try for ever
