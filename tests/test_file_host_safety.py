"""Files that are damaged, hostile or something else: one line that says so, and the file stays as it was."""

from __future__ import annotations

import os
import random
import struct
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import xlsxwriter

from sgdsheet.errors import FileError
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.xlsx import package as package_module
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.xlsx_reader import read_outline
from sgdsheet.sheet.references import Cell
from tests.errors import refusal
from tests.xlsx_parts import MAIN, book_file, member, parts, relationships, sheet, zipped

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
BILLION_LAUGHS = (
    '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f'<worksheet xmlns="{MAIN}"><sheetData>'
    '<row r="1"><c r="A1" t="str"><v>&b;</v></c></row></sheetData></worksheet>'
)
EXTERNAL = '<!DOCTYPE w SYSTEM "file:///etc/hostname"><workbook/>'


def with_part(name: str, text: str | bytes | None) -> bytes:
    """A sound workbook, but for one part."""
    content = parts(sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), strings="<si><t>a</t></si>")
    if text is None:
        del content[name]
    else:
        content[name] = text
    return zipped(content)


def corrupt(data: bytes, name: str) -> bytes:
    """Flip bits in the middle of a member's compressed bytes."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        info = archive.getinfo(name)
    middle = info.header_offset + 30 + len(name) + info.compress_size // 2
    return data[:middle] + bytes((data[middle] ^ 0xFF,)) + data[middle + 1 :]


def with_size(data: bytes, name: str, size: int) -> bytes:
    """Lie about a member's size in the central directory."""
    start = data.rindex(name.encode()) - 46
    assert data[start : start + 4] == b"PK\1\2"
    return data[: start + 24] + struct.pack("<L", size) + data[start + 28 :]


def twice(name: str) -> bytes:
    content = dict(parts(sheet()))
    content[name.upper()] = content[name]
    return zipped(content)


def encrypted(data: bytes) -> bytes:
    """Set the flag of encryption in all headers."""
    out = bytearray(data)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = data.find(signature)
        while position >= 0:
            out[position + offset] |= 1
            position = data.find(signature, position + 4)
    return bytes(out)


SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
GOOD = with_part("x.xml", "")
BAD_FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.xlsx", lambda: b"", "“a.xlsx” is empty, not an xlsx workbook. Give the name of an .xlsx"),
    "text": ("a.xlsx", lambda: b"hello", "“a.xlsx” is not an xlsx workbook. Give the name of an .xlsx file"),
    "txt": (
        "a.txt",
        lambda: b"a,b\n1,2\n",
        "“a.txt” is not an xlsx workbook but a text file. Open it in Excel.",
    ),
    "password": (
        "a.xlsx",
        lambda: OLE + "EncryptedPackage".encode("utf-16-le"),
        "“a.xlsx” is protected by a password. Open it in Excel and save it without a password",
    ),
    "ods": (
        "a.ods",
        lambda: zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}),
        "“a.ods” has no part content.xml",
    ),
    "odt": (
        "a.odt",
        lambda: zipped({"mimetype": "application/vnd.oasis.opendocument.text"}),
        "is an OpenDocument file, but no spreadsheet. Give the name of an .ods or .xlsx file",
    ),
    "zip": ("a.zip", lambda: zipped({"readme.txt": "hello"}), "is a zip archive, not an xlsx workbook"),
    "docx": ("a.docx", lambda: with_part("xl/workbook.xml", "<document/>"), "“a.docx” is no workbook"),
    "truncated": (
        "a.xlsx",
        lambda: GOOD[: len(GOOD) // 2],
        "is damaged or incomplete (File is not a zip file)",
    ),
    "zlib": ("a.xlsx", lambda: corrupt(GOOD, SHEET), f"is damaged or incomplete ({SHEET}: "),
    "checksum": ("a.xlsx", lambda: with_size(GOOD, SHEET, 20), f"is damaged or incomplete ({SHEET}: Bad CRC"),
    "encrypted": ("a.xlsx", lambda: encrypted(GOOD), "has an encrypted part. Save it without a password"),
    "twice": ("a.xlsx", lambda: twice(SHEET), "twice. Open it in Excel"),
    "path": ("a.xlsx", lambda: with_part("../../evil", "x"), "unsafe path ('../../evil')"),
    "root": ("a.xlsx", lambda: with_part("/etc/evil", "x"), "unsafe path ('/etc/evil')"),
    "target": (
        "a.xlsx",
        lambda: with_part("_rels/.rels", relationships(("officeDocument", "../../etc/passwd"))),
        "refers to something outside of itself ('../../etc/passwd')",
    ),
    "broken sheet": (
        "a.xlsx",
        lambda: with_part(SHEET, "<worksheet"),
        f"{SHEET} is not valid XML (unclosed token",
    ),
    "other sheet": ("a.xlsx", lambda: with_part(SHEET, "<worksheet/>"), f"{SHEET} is not a worksheet"),
    "broken strings": (
        "a.xlsx",
        lambda: with_part(STRINGS, "<sst>"),
        f"{STRINGS} is not valid XML (no element",
    ),
    "bad encoding": (
        "a.xlsx",
        lambda: with_part(SHEET, '<?xml version="1.0" encoding="klingon"?><a/>'),
        f"{SHEET} cannot be read (unknown encoding",
    ),
    "no sheet": ("a.xlsx", lambda: with_part(SHEET, None), f"“a.xlsx” has no part {SHEET}. Open it in Excel"),
    "no workbook": ("a.xlsx", lambda: with_part("xl/workbook.xml", None), "has no part xl/workbook.xml"),
    "no strings": ("a.xlsx", lambda: with_part(STRINGS, None), f"has no part {STRINGS}"),
    "no root": ("a.xlsx", lambda: with_part("_rels/.rels", None), "does not say which part is its workbook"),
    "no links": ("a.xlsx", lambda: with_part("xl/_rels/workbook.xml.rels", None), "a sheet without a part"),
    "entities": (
        "a.xlsx",
        lambda: with_part(SHEET, BILLION_LAUGHS),
        f"{SHEET} has a document type declaration",
    ),
    "external": ("a.xlsx", lambda: with_part("xl/workbook.xml", EXTERNAL), "has a document type declaration"),
    "nested": (
        "a.xlsx",
        lambda: with_part("xl/workbook.xml", "<a>" * 99 + "</a>" * 99),
        "is nested too deeply",
    ),
    "bomb": (
        "a.xlsx",
        lambda: with_part(SHEET, b" " * (40 << 20)),
        f"has a suspiciously large part ({SHEET}). Don't use it unless you trust its source",
    ),
    "scope": (
        "a.xlsx",
        lambda: zipped(
            parts(
                sheet(),
                book='<definedNames><definedName name="n" localSheetId="9">1</definedName></definedNames>',
            )
        ),
        "has a name for a sheet that does not exist ('n')",
    ),
    "view": (
        "a.xlsx",
        lambda: zipped(parts(sheet(), before='<bookViews><workbookView activeTab="x"/></bookViews>')),
        "has a bad number: 'x'",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file(tmp_path: Path, case: str) -> None:
    name, build, words = BAD_FILES[case]
    path, data = tmp_path / name, build()
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        FileHost(path).read()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data


def test_damaged_table(tmp_path: Path) -> None:
    content = parts(sheet())
    content["xl/worksheets/_rels/sheet1.xml.rels"] = relationships(("table", "../tables/table1.xml"))
    content["xl/tables/table1.xml"] = f'<table xmlns="{MAIN}" displayName="t" ref="A1:?"/>'
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(content))
    with refusal(FileError, cause=r"xl/tables/table1\.xml has a bad reference"):
        FileHost(path).read()


def test_two_sheets_must_differ(tmp_path: Path) -> None:
    book, links = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
    for part, old, new, words in (
        (book, '"S2"', '"s1"', "two sheets of the name 's1'"),
        (book, '"rId2"', '"rId1"', "two sheets for one part"),
        (links, "worksheets/sheet2.xml", "worksheets/SHEET1.xml", "two sheets for one part"),
    ):
        content = parts(sheet(), sheet())
        assert old in str(content[part])
        content[part] = str(content[part]).replace(old, new)
        path = tmp_path / "book.xlsx"
        path.write_bytes(zipped(content))
        with refusal(FileError, cause=words):
            FileHost(path).read()


@pytest.mark.parametrize("kind", ["worksheet", "chartsheet"])
def test_many_sheets_take_no_longer_each(tmp_path: Path, kind: str) -> None:
    count = 20_000
    content = parts()
    tabs = "".join(f'<sheet name="S{i}" sheetId="{i}" r:id="rId{i}"/>' for i in range(1, count + 1))
    content["xl/workbook.xml"] = str(content["xl/workbook.xml"]).replace("<sheets>", f"<sheets>{tabs}")
    links = [(kind, f"worksheets/sheet{i}.xml") for i in range(1, count + 1)]
    content["xl/_rels/workbook.xml.rels"] = relationships(*links)
    package = Package("book.xlsx", zipped(content))
    start = time.process_time()
    assert len(read_outline(package).sheets) == count
    assert time.process_time() - start < 5  # comparing all pairs took half a minute


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.xlsx"
    with pytest.raises(FileError) as caught:
        FileHost(path).read()
    assert str(caught.value) == f"“{path}” does not exist. Check the file name"


def test_folder(tmp_path: Path) -> None:
    with refusal(FileError, cause="is a folder$", remedy=r"^Give the name of an \.xlsx file"):
        FileHost(tmp_path).read()


def test_file_as_folder(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet())
    with refusal(FileError, cause="cannot be read: Not a directory$", remedy="^Check the file name"):
        FileHost(path / "other.xlsx").read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xlsx")
    with refusal(FileError, cause="is not a file"):
        FileHost(tmp_path / "pipe.xlsx").read()


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with refusal(FileError, cause="cannot be read: access is denied$", remedy="^Close it in other programs"):
        FileHost(book_file(tmp_path, sheet())).read()


def test_total_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book_file(tmp_path, sheet(), sheet("<row/>" * 1000))
    FileHost(path).read()
    monkeypatch.setattr(package_module, "MAX_TOTAL", 5000)
    with refusal(FileError, cause="suspiciously large part"):
        FileHost(path).read()


def test_saving_often_does_not_use_up_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = FileHost(book_file(tmp_path, sheet()))
    monkeypatch.setattr(package_module, "MAX_TOTAL", 3000)
    for step in range(30):
        host.write({Cell("S1", 1, 1): step / 3})
        host.save(tmp_path / "out.xlsx")
    assert FileHost(tmp_path / "out.xlsx").read().sheets["S1"].values == {(1, 1): 29 / 3}


def test_large_member_that_is_not_read_does_no_harm(tmp_path: Path) -> None:
    content = parts(sheet())
    content["xl/media/image1.bmp"] = bytes(40 << 20)
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(content))
    host = FileHost(path)
    host.write({Cell("S1", 1, 1): 1.0})
    host.save()
    assert member(path, "xl/media/image1.bmp") == content["xl/media/image1.bmp"]


