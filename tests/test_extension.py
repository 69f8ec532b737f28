"""The LibreOffice extension without LibreOffice: what is in the package, and the process that it starts."""

from __future__ import annotations

import ast
import io
import json
import math
import os
import re
import struct
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from click.testing import CliRunner

from sgdsheet import __version__
from sgdsheet.apps.cli.libreoffice import command
from sgdsheet.apps.libreoffice_ext import actions, extension_install, oxt
from sgdsheet.apps.libreoffice_ext.calc_functions import CalcFunction, calc_functions
from sgdsheet.apps.libreoffice_ext.link import Link
from sgdsheet.apps.libreoffice_ext.office.cellerrors import cell_error
from sgdsheet.apps.libreoffice_ext.office.child import GONE, Child
from sgdsheet.apps.libreoffice_ext.office.chosen_python import (
    CannotStart,
    Settings,
    read_settings,
    settings_file,
    write_settings,
)
from sgdsheet.apps.libreoffice_ext.office.office_functions import Evaluator
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.errors import FileError, HostError
from sgdsheet.live.ipc.trainer import COMMANDS
from tests.errors import refusal
from tests.live_books import until

OOR = "{http://openoffice.org/2001/registry}"
MANIFEST = "{http://openoffice.org/2001/manifest}"


@pytest.fixture(scope="module")
def functions() -> list[CalcFunction]:
    return calc_functions(declarations())


@pytest.fixture(scope="module")
def parts(functions: list[CalcFunction]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(oxt.build(functions))) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


# --- the package ------------------------------------------------------------------------------------------


def test_same_bytes_whenever_it_is_built(tmp_path: Path) -> None:
    for name in ("one.oxt", "two.oxt"):
        path = tmp_path / name
        assert CliRunner().invoke(command, ["build", "-o", str(path)]).exit_code == 0
        time.sleep(0.01)
    assert (tmp_path / "one.oxt").read_bytes() == (tmp_path / "two.oxt").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.oxt") as opened:
        assert {entry.date_time for entry in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in opened.infolist()} == {zipfile.ZIP_STORED}
        assert opened.namelist() == sorted(opened.namelist())


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["build", "-o", str(tmp_path / "my.txt")])
    assert isinstance(done.exception, FileError)
    assert "Let it end with .oxt" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_manifest_names_every_registered_part(parts: dict[str, bytes]) -> None:
    entries = ElementTree.fromstring(parts["META-INF/manifest.xml"])
    named = {entry.attrib[f"{MANIFEST}full-path"] for entry in entries}
    assert named <= set(parts)
    assert named == {name for name in parts if name.endswith((".xcu", ".rdb", ".components"))}


def test_components_are_those_of_the_python_file(parts: dict[str, bytes]) -> None:
    """LibreOffice believes this file, and starts its Python only when somebody needs one of them."""
    (file,) = ElementTree.fromstring(parts["sgdsheet.components"])
    source = parts[file.attrib["uri"]].decode()
    listed = [(each.attrib["name"], *(service.attrib["name"] for service in each)) for each in file]
    lines = re.findall(r"addImplementation\(\w+, (\w+), \((\w+), (\w+)\)\)", source)
    named = {}
    for names, texts in re.findall(r"^(_\w+, _\w+) = (\"[\w.]+\", \"[\w.]+\")$", source, re.MULTILINE):
        named |= dict(zip(names.split(", "), ast.literal_eval(texts), strict=True))
    assert len(lines) == len(listed)
    for names, services in zip(lines, listed, strict=True):
        assert services[0] == named[names[0]]
        assert services[1:] == tuple(named[name] for name in names[1:])


def test_all_xml_is_well_formed(parts: dict[str, bytes]) -> None:
    read = [ElementTree.fromstring(part) for name, part in parts.items() if name.endswith((".xcu", ".xml", ".svg"))]
    assert len(read) >= 6 + sum(action.on_toolbar for action in actions.ACTIONS)


