"""Our own functions (`SGD_RELU` and its like) as plain data, for what offers them to people.

The Excel add-in generates a VBA function from each, the LibreOffice extension an add-in function. Both are
made from the registry, when they are built; the running office process gets them as JSON.

`declarations()` is a list like this one, in the order of the names, ready for JSON:

    [{"name": "SGD_LINEAR",                    in Excel's formulas
      "method": "sgdLinear",                   of the UNO service org.sgdsheet.Functions
      "help": "A dense layer: inputs times weights, plus the bias.",
      "arguments": [
          {"name": "inputs",                   a lower-case word, never a keyword of VBA or Python
           "help": "Numbers, one row per sample and one column per feature.",
           "kind": "array",                    or "scalar", or "reference"
           "optional": false}, …],             optional ones come last
      "gives": "array"}, …]                    or "scalar": one value whatever it is given

A VBA wrapper calls the function of that name in `sgdsheet.apps.udf.xlwings_functions`. It gets an array, or one text:
`#SGD! ` (FAILURE) and the reason why there is no result, for which it returns CVErr(xlErrValue) and shows the reason in
the status bar. An item of an array that is the text of an Excel error (`#VALUE!`, `#NUM!`) it turns into that error.

Kinds: "array" is a range or array taken whole, "scalar" one value, "reference" a range of which also the address
matters (`SGD_GRAD`). Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

from sgdsheet.compiler.functions import REGISTRY, Function

SERVICE = "org.sgdsheet.Functions"
"""The UNO service whose methods the functions are: Calc writes `ORG.SGDSHEET.FUNCTIONS.SGDLINEAR` into files."""

FAILURE = "#SGD! "
"""What the text of a failure starts with, in the place of a result."""


def own_functions() -> list[Function]:
    """The functions that the add-ins offer: those that Excel does not have."""
    return sorted((item for item in REGISTRY.values() if item.name.startswith("SGD_")), key=lambda item: item.name)


def declarations() -> list[dict[str, Any]]:
    """All of them as plain data; see the top of this file."""
    return [
        {
            "name": item.name,
            "method": _method(item.name),
            "help": item.help,
            "arguments": [
                {
                    "name": argument.name,
                    "help": argument.help,
                    "kind": argument.kind.value,
                    "optional": argument.optional,
                }
                for argument in item.described
            ],
            "gives": "scalar" if item.gives_value else "array",
        }
        for item in own_functions()
    ]


def _method(name: str) -> str:
    head, _, tail = name.partition("_")
    return head.lower() + tail.capitalize()
