"""The add-in's file: the same text comes out that went in, in the package that Excel's own add-ins are."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from importlib.metadata import distribution
from xml.etree import ElementTree

import olefile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdsheet.apps import examples
from sgdsheet.apps.excel_addin import build as building
from sgdsheet.apps.excel_addin.compression import compress
from sgdsheet.apps.excel_addin.container import container
from sgdsheet.apps.excel_addin.project import Module, encrypted, vba_project
from sgdsheet.apps.excel_addin.texts import DOCUMENTS, MODULES, source
from sgdsheet.apps.excel_addin.xlwings_bridge import installed_bridge, read_bridge
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.errors import SgdSheetError
from tests.addin_parts import VBA_Parser, addin, decompress_stream, modules
from tests.errors import refusal

XLWINGS = distribution("xlwings")
TEMPLATE = XLWINGS.locate_file("xlwings/quickstart_addin_ribbon.xlam")


def vba_streams(package: bytes) -> olefile.OleFileIO[bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as parts:
        return olefile.OleFileIO(io.BytesIO(parts.read("xl/vbaProject.bin")))


def xlwings_text() -> str:
    return XLWINGS.locate_file("xlwings/xlwings_custom_addin.bas").read_text(encoding="utf-8")  # type: ignore[attr-defined]


# --- compression and container ----------------------------------------------------------------------------


@given(st.binary(max_size=20_000).filter(lambda data: len(data) % 4096 < 3600))
def test_compression_round_trip_of_any_bytes(data: bytes) -> None:
    assert not data or decompress_stream(bytearray(compress(data))) == data


@given(st.text("ab \r\n", max_size=20_000))
def test_compression_round_trip_of_repeating_text(text: str) -> None:
    data = text.encode()
    packed = compress(data)
    assert not data or decompress_stream(bytearray(packed)) == data
    assert len(packed) <= len(data) * 9 / 8 + 8


def test_compression_of_source_is_worth_it() -> None:
    data = xlwings_text().encode()
    assert decompress_stream(bytearray(compress(data))) == data
    assert len(compress(data)) < len(data) / 2


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Za-z]{1,20}\Z"),
        st.integers(0, 70_000) | st.sampled_from([0, 1, 63, 64, 4095, 4096, 4097]),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=60)
def test_container_gives_every_stream_back(sizes: dict[str, int]) -> None:
    unlike = {name.upper(): (name, size) for name, size in sizes.items()}  # names differ by more than case
    streams = {f"VBA/{name}": (name.encode() * size)[:size] for name, size in unlike.values()}
    with olefile.OleFileIO(io.BytesIO(container(streams)), raise_defects=olefile.DEFECT_UNSURE) as file:
        assert {f"VBA/{name}" for _, name in file.listdir()} == set(streams)
        for name, data in streams.items():
            assert file.openstream(name).read() == data
        assert not file.parsing_issues


def test_siblings_are_a_red_black_tree() -> None:
    """What [MS-CFB] 2.6.4 asks for: no red child of a red one, and as many black ones on every way down."""
    for count in range(1, 40):
        data = container({f"s{number}": b"x" for number in range(count)})
        start = struct.unpack_from("<I", data, 48)[0]
        entries = [data[512 * (start + 1) + 128 * number :][:128] for number in range(count + 1)]

        def black_height(index: int, parent_is_red: bool, entries: list[bytes] = entries) -> int:
            if index == 0xFFFFFFFF:
                return 1
            is_red = entries[index][67] == 0
            assert not (is_red and parent_is_red)
            left, right = struct.unpack_from("<II", entries[index], 68)
            heights = {black_height(left, is_red), black_height(right, is_red)}
            assert len(heights) == 1
            return heights.pop() + (not is_red)

        root = struct.unpack_from("<I", entries[0], 76)[0]
        assert entries[root][67] == 1
        black_height(root, False)


# --- the project ------------------------------------------------------------------------------------------


def test_olevba_reads_every_module_byte_for_byte() -> None:
    parser = VBA_Parser("sgdsheet.xlam", data=addin())
    found = {stream.rpartition("/")[2]: text for _, stream, _, text in parser.extract_all_macros()}
    parser.close()
    assert set(found) == set(modules())
    for name, module in modules().items():
        assert found[name].encode("ascii") == module.data


def test_modules_are_the_texts_of_the_folder() -> None:
    for name in (*DOCUMENTS, *MODULES):
        ending = "cls" if name in DOCUMENTS else "bas"
        assert modules()[name].data.replace(b"\r\n", b"\n").decode() == source(f"vba/{name}.{ending}")


def test_no_compiled_code() -> None:
    with vba_streams(addin()) as file:
        assert file.openstream("VBA/_VBA_PROJECT").read() == bytes.fromhex("CC61FFFF000100")
        expected = {"PROJECT", "PROJECTwm", "VBA/_VBA_PROJECT", "VBA/dir", *(f"VBA/{name}" for name in modules())}
        assert {"/".join(path) for path in file.listdir()} == expected  # no __SRP_, no other cache
        for name, module in modules().items():
            data = file.openstream(f"VBA/{name}").read()
            assert decompress_stream(bytearray(data)) == module.data  # from its very first byte


def records(stream: bytes) -> list[int]:
    """The identifiers of the records of a `dir` stream."""
    found, place = [], 0
    while place < len(stream):
        identifier, size = struct.unpack_from("<HI", stream, place)
        found.append(identifier)
        place += 6 + size + (2 if identifier == 9 else 0)
    return found


def test_dir_stream_has_the_records_of_the_template() -> None:
    """Around each module, and at the head and the end, the same records in the same order."""
    with vba_streams(addin()) as ours, vba_streams(TEMPLATE.read_bytes()) as theirs:  # type: ignore[attr-defined]
        our, their = (
            records(decompress_stream(bytearray(file.openstream("VBA/dir").read()))) for file in (ours, theirs)
        )
    assert our[: our.index(0x16)] == their[: their.index(0x16)]
    assert our[our.index(0x0F) :][:10] == their[their.index(0x0F) :][:10]
    assert our[-1] == their[-1] == 0x10
    assert our.count(0x19) == len(modules())


def decrypted(text: str) -> bytes:
    """The reverse of [MS-OVBA] 2.4.3.2, written from its decryption algorithm."""
    data = bytes.fromhex(text)
    seed, version, key = data[0], data[0] ^ data[1], data[0] ^ data[2]
    assert version == 2
    plain, last, before = key, data[2], data[1]
    result = bytearray()
    for byte in data[3:]:
        value = byte ^ (before + plain & 0xFF)
        before, last, plain = last, byte, value
        result.append(value)
    body = result[(seed & 6) // 2 :]
    assert struct.unpack_from("<I", body)[0] == len(body) - 4
    return bytes(body[4:])


def test_protection_state() -> None:
    """Not protected, no password, visible; read like the values in the template."""
    assert decrypted("5D5F8AADDAA8DEA8DEA8DEA8DE") == bytes(4)
    assert decrypted("5D5F8AADDAADDBADDBAD") == bytes(1)
    with vba_streams(addin()) as file:
        text = file.openstream("PROJECT").read().decode("ascii")
    found = dict(re.findall(r'^(CMG|DPB|GC)="(\w+)"', text, re.MULTILINE))
    assert {key: decrypted(value) for key, value in found.items()} == {"CMG": bytes(4), "DPB": b"\0", "GC": b"\xff"}


@given(st.binary(max_size=40), st.integers(0, 255))
def test_any_property_can_be_read_back(data: bytes, seed: int) -> None:
    assert decrypted(encrypted(data, seed=seed)) == data


def test_source_must_be_ascii() -> None:
    with pytest.raises(UnicodeEncodeError):
        vba_project("p", [Module("m", "' ü")])


# --- the package ------------------------------------------------------------------------------------------


def content_types(package: zipfile.ZipFile) -> dict[str, str]:
    root = ElementTree.fromstring(package.read("[Content_Types].xml"))
    return {item.get("PartName", item.get("Extension", "")): item.get("ContentType", "") for item in root}


def relationships(package: zipfile.ZipFile, name: str) -> dict[str, str]:
    root = ElementTree.fromstring(package.read(name))
    return {item.get("Type", ""): item.get("Target", "") for item in root}


def test_package_is_like_the_template() -> None:
    """But for the theme, which nobody sees, and the ribbon, which is of Office 2010 and later."""
    with zipfile.ZipFile(io.BytesIO(addin())) as ours, zipfile.ZipFile(TEMPLATE) as theirs:  # type: ignore[call-overload]
        theme = {"xl/theme/theme1.xml"}
        renamed = {"customUI/customUI.xml": "customUI/customUI14.xml"}
        assert set(ours.namelist()) == {renamed.get(name, name) for name in theirs.namelist()} - theme
        their_types = content_types(theirs)
        del their_types["/xl/theme/theme1.xml"]
        assert content_types(ours) == their_types
        for name in ("_rels/.rels", "xl/_rels/workbook.xml.rels"):
            their = relationships(theirs, name)
            assert relationships(ours, name) == {
                kind: renamed.get(target, target) for kind, target in their.items() if not kind.endswith("/theme")
            }
        for name in ours.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(ours.read(name))


def test_code_names_belong_to_document_modules() -> None:
    with zipfile.ZipFile(io.BytesIO(addin())) as package:
        names = {
            re.search(r'codeName="(\w+)"', package.read(part).decode())[1]  # type: ignore[index]
            for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml")
        }
    assert names == set(DOCUMENTS) == {name for name, module in modules().items() if module.document}


def test_build_is_reproducible() -> None:
    assert building.build(declarations(), examples.names()) == addin()
    with zipfile.ZipFile(io.BytesIO(addin())) as package:
        assert {info.date_time for info in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.create_system for info in package.infolist()} == {0}


# --- xlwings ----------------------------------------------------------------------------------------------


def test_declarations_are_those_of_the_installed_xlwings() -> None:
    bridge = installed_bridge()
    assert bridge.version == XLWINGS.version
    text = modules()["SgdFunctions"].source
    for declaration in (bridge.declare64, bridge.declare32):
        assert declaration.removeprefix("Private ") in xlwings_text()
        assert declaration in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xlwings.serve('$(CLSID)')", "xlwings.serve2('$(CLSID)')"),
        ("Optional ByVal mode As Long = 1) As Long", "Optional ByVal mode As Integer = 1) As Long"),
        ("XLPyCommand = PYTHON_WIN & tail & Chr(34)", "XLPyCommand = PYTHON_WIN & tail"),
        ("0.37.8.dll", "0.37.7.dll"),
    ],
)
def test_an_xlwings_with_another_text_is_refused(old: str, new: str) -> None:
    old = old.replace("0.37.8", XLWINGS.version)
    changed = xlwings_text().replace(old, new)
    assert changed != xlwings_text()
    with refusal(SgdSheetError, cause="is one that this sgdsheet does not know", remedy="pip install"):
        read_bridge(changed, XLWINGS.version)


# --- who may call what ------------------------------------------------------------------------------------

PROCEDURE = re.compile(r"^(Public |Private |Friend )?(Sub|Function|Property \w+) (\w+)\(", re.MULTILINE)


def test_formulas_can_call_nothing_but_the_functions() -> None:
    """A formula in any workbook can call what is a public Function of an add-in: here only SGD_…, and by name.

    And `SgdExchange`, which gives a formula nothing: `test_excel_chain.py` tries it.
    """
    offered = {item["name"] for item in declarations()}
    public = set()
    for module in modules().values():
        for scope, kind, name in PROCEDURE.findall(module.source):
            assert scope, f"{module.name}.{name} does not say whether it is public"
            if kind != "Sub" and scope == "Public ":
                public.add(name)
        assert not re.search(r"^\s*(Public )?Declare ", module.source, re.MULTILINE)
    assert public == {*offered, "SgdExchange"}
    assert "\nOption Private Module\n" in modules()["SgdCells"].source


def test_nothing_asks_a_workbook_which_python_to_run() -> None:
    """The interpreter comes from one file of the user, and no text of the workbook is part of a command."""
    bridge = modules()["SgdBridge"].source
    find = re.search(r"^Public Sub FindInterpreter.*?^End Sub", bridge, re.MULTILINE | re.DOTALL)
    assert find
    assert 'FindVariable "APPDATA", Folder\n        ReadText Folder & "\\sgdsheet\\sgdsheet.conf", Text' in find[0]
    for name, module in modules().items():
        code = "\n".join(line for line in module.source.splitlines() if not line.lstrip().startswith("'"))
        assert not re.search(r"GetConfig|\.conf\"\)|CONDA|PYTHONPATH|LICENSE|embedded", code), name
        if name == "SgdRibbon":  # knows by name which workbooks are trained, and starts nothing
            assert not re.search(r"\.Run\b|Shell|AppleScriptTask|CreateObject", code)
            continue
        for line in code.splitlines():
            if "FullName" in line or "ActiveWorkbook.Name" in line or ".Path" in line:
                assert line.strip() == "If Not ActiveWorkbook Is Nothing Then BookName = ActiveWorkbook.FullName"
            if "BookName()" in line and "Function" not in line:
                assert "InDigits(BookName())" in line
    assert len(re.findall(r"\.Run\(|\bShell\(|AppleScriptTask", bridge)) == 2
    functions = "\n".join(line.partition("'  ")[0] for line in modules()["SgdFunctions"].source.splitlines())
    assert not re.search(r"ComSpec|cmd\.exe|/[ck]\b", functions, re.IGNORECASE)  # no shell is between Excel and Python


def test_files_and_folders_may_have_names_in_any_alphabet() -> None:
    """VBA's own words for files and the environment know the code page of Windows only, as do declarations in A."""
    for name, module in modules().items():
        code = "\n".join(line for line in module.source.splitlines() if not line.lstrip().startswith("'"))
        old = r"\b(Open |FileLen|Kill |Environ|CurDir|ChDir|Dir\$?\(|FileCopy|MkDir|GetAttr)"
        assert not re.search(old, code), name
        assert not re.search(r'Alias "\w+A"', code), name
    windows = modules()["SgdWindows"].source
    aliases = re.findall(r'Declare PtrSafe (?:Function|Sub) \w+ Lib "KERNEL32"(?: Alias "(\w+)")?', windows)
    assert len(aliases) >= 7
    assert all(alias.endswith("W") for alias in aliases if alias not in ("", "RtlMoveMemory"))
