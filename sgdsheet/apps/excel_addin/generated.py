"""The parts of the add-in that follow from our own tables: new commands, optimizers, functions need no second edit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.sax.saxutils import quoteattr

from sgdsheet import __version__
from sgdsheet.apps.excel_addin.ribbon import BUTTONS, example_action
from sgdsheet.apps.excel_addin.texts import source
from sgdsheet.apps.excel_addin.xlwings_bridge import Bridge
from sgdsheet.live.commands.declaration import Group, Needs, When
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS, Declaration, Number, Whole

SETTINGS = ("optimizer", "learning_rate", "batch_size", "epochs")
"""The settings that the ribbon shows."""

_KEYTIPS = {"learning_rate": "N", "batch_size": "B", "epochs": "V"}
_LONGEST_LINE = 900  # VBA takes 1023 characters
_LONGEST_HELP = 250  # Excel takes 255 characters
_UDF_MODULE = "sgdsheet.apps.udf.xlwings_functions"
_CATEGORY = r" \n14"  # the function wizard's “User Defined”

OLD_BLOCKS = (
    *((0x0000, 0x024F), (0x0300, 0x036F), (0x2000, 0x206F), (0x20A0, 0x20CF), (0x2100, 0x214F), (0x2190, 0x245F)),
    *((0x2500, 0x2775), (0x2794, 0x2BFF), (0x3000, 0x303F), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF)),
)
"""The blocks of Unicode (first and last code point) in which the signs that people type stand, letters aside. Every
version of Python agrees which of them are letters."""

_RESERVED = """
    call case close const declare defbool defbyte defcur defdate defdbl defdec defint deflng deflnglng deflngptr defobj
    defsng defstr defvar dim do else elseif end endif enum erase event exit for friend function get global gosub goto
    if implements input let lock loop lset next on open option print private public put raiseevent redim rem resume
    return rset seek select set static stop sub type unlock wend while with write
    any as byref byval each in new optional paramarray preserve shared spc tab then to until withevents
    addressof and eqv imp is like mod not or typeof xor
    abs cbool cbyte ccur cdate cdbl cdec cint clng clnglng clngptr csng cstr cvar cverr debug doevents fix int len lenb
    me pset scale sgn array circle inputb lbound ubound
    boolean byte currency date decimal double integer long longlong longptr single string variant
    true false nothing empty null attribute cdecl lineinput
"""
"""The words that are no names in VBA ([MS-VBAL] 3.3.5.2)."""

_USED = "answer application err refused server"
"""Names that the wrapper of a function itself uses: an argument of that name would hide them."""

_NO_NAMES = frozenset(f"{_RESERVED} {_USED}".split())


# --- the ribbon -------------------------------------------------------------------------------------------


def ribbon(examples: Mapping[str, str]) -> str:
    """The ribbon's XML; `examples` are names and descriptions."""
    text = source("customUI14.xml")
    parts = {"optimizers": _optimizers(), "settings": _edit_boxes(), "examples": _examples(examples)}
    for key, lines in (parts | {group.value: _buttons(group) for group in Group}).items():
        text = text.replace("{" + key + "}", "\n".join(" " * 12 + line for line in lines))
    return text


def _buttons(group: Group) -> list[str]:
    found = [(action, button) for action, button in BUTTONS.items() if button.group is group]
    return [
        _element(
            "button",
            id=f"sgd_{action}",
            tag=action,
            label=button.ribbon_label or button.label,
            **({"size": "large"} if button.large else {}),
            imageMso=button.image,
            keytip=button.key,
            onAction="SgdAction",
            getEnabled="SgdEnabled",
            screentip=button.title,
            supertip=button.help,
        )
        for action, button in sorted(found, key=lambda item: item[1].place)
    ]


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
    about = (
        f"sgdsheet {__version__}: gradient descent in your spreadsheet. Built with xlwings {bridge.version}. "
        "Where its Python is, says in a terminal: sgdsheet addin status"
    )
    constants = {
        "SGD_ABOUT": [about],
        "SGD_ALWAYS": [*_actions(needs=Needs.NOTHING), *map(example_action, examples)],
        "SGD_WITHOUT_MODEL": _actions(needs=Needs.WORKBOOK),
        "SGD_IN_ANY_STATE": _actions(when=When.ALWAYS),
        "SGD_WHILE_TRAINING": _actions(when=When.TRAINING),
        "SGD_OPTIMIZERS": _optimizer_names(),
        "SGD_SETTING_KEYS": [item.key for item in chosen],
        "SGD_SETTING_LABELS": [item.label for item in chosen],
        "SGD_SETTING_ALLOWED": [item.allowed for item in chosen],
        **{f"SGD_SETTING_{part}": [_rule(item)[part] for item in chosen] for part in _rule(chosen[0])},
        "SGD_MARKS": [_marks()],
    }
    lines = ['Attribute VB_Name = "SgdTables"', "Option Explicit", "", "' Made from sgdsheet's own tables.", ""]
    for name, values in constants.items():
        lines.append(f"Public Const {name} As String = {_literal('|'.join(values))}")
    return "\n".join(lines) + "\n"