def test_every_command_is_one_that_the_trainer_knows() -> None:
    names = [action.name for action in actions.ACTIONS]
    assert len(set(names)) == len(names)
    assert set(names) - {"help", "why"} <= set(COMMANDS)
    asked_for = "set-loss set-params set-data check step train stop undo reset randomize find-lr gradients log"
    assert set(asked_for.split()) <= {action.name for action in actions.ACTIONS if action.on_toolbar}


def test_every_button_has_a_picture_of_text(parts: dict[str, bytes]) -> None:
    pictures = {name for name in parts if name.startswith("icons/")}
    assert pictures == {f"icons/{action.name}.svg" for action in actions.ACTIONS if action.on_toolbar}
    used = _values(parts["Addons.xcu"], "ImageSmallURL")
    assert {text.removeprefix("%origin%/") for text in used} == pictures
    assert all(len(ElementTree.fromstring(parts[name])) for name in pictures), "a button needs a drawing"


def test_menu_and_toolbar_have_the_commands(parts: dict[str, bytes]) -> None:
    urls = [url for url in _values(parts["Addons.xcu"], "URL") if url != "private:separator"]
    for action in actions.ACTIONS:
        assert urls.count(action.url) == (3 if action.on_toolbar else 1)  # the menu; the toolbar and its picture
    assert set(urls) == {action.url for action in actions.ACTIONS}
    assert _values(parts["ProtocolHandler.xcu"], "Protocols") == ["org.sgdsheet:*"]


def test_help_explains_every_button(parts: dict[str, bytes]) -> None:
    lines = parts["help.txt"].decode().splitlines()
    labels = [action.label for action in actions.ACTIONS if action.on_toolbar]
    assert [line.partition(": ")[0] for line in lines if line] == labels


def test_functions_have_help_for_the_wizard(parts: dict[str, bytes], functions: list[CalcFunction]) -> None:
    shown = _values(parts["CalcAddIns.xcu"], "DisplayName")
    for function in functions:
        assert function.name in shown
    arguments = sum(len(function.parameters) for function in functions)
    assert len(_values(parts["CalcAddIns.xcu"], "Description")) == len(functions) + arguments
    table = json.loads(parts["functions.json"])
    assert table == {function.method: function.name for function in functions}
    assert table["sgdRelu"] == "SGD_RELU"


def test_type_library_has_the_functions_as_methods(parts: dict[str, bytes], functions: list[CalcFunction]) -> None:
    """Read back by a reader of its own; that LibreOffice reads it, too, is in test_extension_office.py."""
    library = parts["functions.rdb"]
    assert library[:8] == b"UNOIDL\xff\0"
    at, size = struct.unpack_from("<II", library, 8)
    for module in ("org", "sgdsheet"):
        assert size == 1
        name, payload = struct.unpack_from("<II", library, at)
        assert library[name:].startswith(module.encode() + b"\0")
        assert library[payload] == 0  # a module
        (size,) = struct.unpack_from("<I", library, payload + 1)
        at = payload + 5
    name, payload = struct.unpack_from("<II", library, at)
    assert library[name:].startswith(b"XFunctions\0")
    found = list(_methods(library, payload))
    assert [method for method, *_ in found] == [function.method for function in functions]
    by_name = {method: (returns, kinds) for method, returns, kinds in found}
    reference = "com.sun.star.table.XCellRange"
    assert by_name["sgdRelu"] == ("[][]any", ["any"])
    assert by_name["sgdGrad"] == ("[][]any", ["com.sun.star.beans.XPropertySet", reference, reference])


