"""Saving by patching: the new values arrive, and not one other byte changes."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgdsheet.errors import FileError
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import Cell, address, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.errors import refusal
from tests.shared_data import SOLVED, WORKBOOKS, shared_data
from tests.xlsx_parts import (
    MAIN,
    book_file,
    member,
    openpyxl_book,
    parts,
    sheet,
    zipped,
)

NEWER = ExcelError.SPILL
ATTRIBUTES = ("filename", "date_time", "compress_type", "external_attr", "create_system", "comment", "extra")


def patched(folder: Path, text: str | bytes, changes: dict[str, Any]) -> bytes:
    """The sheet part after the changes; the file must also give them back."""
    path = book_file(folder, text)
    host = FileHost(path)
    host.write({parse_range(a1, "S1").first: value for a1, value in changes.items()})
    host.save(folder / "out.xlsx")
    return member(folder / "out.xlsx")


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ('<c r="A1"><v>1</v></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><v>1</v></c>', 0.1, '<c r="A1"><v>0.1</v></c>'),
        ('<c r="A1"><v>1</v></c>', -1.7756696420932062e-2, '<c r="A1"><v>-0.017756696420932062</v></c>'),
        ('<c r="A1"><v>1</v></c>', 1e300, '<c r="A1"><v>1e+300</v></c>'),
        ('<c r="A1"><v>1</v></c>', 7, '<c r="A1"><v>7</v></c>'),
        ('<c r="A1"><v>0.10000000000000001</v></c>', 0.1, '<c r="A1"><v>0.10000000000000001</v></c>'),
        ("<c r='A1'  s='2' ><v >1</v ></c >", 2.0, "<c r='A1'  s='2' ><v >2</v ></c >"),
        ('<c r="A1" t="n"><v>1</v></c>', 2.0, '<c r="A1" t="n"><v>2</v></c>'),
        ('<c r="A1" s="5"/>', 2.0, '<c r="A1" s="5"><v>2</v></c>'),
        ('<c r="A1" s="5" />', True, '<c r="A1" s="5" t="b"><v>1</v></c>'),
        ('<c r="A1"></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><v/></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><v></v></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><f>1+1</f></c>', 2.0, '<c r="A1"><f>1+1</f><v>2</v></c>'),
        ('<c r="A1"><f t="shared" si="0"/></c>', 2.0, '<c r="A1"><f t="shared" si="0"/><v>2</v></c>'),
        ('<c r="A1"><f>1+1</f><v>3</v></c>', 2.0, '<c r="A1"><f>1+1</f><v>2</v></c>'),
        ('<c r="A1"><f>1</f><extLst/></c>', 2.0, '<c r="A1"><f>1</f><v>2</v><extLst/></c>'),
        ('<c r="A1"><extLst/></c>', 2.0, '<c r="A1"><v>2</v><extLst/></c>'),
        ('<c r="A1" t="s"><v>0</v></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c t="s" r="A1"><v>0</v></c>', False, '<c r="A1" t="b"><v>0</v></c>'),
        ('<c r="A1" t="inlineStr"><is><t>x</t></is></c>', 2.0, '<c r="A1"><v>2</v></c>'),
        ('<c r="A1"><v>1</v></c>', ExcelError.NA, '<c r="A1" t="e"><v>#N/A</v></c>'),
        ('<c r="A1"><v>1</v></c>', NEWER, '<c r="A1" t="e"><v>#VALUE!</v></c>'),
        ('<c r="A1"><f>B1</f><v>1</v></c>', "a<b", '<c r="A1" t="str"><f>B1</f><v>a&lt;b</v></c>'),
        ('<c r="A1" t="str"><f>B1</f><v>a</v></c>', "é", '<c r="A1" t="str"><f>B1</f><v>&#233;</v></c>'),
        ('<c r="A1" t="str"><f>B1</f><v>a</v></c>', "", '<c r="A1" t="str"><f>B1</f><v></v></c>'),
        ('<c r="A1" t="e"><f>B1</f><v>#N/A</v></c>', 1.0, '<c r="A1"><f>B1</f><v>1</v></c>'),
        ('<c r="A1"><v>1</v></c>', "a", '<c r="A1" t="inlineStr"><is><t>a</t></is></c>'),
        (
            '<c r="A1" t="s"><v>1</v></c>',
            " a\r",
            '<c r="A1" t="inlineStr"><is><t xml:space="preserve"> a_x000D_</t></is></c>',
        ),
        (
            '<c r="A1" t="inlineStr"><is><r><t>old</t></r></is></c>',
            "new",
            '<c r="A1" t="inlineStr"><is><t>new</t></is></c>',
        ),
        ('<c r="A1" t="inlineStr"><is><t>x</t></is><v>y</v></c>', 1.0, '<c r="A1"><v>1</v></c>'),
        ('<c r="A1" cm="1" vm="2" t="e"><v>#VALUE!</v></c>', 1.0, '<c r="A1" cm="1"><v>1</v></c>'),
        ('<c r="A1" vm="2"><v>1</v></c>', 1.0, '<c r="A1"><v>1</v></c>'),
        ('<c r="A1"><!-- > --><v><![CDATA[1]]></v></c>', 2.0, '<c r="A1"><!-- > --><v>2</v></c>'),
        ('<c r="A1" q="a>b/"><v>1</v></c>', 2.0, '<c r="A1" q="a>b/"><v>2</v></c>'),
    ],
)
def test_existing_cell(tmp_path: Path, old: str, value: Value, new: str) -> None:
    rows = '<row r="1" spans="1:2">{}<c r="B1"><v>9</v></c></row>\n<row r="2"><c r="A2"><v>1</v></c></row>'
    assert patched(tmp_path, sheet(rows.format(old)), {"A1": value}).decode() == sheet(rows.format(new))


@pytest.mark.parametrize(
    ("old", "changes", "new"),
    [
        ("", {"B2": 1.0}, '<row r="2"><c r="B2"><v>1</v></c></row>'),
        ('<row r="1"/>', {"A1": 1.0}, '<row r="1"><c r="A1"><v>1</v></c></row>'),
        ('<row r="1" ></row>', {"A1": True}, '<row r="1" ><c r="A1" t="b"><v>1</v></c></row>'),
        (
            '<row r="1"><extLst/></row>',
            {"A1": "x"},
            '<row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c><extLst/></row>',
        ),
        (
            '<row r="3"><c r="C3"/></row>',
            {"A1": 1.0, "B1": 2.0, "A3": 3.0, "D3": 4.0, "A9": 5.0, "B3": 6.0},
            '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
            '<row r="3"><c r="A3"><v>3</v></c><c r="B3"><v>6</v></c><c r="C3"/><c r="D3"><v>4</v></c></row>'
            '<row r="9"><c r="A9"><v>5</v></c></row>',
        ),
        (
            "<row><c/><c><v>1</v></c></row><row><c/></row>",
            {"B1": 5.0, "A2": 6.0, "B2": 7.0, "A3": 8.0},
            '<row><c/><c><v>5</v></c></row><row><c><v>6</v></c><c r="B2"><v>7</v></c></row>'
            '<row r="3"><c r="A3"><v>8</v></c></row>',
        ),
        (
            '<row r="1"><c r="A1"><f t="array" ref="A1:B2">X1:Y2</f><v>1</v></c><c r="B1"><v>1</v></c></row>',
            {"A1": "p", "B1": "q", "B2": "r", "C1": "s", "B3": "t"},
            '<row r="1"><c r="A1" t="str"><f t="array" ref="A1:B2">X1:Y2</f><v>p</v></c><c r="B1" t="str">'
            '<v>q</v></c><c r="C1" t="inlineStr"><is><t>s</t></is></c></row>'
            '<row r="2"><c r="B2" t="str"><v>r</v></c></row>'
            '<row r="3"><c r="B3" t="inlineStr"><is><t>t</t></is></c></row>',
        ),
    ],
)
def test_new_cells(tmp_path: Path, old: str, changes: dict[str, Value], new: str) -> None:
    assert patched(tmp_path, sheet(old), changes).decode() == sheet(new)


def test_empty_sheet_data(tmp_path: Path) -> None:
    text = f'<worksheet xmlns="{MAIN}"><sheetData/><pageMargins left="1"/></worksheet>'
    filled = '<sheetData><row r="2"><c r="A2"><v>1</v></c></row></sheetData>'
    assert patched(tmp_path, text, {"A2": 1.0}).decode() == text.replace("<sheetData/>", filled)


def test_prefix_byte_order_mark_and_surroundings_stay(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<!-- a comment: é -->'
        f'<x:worksheet xmlns:x="{MAIN}"><x:dimension ref="A1:B2"/><x:sheetData>\r\n  <x:row r="2">'
        '<x:c r="A2"/><x:c r="B2" t="s"><x:v>0</x:v></x:c></x:row></x:sheetData>'
        '<x:extLst><c r="A2"/></x:extLst></x:worksheet>'
    )
    found = patched(tmp_path, b"\xef\xbb\xbf" + text.encode(), {"A1": 0.5, "A2": 1.0, "B2": 2.0, "C2": "x"})
    expected = (
        text.replace('<x:c r="A2"/>', '<x:c r="A2"><x:v>1</x:v></x:c>')
        .replace('<x:c r="B2" t="s"><x:v>0<', '<x:c r="B2"><x:v>2<')
        .replace("</x:row>", '<x:c r="C2" t="inlineStr"><x:is><x:t>x</x:t></x:is></x:c></x:row>')
        .replace('ref="A1:B2"', 'ref="A1:C2"')
        .replace('<x:row r="2">', '<x:row r="1"><x:c r="A1"><x:v>0.5</x:v></x:c></x:row><x:row r="2">')
    )
    assert found == b"\xef\xbb\xbf" + expected.encode()


def test_part_that_is_parsed_in_pieces(tmp_path: Path) -> None:
    """Python hands large parts to expat in pieces of 1 MiB; the places of the cells must still be right."""
    rows = "<!--" + "x" * (3 << 20) + '--><row r="1"><c r="A1"><v>{}</v></c></row>'
    assert patched(tmp_path, sheet(rows.format(1)), {"A1": 2.0}).decode() == sheet(rows.format(2))


def test_single_byte_encoding(tmp_path: Path) -> None:
    head = '<?xml version="1.0" encoding="iso-8859-1"?>'
    text = head + sheet('<row r="1"><c r="A1" t="str"><f>"é"</f><v>é</v></c></row>')
    found = patched(tmp_path, text.encode("iso-8859-1"), {"A1": "Ж"}).decode("iso-8859-1")
    assert found == text.replace("<v>é<", "<v>&#1046;<")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, "x" * 32_768, "\ud800"])
def test_impossible_value(tmp_path: Path, value: Value) -> None:
    path = book_file(tmp_path, sheet())
    host, before = FileHost(path), path.read_bytes()
    with pytest.raises(ValueError, match=r"a cell can hold|longer than|surrogates"):
        host.write({Cell("S1", 1, 1): 1.0, Cell("S1", 1, 2): value})
    host.save()
    assert path.read_bytes() == before


@pytest.mark.parametrize(("row", "column"), [(0, 1), (1, 0), (1_048_577, 1), (1, 16_385)])
def test_cell_outside_the_grid(tmp_path: Path, row: int, column: int) -> None:
    with pytest.raises(ValueError, match="outside the grid"):
        FileHost(book_file(tmp_path, sheet())).write({Cell("S1", row, column): 1.0})


def test_sheet_names(tmp_path: Path) -> None:
    host = FileHost(book_file(tmp_path, sheet()))
    host.write({Cell("s1", 1, 1): 1.0})
    host.save()
    assert host.read().sheets["S1"].values == {(1, 1): 1.0}
    with refusal(FileError, cell="other!A1", cause="has no worksheet 'other'"):
        host.write({Cell("other", 1, 1): 1.0})


def test_number_types_of_other_libraries(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    assert b"<v>0.25</v>" in patched(tmp_path, sheet(), {"A1": numpy.float64(0.25)})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('<row r="2"/><row r="1"/>', "row 1 after row 2"),
        ('<row r="2"><c r="B2"/><c r="A2"/></row>', "cell A2 is out of order"),
    ],
)
def test_disorder_is_refused(tmp_path: Path, rows: str, words: str) -> None:
    path = book_file(tmp_path, sheet(rows))
    host, before = FileHost(path), path.read_bytes()
    host.write({Cell("S1", 2, 3): 1.0})
    with refusal(FileError, cause=words):
        host.save()
    assert path.read_bytes() == before


def test_part_in_utf16_is_refused(tmp_path: Path) -> None:
    with refusal(FileError, cause="UTF-16, which can be read but not changed"):
        patched(tmp_path, sheet().encode("utf-16"), {"A1": 1.0})


def test_part_without_sheet_data_is_refused(tmp_path: Path) -> None:
    with refusal(FileError, cause="no sheetData"):
        patched(tmp_path, f'<worksheet xmlns="{MAIN}"/>', {"A1": 1.0})


def test_other_members_keep_everything(tmp_path: Path) -> None:
    """Member order, dates, comments, attributes, stored and streamed members, parts nobody knows."""
    path, out = tmp_path / "book.xlsm", tmp_path / "out.xlsm"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"the archive's comment"
        for index, (name, text) in enumerate(parts(sheet(), sheet()).items()):
            info = zipfile.ZipInfo(name, (1990 + index, 2, 3, 4, 5, 58))
            info.external_attr, info.comment, info.compress_type = 0o640 << 16, b"note", index % 2 * 8
            info.extra = b"\x28\xa2\x04\x00abcd"
            with archive.open(info, "w", force_zip64=index % 3 == 0) as stream:
                stream.write(text if isinstance(text, bytes) else text.encode())
        archive.writestr("xl/vbaProject.bin", bytes(range(256)) * 50)
        archive.writestr("xl/größe.xml", "<<not XML>>")
        archive.mkdir("empty/") if hasattr(archive, "mkdir") else archive.writestr("empty/", b"")
    host = FileHost(path)
    host.write({Cell("S2", 3, 3): 1.5})
    host.save(out)
    check_members(path, out, changed={"xl/worksheets/sheet2.xml"})
    assert FileHost(out).read().sheets["S2"].values == {(3, 3): 1.5}


def check_members(before: Path, after: Path, changed: set[str]) -> None:
    """Same members in the same order, the same bytes in all but the changed ones."""
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        assert new.testzip() is None
        assert new.comment == old.comment
        assert new.namelist() == old.namelist()
        for info in old.infolist():
            other = new.getinfo(info.filename)
            same = [name for name in ATTRIBUTES if name != "extra" or info.extra[:2] != b"\x01\x00"]
            assert [getattr(other, name) for name in same] == [getattr(info, name) for name in same]
            assert (old.read(info) != new.read(other)) == (info.filename in changed)
            if info.filename not in changed:
                assert other.compress_size == info.compress_size


@shared_data("workbooks")
@pytest.mark.parametrize("name", ["titanic_solved.xlsx", "titanic_start.xlsx"])
def test_titanic(tmp_path: Path, name: str) -> None:
    source = WORKBOOKS / name
    host, out = FileHost(source), tmp_path / "out.xlsx"
    old = host.read()
    values = old.sheets["nnet"].values
    changes: dict[tuple[int, int], Value] = {
        (row, column): index / 7
        for index, (row, column) in enumerate(values)
        if (row in (4, 5) and 18 <= column <= 27) or (row > 3 and column == 30)
    }
    assert len(changes) > 20
    host.write({Cell("nnet", *position): value for position, value in changes.items()})
    host.save(out)

    check_members(source, out, changed={"xl/worksheets/sheet2.xml"})
    expected = member(source, "xl/worksheets/sheet2.xml").decode()
    for (row, column), value in changes.items():
        pattern = rf'(<c r="{address(row, column)}"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>)([^<]*)'
        match = re.search(pattern, expected)
        assert match is not None
        if float(match[2]) != value:
            text = repr(value).removesuffix(".0")
            expected = expected[: match.start(2)] + text + expected[match.end(2) :]
    assert member(out, "xl/worksheets/sheet2.xml").decode() == expected

    new, other = FileHost(out).read(), openpyxl_book(out, values=True)["nnet"]
    assert new.sheets["nnet"].values == {**values, **changes}
    assert new.sheets["nnet"].formulas == old.sheets["nnet"].formulas
    assert all(other.cell(*position).value == value for position, value in changes.items())


@shared_data("workbooks")
def test_libreoffice_opens_the_patched_file(tmp_path: Path) -> None:
    office, source = shutil.which("soffice"), SOLVED
    if office is None:
        pytest.skip("LibreOffice is not installed")
    host = FileHost(source)
    first = next(iter(host.read().sheets))
    new: list[Value] = [0.125, "näw <text>", True]
    host.write({Cell(first, 1, 41 + index): value for index, value in enumerate(new)})
    host.write({Cell(first, 1000, 1): 77.0})
    host.save(tmp_path / "out.xlsx")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = [
        office,
        profile,
        "--headless",
        "--convert-to",
        "csv:Text - txt - csv (StarCalc):44,34,76",
        "out.xlsx",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",0.125,näw <text>,TRUE")
    assert lines[999].startswith("77,")


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10, 10).map(float)
texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["_x000D_", " a ", "]]>", "\x00\ufffe"])
cell_values = st.one_of(numbers, texts, st.booleans(), st.sampled_from([ExcelError.NA, ExcelError.DIV0]))
positions = st.tuples(st.integers(1, 8), st.integers(1, 8))
FORMS = (
    '<{p}c r="{a}"/>',
    '<{p}c r="{a}" s="0"><{p}v>3</{p}v></{p}c>',
    '<{p}c r="{a}" t="str"><{p}f>B1&amp;"x"</{p}f><{p}v>old</{p}v></{p}c>',
    '<{p}c r="{a}"><{p}f>1+1</{p}f></{p}c>',
    '<{p}c r="{a}" t="inlineStr" ><{p}is><{p}t>old</{p}t></{p}is></{p}c>',
    '<{p}c t="b" r="{a}" >\n<{p}v>1</{p}v>\n</{p}c>',
    '<{p}c r="{a}" t="e" vm="1"><{p}v>#VALUE!</{p}v></{p}c>',
)


@given(
    cells=st.dictionaries(positions, st.sampled_from(FORMS), max_size=20),
    empty_rows=st.sets(st.integers(1, 9), max_size=3),
    changes=st.dictionaries(positions, cell_values, min_size=1, max_size=20),
    prefix=st.sampled_from(["", "x:"]),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, cells: Any, empty_rows: Any, changes: Any, prefix: str) -> None:
    rows = ""
    for row in sorted({key[0] for key in cells} | empty_rows):
        columns = sorted(column for number, column in cells if number == row)
        inner = "".join(cells[(row, column)].format(p=prefix, a=address(row, column)) for column in columns)
        rows += f'<{prefix}row r="{row}">{inner}</{prefix}row>' if inner else f'<{prefix}row r="{row}"/>'
    name = prefix.rstrip(":")
    declaration = f'xmlns:{name}="{MAIN}"' if name else f'xmlns="{MAIN}"'
    text = f"<{prefix}worksheet {declaration}><{prefix}sheetData>{rows}</{prefix}sheetData></{prefix}worksheet>"
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(parts(text)))
    host = FileHost(path)
    old = host.read().sheets["S1"]
    host.write({Cell("S1", *position): value for position, value in changes.items()})
    host.save()
    new = FileHost(path).read().sheets["S1"]
    expected = {**old.values, **changes}
    assert new.values == expected
    assert {key: type(value) for key, value in new.values.items()} == {k: type(v) for k, v in expected.items()}
    assert new.formulas == old.formulas


def test_in_place_keeps_mode_and_follows_links(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet())
    path.chmod(0o640)
    link = tmp_path / "link.xlsx"
    link.symlink_to(path.name)
    host = FileHost(link)
    host.write({Cell("S1", 1, 1): 1.0})
    host.save()
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert FileHost(path).read().sheets["S1"].values == {(1, 1): 1.0}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["book.xlsx", "link.xlsx"]


def test_save_again_and_elsewhere(tmp_path: Path) -> None:
    path, out = book_file(tmp_path, sheet()), tmp_path / "out.xlsx"
    original = path.read_bytes()
    host = FileHost(path)
    host.write({Cell("S1", 1, 1): 1.0})
    host.save(out)
    assert path.read_bytes() == original
    host.save()
    host.write({Cell("S1", 1, 2): 2.0})
    host.save(path)
    assert host.read().sheets["S1"].values == {(1, 1): 1.0, (1, 2): 2.0}
    host.close()
    host.save(out)
    assert out.read_bytes() == path.read_bytes()


def test_file_that_changed_meanwhile(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet())
    host = FileHost(path)
    host.read()
    host.write({Cell("S1", 1, 1): 1.0})
    book_file(tmp_path, sheet('<row r="1"/>'))
    changed = path.read_bytes()
    with refusal(FileError, cause="changed by another program since it was read$", remedy="^Run again, or save"):
        host.save()
    assert path.read_bytes() == changed
    host.save(tmp_path / "out.xlsx")
    assert member(tmp_path / "out.xlsx").decode() == sheet('<row r="1"><c r="A1"><v>1</v></c></row>')


def test_failure_leaves_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book_file(tmp_path, sheet())
    before = path.read_bytes()
    host = FileHost(path)
    host.write({Cell("S1", 1, 1): 1.0})
    for error, words in (
        (PermissionError(13, "no"), "access is denied"),
        (OSError(28, "No space"), "No space"),
    ):

        def fail(*_: object, error: OSError = error) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail)
            with refusal(FileError, cause=words):
                host.save()
        assert path.read_bytes() == before
        assert [item.name for item in tmp_path.iterdir()] == ["book.xlsx"]
    host.save()
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/out.xlsx", "is not a folder. Create it"),
        ("folder.xlsx", "is a folder. Give a file name"),
        ("book.xlsx/out.xlsx", "is not a folder"),
        ("out.csv", "cannot be saved as .csv"),
        (
            "out.xlsm",
            "cannot be saved as .xlsm: “book.xlsx” is of another kind. Give the output the ending .xlsx",
        ),
    ],
)
def test_impossible_output(tmp_path: Path, output: str, words: str) -> None:
    path = book_file(tmp_path, sheet())
    (tmp_path / "folder.xlsx").mkdir()
    with pytest.raises(FileError) as caught:
        FileHost(path).save(tmp_path / output)
    assert words in str(caught.value)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["book.xlsx", "folder.xlsx"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_output_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xlsx")
    with refusal(FileError, cause="is not an ordinary file"):
        FileHost(book_file(tmp_path, sheet())).save(tmp_path / "pipe.xlsx")


def test_protected_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book_file(tmp_path, sheet())
    monkeypatch.setattr("os.access", lambda *_: False)
    with refusal(FileError, cause="cannot be written: it is protected"):
        FileHost(path).save(tmp_path / "out.xlsx")
