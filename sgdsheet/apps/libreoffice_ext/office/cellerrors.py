"""Calc's cell errors as numbers: a not-a-number that carries the error's code shows as that error in a cell."""

from __future__ import annotations

import struct

_QUIET_NAN = 0x7FF8_0000_0000_0000
_CODES = {
    "#NULL!": 521,
    "#DIV/0!": 532,
    "#VALUE!": 519,
    "#REF!": 524,
    "#NAME?": 525,
    "#NUM!": 503,
    "#N/A": 32767,
}


def cell_error(name: str) -> float:
    """`#DIV/0!` as the number that Calc shows as `#DIV/0!`. What Calc does not know becomes `#VALUE!`."""
    code = _CODES.get(name, _CODES["#VALUE!"])
    value: float = struct.unpack("<d", struct.pack("<Q", _QUIET_NAN | code))[0]
    return value
