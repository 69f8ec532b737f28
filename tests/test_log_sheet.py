"""The `SGD log` sheet: it is added to a package in which everything else stays as it is."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import Cell
from sgdsheet.train.logbook import LIMIT, Record
from tests.shared_data import SOLVED, shared_data
from tests.xlsx_parts import (
    MAIN,
    RELATIONSHIPS,
    STRICT,
    STRICT_RELATIONSHIPS,
    TYPES,
    book_file,
    member,
    openpyxl_book,
    parts,
    sheet,
    zipped,
)

OWN = Path(__file__).resolve().parents[1] / "workbooks"
BOOKS = [*sorted(OWN.glob("*.xlsx")), pytest.param(SOLVED, marks=shared_data("workbooks"))]
LISTS = {"[Content_Types].xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml"}
ROW = '<row r="1"><c r="A1"><v>1</v></c></row>'


def records(count: int, *, norm: bool = True, scale: float = 1.0) -> list[Record]:
    return [
        Record(
            step,
            step / 8,
            0.4 + scale * math.exp(-8 * step / count),
            0.5 if step % 5 == 0 else None,
            None,
            0.05 / step,
            0.1 if norm else None,
            step * 0.001,
        )
        for step in range(1, count + 1)
    ]


def logged(source: Path, target: Path, items: list[Record], title: str = "A run") -> dict[str, bytes]:
    """The members of the book with the log."""
    host = FileHost(source)
    host.write_log(items, title)
    host.save(target)
    return members(target)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert_consistent(found)
    return found


def assert_consistent(content: dict[str, bytes]) -> None:
    """The XML is valid, each relationship leads to a part, and the new kinds of parts have a content type."""
    trees = {
        name: ElementTree.fromstring(data)
        for name, data in content.items()
        if name.endswith(("ml", "rels")) and len(data) < 200_000  # the large ones are compared byte for byte
    }
    types = trees["[Content_Types].xml"]
    overrides = [item.get("PartName", "") for item in types if item.tag.endswith("}Override")]
    assert len(overrides) == len({name.casefold() for name in overrides})
    assert {name.removeprefix("/") for name in overrides} <= content.keys()
    for name, tree in trees.items():
        if name.endswith(".rels"):
            folder = Path(name).parent.parent
            assert str(folder / Path(name).stem) in content or name == "_rels/.rels"
            for item in tree:
                target = item.get("Target", "")
                place = Path(target[1:]) if target.startswith("/") else (folder / target)
                assert str(Path("/", place).resolve())[1:] in content
    for name in content:
        if re.search(r"/(worksheets|drawings|charts)/[^/]+\.xml$", name):
            assert f"/{name}" in overrides


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_everything_else_stays(tmp_path: Path, path: Path) -> None:
    before, after = members(path), logged(path, tmp_path / "out.xlsx", records(50))
    changed = {name for name in before if after[name] != before[name]}
    assert changed == LISTS
    new = after.keys() - before.keys()
    assert sum(name.startswith("xl/worksheets/sheet") for name in new) == 1
    assert sum(name.startswith("xl/charts/chart") for name in new) == 3
    assert len(new) == 7
    old, book = FileHost(path).read(), FileHost(tmp_path / "out.xlsx").read()
    assert list(book.sheets) == [*old.sheets, "SGD log"]
    assert book.names[:-1] == old.names
    assert (book.names[-1].name, book.names[-1].sheet, book.names[-1].hidden) == ("sgd_log", "SGD log", True)
    assert book.tables == old.tables
    assert book.active == old.active
    assert all(book.sheets[name].values == old.sheets[name].values for name in old.sheets)
    if path.stem != "quadratic":
        return  # openpyxl takes its time
    shown = openpyxl_book(tmp_path / "out.xlsx")
    assert len(shown["SGD log"]._charts) == 3
    originals = openpyxl_book(path)
    for name in old.sheets:
        assert len(shown[name]._charts) == len(originals[name]._charts)
    old_cells, cells = originals.worksheets[0], shown.worksheets[0]
    for row in range(1, 12):
        for column in range(1, 12):
            assert cells.cell(row, column).number_format == old_cells.cell(row, column).number_format
            assert repr(cells.cell(row, column).font) == repr(old_cells.cell(row, column).font)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_twice_is_once(tmp_path: Path, path: Path) -> None:
    one, two = tmp_path / "one.xlsx", tmp_path / "two.xlsx"
    logged(path, one, records(50))
    logged(one, two, records(50))
    assert one.read_bytes() == two.read_bytes()
    logged(path, two, records(50))
    assert one.read_bytes() == two.read_bytes()
    short = logged(two, two, records(9, norm=False), "Another")
    assert (
        sum(name.startswith("xl/charts/") for name in short)
        == sum(name.startswith("xl/charts/") for name in members(path)) + 2
    )
    assert list(FileHost(two).read().sheets).count("SGD log") == 1
    again, first = logged(two, two, records(50)), members(one)
    assert sorted(again.pop("[Content_Types].xml")) == sorted(first.pop("[Content_Types].xml"))
    assert again == first


def test_contents(tmp_path: Path) -> None:
    items = [
        Record(1, None, 0.75, None, None, 0.01, 2.0, 0.001),
        Record(2, None, math.nan, 0.8, None, 0.01, math.inf, 0.002),
        Record(3, None, 0.5, None, None, 1e-9, 1.0, 0.003),
    ]
    logged(book_file(tmp_path, sheet(ROW)), tmp_path / "out.xlsx", items, "=1+1 <&> \x01 näïve 日本 ")
    page = FileHost(tmp_path / "out.xlsx").read().sheets["SGD log"]
    assert not page.formulas
    assert page.values[1, 1] == "=1+1 <&> \x01 näïve 日本 "
    assert page.values[2, 1] == "3 steps, training loss 0.75 → 0.5."
    head = ["step", "training loss", "validation loss", "learning rate", "gradient norm", "seconds"]
    assert [page.values.get((4, column)) for column in range(1, 8)] == [*head, None]
    rows = [[page.values.get((row, column)) for column in range(1, 7)] for row in range(5, 9)]
    assert rows == [
        [1.0, 0.75, None, 0.01, 2.0, 0.001],
        [2.0, None, 0.8, 0.01, None, 0.002],
        [3.0, 0.5, None, 1e-9, 1.0, 0.003],
        [None] * 6,
    ]


def test_look(tmp_path: Path) -> None:
    """Bold head, number formats, frozen panes; the font is that of the book."""
    source = tmp_path / "book.xlsx"
    book = openpyxl_book(OWN / "quadratic.xlsx")
    style = book._named_styles["Normal"]
    style.font.name, style.font.size = "Liberation Serif", 10.5
    book._fonts[0].name, book._fonts[0].size = "Ｌiberation & Serif", 10.5
    book.save(source)
    logged(source, tmp_path / "out.xlsx", records(5000))
    page = openpyxl_book(tmp_path / "out.xlsx")["SGD log"]
    assert page.freeze_panes == "A5"
    assert not page.sheet_view.tabSelected
    assert page["A1"].font.bold
    assert page["A1"].font.size == 13.5
    assert page["C4"].font.bold
    assert page["C4"].alignment.horizontal == "right"
    assert not page["C5"].font.bold
    assert page["C5"].font.name == page["C4"].font.name == "Ｌiberation & Serif"
    assert page["C5"].font.size == 10.5
    assert page["A5"].number_format == "#,##0"
    assert page["C5"].number_format == "#,##0.000000"
    assert page["E5"].number_format == "[>=0.0001]0.000000;0.0000E+00"
    assert page.max_row == 4 + LIMIT
    assert page["A2004"].value == 5000
    assert page["A2"].value.endswith("The table shows 2,000 of them.")
    assert 9 < page.column_dimensions["A"].width < 20
    anchors = [chart.anchor._from for chart in page._charts]
    assert all(anchor.col == 8 for anchor in anchors)
    assert min(anchor.row for anchor in anchors) == 4


@pytest.mark.parametrize(("scale", "log"), [(1.0, False), (1000.0, True)])
def test_charts(tmp_path: Path, scale: float, log: bool) -> None:
    after = logged(book_file(tmp_path, sheet(ROW)), tmp_path / "out.xlsx", records(60, scale=scale), "A run")
    loss, rate, norm = (after[f"xl/charts/chart{number}.xml"].decode() for number in (1, 2, 3))
    assert ("c:logBase" in loss) == log
    assert loss.count("<c:ser>") == 2
    assert rate.count("<c:ser>") == norm.count("<c:ser>") == 1
    assert "'SGD log'!$C$5:$C$64" in loss
    assert "'SGD log'!$D$5:$D$64" in loss
    assert '<c:dispBlanksAs val="span"/>' in loss
    for chart in (loss, rate, norm):  # what Excel takes differently if it is left out
        assert chart.count('<c:delete val="0"/>') == 2
        assert chart.count('<c:smooth val="0"/>') == chart.count("<c:ser>")
        assert chart.count("<c:overlay") == chart.count("</c:title>") + chart.count("</c:legend>")
        for tag in ("autoTitleDeleted", "varyColors", "roundedCorners"):
            assert chart.count(f'<c:{tag} val="0"/>') == 1
        assert 'sourceLinked="1"' not in chart
        assert "<c:v>" in chart


def test_a_zero_makes_no_logarithmic_axis(tmp_path: Path) -> None:
    items = [
        Record(1, None, 1e6, None, None, 1.0, None, 0.0),
        Record(2, None, 0.0, None, None, 1.0, None, 0.0),
    ]
    for number, some in enumerate((items, items[:1], items[1:])):
        after = logged(book_file(tmp_path, sheet(ROW)), tmp_path / f"{number}.xlsx", some)
        assert b"logBase" not in after["xl/charts/chart1.xml"]
        assert (b"<c:max" in after["xl/charts/chart1.xml"]) == (len(some) > 1)


def names(path: Path) -> list[tuple[str, str | None]]:
    return [(item.name, item.sheet) for item in FileHost(path).read().names]


def test_a_sheet_that_is_not_ours_stays(tmp_path: Path) -> None:
    content = parts(sheet(ROW), sheet(ROW))
    content["xl/workbook.xml"] = str(content["xl/workbook.xml"]).replace('name="S2"', 'name="sgd LOG"')
    (tmp_path / "book.xlsx").write_bytes(zipped(content))
    logged(tmp_path / "book.xlsx", tmp_path / "out.xlsx", records(5))
    after = logged(tmp_path / "out.xlsx", tmp_path / "out.xlsx", records(6))
    assert list(FileHost(tmp_path / "out.xlsx").read().sheets) == ["S1", "sgd LOG", "SGD log 2"]
    assert after["xl/worksheets/sheet2.xml"].decode() == content["xl/worksheets/sheet2.xml"]
    assert b"'SGD log 2'!$C$5" in after["xl/charts/chart1.xml"]
    assert names(tmp_path / "out.xlsx") == [("sgd_log", "SGD log 2")]


def test_a_log_that_was_renamed_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.xlsx"
    first = logged(book_file(tmp_path, sheet(ROW)), out, records(5))
    first["xl/workbook.xml"] = first["xl/workbook.xml"].replace(b"SGD log", b"best run")
    out.write_bytes(zipped(first))
    after = logged(out, out, records(6))
    assert list(FileHost(out).read().sheets) == ["S1", "best run", "SGD log"]
    assert all(after[name] == data for name, data in first.items() if name not in LISTS)
    assert names(out) == [("sgd_log", "best run"), ("sgd_log", "SGD log")]


def test_what_was_added_to_our_sheet_goes_with_it(tmp_path: Path) -> None:
    """A person's formula on it is in the calculation chain, which must not list cells without formulas."""
    out = tmp_path / "out.xlsx"
    content = logged(book_file(tmp_path, sheet(ROW)), out, records(5))
    chain = f'<calcChain xmlns="{MAIN}"><c r="Z1" i="2"/></calcChain>'
    content["xl/calcChain.xml"] = chain.encode()
    content["xl/media/image1.png"] = b"used by both"
    content["xl/media/image2.png"] = b"used by the log"
    drawing = "xl/drawings/_rels/drawing1.xml.rels"
    for name, kind, target in (
        ("xl/_rels/workbook.xml.rels", "calcChain", "calcChain.xml"),
        ("xl/_rels/workbook.xml.rels", "image", "/xl/media/image1.png"),
        (drawing, "image", "../media/image1.png"),
        (drawing, "image", "../media/image2.png"),
    ):
        line = f'<Relationship Id="x{target}" Type="{RELATIONSHIPS}/{kind}" Target="{target}"/></Relationships>'
        content[name] = content[name].replace(b"</Relationships>", line.encode())
    types = (
        f'<Default Extension="png" ContentType="image/png"/>'
        f'<Override PartName="/xl/calcChain.xml" ContentType="{TYPES}.calcChain+xml"/></Types>'
    )
    content["[Content_Types].xml"] = content["[Content_Types].xml"].replace(b"</Types>", types.encode())
    out.write_bytes(zipped(content))
    assert logged(out, out, records(5)).keys() >= {"xl/calcChain.xml", "xl/media/image1.png"}
    formula = b'<row r="1"><c r="Z1"><f>1+1</f></c></row>'
    page = content["xl/worksheets/sheet2.xml"]
    content["xl/worksheets/sheet2.xml"] = re.sub(rb'<row r="1".*?</row>', formula, page)
    out.write_bytes(zipped(content))
    after = logged(out, out, records(5))
    assert content.keys() - after.keys() == {"xl/calcChain.xml", "xl/media/image2.png"}
    assert b"calcChain" not in after["[Content_Types].xml"] + after["xl/_rels/workbook.xml.rels"]


