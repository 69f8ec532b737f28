"""Every module follows the grammar of VBA, on Windows and on a Mac."""

from __future__ import annotations

import re
from functools import cache

import pytest
from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from antlr4_vba.vbaLexer import vbaLexer
from antlr4_vba.vbaParser import vbaParser

from tests.addin_parts import modules

PLATFORMS = {
    "Windows, 64 bit": {"VBA7": True, "WIN64": True, "MAC": False},
    "Windows, 32 bit": {"VBA7": True, "WIN64": False, "MAC": False},
    "Mac": {"VBA7": True, "WIN64": True, "MAC": True},
}


class Complaints(ErrorListener):
    def __init__(self) -> None:
        self.found: list[str] = []

    def syntaxError(
        self, recognizer: object, symbol: object, line: int, column: int, message: str, error: object
    ) -> None:
        self.found.append(f"{line}:{column} {message}")


def resolved(source: str, constants: dict[str, bool]) -> str:
    """The lines that the compiler sees on one platform; others become empty."""
    taken, lines = [True], []
    for line in source.splitlines():
        word = line.strip()
        if match := re.fullmatch(r"#If (Not )?(\w+) Then", word):
            taken.append(constants[match[2].upper()] != bool(match[1]))
        elif word == "#Else":
            taken[-1] = not taken[-1]
        elif word == "#End If":
            taken.pop()
        else:
            assert not word.startswith("#"), line
            lines.append(line if all(taken) else "")
            continue
        lines.append("")
    assert taken == [True]
    return "\n".join(lines) + "\n"


@cache  # most modules are the same everywhere
def complaints(source: str) -> list[str]:
    """What the parser says about a module whose attributes are gone, all but the name that the grammar asks for."""
    body = "\n".join("" if line.startswith("Attribute ") else line for line in source.splitlines())
    listener = Complaints()
    lexer = vbaLexer(InputStream('Attribute VB_Name = "Module1"\n' + body.strip("\n") + "\n"))
    parser = vbaParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(listener)
    parser.startRule()
    return listener.found


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", modules())
def test_grammar(name: str, platform: str) -> None:
    assert complaints(resolved(modules()[name].source, PLATFORMS[platform])) == []


@pytest.mark.parametrize("wrong", ["Sub A()\n  If x Then\nEnd Sub\n", "Sub A()\n  x = (1\nEnd Sub\n", "Function\n"])
def test_the_grammar_notices_mistakes(wrong: str) -> None:
    assert complaints(wrong)


@pytest.mark.parametrize("name", modules())
def test_lines_are_short_enough_for_vba(name: str) -> None:
    lines = modules()[name].source.splitlines()
    assert max((len(line) for line in lines), default=0) < 1023
    assert max((len(list(run)) for run in re.findall(r"(?:_\n.*)+", modules()[name].source)), default=0) < 10_000
    for procedure in re.findall(r"^(?:Public|Private) (?:Sub|Function) (\w+)", modules()[name].source, re.MULTILINE):
        assert len(procedure) <= 255
