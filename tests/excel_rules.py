"""Rules of Excel's that a saved workbook must keep, or Excel offers to repair it (ECMA-376, part 1, clause 18).

Excel cannot be asked here: what its schema and its readers demand of the parts that saving touches is written down.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree
from zipfile import ZipFile

from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.xlsx_reader import read_outline
from sgdsheet.sheet.references import Range, address, parse_range

_WORKSHEET = (
    *("sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "sheetCalcPr", "sheetProtection"),
    *("protectedRanges", "scenarios", "autoFilter", "sortState", "dataConsolidate", "customSheetViews", "mergeCells"),
    *("phoneticPr", "conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins"),
    *("pageSetup", "headerFooter", "rowBreaks", "colBreaks", "customProperties", "cellWatches", "ignoredErrors"),
    *("smartTags", "drawing", "legacyDrawing", "legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls"),
    *("webPublishItems", "tableParts", "extLst"),
)
_WORKBOOK = (
    *("fileVersion", "fileSharing", "workbookPr", "AlternateContent", "revisionPtr", "workbookProtection", "bookViews"),
    *("sheets", "functionGroups", "externalReferences", "definedNames", "calcPr", "oleSize", "customWorkbookViews"),
    *("pivotCaches", "smartTagPr", "smartTagTypes", "webPublishing", "fileRecoveryPr", "webPublishObjects", "extLst"),
)
_STYLES = (
    *("numFmts", "fonts", "fills", "borders", "cellStyleXfs", "cellXfs", "cellStyles", "dxfs", "tableStyles", "colors"),
    "extLst",
)
_CELL = ("f", "v", "is", "extLst")
_ROW = ("c", "extLst")
_TYPES = {None, "n", "b", "e", "s", "str", "inlineStr", "d"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def broken_rules(data: bytes) -> list[str]:
    """What Excel would complain about in a saved .xlsx file."""
    return list(_broken(data))


def _broken(data: bytes) -> Iterator[str]:
    package = Package("book.xlsx", data)
    outline = read_outline(package)
    yield from _parts(package, data)
    book = ElementTree.fromstring(outline.part.data)
    yield from _order(book, _WORKBOOK, "workbook")
    yield from _names(book, len(outline.sheets))
    formats, styles = None, outline.related("styles")
    if styles is not None and styles in package:
        tree = ElementTree.fromstring(package.part(styles).data)
        yield from _order(tree, _STYLES, "styles")
        yield from _counts(tree)
        formats = len(_child(tree, "cellXfs"))
    formulas: dict[str, set[str]] = {}
    strings = outline.related("sharedStrings")
    texts = len(list(ElementTree.fromstring(package.part(strings).data))) if strings else 0
    for entry in outline.sheets:
        if entry.part is not None:
            tree = ElementTree.fromstring(package.part(entry.part).data)
            yield from (f"{entry.name}: {item}" for item in _sheet(tree, formats, texts))
            formulas[entry.id] = {cell.get("r", "") for cell in tree.iter(f"{_space(tree)}c") if _has(cell, "f")}
    chain = outline.related("calcChain")
    if chain is not None and chain in package:
        yield from _chain(ElementTree.fromstring(package.part(chain).data), formulas)


# --- the package ------------------------------------------------------------------------------------------


def _parts(package: Package, data: bytes) -> Iterator[str]:
    """Each part has a type, each type a part, and relationships lead somewhere."""
    with ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        if bad := archive.testzip():
            yield f"{bad} is damaged"
    types = ElementTree.fromstring(package.part("[Content_Types].xml").data)
    overrides = [item.get("PartName", "") for item in types if item.tag.endswith("}Override")]
    defaults = {item.get("Extension", "").lower() for item in types if item.tag.endswith("}Default")}
    if len({name.lower() for name in overrides}) != len(overrides):
        yield "a part has two types"
    yield from (f"{name} has a type, and is not there" for name in overrides if name[1:] not in package)
    known = {name.lower() for name in overrides}
    for name in names:
        typed = f"/{name}".lower() in known or name.rpartition(".")[2].lower() in defaults
        if name != "[Content_Types].xml" and not name.endswith("/") and not typed:
            yield f"{name} has no type"
        if name.endswith(".rels"):
            source = name.replace("_rels/", "").removesuffix(".rels")
            items = package.relationships("" if source == "" else source)
            yield from (f"{name} leads to {item.target}, which is not there" for item in items
                        if item.target not in package)  # fmt: skip
            if len({item.id for item in items}) != len(items):
                yield f"{name} has two relationships of one name"


def _order(tree: ElementTree.Element, wanted: tuple[str, ...], what: str) -> Iterator[str]:
    tags = [_local(child) for child in tree]
    known = [wanted.index(tag) for tag in tags if tag in wanted]
    if known != sorted(known):
        yield f"{what}: {', '.join(tags)} are out of order"


def _counts(styles: ElementTree.Element) -> Iterator[str]:
    for child in styles:
        if _local(child) in _STYLES and (count := child.get("count")) is not None and int(count) != len(child):
            yield f"{_local(child)} says {count} and has {len(child)}"
    numbers = [item.get("numFmtId") for item in _children(styles, "numFmts")]
    if len(set(numbers)) != len(numbers):
        yield "a number format stands twice"


def _names(book: ElementTree.Element, sheets: int) -> Iterator[str]:
    keys = []
    for item in _children(book, "definedNames"):
        scope = item.get("localSheetId")
        if scope is not None and not 0 <= int(scope) < sheets:
            yield f"the name {item.get('name')} is on a sheet that is not there"
        if not (item.text or "").strip():
            yield f"the name {item.get('name')} is empty"
        keys.append((item.get("name", "").casefold(), scope))
    if len(set(keys)) != len(keys):
        yield "a name stands twice"
    if _has(book, "definedNames") and not keys:
        yield "the list of names is empty"


def _chain(chain: ElementTree.Element, formulas: dict[str, set[str]]) -> Iterator[str]:
    sheet = ""
    if not len(chain):
        yield "the calculation chain is empty"
    for item in chain:
        sheet = item.get("i", sheet)
        if item.get("r", "") not in formulas.get(sheet, set()):
            yield f"the calculation chain has {item.get('r')} on sheet {sheet}, where no formula is"


# --- a worksheet ------------------------------------------------------------------------------------------


def _sheet(tree: ElementTree.Element, formats: int | None, texts: int) -> Iterator[str]:
    yield from _order(tree, _WORKSHEET, "worksheet")
    rows = [(int(row.get("r", "0")), row) for row in _children(tree, "sheetData")]
    numbers = [number for number, _ in rows]
    if any(one >= two for one, two in pairwise(numbers)):
        yield "rows are out of order"
    dimension = next((child.get("ref", "") for child in tree if _local(child) == "dimension"), None)
    reach = parse_range(dimension, "") if dimension else None
    shared: dict[str, Range] = {}
    for number, row in rows:
        yield from _order(row, _ROW, f"row {number}")
        places = [parse_range(cell.get("r", ""), "") for cell in row if _local(cell) == "c"]
        if any(place.top != number for place in places):
            yield f"row {number} has a cell of another row"
        if any(one.left >= two.left for one, two in pairwise(places)):
            yield f"cells of row {number} are out of order"
        if places and (spans := row.get("spans")):
            first, last = map(int, spans.split(":"))
            if not first <= places[0].left <= places[-1].left <= last:
                yield f"row {number} has cells outside of its spans {spans}"
        filled = [place for place, cell in zip(places, row, strict=False) if len(cell)]
        if reach is not None:
            yield from (f"{place.a1} lies outside of the dimension" for place in filled if not reach.contains(place))
        for cell in row:
            if _local(cell) == "c":
                yield from (f"{cell.get('r')} {item}" for item in _cell(cell, shared, formats, texts))
    yield from _overlaps(tree)


def _cell(cell: ElementTree.Element, shared: dict[str, Range], formats: int | None, texts: int) -> Iterator[str]:
    yield from _order(cell, _CELL, "its contents")
    tags = [_local(child) for child in cell]
    if len(set(tags)) != len(tags):
        yield "has two contents of a kind"
    kind, style = cell.get("t"), int(cell.get("s", "0"))
    if kind not in _TYPES:
        yield f"is of the type {kind}"
    if formats is not None and style >= max(formats, 1):
        yield f"has the format {style} of {formats}"
    if ("is" in tags) != (kind == "inlineStr") or (kind == "inlineStr" and "v" in tags):
        yield f"is of the type {kind} and holds {tags}"
    value = next((child.text or "" for child in cell if _local(child) == "v"), None)
    if value:
        yield from _value(kind, value, texts)
    text = "".join(cell.itertext())
    if _CONTROL.search(text) or len(text) > 32_767 + 8_192:
        yield "holds what no cell may hold"
    for child in cell:
        if _local(child) == "f":
            yield from _formula(cell.get("r", ""), child, shared)


def _value(kind: str | None, value: str, texts: int) -> Iterator[str]:
    if kind in (None, "n"):
        try:
            float(value)
        except ValueError:
            yield f"is no number: {value!r}"
    elif kind == "s" and not (value.isdecimal() and int(value) < texts):
        yield f"has the text {value} of {texts}"
    elif kind == "b" and value not in ("0", "1"):
        yield f"is neither true nor false: {value!r}"


def _formula(place: str, formula: ElementTree.Element, shared: dict[str, Range]) -> Iterator[str]:
    """A formula that is shared is written once, in the first of its cells, with the area of all."""
    text, kind = formula.text or "", formula.get("t")
    here = parse_range(place, "")
    if kind == "shared":
        number, area = formula.get("si", ""), formula.get("ref")
        if area is not None:
            shared[number] = parse_range(area, "")
            if not text or address(shared[number].top, shared[number].left) != place:
                yield f"shares its formula over {area}, and is not its first cell"
        elif number not in shared:
            yield "shares a formula that is not there"
        if number in shared and not shared[number].contains(here):
            yield "shares a formula of other cells"
    elif kind != "dataTable" and not text:
        yield "has an empty formula"
    if text.startswith("="):
        yield "has a formula with ="
    if len(text) > 8_192:
        yield "has a formula that is too long"


def _overlaps(tree: ElementTree.Element) -> Iterator[str]:
    merged: dict[int, list[Range]] = defaultdict(list)
    for item in _children(tree, "mergeCells"):
        area = parse_range(item.get("ref", ""), "")
        for row in range(area.top, min(area.bottom, area.top + 1_000) + 1):
            if any(one.intersection(area) for one in merged[row]):
                yield f"merged areas overlap at {area.a1}"
            merged[row].append(area)


# --- trees ------------------------------------------------------------------------------------------------


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _space(tree: ElementTree.Element) -> str:
    return tree.tag[: tree.tag.index("}") + 1]


def _has(tree: ElementTree.Element, tag: str) -> bool:
    return any(_local(child) == tag for child in tree)


def _child(tree: ElementTree.Element, tag: str) -> ElementTree.Element:
    return next((child for child in tree if _local(child) == tag), ElementTree.Element(tag))


def _children(tree: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    yield from _child(tree, tag)