def prefixed(text: str) -> str:
    """The part with a prefix for its own namespace, as some programs write it."""
    text = re.sub(r"<(/?)(?=[A-Za-z])", r"<\1q:", text)
    return re.sub(r'xmlns="', 'xmlns:q="', text, count=1)


@pytest.mark.parametrize("kind", ["plain", "prefix", "strict", "names", "absolute", "bare", "macros"])
def test_kinds_of_packages(tmp_path: Path, kind: str) -> None:
    options: dict[str, Any] = {}
    if kind == "names":
        options["book"] = (
            "<functionGroups/><externalReferences/>\n<definedNames >\n"
            '<definedName name="x" localSheetId="0">S1!$A$1</definedName>\n</definedNames><calcPr/>'
        )
    if kind == "plain":
        options["book"] = "<functionGroups/><calcPr/>"
    if kind == "strict":
        options = {"namespace": STRICT, "base": STRICT_RELATIONSHIPS}
    space = options.get("namespace", MAIN)
    content = parts(sheet(ROW, namespace=space), sheet(namespace=space), **options)
    if kind == "prefix":
        content["xl/workbook.xml"] = prefixed(str(content["xl/workbook.xml"]).replace("xmlns:r=", "xmlns:z="))
        content["xl/workbook.xml"] = content["xl/workbook.xml"].replace("r:id", "z:id")
        for name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
            content[name] = prefixed(str(content[name]))
    if kind == "absolute":
        content = {name.replace("xl/", ""): text for name, text in content.items()}
        for name in ("[Content_Types].xml", "_rels/.rels"):
            content[name] = str(content[name]).replace("xl/", "")
        content["_rels/workbook.xml.rels"] = str(content["_rels/workbook.xml.rels"]).replace('Target="', 'Target="/')
    if kind == "bare":  # every part has its own content type
        types = re.sub("<Default[^>]*>", "", str(content["[Content_Types].xml"]))
        content["[Content_Types].xml"] = types
    suffix = ".xlsm" if kind == "macros" else ".xlsx"
    source, out = tmp_path / f"book{suffix}", tmp_path / f"out{suffix}"
    source.write_bytes(zipped(content))
    after = logged(source, out, records(5))
    again = logged(out, out, records(5))
    assert after == again
    book = FileHost(out).read()
    assert list(book.sheets) == ["S1", "S2", "SGD log"]
    assert book.sheets["SGD log"].values[5, 1] == 1.0
    assert [item.sheet for item in book.names if item.name == "sgd_log"] == ["SGD log"]
    text = b"".join(after.values())
    assert (b"schemas.openxmlformats.org/spreadsheetml" in text) == (kind != "strict")
    if kind != "strict":
        assert openpyxl_book(out)["SGD log"]["A4"].value == "step"