def test_office_modules_need_only_the_standard_library_and_uno(parts: dict[str, bytes]) -> None:
    modules = {name: part for name, part in parts.items() if name.endswith(".py")}
    ours = {
        name.removeprefix("python/pythonpath/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in modules
    }
    assert "sgdsheet.hosts.libreoffice.agent.requests" in ours
    for name, source in modules.items():
        tree = ast.parse(source, feature_version=(3, 8))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for imported in names:
                top = imported.partition(".")[0]
                assert imported in ours or top in {*sys.stdlib_module_names, "uno", "unohelper", "com"}, (
                    name,
                    imported,
                )


def _values(part: bytes, name: str) -> list[str]:
    root = ElementTree.fromstring(part)
    found = [prop.find("value") for prop in root.iter("prop") if prop.attrib[f"{OOR}name"] == name]
    return [value.text or "" for value in found if value is not None]


def _methods(library: bytes, at: int) -> Iterator[tuple[str, str, list[str]]]:
    def number() -> int:
        nonlocal at
        (value,) = struct.unpack_from("<I", library, at)
        at += 4
        return int(value)

    def text() -> str:
        nonlocal at
        length = number()
        at += length
        return library[at - length : at].decode()

    assert library[at] == 5  # an interface
    at += 1
    assert [text() for _ in range(number())] == ["com.sun.star.uno.XInterface"]
    assert (number(), number()) == (0, 0)  # optional bases, attributes
    for _ in range(number()):
        name, returns, kinds = text(), text(), []
        for _ in range(number()):
            assert library[at] == 0  # in
            at += 1
            text()
            kinds.append(text())
        assert number() == 0  # exceptions
        yield name, returns, kinds


# --- the process ------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SGDSHEET_STATE_DIR", str(tmp_path))
    return tmp_path


def refuse(request: dict[str, Any]) -> dict[str, Any]:
    return {"ok": False, "reason": "not open"}


@dataclass
class Answers:
    """What the office answers, at first that whatever book it is asked for is not open."""

    answer: Callable[[dict[str, Any]], dict[str, Any]] = refuse
    answer_call: Callable[[dict[str, Any]], dict[str, Any]] = refuse


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, Answers]]:
    """The real process, without an office: one for all tests, each of which says what the office answers."""
    answers = Answers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGDSHEET_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        write_settings(Settings(sys.executable))
        child = Child(lambda request: answers.answer(request), lambda request: answers.answer_call(request))
    yield child, answers
    child.close()
    assert not child.alive()


@pytest.fixture
def answers(running: tuple[Child, Answers]) -> Iterator[Answers]:
    _, answers = running
    yield answers
    answers.answer = answers.answer_call = refuse


@pytest.fixture
def child(running: tuple[Child, Answers]) -> Child:
    return running[0]


def evaluator(child: Child) -> Evaluator:
    return Evaluator(lambda message: child.ask(message, 60), str)


def test_function_equals_torch(child: Child) -> None:
    given = ((-1.5, 2.25), (0.0, 1e-3))
    found = evaluator(child).call("SGD_TANH", [given])
    assert torch.equal(torch.tensor(found, dtype=torch.float64), torch.tanh(torch.tensor(given, dtype=torch.float64)))


def test_single_values_and_optional_arguments(child: Child) -> None:
    functions = evaluator(child)
    assert functions.call("SGD_RELU", [-3.0]) == ((0.0,),)
    assert functions.call("SGD_VERSION", []) == ((__version__,),)
    assert functions.call("SGD_ONEHOT", [((1.0,), (0.0,)), 3.0]) == ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    assert not functions.reasons


def test_wrong_call_is_an_error_value_with_a_reason(child: Child) -> None:
    functions = evaluator(child)
    found = functions.call("SGD_MSE", [((1.0,), (2.0,)), ((1.0,),) * 3])
    assert struct.pack("<d", found[0][0]) == struct.pack("<d", cell_error("#VALUE!"))
    assert "SGD_MSE" in functions.reasons[0]
    assert "different sizes" in functions.reasons[0]
    assert "Traceback" not in functions.reasons[0]


def test_text_among_numbers_is_an_error_in_its_place_or_of_all(child: Child) -> None:
    found = evaluator(child).call("SGD_RELU", [((1.0,), ("text",))])
    assert struct.pack("<d", found[-1][0]) == struct.pack("<d", cell_error("#VALUE!"))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_an_error_in_its_place(child: Child, number: float) -> None:
    found = evaluator(child).call("SGD_RELU", [((number, 1.0),)])
    assert struct.pack("<d", found[0][0]) == struct.pack("<d", cell_error("#NUM!"))
    assert found[0][1] == 1.0


