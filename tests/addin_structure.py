"""The structure of an add-in's file as facts that can be compared: package, XML, compound file, VBA project.

A fact is a name and what is found under it, in words that do not depend on what the add-in is about.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

import olefile

from tests.addin_parts import decompress_stream

Facts = dict[str, Any]

_KINDS = {0x22: "document or class", 0x21: "standard"}
_OF_MODULE = (0x19, 0x47, 0x1A, 0x32, 0x1C, 0x48, 0x31, 0x1E, 0x2C)
"""The records of a module, before those that say of which kind it is."""


def structure(package: bytes) -> Facts:
    """All facts of an .xlam or .xlsm file."""
    facts: Facts = {}
    with zipfile.ZipFile(io.BytesIO(package)) as file:
        _package(file, facts)
        _workbook(file, facts)
        project = file.read("xl/vbaProject.bin")
    with olefile.OleFileIO(io.BytesIO(project), raise_defects=olefile.DEFECT_INCORRECT) as streams:
        facts["compound: defects"] = [text for _, text in streams.parsing_issues]
        _container(project, streams, facts)
        directory = bytes(decompress_stream(bytearray(streams.openstream("VBA/dir").read())))
        modules = _directory(directory, facts)
        _project(streams.openstream("PROJECT").read().decode("cp1252"), modules, facts)
        wide = b"".join(name.encode("cp1252") + b"\0" + (name + "\0").encode("utf-16-le") for name in modules)
        facts["PROJECTwm: names of all modules, in both alphabets"] = (
            streams.openstream("PROJECTwm").read() == wide + b"\0\0"
        )
        _sources(streams, modules, facts)
    return facts


# --- the package ------------------------------------------------------------------------------------------


def _package(file: zipfile.ZipFile, facts: Facts) -> None:
    infos = file.infolist()
    for name in ("compress_type", "flag_bits", "create_system", "external_attr", "extract_version"):
        facts[f"zip: {name}"] = sorted({getattr(info, name) for info in infos})
    facts["zip: first part"] = infos[0].filename
    for info in infos:
        facts[f"part: {_role(info.filename)}"] = True
    types = ElementTree.fromstring(file.read("[Content_Types].xml"))
    for item in types:
        key = item.get("Extension") or _role(item.get("PartName", "").lstrip("/"))
        facts[f"content type: {key}"] = item.get("ContentType")
    for name in ("_rels/.rels", "xl/_rels/workbook.xml.rels"):
        for item in ElementTree.fromstring(file.read(name)):
            kind, target = item.get("Type", ""), _role(item.get("Target", "").lstrip("/"))
            facts[f"relationship: {kind}"] = (name, target, sorted(item.attrib))
    for name in file.namelist():
        if name.startswith("customUI/"):
            root = ElementTree.fromstring(file.read(name))
            facts["ribbon: namespace"] = root.tag.partition("}")[0].strip("{")
            facts["ribbon: elements"] = _below(root)


def _role(name: str) -> str:
    """A part without its number: the second sheet is as good as the first."""
    return re.sub(r"sheet\d+\.xml$", "sheet1.xml", name)


def _below(element: ElementTree.Element) -> list[str]:
    return [child.tag.rpartition("}")[2] for child in element]


def _workbook(file: zipfile.ZipFile, facts: Facts) -> None:
    book = ElementTree.fromstring(file.read("xl/workbook.xml"))
    for child in book:
        tag = child.tag.rpartition("}")[2]
        facts[f"workbook: {tag}"] = True
        if tag in ("workbookPr", "bookViews", "sheets"):
            for item in child if len(child) else [child]:
                for key in item.attrib:
                    facts[f"workbook: {tag}: {key.rpartition('}')[2]}"] = True
    names = ["xl/workbook.xml", *(name for name in file.namelist() if name.startswith("xl/worksheets/sheet"))]
    found = [len(re.findall(r'Pr[^>]* codeName="\w+"', file.read(name).decode())) for name in names]
    facts["code names: one for the workbook and for each sheet"] = found == [1] * len(names)
    for name in names[1:]:
        for tag in _below(ElementTree.fromstring(file.read(name))):
            facts[f"sheet: {tag}"] = True
    for name in ("docProps/app.xml", "docProps/core.xml"):
        for tag in _below(ElementTree.fromstring(file.read(name))):
            facts[f"{PurePosixPath(name).name}: {tag}"] = True


# --- the compound file ------------------------------------------------------------------------------------


def _container(data: bytes, streams: olefile.OleFileIO[bytes], facts: Facts) -> None:
    names = ("minor version", "major version", "byte order", "sector shift", "mini sector shift")
    facts.update(
        {f"compound: {key}": value for key, value in zip(names, struct.unpack_from("<5H", data, 24), strict=True)}
    )
    facts["compound: class of the header"] = data[8:24].hex()
    facts["compound: cutoff of small streams"] = struct.unpack_from("<I", data, 56)[0]
    facts["compound: whole sectors"] = len(data) % 512 == 0
    entries = [entry for entry in streams.direntries if entry is not None]
    facts["compound: root"] = (entries[0].name, entries[0].entry_type)
    for entry in entries:
        kind = {1: "storage", 2: "stream", 5: "root"}[entry.entry_type]
        facts[f"compound: {kind}: class"] = entry.clsid
        facts[f"compound: {kind}: state bits"] = entry.dwUserFlags
        facts[f"compound: {kind}: times"] = "none" if not (entry.createTime or entry.modifyTime) else "some"
    modules = {path[1].upper() for path in streams.listdir() if path[0] == "VBA"} - {"DIR", "_VBA_PROJECT"}
    facts["compound: caches of compiled code"] = any(name.startswith("__SRP") for name in modules)
    facts["compound: other streams"] = sorted(
        "/".join(path) for path in streams.listdir() if path[-1].upper() not in modules
    )
    facts["compound: storages"] = sorted("/".join(path) for path in streams.listdir(streams=False, storages=True))
    facts["_VBA_PROJECT"] = streams.openstream("VBA/_VBA_PROJECT").read()[:7].hex()


# --- the VBA project --------------------------------------------------------------------------------------


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(stream):
        identifier, size = struct.unpack_from("<HI", stream, place)
        size += 2 if identifier == 9 else 0  # its length does not count the minor version
        yield identifier, stream[place + 6 : place + 6 + size]
        place += 6 + size


def _directory(stream: bytes, facts: Facts) -> list[str]:
    """The `dir` stream; returns the names of the modules, in their order."""
    records = list(_records(stream))
    known = [identifier for identifier, _ in records]
    facts["dir: records of the project"] = known[: known.index(0x16)]
    facts["dir: last record"] = known[-1]
    for identifier, data in records[: known.index(0x16)]:
        if identifier not in (0x04, 0x09):  # its own name and version
            facts[f"dir: record {identifier:#04x}"] = data.hex()
    facts["dir: length of the version"] = len(dict(records)[0x09])
    _references(records[known.index(0x16) : known.index(0x0F)], facts)
    facts["dir: length of the cookie"] = len(dict(records)[0x13])
    modules: list[str] = []
    for number, (identifier, data) in enumerate(records):
        if identifier != 0x19:
            continue
        modules.append(data.decode("cp1252"))
        own = records[number : number + 11]
        kind = _KINDS[own[9][0]]
        facts[f"dir: {kind} module: records"] = [each for each, _ in own] == [*_OF_MODULE, own[9][0], 0x2B]
        names = {own[0][1].decode("cp1252"), own[1][1].decode("utf-16-le"), own[2][1].decode("cp1252")}
        facts[f"dir: {kind} module: one name"] = names == {own[3][1].decode("utf-16-le")}
        facts[f"dir: {kind} module: help context"] = own[7][1].hex()
        facts[f"dir: {kind} module: lengths"] = [len(data) for _, data in own[6:]]
    facts["dir: number of modules"] = struct.unpack("<H", dict(records)[0x0F])[0] == len(modules)
    return modules


def _references(records: list[tuple[int, bytes]], facts: Facts) -> None:
    for number, (identifier, data) in enumerate(records):
        if identifier != 0x16:
            continue
        kind = records[number + 2][0]
        text = records[number + 2][1]
        facts[f"reference: {data.decode()}: record"] = f"{kind:#04x}"
        if kind == 0x0D:
            size = struct.unpack_from("<I", text)[0]
            form = re.sub(r"[A-Z]:\\.*\\", "FOLDER\\\\", text[4 : 4 + size].decode("cp1252"))
            facts[f"reference: {data.decode()}: library"] = re.sub(r"\d\d\.0 Object", "NN.0 Object", form)
            facts[f"reference: {data.decode()}: rest"] = text[4 + size :].hex()


def _project(text: str, modules: list[str], facts: Facts) -> None:
    """The `PROJECT` stream: keys, in their order, and the form of their values."""
    for name in sorted(modules, key=len, reverse=True):
        text = re.sub(rf"(?<=[=\n]){name}(?=[/=\r])", "MODULE", text)
    facts["PROJECT: ends of lines"] = "\n" not in text.replace("\r\n", "")
    head, _, rest = text.partition("[Host Extender Info]")
    lines = [re.sub(r'(ID|Name|CMG|DPB|GC)=".*"', r'\1="…"', line) for line in head.split("\r\n")]
    found = [line for line in lines if not line.startswith(("Document=", "Module=", "Class=", "HelpFile="))]
    facts["PROJECT: properties"] = found
    for line in lines:
        if line.startswith(("Document=", "Module=", "Class=")):
            facts[f"PROJECT: {line}"] = True
    listed = [line for line in lines if re.search(r"=MODULE\b", line)]
    facts["PROJECT: as many modules as in dir"] = len(listed) == len(modules)
    extender, _, workspace = rest.partition("[Workspace]")
    facts["PROJECT: extenders"] = extender.split("\r\n")
    windows = workspace.strip("\r\n").split("\r\n")
    facts["PROJECT: a window for each module"] = len(windows) == len(modules)
    for line in windows:
        facts["PROJECT: form of a window"] = bool(re.fullmatch(r"MODULE=-?\d+, -?\d+, -?\d+, -?\d+, [CZ]?.*", line))
    facts["PROJECT: end"] = workspace[len(workspace.rstrip("\r\n")) :]


def _sources(streams: olefile.OleFileIO[bytes], modules: list[str], facts: Facts) -> None:
    """The attributes of each kind of module, and how its lines end."""
    directory = bytes(decompress_stream(bytearray(streams.openstream("VBA/dir").read())))
    places, kinds, name = {}, {}, ""
    for identifier, data in _records(directory):
        if identifier == 0x19:
            name = data.decode("cp1252")
        elif identifier == 0x31:
            places[name] = struct.unpack("<I", data)[0]
        elif identifier in _KINDS:
            kinds[name] = _KINDS[identifier]
    for name in modules:
        packed = streams.openstream(f"VBA/{name}").read()[places[name] :]
        source = bytes(decompress_stream(bytearray(packed))).decode("cp1252")
        heads = [line for line in source.splitlines() if line.startswith("Attribute VB_")]
        forms = [re.sub(r'(VB_Name|VB_Description) = ".*"', r'\1 = "…"', line) for line in heads]
        kind = kinds[name]
        facts[f"source: attributes: {kind}: " + "; ".join(forms)] = True
        facts["source: ends of lines"] = "\n" not in source.replace("\r\n", "")