def small_book(path: Path) -> None:
    book = xlsxwriter.Workbook(path)
    page = book.add_worksheet()
    page.write_row("A1", [1, "text", True, "more text"])
    page.write_formula("A2", "=A1+1", None, 2)
    page.write_dynamic_array_formula("C3:C4", "=UNIQUE(A1:A2)", None, 1)
    page.add_table("F1:G3", {"columns": [{"header": "x"}, {"header": "y"}]})
    page.merge_range("A9:C9", "wide")
    book.define_name("rate", "=0.5")
    book.close()


def use(path: Path) -> bool:
    """Read, write and save; whether that went well."""
    try:
        host = FileHost(path)
        sheets = host.read().sheets
        host.write({Cell(name, row, 2): 0.5 for name in sheets for row in (1, 2, 7)})
        host.save()
        FileHost(path).read()
        return True
    except FileError as error:
        message = str(error)
    assert "\n" not in message
    return False


def mangle(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, insert or repeat a few bytes."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        start = chance.randrange(len(out))
        length = chance.choice((1, 1, 2, 8, 40))
        piece = out[start : start + length]
        replacement = chance.choice(
            (
                bytes(chance.randrange(256) for _ in piece),
                b"",
                bytes(piece) * 2,
                b"0" * length,
                b"<",
                b'"',
                b"\xff",
            )
        )
        out[start : start + length] = replacement
        if not out:
            return b"P"
    return bytes(out)


def test_random_damage_to_the_archive(tmp_path: Path) -> None:
    chance, path = random.Random(1), tmp_path / "book.xlsx"
    small_book(path)
    data, sound = path.read_bytes(), 0
    for _ in range(1500):
        path.write_bytes(mangle(data, chance))
        sound += use(path)
    assert 0 < sound < 1500


def test_random_damage_to_the_parts(tmp_path: Path) -> None:
    chance, path = random.Random(2), tmp_path / "book.xlsx"
    small_book(path)
    with zipfile.ZipFile(path) as archive:
        content: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in content if not name.startswith(("docProps", "xl/theme", "xl/styles"))]
    sound = 0
    for _ in range(1500):
        name = chance.choice(names)
        old = content[name]
        assert isinstance(old, bytes)
        path.write_bytes(zipped({**content, name: mangle(old, chance)}))
        sound += use(path)
    assert 0 < sound < 1500


def test_random_damage_to_the_directory(tmp_path: Path) -> None:
    """Wrong numbers in the archive's directory: sizes, offsets, methods, lengths."""
    chance, path = random.Random(3), tmp_path / "book.xlsx"
    small_book(path)
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    for _ in range(1000):
        out = bytearray(data)
        for _ in range(chance.choice((1, 2, 4))):
            out[chance.randrange(start, len(out))] = chance.choice((0, 1, 8, 255, chance.randrange(256)))
        path.write_bytes(bytes(out))
        use(path)
