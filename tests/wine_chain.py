"""Windows' side of the add-in under Wine: its VBA as a script, the library of xlwings, programs that note their calls.

It needs Wine and a compiler for Windows (on Debian: `apt-get install wine gcc-mingw-w64-x86-64`), and pip, which
fetches the wheel of the installed xlwings for Windows. Wine's script host knows VBScript, which is VBA without
types, labels and a few more words: `as_script` leaves these out, and what stays is run as it stands in the add-in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.test_addin_grammar import PLATFORMS, resolved

PROGRAMS = Path(__file__).parent / "wine"
COMPILER = "x86_64-w64-mingw32-gcc"
PATIENCE = 120.0

_DROPPED = re.compile(r"^(Attribute|Option) .*$|^\w+:$", re.MULTILINE)
_TYPES = re.compile(r" As (?:New )?\w+")


def available() -> bool:
    return shutil.which("wine") is not None and shutil.which(COMPILER) is not None


def as_script(source: str) -> str:
    """A module of VBA as VBScript, on 64-bit Windows."""
    text = _DROPPED.sub("", resolved(source, PLATFORMS["Windows, 64 bit"]))
    text = re.sub(r"^(\s*)(Private|Public) Const ", r"\1Const ", text, flags=re.MULTILINE)
    text = re.sub(r"On Error GoTo [A-Z]\w*", "On Error Resume Next", text)
    text = re.sub(r"\bNext \w+$", "Next", re.sub(r"\bNext (?!\bThen)\w+$", "Next", text, flags=re.MULTILINE))
    text = text.replace("On Error Resume\n", "On Error Resume Next\n")
    lines = [line if "'" in line.lstrip()[:1] else _TYPES.sub("", line) for line in text.splitlines()]
    text = re.sub(r"\b(Hex|Mid|Left|Right|Trim)\$", r"\1", "\n".join(lines)) + "\n"
    text = re.sub(
        r'(CreateObject\("WScript.Shell"\)\.ExpandEnvironmentStrings\(.*\))$', r"Whole(\1)", text, flags=re.MULTILINE
    )
    return text.replace("AscW(", "CodeOf(").replace("ChrW(", "LetterOf(")


def literal(text: str) -> str:
    """A text of VBScript, whatever the alphabet."""
    return " & ".join(f"LetterOf({int.from_bytes(unit, 'little')})" for unit in _units(text)) or '""'


def _units(text: str) -> list[bytes]:
    data = text.encode("utf-16-le")
    return [data[place : place + 2] for place in range(0, len(data), 2)]


@dataclass(frozen=True)
class Wine:
    """A fresh Windows in a folder."""

    folder: Path

    @property
    def drive(self) -> Path:
        return self.folder / "drive_c"

    @property
    def environment(self) -> dict[str, str]:
        # Neither .NET nor a browser engine: Wine would ask for them.
        quiet = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "WINEARCH": "win64", "LC_ALL": "C.UTF-8"}
        return {**os.environ, **quiet, "WINEPREFIX": str(self.folder)}

    def start(self) -> None:
        self.run("wineboot", "-i")

    def run(self, *command: str, within: float = PATIENCE) -> str:
        """What a program of Windows prints."""
        done = subprocess.run(
            ["wine", *command], env=self.environment, cwd=self.folder.parent, capture_output=True, timeout=within,
            check=False,
        )  # fmt: skip
        return done.stdout.decode("utf-8", errors="replace").replace("\r\n", "\n")

    def script(self, text: str, **variables: str) -> str:
        """What a script says; it has `Say`, which keeps every letter. The variables are of its environment."""
        said = self.drive / "said.txt"
        said.unlink(missing_ok=True)
        known = [*map(int, re.findall(r"LetterOf\((\d+)\)", text)), *map(ord, "".join(variables.values())), 0xFEFF]
        codes = list(dict.fromkeys([*range(32, 0x250), *known]))
        letters = "".join(map(chr, codes))
        (self.drive / "letters.txt").write_bytes(b"\xff\xfe" + letters.encode("utf-16-le"))
        head = _HEAD.replace("CODES", ", ".join(map(str, codes)))
        (self.drive / "run.vbs").write_text(head + text, encoding="ascii")
        if not (program := self.drive / "environment.exe").exists():
            build(program.stem, self.drive)
        pairs = [text for pair in variables.items() for text in pair]
        printed = self.run("C:\\environment.exe", "cscript.exe //nologo C:\\run.vbs", *pairs)
        assert said.exists(), printed
        return said.read_text(encoding="utf-16").replace("\r\n", "\n")

    def recorded(self, program: Path) -> list[str]:
        """The arguments that the program was started with, and its folder."""
        return program.with_name(program.name + ".txt").read_text(encoding="utf-16").splitlines()

    def stop(self) -> None:
        subprocess.run(["wineserver", "-k"], env=self.environment, check=False, capture_output=True)


_HEAD = """
Dim AllFiles, Said, AllLetters, AllCodes
Set AllFiles = CreateObject("Scripting.FileSystemObject")
Set Said = AllFiles.CreateTextFile("C:\\said.txt", True, True)
AllLetters = AllFiles.OpenTextFile("C:\\letters.txt", 1, False, -1).ReadAll
AllCodes = Array(CODES)
Sub Say(ByVal Text)
    Said.WriteLine Text
End Sub
Function Whole(ByVal Text)
    Whole = Replace(Text, Chr(0), "")
End Function
Function CodeOf(ByVal Letter)
    CodeOf = AllCodes(InStr(1, AllLetters, Letter, vbBinaryCompare) - 1)
End Function
Function LetterOf(ByVal Code)
    Dim Index
    For Index = 0 To UBound(AllCodes)
        If AllCodes(Index) = Code Then LetterOf = Mid(AllLetters, Index + 1, 1)
    Next
End Function
"""
"""What a test's script begins with. Wine 8 lacks AscW and ChrW: the letters come from a file, their codes with it.

And it leaves a zero behind what it has expanded.
"""


def build(name: str, folder: Path, libraries: Sequence[str] = ()) -> Path:
    """A program of the folder `wine`, for 64-bit Windows."""
    path = folder / f"{name}.exe"
    source = str(PROGRAMS / f"{name}.c")
    command = [COMPILER, "-municode", "-Wall", "-Werror", "-o", str(path), source, *(f"-l{item}" for item in libraries)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    return path


def windows_libraries(folder: Path) -> dict[str, bytes]:
    """The libraries in the wheel of the installed xlwings for Windows, by name; none if pip cannot fetch it."""
    options = ["--platform", "win_amd64", "--only-binary=:all:", "--no-deps", "--quiet", "-d", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, f"xlwings=={version('xlwings')}"]
    subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
    found: dict[str, bytes] = {}
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as parts:
            found |= {Path(name).name: parts.read(name) for name in parts.namelist() if name.endswith(".dll")}
    return found
