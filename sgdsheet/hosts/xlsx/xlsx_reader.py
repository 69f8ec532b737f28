"""From a package to a Workbook: which parts there are, and what the workbook knows beyond its sheets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.xlsx.chart_parts import read_charts
from sgdsheet.hosts.xlsx.external_links import UNKNOWN, read_link
from sgdsheet.hosts.xlsx.package import Package, Relationship
from sgdsheet.hosts.xlsx.worksheet import FILTER_CRITERIA, Context, read_sheet
from sgdsheet.hosts.xlsx.xml import REPAIR, Node, Part, read_strings, read_tree, truth, unescape
from sgdsheet.sheet.charts import Chart
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import DefinedName, Link, Table, Workbook
from sgdsheet.system.long_work import part


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A tab of the workbook; `part` is None for what is not a worksheet (a chart sheet, a dialog)."""

    name: str
    part: str | None
    id: str = ""
    """The number that the calculation chain has for the sheet."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The workbook part and what it refers to."""

    part: Part
    root: Node
    relationships: list[Relationship]
    sheets: list[SheetEntry]

    def related(self, kind: str) -> str | None:
        """The first part that is related in this way."""
        return next((item.target for item in self.relationships if item.kind == kind), None)


def read_outline(package: Package) -> Outline:
    """Find the workbook part and its tabs."""
    targets = [item.target for item in package.relationships("") if item.kind == "officeDocument"]
    if not targets:
        raise FileError(f"“{package.name}” does not say which part is its workbook", remedy=REPAIR)
    part = package.part(targets[0])
    root = read_tree(part)
    if root.tag != "workbook":
        raise FileError(f"“{package.name}” is no workbook", remedy="Give the name of an .xlsx file")
    relationships = package.relationships(part.name)
    by_id = {item.id: item for item in relationships}
    sheets: list[SheetEntry] = []
    names: set[str] = set()
    taken: set[str] = set()
    for node in root.all("sheets", "sheet"):
        name, relationship = node.attributes.get("name", ""), by_id.get(node.attributes.get("id", ""))
        if relationship is None or not name:
            raise part.error(f"has a sheet without a part or a name ({name!r})")
        if name.casefold() in names:
            raise part.error(f"has two sheets of the name {name!r}")
        target = relationship.target if relationship.kind == "worksheet" else None
        names.add(name.casefold())
        if target is not None:
            if target.casefold() in taken:
                raise part.error(f"has two sheets for one part ({target})")
            taken.add(target.casefold())
        sheets.append(SheetEntry(name, target, node.attributes.get("sheetId", "")))
    return Outline(part, root, relationships, sheets)


def read_workbook(package: Package) -> Workbook:
    """Values, formulas, names, tables and charts of a package."""
    outline = read_outline(package)
    strings = outline.related("sharedStrings")
    properties = outline.root.all("workbookPr")
    context = Context(
        strings=read_strings(package.part(strings)) if strings else (),
        dynamic=_dynamic_cells(package, outline.related("sheetMetadata")),
        date1904=any(truth(node.attributes.get("date1904")) for node in properties),
    )
    stale = any(truth(node.attributes.get("fullCalcOnLoad")) for node in outline.root.all("calcPr"))
    workbook = Workbook(package.name, names=_defined_names(outline), active=_active(outline), stale=stale)
    workbook.date1904 = context.date1904
    workbook.as_displayed = any(
        "fullPrecision" in node.attributes and not truth(node.attributes["fullPrecision"])
        for node in outline.root.all("calcPr")
    )
    properties_part = next(
        (item.target for item in package.relationships("") if item.kind == "extended-properties"), ""
    )
    workbook.from_office = package.names_office(properties_part, b"Application")
    workbook.links = _links(package, outline)
    for place, entry in enumerate(outline.sheets):
        if entry.part is not None:
            with part(place / len(outline.sheets), (place + 1) / len(outline.sheets)):
                workbook.sheets[entry.name] = read_sheet(entry.name, package.part(entry.part), context)
            for relationship in package.relationships(entry.part):
                if relationship.kind == "table":
                    own = package.part(relationship.target)
                    table = _table(own, entry.name)
                    workbook.tables[table.name] = table
                    for area in _filters(own, entry.name):
                        workbook.sheets[entry.name].filter_rows(area)
            for chart in read_charts(package, entry.name, entry.part):
                if isinstance(chart, Chart):
                    workbook.charts.append(chart)
                else:
                    workbook.undrawn_charts.append(chart)
    return workbook


