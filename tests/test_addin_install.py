"""Installing into made-up home folders of Windows and of a Mac. Real ones are for the checklist in addin/."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sgdsheet.apps.cli import addin
from sgdsheet.apps.excel_addin.addin_install import install, read_interpreter, status, uninstall
from sgdsheet.apps.excel_addin.excel_folders import Places, places
from sgdsheet.apps.excel_addin.ribbon import TOLD
from sgdsheet.apps.excel_addin.texts import source
from sgdsheet.errors import FileError, HostError
from sgdsheet.live.ipc import client
from tests.errors import refusal

PYTHONS = {"win32": r"C:\Program Files\Pythön 3\python.exe", "darwin": "/Applications/My \\ Pythön/bin/python3"}


@pytest.fixture(params=["win32", "darwin"])
def pretended(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Places, str]:
    """A made-up home where Excel has been started once, and a Python of that system."""
    home = tmp_path / "home"
    found = places(request.param, home, {"APPDATA": str(home / "AppData" / "Roaming")})
    found.excel.mkdir(parents=True)
    return found, PYTHONS[request.param]


def tree(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_install_and_uninstall_leave_nothing(pretended: tuple[Places, str], tmp_path: Path) -> None:
    found, python = pretended
    before = set(tmp_path.rglob("*"))
    done = install(found, b"add-in", python)
    assert tree(tmp_path) == {*found.files, found.ledger}
    assert [str(path) in line for path, line in zip(found.files, done, strict=True)] == [True, True]
    assert found.addin.read_bytes() == b"add-in"
    assert read_interpreter(found) == python
    install(found, b"newer", python)  # makes no folders, and still knows which ones the first made
    done = uninstall(found)
    assert [f"Removed {path}" in done for path in found.files] == [True, True]
    assert set(tmp_path.rglob("*")) == before
    assert uninstall(found) == []


def test_folders_of_others_stay(pretended: tuple[Places, str], tmp_path: Path) -> None:
    """Those that were there, also empty ones, and those that somebody keeps something in by now."""
    found, python = pretended
    found.addin.parent.mkdir(parents=True)
    install(found, b"add-in", python)
    found.ledger.write_text(json.dumps([*json.loads(found.ledger.read_text()), str(tmp_path / "theirs")]))
    (tmp_path / "theirs").mkdir()  # whatever the ledger says
    mine = found.interpreter.parent / "mine.txt"
    mine.write_text("mine")
    uninstall(found)
    assert found.addin.parent.is_dir()
    assert (tmp_path / "theirs").is_dir()
    assert mine.is_file()


@pytest.mark.parametrize("ledger", ["", "{", "3", "[3]", "[[]]"])
def test_a_damaged_ledger_removes_nothing_more(pretended: tuple[Places, str], ledger: str) -> None:
    found, python = pretended
    install(found, b"add-in", python)
    found.ledger.write_text(ledger)
    assert len([line for line in uninstall(found) if "sgdsheet." in line]) == 2
    assert found.addin.parent.is_dir()


def test_where_excel_looks() -> None:
    home = Path("me")
    windows = places("win32", home, {"APPDATA": "roaming"})
    assert windows.addin.as_posix() == "roaming/Microsoft/Excel/XLSTART/sgdsheet.xlam"
    assert windows.interpreter.as_posix() == "roaming/sgdsheet/sgdsheet.conf"  # FindInterpreter in SgdBridge.bas
    assert places("win32", home, {}).addin.as_posix().startswith("me/AppData/Roaming/Microsoft")
    mac = places("darwin", home, {})
    assert mac.addin.as_posix() == (
        "me/Library/Group Containers/UBF8T346G9.Office/User Content.localized/Startup.localized/Excel/sgdsheet.xlam"
    )
    assert mac.interpreter.as_posix() == "me/Library/Application Scripts/com.microsoft.Excel/sgdsheet.applescript"


def test_status(pretended: tuple[Places, str], tmp_path: Path) -> None:
    found, _ = pretended
    assert not status(found, lambda: b"new").installed
    install(found, b"new", sys.executable)
    good = status(found, lambda: b"new")
    assert (good.installed, good.current, good.interpreter_exists, good.advice) == (True, True, True, "")
    assert not status(found, lambda: b"newer").current
    install(found, b"new", str(tmp_path / "gone"))
    gone = status(found, lambda: b"new")
    assert not gone.interpreter_exists
    assert gone.advice == "Run: sgdsheet addin install"


def test_install_replaces(pretended: tuple[Places, str]) -> None:
    found, python = pretended
    install(found, b"old", python)
    assert all(line.startswith("Replaced") for line in install(found, b"new", python))
    assert found.addin.read_bytes() == b"new"


def test_without_excel_nothing_is_written(pretended: tuple[Places, str], tmp_path: Path) -> None:
    found, python = pretended
    found.excel.rmdir()
    with refusal(HostError, cause="never been started"):
        install(found, b"add-in", python)
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("python", ["", 'C:\\a" & calc "\\python.exe', "C:\\%TEMP%\\python.exe", "C:\\a\npython"])
def test_paths_that_a_command_would_misread_are_refused(
    pretended: tuple[Places, str], tmp_path: Path, python: str
) -> None:
    with refusal(HostError, cause="cannot start the Python"):
        install(pretended[0], b"add-in", python)
    assert tree(tmp_path) == set()


def test_failing_half_way_leaves_nothing(pretended: tuple[Places, str], tmp_path: Path) -> None:
    found, python = pretended
    found.interpreter.parent.parent.mkdir(parents=True, exist_ok=True)
    found.interpreter.parent.write_text("a file where the folder should be")
    with refusal(FileError, remedy="Quit Excel"):
        install(found, b"add-in", python)
    assert tree(tmp_path) == {found.interpreter.parent}
    assert not found.addin.parent.exists()


def test_failing_half_way_leaves_the_old_add_in(pretended: tuple[Places, str], tmp_path: Path) -> None:
    found, python = pretended
    install(found, b"old", python)
    found.interpreter.unlink()
    found.interpreter.mkdir()  # cannot be written
    with refusal(FileError, remedy="Quit Excel"):
        install(found, b"new", python)
    assert found.addin.read_bytes() == b"old"
    assert tree(tmp_path) == {found.addin, found.ledger}


def test_the_script_of_a_mac_holds_the_interpreter_as_text(tmp_path: Path) -> None:
    found = places("darwin", tmp_path, {})
    found.excel.mkdir(parents=True)
    install(found, b"", PYTHONS["darwin"])
    text = found.interpreter.read_text(encoding="utf-8")
    assert text.count("property interpreter") == 1
    assert '"/Applications/My \\\\ Pythön/bin/python3"' in text
    (line,) = [line for line in text.splitlines() if "set theCommand to" in line]
    assert "quoted form of interpreter" in line
    assert "quoted form of theCode" in line


def shell_line(script: str, known: dict[str, str]) -> str:
    """What the AppleScript hands to the shell: texts and names, put together by `&`."""

    def value(term: str) -> str:
        if term.startswith('"'):
            return term[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        found = known[term.strip().removeprefix("quoted form of ")]
        return shlex.quote(found) if "quoted form" in term else found

    for name, text in re.findall(r"^\tset (the\w+) to (.*&.*|\".*\")$", script, re.MULTILINE):
        if name not in known:
            known[name] = "".join(map(value, re.findall(r'"(?:[^"\\]|\\.)*"|[\w ]*\w', text)))
    (last,) = re.findall(r"^\tdo shell script (.*)$", script, re.MULTILINE)
    return "".join(map(value, re.findall(r'"(?:[^"\\]|\\.)*"|[\w ]*\w', last)))


@pytest.mark.parametrize(("status", "alerts"), [(0, 0), (3, 0), (1, 1), (127, 1)])
def test_a_mac_shows_that_python_did_not_come_to_show_anything(tmp_path: Path, status: int, alerts: int) -> None:
    """The script's shell line, run by a shell: `osascript` and Python are programs that note that they were started."""
    assert TOLD == 3  # the script knows it as a number
    python, folder = tmp_path / "my 'pythön'", tmp_path / "bin"
    folder.mkdir()
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/python"\nexit {status}\n', encoding="utf-8")
    (folder / "osascript").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{tmp_path}/alerts"\n', encoding="utf-8")
    for program in (python, folder / "osascript"):
        program.chmod(0o755)
    known = {"interpreter": str(python), "theAction": "step", "theBook": "0041"}
    line = shell_line(source("sgdsheet.applescript"), known)
    assert line.endswith("&")  # Excel does not wait
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", "-c", line.removesuffix("&")], env=environment, check=False)
    assert (tmp_path / "python").read_text().splitlines()[-2:] == [known["theCode"], "--book=0041"]
    told = (tmp_path / "alerts").read_text().splitlines() if (tmp_path / "alerts").exists() else []
    assert len(told) == 2 * alerts
    assert not told or told[1].endswith('"Python could not run sgdsheet. Run in a terminal: sgdsheet addin status"')


