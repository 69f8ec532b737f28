"""Builds the extension: a zip file (.oxt) made of text, the same bytes from the same sources on every machine."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import sgdsheet
from sgdsheet.apps.libreoffice_ext import configuration
from sgdsheet.apps.libreoffice_ext.actions import ACTIONS, help_text, rules
from sgdsheet.apps.libreoffice_ext.calc_functions import CalcFunction
from sgdsheet.apps.libreoffice_ext.typelib import type_library
from sgdsheet.system.atomic import write_atomically

_ROOT = Path(sgdsheet.__file__).parent

FILE_NAME = "sgdsheet.oxt"
INTERFACE = "org.sgdsheet.XFunctions"

_COMPONENTS = "application/vnd.sun.star.uno-components"
_LIBRARY = "application/vnd.sun.star.uno-typelibrary;type=RDB"
_SETTINGS = "application/vnd.sun.star.configuration-data"

_MODULES = {
    "apps/libreoffice_ext/office": "*.py",
    "hosts/libreoffice/agent": "*.py",
    "system": "json_messages.py",
}
"""The modules of this package that run inside the office."""

_PACKAGES = ("", "apps/", "apps/libreoffice_ext/", "hosts/", "hosts/libreoffice/", "system/")
"""The packages around the modules that run inside the office. They are empty there: nothing else of sgdsheet is in the
extension."""

_DAWN = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the first day that a zip file can name: the bytes must not depend on the day of building


def build(functions: Sequence[CalcFunction]) -> bytes:
    """The extension as bytes."""
    out = io.BytesIO()
    # Stored, not deflated: compressors differ from machine to machine.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        for name, content in sorted(_parts(functions).items()):
            entry = zipfile.ZipInfo(name, _DAWN)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            package.writestr(entry, content)
    return out.getvalue()


def write(path: Path, functions: Sequence[CalcFunction]) -> None:
    """Build the extension into a file."""
    write_atomically(path, build(functions))


def _parts(functions: Sequence[CalcFunction]) -> dict[str, bytes]:
    registered = {
        "Addons.xcu": (_SETTINGS, configuration.addons()),
        "CalcAddIns.xcu": (_SETTINGS, configuration.add_ins(functions)),
        "CalcWindowState.xcu": (_SETTINGS, configuration.window_state()),
        "ProtocolHandler.xcu": (_SETTINGS, configuration.protocol_handler()),
        "functions.rdb": (_LIBRARY, type_library(INTERFACE, [function.as_method() for function in functions])),
        "sgdsheet.components": (_COMPONENTS, configuration.components()),
    }
    return {
        configuration.COMPONENT: _source("apps/libreoffice_ext/office/component.py"),
        **{name: content for name, (_, content) in registered.items()},
        **{f"python/pythonpath/sgdsheet/{name}__init__.py": b"" for name in _PACKAGES},
        **{f"python/pythonpath/sgdsheet/{name}": _source(name) for name in _modules()},
        **_icons(),
        "META-INF/manifest.xml": configuration.manifest({name: kind for name, (kind, _) in registered.items()}),
        "description.xml": configuration.description(sgdsheet.__version__),
        "description.txt": configuration.description_text(),
        "help.txt": help_text().encode(),
        "buttons.json": json.dumps(rules(), indent=1).encode(),
        "functions.json": json.dumps({each.method: each.name for each in functions}, indent=1).encode(),
    }


def _modules() -> Iterator[str]:
    for folder, pattern in _MODULES.items():
        for module in (_ROOT / folder).iterdir():
            if fnmatch(module.name, pattern) and module.name != "component.py":
                yield f"{folder}/{module.name}"


def _icons() -> dict[str, bytes]:
    return {f"{configuration.ICONS}/{each.name}.svg": each.icon.encode() for each in ACTIONS if each.on_toolbar}


def _source(name: str) -> bytes:
    return _unix_lines((_ROOT / name).read_bytes())


def _unix_lines(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")