def test_hundred_thousand_cells(child: Child) -> None:
    rows = tuple((float(number - 50_000),) for number in range(100_000))
    functions = evaluator(child)
    functions.call("SGD_RELU", [rows[:1]])  # torch is loaded
    start = time.perf_counter()
    found = functions.call("SGD_RELU", [rows])
    assert len(found) == 100_000
    assert found[0] == (0.0,)
    assert found[-1] == rows[-1]
    assert time.perf_counter() - start < 60


def test_training_is_loaded_before_anything_is_pressed(child: Child) -> None:
    assert child.ask({"warm": True}, 60)["ok"]
    maps = Path(f"/proc/{child._process.pid}/maps")
    if maps.exists():
        until(lambda: "libtorch" in maps.read_text(encoding="utf-8"))


def test_command_about_a_book_that_is_not_open(child: Child) -> None:
    request = {"command": "check", "host": "libreoffice", "book": "nowhere.xlsx", "wait": 60}
    reply = child.ask({"command": request}, 60)
    assert not reply["ok"]
    assert "not open" in reply["error"]


def test_function_is_answered_while_the_trainer_waits_for_the_office(child: Child, answers: Answers) -> None:
    """As in the office: training asks for cells, and the office calculates a function before it answers."""
    asked, answered = threading.Event(), threading.Event()
    results = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        results.append(evaluator(child).call("SGD_RELU", [5.0]))
        answered.set()
        return {"ok": False, "reason": "not open"}

    answers.answer = answer
    child.ask({"command": {"command": "check", "host": "libreoffice", "book": "a.xlsx"}}, 60)
    assert asked.wait(60)
    assert answered.wait(60)
    assert results[0] == ((5.0,),)


def test_question_for_a_function_is_answered_by_its_caller(child: Child, answers: Answers) -> None:
    threads = []

    def answer_call(request: dict[str, Any]) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return {"ok": False, "reason": "not open"}

    answers.answer_call = answer_call
    area = {"sheet": "Sheet1", "area": [1, 1, 1, 1]}
    reply = child.ask({"call": "SGD_GRAD", "book": "b.xlsx", "arguments": [area, area]}, 60)
    assert "not open" in reply["error"]
    assert set(threads) == {threading.current_thread()}


def test_function_is_answered_while_another_one_waits_for_the_office(child: Child, answers: Answers) -> None:
    """As in the office: to read the loss for SGD_GRAD, it has to calculate the functions that the loss needs."""
    depth, results = 3, []

    def answer_call(request: dict[str, Any]) -> dict[str, Any]:
        if len(results) < depth:
            results.append({})
            own = results[-1]
            nested = {"call": "SGD_GRAD", "book": "c.xlsx", "arguments": [area, area]}
            own |= child.ask({"call": "SGD_RELU", "book": "", "arguments": [[[-1.0, 2.0]]]}, 30)
            child.ask(nested, 30)
        return {"ok": False, "reason": "not open"}

    answers.answer_call = answer_call
    area = {"sheet": "Sheet1", "area": [1, 1, 1, 1]}
    reply = child.ask({"call": "SGD_GRAD", "book": "c.xlsx", "arguments": [area, area]}, 60)
    assert "not open" in reply["error"]
    assert results == depth * [{"ok": True, "value": [[0.0, 2.0]]}]


def test_link_answers_after_a_reply_that_cannot_be_sent() -> None:
    """Whoever waits gets an answer, and so does the next one."""
    lines = [{"id": 1, "command": {}}, {"id": 2, "command": {}}, {"id": 3, "call": "f"}, {"id": 4, "call": "f"}]
    reading, writing = os.pipe()
    sent = io.BytesIO()

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "loss": math.inf if message["id"] in (1, 3) else 1.0}

    with open(reading, "rb") as source, open(writing, "wb") as target:
        link = Link(source, sent)
        thread = threading.Thread(target=link.serve, args=(answer, answer))
        thread.start()
        target.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        target.flush()
        until(lambda: sent.getvalue().count(b"\n") == 5)
        target.close()
        thread.join(10)
    assert not thread.is_alive()
    replies = {line["id"]: line["reply"] for line in map(json.loads, sent.getvalue().splitlines()[1:])}
    assert {number: reply["ok"] for number, reply in replies.items()} == {1: False, 2: True, 3: False, 4: True}


