"""How the add-in starts Python on Windows, run by Wine: script host, command processor, the library of xlwings."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgdsheet.apps.excel_addin.ribbon import TOLD, from_digits
from sgdsheet.apps.excel_addin.xlwings_bridge import installed_bridge
from tests.addin_parts import modules
from tests.wine_chain import Wine, as_script, available, build, literal, windows_libraries

pytestmark = pytest.mark.skipif(
    not available(), reason="needs Wine and a compiler: apt-get install wine gcc-mingw-w64-x86-64"
)

FOLDERS = ("plain", "with a space", "a & b", "a^b", "Prüfung ß", "数據 資料夾", "it's (1) & ^ Ünï – 数 'x'; $y ~!@#")
BOOK = "C:\\my & book ^ %PATH% 数 'x'.xlsx"

CLICK = """
Class Window
    Public Hwnd
End Class
Class Book
    Public FullName
End Class
Dim Application, ActiveWorkbook, Found, Wrong
Set Application = New Window
Application.Hwnd = 4711
Set ActiveWorkbook = New Book
ActiveWorkbook.FullName = {book}
FindInterpreter Found
Say Found
RunOnWindows {action}, Wrong
Say Wrong
"""


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    made = Wine(tmp_path_factory.mktemp("wine") / "prefix")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("recorder", tmp_path_factory.mktemp("recorder"))


def python_in(wine: Wine, recorder: Path, folder: str) -> Path:
    """A program that notes its calls, in the place of Python."""
    path = wine.drive / folder / "python.exe"
    path.parent.mkdir(exist_ok=True)
    shutil.copy(recorder, path)
    path.with_name("python.exe.txt").unlink(missing_ok=True)
    return path


def code(action: str) -> str:
    """What a click makes Python do, as `CodeFor` has it."""
    (found,) = re.findall(r'CodeFor = "(.*)" & Action & "(.*)"', modules()["SgdBridge"].source)
    return f"{found[0]}{action}{found[1]}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_click_starts_the_python_of_the_settings(wine: Wine, recorder: Path, folder: str) -> None:
    """The procedures of SgdBridge themselves: the settings, the command line, the answer; profile and Python in it."""
    python = python_in(wine, recorder, folder)
    profile = wine.drive / folder / "profile"
    (profile / "sgdsheet").mkdir(parents=True, exist_ok=True)
    config = f"C:\\{folder}\\python.exe\r\n"
    (profile / "sgdsheet" / "sgdsheet.conf").write_bytes(b"\xff\xfe" + config.encode("utf-16-le"))
    place = f"C:\\{folder}\\profile"
    click = CLICK.format(book=literal(BOOK), action='"step"')
    said = wine.script(as_script(modules()["SgdBridge"].source) + click, APPDATA=place, TEMP=place)
    assert said.splitlines() == [f"C:\\{folder}\\python.exe", "näht – 数: wrong"]
    *arguments, _ = wine.recorded(python)
    assert arguments[:4] == [f"C:\\{folder}\\python.exe", "-B", "-c", code("step")]
    assert [text.partition("=")[0] for text in arguments[4:]] == ["--book", "--window", "--reply"]
    assert from_digits(arguments[4].partition("=")[2]) == BOOK
    assert arguments[5] == "--window=4711"
    assert from_digits(arguments[6].partition("=")[2]).startswith(f"C:\\{folder}\\profile\\sgdsheet-")
    assert [path.name for path in profile.iterdir()] == ["sgdsheet"]  # what the answer was in is gone
    assert TOLD == 3  # as the recorder ends


def test_no_settings_no_python(wine: Wine) -> None:
    click = CLICK.format(book=literal(BOOK), action='"step"')
    said = wine.script(as_script(modules()["SgdBridge"].source) + click, APPDATA="C:\\nowhere", TEMP="C:\\nowhere")
    assert said.splitlines() == ["", "sgdsheet does not know its Python. Run in a terminal: sgdsheet addin install"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_command_line_means_the_same_to_a_shell(wine: Wine, recorder: Path, folder: str) -> None:
    """None is between Excel and Python, but what starts programs may ask one: the quoting holds there, too."""
    python = python_in(wine, recorder, folder)
    line = f'"C:\\{folder}\\python.exe" -B -c "{code("train")}" --book=0041 --window=1'
    wine.script(f'CreateObject("WScript.Shell").Run "cmd.exe /D /S /C """ & {literal(line)} & """", 0, True\n')
    *arguments, _ = wine.recorded(python)
    assert arguments == [f"C:\\{folder}\\python.exe", "-B", "-c", code("train"), "--book=0041", "--window=1"]


# --- the worksheet functions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = windows_libraries(tmp_path_factory.mktemp("wheel"))
    if not found:
        pytest.skip("needs the wheel of xlwings for Windows, which pip could not fetch")
    return found


@pytest.fixture(scope="module")
def loader(wine: Wine) -> str:
    build("loader", wine.drive, ("ole32", "oleaut32"))
    return "C:\\loader.exe"


def server_command(python: str) -> str:
    """The text that `Server` of SgdFunctions hands to the library."""
    body = modules()["SgdFunctions"].source
    lines = re.findall(r"^ +Command = (?:Command & )?(.*)$", body, re.MULTILINE)
    assert len(lines) == 2
    values = {"Mid$(Interpreter, Len(Folder) + 2)": python}
    parts = [part.strip() for line in lines for part in re.split(r" & (?=Mid|\")", line)]
    return "".join(values[part] if part in values else part[1:-1].replace('""', '"') for part in parts)


def test_the_libraries_are_those_that_the_add_in_declares(libraries: dict[str, bytes]) -> None:
    """Names, the procedure, and the number of bits of each."""
    bridge = installed_bridge()
    for declaration, bits, machine in ((bridge.declare64, 64, 0x8664), (bridge.declare32, 32, 0x14C)):
        name = f"xlwings{bits}-{bridge.version}.dll"
        assert f'Function XLPyDLLActivateAuto Lib "{name}"' in declaration
        assert f'DLL_NAME As String = "{name}"' in modules()["SgdFunctions"].source
        data = libraries[name]
        header = struct.unpack_from("<I", data, 0x3C)[0]
        assert data[header : header + 4] == b"PE\0\0"
        assert struct.unpack_from("<H", data, header + 4)[0] == machine
        assert b"\0XLPyDLLActivateAuto\0" in data


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_library_starts_python_from_any_folder(
    wine: Wine, recorder: Path, libraries: dict[str, bytes], loader: str, folder: str
) -> None:
    python = python_in(wine, recorder, folder)
    name = f"xlwings64-{installed_bridge().version}.dll"
    (python.parent / name).write_bytes(libraries[name])
    command = server_command("python.exe")
    said = wine.run(loader, f"C:\\{folder}\\{name}", "XLPyDLLActivateAuto", f"C:\\{folder}", command, within=60)
    assert said.splitlines()[:6] == [
        "library loaded",
        "procedure found",
        "command whole",
        "folder restored",
        "status 80004005",  # the recorder ends at once, which the library notices
        "Python process exited before it was possible to create the interface object.",
    ]
    *arguments, where = wine.recorded(python)
    assert arguments[:3] == [".\\python.exe", "-B", "-c"]
    identifier = r"\{[0-9a-f-]{36}\}"
    expected = re.escape(command.partition('-c "')[2].rstrip('"')).replace(re.escape("$(CLSID)"), identifier)
    assert re.fullmatch(expected, arguments[3])
    assert where == f"C:\\{folder}"


def test_a_shell_that_stays_would_wait_for_ever(
    wine: Wine, recorder: Path, libraries: dict[str, bytes], loader: str
) -> None:
    """Why none is between: xlwings' own `cmd /K` outlives a Python that ends at once, and Excel waits for it."""
    python = python_in(wine, recorder, "plain")
    name = f"xlwings64-{installed_bridge().version}.dll"
    (python.parent / name).write_bytes(libraries[name])
    command = "C:\\windows\\system32\\cmd.exe /K " + server_command("python.exe")
    with pytest.raises(subprocess.TimeoutExpired):
        wine.run(loader, f"C:\\plain\\{name}", "XLPyDLLActivateAuto", "C:\\plain", command, within=8)