def _links(package: Package, outline: Outline) -> list[Link]:
    """The other workbooks that formulas refer to, in the order of their numbers."""
    targets = {item.id: item.target for item in outline.relationships if item.kind == "externalLink"}
    wanted = [node.attributes.get("id", "") for node in outline.root.all("externalReferences", "externalReference")]
    return [read_link(package, targets[item]) if item in targets else Link(UNKNOWN) for item in wanted]


def _active(outline: Outline) -> str | None:
    views = outline.root.all("bookViews", "workbookView")
    index = _integer(outline.part, views[0].attributes.get("activeTab", "0")) if views else 0
    entry = outline.sheets[index] if 0 <= index < len(outline.sheets) else None
    return entry.name if entry is not None and entry.part is not None else None


def _defined_names(outline: Outline) -> list[DefinedName]:
    names = []
    for node in outline.root.all("definedNames", "definedName"):
        name, scope = node.attributes.get("name", ""), node.attributes.get("localSheetId")
        sheet = None
        if scope is not None:
            index = _integer(outline.part, scope)
            if not 0 <= index < len(outline.sheets):
                raise outline.part.error(f"has a name for a sheet that does not exist ({name!r})")
            sheet = outline.sheets[index].name
        hidden = truth(node.attributes.get("hidden"))
        names.append(DefinedName(name, node.text.strip().removeprefix("="), sheet, hidden))
    return names


def _table(part: Part, sheet: str) -> Table:
    root = read_tree(part)
    attributes = root.attributes
    columns = (node.attributes.get("name", "") for node in root.all("tableColumns", "tableColumn"))
    return Table(
        attributes.get("displayName") or attributes.get("name", ""),
        _area(part, attributes.get("ref", ""), sheet),
        tuple(unescape(name) for name in columns),
        _integer(part, attributes.get("headerRowCount", "1")),
        _integer(part, attributes.get("totalsRowCount", "0")),
    )


def _filters(part: Part, sheet: str) -> Iterator[Range]:
    """The areas of a table's filters that hide rows."""
    for node in read_tree(part).all("autoFilter"):
        if any(node.all("filterColumn", name) for name in FILTER_CRITERIA):
            yield _area(part, node.attributes.get("ref", ""), sheet)


def _area(part: Part, text: str, sheet: str) -> Range:
    try:
        return parse_range(text, sheet)
    except FormulaError as error:
        raise part.error(f"has a bad reference ({error.cause})") from None


def _dynamic_cells(package: Package, name: str | None) -> frozenset[str]:
    """Values of a cell's `cm` attribute that make its array formula a dynamic one.

    `cm` counts the entries of cellMetadata from 1; an entry names a metadata type (from 1) and an entry of
    that type's own list (from 0).
    """
    if name is None or name not in package:
        return frozenset()
    part = package.part(name)
    root = read_tree(part)
    types = [node.attributes.get("name", "") for node in root.all("metadataTypes", "metadataType")]
    future = {node.attributes.get("name", ""): node.all("bk") for node in root.all("futureMetadata")}
    properties = [entry.all("extLst", "ext", "dynamicArrayProperties") for entry in future.get("XLDAPR", [])]
    flags = [any(truth(node.attributes.get("fDynamic")) for node in nodes) for nodes in properties]
    found = set()
    for index, entry in enumerate(root.all("cellMetadata", "bk"), start=1):
        for record in entry.all("rc"):
            kind = _integer(part, record.attributes.get("t", "0"))
            value = _integer(part, record.attributes.get("v", "0"))
            known = 1 <= kind <= len(types) and 0 <= value < len(flags)
            if known and types[kind - 1] == "XLDAPR" and flags[value]:
                found.add(str(index))
    return frozenset(found)


def _integer(part: Part, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise part.error(f"has a bad number: {text[:40]!r}") from None
