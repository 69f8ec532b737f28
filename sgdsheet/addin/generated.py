"""The parts of the add-in that follow from our own tables: a new optimizer or function needs no second edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from sgdsheet import __version__
from sgdsheet.addin.bridge import Bridge
from sgdsheet.addin.sources import source
from sgdsheet.optimizers import AUTO, OPTIMIZERS
from sgdsheet.ribbon import ACTIONS, ALWAYS, example_action
from sgdsheet.settings import DECLARATIONS

SETTINGS = ("optimizer", "learning_rate", "batch_size", "epochs")
"""The settings that the ribbon shows."""

_KEYTIPS = {"learning_rate": "N", "batch_size": "B", "epochs": "V"}
_LONGEST_LINE = 900  # VBA takes 1023 characters
_CATEGORY = r" \n14"  # the function wizard's “User Defined”


# --- the ribbon -------------------------------------------------------------------------------------------


def ribbon(examples: Mapping[str, str]) -> str:
    """The ribbon's XML; `examples` are names and descriptions."""
    text = source("customUI14.xml")
    parts = {"optimizers": _optimizers(), "settings": _edit_boxes(), "examples": _examples(examples)}
    for key, lines in parts.items():
        text = text.replace("{" + key + "}", "\n".join(" " * 12 + line for line in lines))
    return text


def _element(name: str, **attributes: str) -> str:
    return f"<{name} {' '.join(f'{key}={quoteattr(value)}' for key, value in attributes.items())} />"


def _optimizer_names() -> list[str]:
    return [AUTO, *OPTIMIZERS]


def _optimizers() -> list[str]:
    helps = {AUTO: "Let sgdsheet choose"} | {row.name: row.help for row in OPTIMIZERS.values()}
    return [
        _element("item", id=f"optimizer_{name}", label=name, screentip=name, supertip=helps[name])
        for name in _optimizer_names()
    ]


def _edit_boxes() -> list[str]:
    declared = {item.key: item for item in DECLARATIONS}
    return [
        _element(
            "editBox",
            id=f"sgd_{key}",
            tag=key,
            label=declared[key].label.capitalize(),
            sizeString="0000000",
            maxLength="30",
            keytip=_KEYTIPS[key],
            getText="SgdSettingText",
            onChange="SgdSettingChanged",
            getEnabled="SgdEnabled",
            screentip=declared[key].label.capitalize(),
            supertip=f"{declared[key].help}: {declared[key].allowed}. Empty: sgdsheet chooses.",
        )
        for key in SETTINGS
        if key in _KEYTIPS
    ]


def _examples(examples: Mapping[str, str]) -> list[str]:
    return [
        _element(
            "button",
            id=f"sgd_{example_action(name)}",
            tag=example_action(name),
            label=name.replace("_", " ").capitalize(),
            onAction="SgdAction",
            screentip=name.replace("_", " ").capitalize(),
            supertip=description,
        )
        for name, description in examples.items()
    ]


# --- tables for VBA ---------------------------------------------------------------------------------------


def tables(bridge: Bridge, examples: Iterable[str]) -> str:
    """The module of constants."""
    declared = {item.key: item for item in DECLARATIONS}
    chosen = [declared[key] for key in SETTINGS]
    always = [action for action in ACTIONS if action in ALWAYS] + [example_action(name) for name in examples]
    about = (
        f"sgdsheet {__version__}: gradient descent in your spreadsheet. Built with xlwings {bridge.version}. "
        "Where its Python is, says in a terminal: sgdsheet addin status"
    )
    constants = {
        "SGD_ABOUT": [about],
        "SGD_ALWAYS": always,
        "SGD_OPTIMIZERS": _optimizer_names(),
        "SGD_SETTING_KEYS": [item.key for item in chosen],
        "SGD_SETTING_LABELS": [item.label for item in chosen],
        "SGD_SETTING_ALLOWED": [item.allowed for item in chosen],
    }
    lines = ['Attribute VB_Name = "SgdTables"', "Option Explicit", "", "' Made from sgdsheet's own tables.", ""]
    for name, values in constants.items():
        lines.append(f"Public Const {name} As String = {_literal('|'.join(values))}")
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    """A text of VBA, in several pieces if it is long."""
    clean = text.replace("“", '"').replace("”", '"').replace("–", "-").replace("’", "'").replace("…", "...")
    if not clean.isascii() or not clean.isprintable():
        raise ValueError(f"VBA source is ASCII: {text!r}")
    pieces = [clean[start : start + _LONGEST_LINE // 2] for start in range(0, len(clean), _LONGEST_LINE // 2)] or [""]
    return " & _\n        ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)


# --- worksheet functions ----------------------------------------------------------------------------------


def functions(bridge: Bridge, declarations: Sequence[Mapping[str, Any]]) -> str:
    """The module of worksheet functions, from `sgdsheet.udf.declarations`."""
    text = source("vba/SgdFunctions.bas").replace("{version}", bridge.version)
    text = text.replace("{declare64}", bridge.declare64).replace("{declare32}", bridge.declare32)
    return text.rstrip("\n") + "\n" + "".join(f"\n{_function(item)}" for item in declarations)


def _function(item: Mapping[str, Any]) -> str:
    """One function. On a Mac, or where the server does not start, it is #N/A."""
    name = item["name"]
    arguments = [_name(argument["name"]) for argument in item["arguments"]]
    signature = ", ".join(
        f"Optional {_name(argument['name'])}" if argument["optional"] else _name(argument["name"])
        for argument in item["arguments"]
    )
    return "\n".join(
        [
            f"Public Function {_name(name)}({signature}) As Variant",
            f"Attribute {name}.VB_Description = {_literal(item['help'][:250])}",
            f'Attribute {name}.VB_ProcData.VB_Invoke_Func = "{_CATEGORY}"',
            "    On Error GoTo Failed",
            f'    {name} = Answer(Server().CallUDF("sgdsheet.udfs", "{name}", Array({", ".join(arguments)}), Nothing,'
            " Application.Caller))",
            "    Exit Function",
            "Failed:",
            f"    {name} = CVErr(2042)",
            "End Function",
            "",
        ]
    )


def _name(text: str) -> str:
    """A name that goes into VBA source."""
    if not text.isascii() or not text.isidentifier():
        raise ValueError(f"not a name: {text!r}")
    return text
