"""Writes a UNO type library: the interface whose methods are Calc's new functions, in the office's own binary format.

The office's tool for it, unoidl-write, is part of a development kit that users do not have. The format (“UNOIDL”,
version 0) is documented in LibreOffice's unoidl/source/unoidlprovider.cxx; only what an interface needs is here:
nested maps of sorted names, and at the end of a path the interface with its methods.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_MAGIC = b"UNOIDL\xff\x00"
_MODULE, _INTERFACE = 0, 5  # kinds of entries
_IN = 0  # the direction of a parameter
_BASE = "com.sun.star.uno.XInterface"


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the interface. Types are written as in `any`, `[]any` or `com.sun.star.table.XCellRange`."""

    name: str
    returns: str
    parameters: Sequence[tuple[str, str]]
    """The names and types of the method's parameters."""


def type_library(interface: str, methods: Sequence[Method]) -> bytes:
    """A library with one interface; `interface` is its full name, such as `org.sgdsheet.XFunctions`."""
    out = bytearray(_MAGIC + bytes(8))  # where the outermost map is comes last
    *modules, name = interface.split(".")
    payload = len(out)
    out += _interface(methods)
    for outer in reversed(modules):
        entry = _entry(out, name, payload)
        payload = len(out)
        out += struct.pack("<BI", _MODULE, 1) + entry
        name = outer
    entry = _entry(out, name, payload)
    struct.pack_into("<II", out, len(_MAGIC), len(out), 1)
    return bytes(out + entry)


def _entry(out: bytearray, name: str, payload: int) -> bytes:
    """Append the name; return the map's entry, which points to it and to what it names."""
    at = len(out)
    out += name.encode("ascii") + b"\0"
    return struct.pack("<II", at, payload)


def _interface(methods: Sequence[Method]) -> bytes:
    bases = struct.pack("<I", 1) + _text(_BASE)
    optional_bases = attributes = struct.pack("<I", 0)
    head = struct.pack("<B", _INTERFACE) + bases + optional_bases + attributes
    return head + struct.pack("<I", len(methods)) + b"".join(map(_method, methods))


def _method(method: Method) -> bytes:
    parameters = b"".join(struct.pack("<B", _IN) + _text(name) + _text(kind) for name, kind in method.parameters)
    raises = struct.pack("<I", 0)
    head = _text(method.name) + _text(method.returns) + struct.pack("<I", len(method.parameters))
    return head + parameters + raises


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("ascii")