def test_process_that_dies_is_noticed(state: Path) -> None:
    write_settings(Settings(sys.executable))
    child = Child(refuse, refuse)
    child.close()
    assert child._process.returncode == 0  # it ends by itself; whom it has to kill cannot tidy up
    assert not child.alive()
    assert "has ended" in child.ask({"call": "SGD_VERSION", "arguments": []}, 5)["error"]


# --- which Python -----------------------------------------------------------------------------------------


def test_nothing_is_installed(state: Path) -> None:
    with pytest.raises(CannotStart, match="sgdsheet libreoffice install"):
        read_settings()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"python": 3}', '{"python": "/nowhere/python"}'])
def test_settings_are_damaged(state: Path, content: str) -> None:
    settings_file().write_text(content)
    with pytest.raises(CannotStart, match="sgdsheet libreoffice install"):
        Child(refuse, refuse)


def test_python_without_sgdsheet(state: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"No module named 'sgdsheet'\" >&2\nexit 1\n")
    python.chmod(0o755)
    write_settings(Settings(str(python)))
    with pytest.raises(CannotStart) as caught:
        Child(refuse, refuse)
    assert "No module named 'sgdsheet'. Run “sgdsheet libreoffice install”" in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="the process is a shell script")
@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"id": NaN}', '{"reply": {}}'])
def test_a_process_that_speaks_nonsense_is_ended(state: Path, tmp_path: Path, line: str) -> None:
    """Whoever waits for its reply is told at once."""
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh\necho '{{"hello": 1}}'\nread request\necho '{line}'\nexec sleep 60\n""")
    python.chmod(0o755)
    write_settings(Settings(str(python)))
    child = Child(refuse, refuse)
    assert "has ended" in child.ask({"call": "SGD_VERSION", "arguments": []}, 30)["error"]
    until(lambda: not child.alive())
    assert "has ended" in child.ask({"call": "SGD_VERSION", "arguments": []}, 30)["error"]
    child.close()


@pytest.mark.skipif(sys.platform == "win32", reason="the process is a shell script")
def test_nothing_that_a_dead_process_asked_for_is_done_after_its_end_is_told(state: Path, tmp_path: Path) -> None:
    """Else how a training goes would be shown in place of that it has ended."""
    python = tmp_path / "python"
    first, second = (json.dumps({"ask": number, "request": {"number": number}}) for number in (1, 2))
    python.write_text(f"""#!/bin/sh\necho '{{"hello": 1}}\n{first}'\nread request\necho '{second}'\n""")
    python.chmod(0o755)
    write_settings(Settings(str(python)))
    done: list[object] = []
    dead = threading.Event()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        done.append(request["number"])
        return {"ok": dead.wait(30)}

    child = Child(answer, refuse, lambda: done.append("the end"))
    until(lambda: done == [1])
    assert child.ask({"call": "SGD_VERSION"}, 30) is GONE
    assert done == [1]
    dead.set()
    until(lambda: len(done) > 1)
    child.close()
    assert done == [1, "the end"]


def test_cell_says_so_when_there_is_no_python(state: Path) -> None:
    def ask(message: dict[str, Any]) -> dict[str, Any]:
        return Child(refuse, refuse).ask(message, 5)

    functions = Evaluator(ask, str)
    found = functions.call("SGD_RELU", [1.0])
    assert struct.pack("<d", found[0][0]) == struct.pack("<d", cell_error("#N/A"))
    assert "sgdsheet libreoffice install" in functions.reasons[0]


def test_office_that_is_not_there(tmp_path: Path) -> None:
    with refusal(HostError, remedy="--office"):
        extension_install.find_unopkg(str(tmp_path))