@pytest.mark.parametrize(
    ("styles", "count"),
    [
        (None, 0),
        ("<styleSheet/>", 0),
        ("<fonts/><fills/><borders/><cellXfs/>", 7),
        ('\n<fonts count="0"/>\n<fills><!-- > --></fills><borders></borders>'
         '<cellXfs count="1"><xf/></cellXfs>', 8),
        ('<numFmts count="1"><numFmt numFmtId="170" formatCode="0.000000"/></numFmts>'
         "<fonts><font><sz val='x'/></font></fonts><fills/><borders/><cellXfs count='1'><xf/></cellXfs>", 8),
    ],
)  # fmt: skip
def test_styles(tmp_path: Path, styles: str | None, count: int) -> None:
    content = parts(sheet(ROW))
    if styles is not None:
        content["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
        line = f'<Relationship Id="s" Type="{RELATIONSHIPS}/styles" Target="styles.xml"/></Relationships>'
        links = str(content["xl/_rels/workbook.xml.rels"])
        content["xl/_rels/workbook.xml.rels"] = links.replace("</Relationships>", line)
    (tmp_path / "book.xlsx").write_bytes(zipped(content))
    after = logged(tmp_path / "book.xlsx", tmp_path / "out.xlsx", records(20))
    used = {int(text) for text in re.findall(rb'<c r="\w+" s="(\d+)"', after["xl/worksheets/sheet2.xml"])}
    if not count:
        assert not used
        assert after.get("xl/styles.xml") == (str(content["xl/styles.xml"]).encode() if styles else None)
        return
    root = ElementTree.fromstring(after["xl/styles.xml"])
    cells = root.findall(f"{{{MAIN}}}cellXfs/{{{MAIN}}}xf")
    assert len(cells) == count
    assert max(used) == count - 1
    for group in root:
        assert group.get("count") in (None, str(len(group)))
    limits = {"fontId": "fonts", "fillId": "fills", "borderId": "borders"}
    for cell in cells:
        for key, group_name in limits.items():
            assert int(cell.get(key, "0")) < len(root.find(f"{{{MAIN}}}{group_name}") or ())
    ids = [item.get("numFmtId") for item in root.iter(f"{{{MAIN}}}numFmt")]
    assert len(ids) == len(set(ids))
    assert {item.get("numFmtId") for item in cells} - {None, "0"} <= {*ids}


def test_values_and_log_together(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet(ROW))
    untouched = path.read_bytes()
    host = FileHost(path)
    host.write_log([], "nothing happened")
    host.save()
    assert path.read_bytes() == untouched
    host.write({Cell("S1", 1, 1): 5.0})
    host.write_log(records(3), "A run")
    host.save()
    assert host.read().sheets["S1"].values == {(1, 1): 5.0}
    assert len(host.read().sheets) == 2
    host.write({Cell("SGD log", 20, 1): 7.0})
    host.save()
    assert host.read().sheets["SGD log"].values[20, 1] == 7.0
    assert (20, 1) not in FileHost(path).read().sheets["S1"].values
    host.write({Cell("SGD log", 20, 1): 8.0})
    host.write_log(records(3), "A run")
    host.save()
    assert (20, 1) not in host.read().sheets["SGD log"].values
    host.write_log(records(3), "forgotten")
    host.close()
    host.save(tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx").read_bytes() == path.read_bytes()


def test_libreoffice_shows_the_log(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    logged(OWN / "quadratic.xlsx", tmp_path / "out.xlsx", records(12))
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    every_sheet = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
    command = [office, profile, "--headless", "--convert-to", every_sheet, "out.xlsx"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    lines = (tmp_path / "out-SGD log.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("A run,")
    assert lines[3].startswith("step,epoch,training loss,")
    assert len(lines) == 16
    assert lines[15].startswith("12,1.5,0.40033546")
    assert (tmp_path / "out-raw.csv").exists()
    assert member(tmp_path / "out.xlsx", "xl/charts/chart1.xml") == member(
        OWN / "quadratic.xlsx", "xl/charts/chart1.xml"
    )