@pytest.mark.parametrize(
    "python",
    [
        r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.12_3.12.1_x64__qbz5n2kfra8p0\python3.12.exe",
        r"C:\Profiles\me\AppData\Local\Microsoft\WindowsApps\python.exe",
        r"C:\Profiles\me\AppData\Local\Packages\PythonSoftwareFoundation.Python.3.11_qbz5n2kfra8p0\LocalCache\python.exe",
    ],
)
def test_a_python_of_the_microsoft_store_is_refused(tmp_path: Path, python: str) -> None:
    """Windows redirects what it writes below AppData to a folder of its own, where Excel does not look."""
    found = places("win32", tmp_path, {})
    found.excel.mkdir(parents=True)
    for interpreter, base in ((python, python), (r"C:\work\.venv\Scripts\python.exe", python)):
        with refusal(HostError, cause="the Microsoft Store", remedy="python.org"):
            install(found, b"", interpreter, base)
    assert not [path for path in tree(tmp_path) if path.is_file()]
    usual = r"C:\Profiles\me\AppData\Local\Programs\Python\Python312\python.exe"
    assert install(found, b"", r"C:\work\.venv\Scripts\python.exe", usual)


def test_files_that_windows_keeps_elsewhere_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever redirects them: what was written must be where Excel looks."""
    found = places("win32", tmp_path, {})
    found.excel.mkdir(parents=True)
    private = tmp_path / "Local" / "Packages" / "Some.Python_1" / "LocalCache" / "Roaming"
    private.mkdir(parents=True)
    real = os.path.realpath

    def redirected(path: Any, **options: Any) -> str:
        return real(path, **options).replace(str(found.excel.parents[1]), str(private))

    monkeypatch.setattr(os.path, "realpath", redirected)
    before = tree(tmp_path)
    with refusal(HostError, cause="keeps the files", remedy="python.org"):
        install(found, b"", PYTHONS["win32"])
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there may be an Excel")
@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_on_linux_it_says_what_to_do(command: str) -> None:
    arguments = [sys.executable, "-m", "sgdsheet", "addin", command]
    done = subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no Excel" in done.stderr
    assert "sgdsheet libreoffice install" in done.stderr


def test_build_command(tmp_path: Path) -> None:
    path = tmp_path / "my.xlam"
    subprocess.run([sys.executable, "-m", "sgdsheet", "addin", "build", "-o", str(path)], check=True)
    assert path.read_bytes().startswith(b"PK")
    bad = subprocess.run(
        [sys.executable, "-m", "sgdsheet", "addin", "build", "-o", str(tmp_path / "my.xlsx")],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert bad.returncode == 1
    assert "Let it end with .xlam" in bad.stderr


# --- what the background trainer leaves -------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of state that somebody put among things of their own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("SGDSHEET_STATE_DIR", str(folder))
    return folder


def run_uninstall(monkeypatch: pytest.MonkeyPatch, found: Places, *options: str) -> str:
    monkeypatch.setattr(addin, "_places", lambda: found)  # there is no Excel for Linux
    done = CliRunner().invoke(addin.command, ["uninstall", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_uninstall_ends_the_trainer_and_says_what_stays(
    pretended: tuple[Places, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, python = pretended
    install(found, b"add-in", python)
    assert client.call({"command": "status", "host": "excel", "book": "a.xlsx"}, timeout=60)["ok"]
    snapshots = state / "snapshots"
    snapshots.mkdir()
    for ending in ("json", "lock"):
        (snapshots / f"{'0a' * 16}.{ending}").write_text("{}")
    for folder in (state, snapshots):
        (folder / "mine.json").write_text("mine")
    (state / "libreoffice.json").write_text("{}")  # the extension's
    said = run_uninstall(monkeypatch, found)
    assert not client.call({"command": "status"}, start=False, timeout=5)["ok"]
    assert "stay in" in said
    assert "uninstall --all" in said
    assert (snapshots / f"{'0a' * 16}.json").exists()
    said = run_uninstall(monkeypatch, found, "--all")
    assert "stay in" not in said
    assert tree(state) == {state / "mine.json", state / "libreoffice.json", snapshots / "mine.json"}


def test_uninstall_makes_nothing(pretended: tuple[Places, str], state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ((), ("--all",)):
        assert run_uninstall(monkeypatch, pretended[0], *options) == "There was no add-in to remove.\n"
        assert not state.exists()