def _actions(*, needs: Needs | None = None, when: When | None = None) -> list[str]:
    """The actions whose buttons need this, or are enabled then."""
    return [
        action for action, button in BUTTONS.items() if needs in (None, button.needs) and when in (None, button.when)
    ]


def _rule(item: Declaration) -> dict[str, str]:
    """What an edit box checks before it writes, as texts for VBA; empty where there is nothing to check."""
    rule = item.read
    if not isinstance(rule, (Number, Whole)):
        return dict.fromkeys(("LOWEST", "HIGHEST", "ABOVE", "WHOLE", "EXAMPLES"), "")
    return {
        "LOWEST": str(rule.low),
        "HIGHEST": "" if rule.high == float("inf") else str(rule.high),
        "ABOVE": "yes" if isinstance(rule, Number) and rule.above else "",
        "WHOLE": "yes" if isinstance(rule, Whole) else "",
        "EXAMPLES": "10" if isinstance(rule, Whole) else "0.05",
    }


def _marks() -> str:
    """What `normalised` drops from names: ranges of characters, four hexadecimal digits for each end."""
    codes = [code for first, last in OLD_BLOCKS for code in range(first, last + 1) if not chr(code).isalnum()]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    return "".join(f"{run[0]:04X}{run[-1]:04X}" for run in runs)


def _literal(text: str) -> str:
    """A text of VBA, in several pieces if it is long."""
    clean = text.replace("“", '"').replace("”", '"').replace("–", "-").replace("’", "'").replace("…", "...")
    if not clean.isascii() or not clean.isprintable():
        raise ValueError(f"VBA source is ASCII: {text!r}")
    pieces = [clean[start : start + _LONGEST_LINE // 2] for start in range(0, len(clean), _LONGEST_LINE // 2)] or [""]
    return " & _\n        ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)


# --- worksheet functions ----------------------------------------------------------------------------------


def functions(bridge: Bridge, declarations: Sequence[Mapping[str, Any]]) -> str:
    """The module of worksheet functions, from `sgdsheet.apps.udf.declarations`."""
    text = source("vba/SgdFunctions.bas").replace("{version}", bridge.version)
    text = text.replace("{declare64}", bridge.declare64).replace("{declare32}", bridge.declare32)
    return (
        text.rstrip("\n") + "\n\n" + _describe(declarations) + "".join(f"\n{_function(item)}" for item in declarations)
    )


def _describe(declarations: Iterable[Mapping[str, Any]]) -> str:
    """The help of the arguments: unlike a function's own, it has no place in the source and is given to Excel."""
    lines = ["Public Sub SgdDescribe()", "    Dim All As Boolean"]
    lines.append("    If Described Or Tries >= MOST_TRIES Or ActiveWorkbook Is Nothing Then Exit Sub")
    lines += ["    Tries = Tries + 1", "    All = True"]
    for item in declarations:
        helps = [_literal(argument["help"][:_LONGEST_HELP]) for argument in item["arguments"]]
        if helps:
            lines.append(f'    Describe "{_name(item["name"])}", {_literal(item["help"][:_LONGEST_HELP])}, Array( _')
            lines.append("        " + ", _\n        ".join(helps) + "), All")
    return "\n".join([*lines, "    Described = All", "End Sub", ""])


def _function(item: Mapping[str, Any]) -> str:
    """One function. On a Mac, or where the server does not start, it is #N/A, and the status bar says why."""
    name = item["name"]
    arguments = [_name(argument["name"]) for argument in item["arguments"]]
    signature = ", ".join(
        f"Optional {_name(argument['name'])}" if argument["optional"] else _name(argument["name"])
        for argument in item["arguments"]
    )
    return "\n".join(
        [
            f"Public Function {_name(name)}({signature}) As Variant",
            f"Attribute {name}.VB_Description = {_literal(item['help'][:_LONGEST_HELP])}",
            f'Attribute {name}.VB_ProcData.VB_Invoke_Func = "{_CATEGORY}"',
            "    On Error GoTo Failed",
            f'    {name} = Answer(Server().CallUDF("{_UDF_MODULE}", "{name}", Array({", ".join(arguments)}), Nothing,'
            " Application.Caller))",
            "    Exit Function",
            "Failed:",
            f"    {name} = Refused(Err.Description)",
            "End Function",
            "",
        ]
    )


def _name(text: str) -> str:
    """A name that goes into VBA source."""
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,99}", text) or text.lower() in _NO_NAMES:
        raise ValueError(f"not a name: {text!r}")
    return text
