"""What the add-in's VBA gets from our own tables: functions with their help, settings with their bounds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sgdsheet.apps.excel_addin.generated import functions
from sgdsheet.apps.excel_addin.xlwings_bridge import Bridge
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.problem.settings import DECLARATIONS, read_setting
from tests.addin_parts import modules
from tests.test_addin_grammar import complaints

BRIDGE = Bridge("0.37", "", "")


def declared(name: str, *arguments: str) -> list[dict[str, Any]]:
    given = [{"name": argument, "help": "What it is.", "optional": False} for argument in arguments]
    return [{"name": name, "help": "A function.", "arguments": given}]


def generated(name: str, *arguments: str) -> str:
    """The wrapper alone."""
    text = functions(BRIDGE, declared(name, *arguments))
    wrapper = text[text.index(f"\nPublic Function {name}(") :]
    return "\n".join(line for line in wrapper.splitlines() if not line.startswith("Attribute ")) + "\n"


@pytest.mark.parametrize("word", ["next", "End", "type", "LOOP", "if", "select", "date", "single", "nothing", "len"])
def test_words_of_vba_are_no_names(word: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        generated("SGD_X", "inputs", word)


@pytest.mark.parametrize(
    "word", ["_hidden", "1st", "größe", "a b", "answer", "Server", "err", "application", "a" * 101]
)
def test_what_would_break_or_hide_something_is_no_name(word: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        generated("SGD_X", word)


def test_names_that_are_fine() -> None:
    assert complaints(generated("SGD_X", "inputs", "labels", "threshold", "lr", "ends", "types", "x_1")) == []


def test_the_wizard_gets_the_help_of_every_argument() -> None:
    text = modules()["SgdFunctions"].source
    body = text[text.index("Public Sub SgdDescribe()") :].split("End Sub")[0].replace(" _\n        ", " ")
    found = {
        match[1]: match[2] for match in re.finditer(r'^    Describe "(\w+)", "[^"]*", Array\( (.*)\), All$', body, re.M)
    }
    wanted = {item["name"]: [argument["help"] for argument in item["arguments"]] for item in declarations()}
    assert {name: re.findall(r'"((?:[^"]|"")*)"', helps) for name, helps in found.items()} == {
        name: helps for name, helps in wanted.items() if helps
    }
    assert max(len(help_) for helps in wanted.values() for help_ in helps) <= 250
    assert "ArgumentDescriptions:=Arguments" in text
    assert "SgdDescribe" in modules()["ThisWorkbook"].source


def test_what_the_boxes_check_is_what_the_settings_allow() -> None:
    source = modules()["SgdTables"].source
    tables = {name: text.split("|") for name, text in re.findall(r'SGD_SETTING_(\w+) As String = "(.*)"', source)}
    by_key = {item.key: item for item in DECLARATIONS}
    for key, lowest, above, whole, example in zip(
        *(tables[name] for name in ("KEYS", "LOWEST", "ABOVE", "WHOLE", "EXAMPLES")), strict=True
    ):
        if key == "optimizer":  # a list to choose from
            assert (lowest, above, whole) == ("", "", "")
            continue
        assert read_setting(by_key[key], float(example)) == float(example)
        for value in (-1.0, 0.0, 0.5, 1.0, 2.5, 3.0):
            good = value >= float(lowest) and not (above and value == float(lowest)) and not (whole and value % 1)
            assert good == allowed(by_key[key].read, value), (key, value)


def allowed(read: Any, value: float) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def test_the_library_is_loaded_from_any_folder() -> None:
    """The wide form, and handles as long as the machine's: a truncated one could be taken for none."""
    text = modules()["SgdWindows"].source
    assert 'Alias "LoadLibraryW" (ByVal Path As LongPtr) As LongPtr' in text
    assert "LoadLibrary(StrPtr(Path))" in text
    assert "LoadLibraryA" not in text


def test_settings_are_read_without_the_rounding_of_currencies() -> None:
    """`Value` of a cell that is shown as a currency has four decimals."""
    source = modules()["SgdSheet"].source
    assert not re.findall(r"\.Value\b(?! = )", source)
    assert "CStr(Cell.Value2)" in source
