"""A VBA project from text, without Excel ([MS-OVBA]): no compiled code, so that Excel compiles the source."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sgdsheet.apps.excel_addin.compression import compress
from sgdsheet.apps.excel_addin.container import container

PROJECT_ID = "{6B0E4D5C-3C0B-4E0A-9C5F-53474453484E}"
_CODE_PAGE = 1252
_ENCRYPTION_SEED = 0x5D
_SOURCE_ONLY = bytes.fromhex("CC61FFFF000100")  # a version that no Excel has: it ignores compiled code

# Type libraries; `IRibbonControl` comes from Office.
_REFERENCES = (
    ("stdole", r"*\G{00020430-0000-0000-C000-000000000046}#2.0#0#C:\Windows\System32\stdole2.tlb#OLE Automation"),
    (
        "Office",
        r"*\G{2DF8D04C-5BFA-101B-BDE5-00AA0044DE52}#2.0#0"
        r"#C:\Program Files\Common Files\Microsoft Shared\OFFICE16\MSO.DLL#Microsoft Office 16.0 Object Library",
    ),
)


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the project. A document module belongs to the workbook or to a sheet."""

    name: str
    source: str
    document: bool = False

    @property
    def data(self) -> bytes:
        """The source as Excel stores it: lines end with CR LF, and only ASCII, which is the same everywhere."""
        return "\r\n".join(self.source.splitlines()).encode("ascii") + b"\r\n"


def vba_project(name: str, modules: Sequence[Module]) -> bytes:
    """The content of `vbaProject.bin`."""
    streams = {
        "PROJECT": _project(name, modules),
        "PROJECTwm": b"".join(_both(module.name) for module in modules) + b"\0\0",
        "VBA/_VBA_PROJECT": _SOURCE_ONLY,
        "VBA/dir": compress(_dir(name, modules)),
    }
    for module in modules:
        streams[f"VBA/{module.name}"] = compress(module.data)
    return container(streams)


def _both(text: str) -> bytes:
    return text.encode("ascii") + b"\0" + (text + "\0").encode("utf-16-le")


def _record(identifier: int, data: bytes = b"") -> bytes:
    return struct.pack("<HI", identifier, len(data)) + data


def _text(identifier: int, wide: int, text: str) -> bytes:
    """A text twice: in the project's code page, and as UTF-16."""
    return _record(identifier, text.encode("ascii")) + _record(wide, text.encode("utf-16-le"))


def _dir(name: str, modules: Sequence[Module]) -> bytes:
    """The `dir` stream: the project's properties, its type libraries, its modules."""
    parts = [
        _record(0x01, struct.pack("<I", 1)),  # 32-bit Windows; the same in all newer files
        _record(0x02, struct.pack("<I", 0x409)),
        _record(0x14, struct.pack("<I", 0x409)),
        _record(0x03, struct.pack("<H", _CODE_PAGE)),
        _record(0x04, name.encode("ascii")),
        _text(0x05, 0x40, ""),
        _record(0x06) + _record(0x3D),
        _record(0x07, bytes(4)),
        _record(0x08, bytes(4)),
        struct.pack("<HIIH", 0x09, 4, 1, 0),  # its length does not count the minor version
        _text(0x0C, 0x3C, ""),
    ]
    for library, identifier in _REFERENCES:
        parts.append(_text(0x16, 0x3E, library))
        packed = struct.pack("<I", len(identifier)) + identifier.encode("ascii") + bytes(6)
        parts.append(_record(0x0D, packed))
    parts.append(_record(0x0F, struct.pack("<H", len(modules))) + _record(0x13, struct.pack("<H", 0xFFFF)))
    for module in modules:
        parts += [
            _text(0x19, 0x47, module.name),
            _text(0x1A, 0x32, module.name),
            _text(0x1C, 0x48, ""),
            _record(0x31, bytes(4)),  # the source begins at 0: no compiled code before it
            _record(0x1E, bytes(4)),
            _record(0x2C, b"\xff\xff"),
            _record(0x22 if module.document else 0x21),
            _record(0x2B),
        ]
    return b"".join(parts) + _record(0x10)


def _project(name: str, modules: Sequence[Module]) -> bytes:
    kinds = [f"Document={m.name}/&H00000000" if m.document else f"Module={m.name}" for m in modules]
    lines = [
        f'ID="{PROJECT_ID}"',
        *kinds,
        f'Name="{name}"',
        'HelpContextID="0"',
        'VersionCompatible32="393222000"',
        f'CMG="{encrypted(bytes(4))}"',  # not protected
        f'DPB="{encrypted(bytes(1))}"',  # no password
        f'GC="{encrypted(bytes([0xFF]))}"',  # visible
        "",
        "[Host Extender Info]",
        "&H00000001={3832D640-CF90-11CF-8E43-00A0C911005A};VBE;&H00000000",
        "",
        "[Workspace]",
        *(f"{module.name}=0, 0, 0, 0, C" for module in modules),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def encrypted(data: bytes, project_id: str = PROJECT_ID, seed: int = _ENCRYPTION_SEED) -> str:
    """A property of the project in the disguise of [MS-OVBA] 2.4.3; it hides nothing."""
    key = sum(project_id.encode("ascii")) & 0xFF
    result = [seed, seed ^ 2, seed ^ key]
    plain, last, before = key, seed ^ key, seed ^ 2
    ignored = bytes((seed & 6) // 2)
    for byte in ignored + struct.pack("<I", len(data)) + data:
        last, before = byte ^ (before + plain & 0xFF), last
        result.append(last)
        plain = byte
    return bytes(result).hex().upper()
