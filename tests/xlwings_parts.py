"""Names, tables and charts of the xlwings engine in `xlwings_libreoffice.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xlwings import base_classes

from sgdsheet.hosts.libreoffice.notation import name_content, to_excel
from sgdsheet.sheet.references import Range, address, parse_range, quote_sheet, split_areas, split_sheet
from tests.xlwings_com import ChartObject, Counted


class Names(base_classes.Names):
    """The names of the book, those of its sheets included, or of one sheet."""

    def __init__(self, book: Any, scope: str | None) -> None:
        self._book, self._scope = book, scope

    def _known(self) -> list[Name]:
        found = [Name(self._book, *item) for item in self._book.app.office.ask("names", book=self._book.path)]
        return [name for name in found if self._scope is None or name.scope == self._scope]

    def __call__(self, key: str | int) -> Name:
        if isinstance(key, int):
            return self._known()[key - 1]
        return next(name for name in self._known() if key.lower() in (name.name.lower(), name.plain.lower()))

    def snapshot(self) -> list[tuple[str, Name]]:
        return [(name.name, name) for name in self._known()]

    def contains(self, key: str) -> bool:
        return any(key.lower() in (name.name.lower(), name.plain.lower()) for name in self._known())

    def __len__(self) -> int:
        return len(self._known())

    def add(self, name: str, refers_to: str) -> Name:
        new = Name(self._book, name, self._scope, "")
        new.refers_to = refers_to
        return new


class Name(base_classes.Name):
    def __init__(self, book: Any, plain: str, scope: str | None, content: str) -> None:
        self._book, self.plain, self.scope, self._content = book, plain, scope, content

    def _ask(self, do: str, **request: Any) -> None:
        self._book.app.office.ask(do, book=self._book.path, name=self.plain, scope=self.scope, **request)

    @property
    def api(self) -> Name:
        return self

    @property
    def Visible(self) -> bool:
        return (self._book.path, self.scope, self.plain) not in self._book.app.engine.hidden

    @Visible.setter
    def Visible(self, on: bool) -> None:
        hidden = self._book.app.engine.hidden
        (hidden.discard if on else hidden.add)((self._book.path, self.scope, self.plain))

    @property
    def name(self) -> str:
        plain = self.plain.removeprefix("_xlnm.")
        return plain if self.scope is None else f"{quote_sheet(self.scope)}!{plain}"

    @property
    def refers_to(self) -> str:
        return f"={to_excel(self._content)}"

    @refers_to.setter
    def refers_to(self, text: str) -> None:
        areas = []
        for part in split_areas(text):
            sheet, _ = split_sheet(part)
            areas.append(parse_range(part, sheet or ""))
        self._content = name_content(areas)
        self._ask("set_name", content=self._content)

    def delete(self) -> None:
        self._ask("delete_name")


class _Listed(base_classes.Collection):
    """A collection that is known as a whole."""

    def _items(self) -> list[Any]:
        raise NotImplementedError

    def __call__(self, key: str | int) -> Any:
        items = self._items()
        return items[key - 1] if isinstance(key, int) else next(item for item in items if item.name == key)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items())

    def __contains__(self, key: str) -> bool:
        return any(item.name == key for item in self._items())


class Tables(_Listed, base_classes.Tables):
    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet

    def _items(self) -> list[Table]:
        found = self._sheet.book.app.office.ask("tables", book=self._sheet.book.path)
        return [Table(self._sheet, name, *rest) for name, sheet, *rest in found if sheet == self._sheet.name]


class Table(base_classes.Table):
    def __init__(self, sheet: Any, name: str, area: list[int], header: bool, totals: bool) -> None:
        self._sheet, self._name, self._area = sheet, name, Range(sheet.name, *area)
        self._header, self._totals = header, totals

    @property
    def api(self) -> Table:
        return self

    @property
    def AutoFilter(self) -> Any:
        return self._sheet.filter_of(self._name)

    @property
    def ListColumns(self) -> Counted:
        cells = (cell for cell in self._area._replace(bottom=self._area.top).cells())
        texts = [self._sheet.range(address(cell.row, cell.column)).api.Value2 for cell in cells]
        names = [text if self._header else f"Column{number}" for number, text in enumerate(texts, 1)]
        return Counted([type("ListColumn", (), {"Name": name}) for name in names])

    @property
    def name(self) -> str:
        return self._name

    @property
    def display_name(self) -> str:
        return self._name

    @property
    def range(self) -> Any:
        return self._sheet.cells_at([self._area])

    @property
    def header_row_range(self) -> Any:
        return self._sheet.cells_at([self._area._replace(bottom=self._area.top)]) if self._header else None

    @property
    def totals_row_range(self) -> Any:
        return self._sheet.cells_at([self._area._replace(top=self._area.bottom)]) if self._totals else None


class Charts(_Listed, base_classes.Charts):
    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet

    def _items(self) -> list[Chart]:
        return [Chart(self._sheet, name) for name in self._sheet.ask("charts")]

    def add(self, left: float, top: float, width: float, height: float, **_: Any) -> Chart:
        name = f"{self._sheet.name} chart {len(self) + 1}"  # unique in the document
        self._sheet.ask("add_chart", name=name, place=[left, top, width, height])
        return Chart(self._sheet, name)


class Chart(base_classes.Chart):
    """All are lines over numbers here; what else is asked for is remembered."""

    def __init__(self, sheet: Any, name: str) -> None:
        self._sheet, self._name = sheet, name
        self._key = (sheet.book.path, sheet.name, name)

    @property
    def _look(self) -> dict[str, Any]:
        found: dict[str, Any] = self._sheet.book.app.office.looks.setdefault(self._key, {})
        return found

    @property
    def chart_type(self) -> str:
        return str(self._look.get("type", ""))

    @chart_type.setter
    def chart_type(self, kind: str) -> None:
        self._look["type"] = kind

    @property
    def api(self) -> tuple[None, ChartObject]:
        book = self._sheet.book
        return None, ChartObject(book.app.office, book.path, self._sheet.name, self._name)

    @property
    def name(self) -> str:
        return self._name

    def delete(self) -> None:
        self._sheet.ask("delete_chart", name=self._name)
        for remembered in (self._sheet.book.app.office.lines, self._sheet.book.app.office.looks):
            remembered.pop(self._key, None)
