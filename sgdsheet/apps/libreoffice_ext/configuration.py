"""The extension's XML files: the manifest, the menu and the toolbar, and how Calc shows the functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree

from sgdsheet.apps.libreoffice_ext.actions import ACTIONS, GROUPS, PROTOCOL_SCHEME, Action
from sgdsheet.apps.libreoffice_ext.calc_functions import CalcFunction

IDENTIFIER = "org.sgdsheet"
FUNCTIONS_SERVICE = "org.sgdsheet.Functions"
COMMANDS_SERVICE = "org.sgdsheet.Commands"
TITLE = "SGD"
ICONS = "icons"
COMPONENT = "python/component.py"

_HANDLER = "com.sun.star.frame.ProtocolHandler"
_CALC = "com.sun.star.sheet.SpreadsheetDocument"
_TOOLBAR = "org.sgdsheet.toolbar"
_OOR = "http://openoffice.org/2001/registry"
_XS = "http://www.w3.org/2001/XMLSchema"
_MANIFEST = "http://openoffice.org/2001/manifest"
_DESCRIPTION = "http://openoffice.org/extensions/description/2006"
_ABOUT = """\
Train the formulas of a sheet by gradient descent: toolbar, menu and SGD_ functions.
The work is done by your own Python, with PyTorch.
"""

Properties = Mapping[str, str | bool]


def manifest(parts: Mapping[str, str]) -> bytes:
    """Part names and their media types."""
    root = ElementTree.Element("manifest:manifest", {"xmlns:manifest": _MANIFEST})
    for path, media_type in parts.items():
        entry = {"manifest:full-path": path, "manifest:media-type": media_type}
        ElementTree.SubElement(root, "manifest:file-entry", entry)
    return _document(root)


def components() -> bytes:
    """What the Python file implements. LibreOffice need not start its Python to find that out, at installing say."""
    root = ElementTree.Element("components", {"xmlns": "http://openoffice.org/2010/uno-components"})
    file = ElementTree.SubElement(root, "component", loader="com.sun.star.loader.Python", uri=COMPONENT)
    for name, service in ((FUNCTIONS_SERVICE, "com.sun.star.sheet.AddIn"), (COMMANDS_SERVICE, _HANDLER)):
        implementation = ElementTree.SubElement(file, "implementation", name=name)
        for offered in (name, service):
            ElementTree.SubElement(implementation, "service", name=offered)
    return _document(root)


def description(version: str) -> bytes:
    """What the extension manager shows."""
    root = ElementTree.Element("description", {"xmlns": _DESCRIPTION, "xmlns:xlink": "http://www.w3.org/1999/xlink"})
    ElementTree.SubElement(root, "version", value=version)
    ElementTree.SubElement(root, "identifier", value=IDENTIFIER)
    ElementTree.SubElement(ElementTree.SubElement(root, "display-name"), "name", lang="en").text = "sgdsheet"
    about = ElementTree.SubElement(root, "extension-description")
    ElementTree.SubElement(about, "src", {"lang": "en", "xlink:href": "description.txt"})
    return _document(root)


def description_text() -> bytes:
    """More of what the extension manager shows."""
    return _ABOUT.encode()


def addons() -> bytes:
    """Menu and toolbar, for spreadsheets only."""
    root, ui = _component("Addons", "AddonUI")
    menu = _node(_node(ui, "OfficeMenuBar"), IDENTIFIER, {"Context": _CALC, "Title": f"~{TITLE}"})
    _items(_node(menu, "Submenu"), GROUPS)
    on_toolbar = [[action for action in group if action.on_toolbar] for group in GROUPS]
    _items(_node(_node(ui, "OfficeToolBar"), _TOOLBAR), [group for group in on_toolbar if group])
    images = _node(ui, "Images")
    for number, action in enumerate(ACTIONS):
        if not action.on_toolbar:
            continue
        image = _node(images, f"i{number:02}", {"URL": action.url})
        picture = f"%origin%/{ICONS}/{action.name}.svg"
        _node(image, "UserDefinedImages", {"ImageSmallURL": picture, "ImageBigURL": picture})
    return _document(root)


def window_state() -> bytes:
    """The toolbar has a name, and is visible from the start: a row of its own, with words beside the pictures."""
    root, elements = _component("CalcWindowState", "UIElements")
    properties: Properties = {"UIName": TITLE, "Visible": True, "Docked": True}
    state = _node(_node(elements, "States"), f"private:resource/toolbar/addon_{_TOOLBAR}", properties)
    _property(state, "DockingArea", "0", typed="xs:int")
    _property(state, "DockPos", "0,3")
    _property(state, "Style", "2", typed="xs:int")
    return _document(root)


def protocol_handler() -> bytes:
    """Who answers addresses of our own scheme."""
    root, handlers = _component("ProtocolHandler", "HandlerSet")
    handler = _node(handlers, COMMANDS_SERVICE)
    protocols = ElementTree.SubElement(handler, "prop", {"oor:name": "Protocols", "oor:type": "oor:string-list"})
    ElementTree.SubElement(protocols, "value").text = f"{PROTOCOL_SCHEME}:*"
    return _document(root)


def add_ins(functions: Iterable[CalcFunction]) -> bytes:
    """Names and help of the functions, for the function wizard."""
    root, services = _component("CalcAddIns", "AddInInfo")
    entries = _node(_node(services, FUNCTIONS_SERVICE), "AddInFunctions")
    for function in functions:
        shown: Properties = {"DisplayName": function.name, "Description": function.help}
        node = _node(entries, function.method, shown)
        _property(node, "Category", "Add-In")
        _property(node, "CompatibilityName", function.name, localized=True)
        parameters = _node(node, "Parameters")
        for parameter in function.parameters:
            text = f"{parameter.help} (optional)" if parameter.optional else parameter.help
            _node(parameters, parameter.name, {"DisplayName": parameter.name, "Description": text})
    return _document(root)


# --- the registry's way of writing ------------------------------------------------------------------------


def _items(parent: ElementTree.Element, groups: Sequence[Sequence[Action]]) -> None:
    """Items come in the alphabetical order of their names, hence the numbers."""
    number = 0
    for at, group in enumerate(groups):
        if at:
            _node(parent, f"m{number:02}", {"URL": "private:separator"})
            number += 1
        for action in group:
            shown: Properties = {"URL": action.url, "Title": action.label, "Target": "_self", "Context": _CALC}
            _node(parent, f"m{number:02}", shown)
            number += 1


def _component(name: str, node: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    package = "org.openoffice.Office.UI" if name == "CalcWindowState" else "org.openoffice.Office"
    root = ElementTree.Element(
        "oor:component-data",
        {"xmlns:oor": _OOR, "xmlns:xs": _XS, "oor:name": name, "oor:package": package},
    )
    return root, ElementTree.SubElement(root, "node", {"oor:name": node})


_GROUPS = {
    *("OfficeMenuBar", "OfficeToolBar", "Images", "Submenu", "UserDefinedImages", "States"),
    *("AddInFunctions", "Parameters"),
}
"""Nodes that LibreOffice's registry has already. All other nodes are new entries of a set."""

_LOCALIZED = {"Title", "UIName", "DisplayName", "Description"}


def _node(parent: ElementTree.Element, name: str, properties: Properties | None = None) -> ElementTree.Element:
    attributes = {"oor:name": name} if name in _GROUPS else {"oor:name": name, "oor:op": "replace"}
    node = ElementTree.SubElement(parent, "node", attributes)
    for key, value in (properties or {}).items():
        if isinstance(value, bool):
            _property(node, key, str(value).lower(), typed="xs:boolean")
        else:
            _property(node, key, value, localized=key in _LOCALIZED)
    return node


def _property(
    node: ElementTree.Element, name: str, value: str, *, typed: str = "xs:string", localized: bool = False
) -> None:
    prop = ElementTree.SubElement(node, "prop", {"oor:name": name, "oor:type": typed})
    ElementTree.SubElement(prop, "value", {"xml:lang": "en-US"} if localized else {}).text = value


def _document(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root, " ")
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
