"""An xlwings engine over LibreOffice, so that what is written for Excel runs here against a live spreadsheet.

For tests only. `register(pipe)` makes it the engine of this process; a service that a test starts does the same by
importing this module with the environment variable XLWINGS_PIPE set. Sheets are in `xlwings_cells.py`, names, tables
and charts in `xlwings_parts.py`, and Excel's own objects, which stand behind `.api`, in `xlwings_com.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import xlwings as xw
from xlwings import base_classes

from sgdsheet.sheet.references import Range
from tests.xlwings_cells import CellRange, Sheet, Sheets
from tests.xlwings_com import Office
from tests.xlwings_parts import Names

PIPE = "XLWINGS_PIPE"
ALERTS = "XLWINGS_ALERTS"
"""The environment variable that names a file: what message boxes say, a line each."""
STATUS = "XLWINGS_STATUS"
"""The environment variable that names a file: what the status bar shows."""


_MODULES = {"SgdExchange": "SgdCells", "SgdEndMessage": "SgdSheet", "SgdWriteSetting": "SgdSheet"}
"""Where the procedures of the add-in are that are not in SgdRibbon."""


class HarnessEngine:
    """What xlwings knows as Excel."""

    name = "excel"
    type = "desktop"

    def __init__(self, pipe: str) -> None:
        self.office = Office(pipe)
        self.pid = _process_of(pipe)
        self.dynamic: set[str] = set()
        """First cells (`Sheet1!A1`) of arrays that count as dynamic ones: LibreOffice 7 knows none."""
        self.alerts: list[str] = []
        self.macros: list[str] = []
        """The procedures of the add-in that were called."""
        self.shown: Path | None = None
        """Where another process writes what it shows in the status bar, which LibreOffice does not tell."""
        self.shell: Callable[[], object] | None = None
        """Runs the command line that a button has built, as Windows would."""
        self.hidden: set[tuple[str, str | None, str]] = set()
        """Names that do not show: LibreOffice 7 has none."""
        self.before: xw.Engine | None = None
        self.state: dict[str, Any] = {"status_bar": False, "enable_events": True, "screen_updating": True}

    @property
    def apps(self) -> Apps:
        return Apps(self)

    @staticmethod
    def prepare_xl_data_element(item: Any, options: Any) -> Any:
        return "" if item is None else item

    @staticmethod
    def clean_value_data(
        data: Any, datetime_builder: Any, empty_as: Any, number_builder: Any, err_to_str: bool
    ) -> list[list[Any]]:
        def clean(item: Any) -> Any:
            if item in ("", None):
                return empty_as
            if type(item) is int:
                return None
            return number_builder(item) if number_builder is not None and isinstance(item, float) else item

        return [[clean(item) for item in row] for row in data]


class Apps(base_classes.Apps):
    def __init__(self, engine: HarnessEngine) -> None:
        self._engine = engine

    def keys(self) -> list[int]:
        return [self._engine.pid]

    def __iter__(self) -> Iterator[App]:
        yield App(self._engine)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, pid: int) -> App:
        if pid != self._engine.pid:
            raise KeyError("Could not find an Excel instance with this PID.")
        return App(self._engine)


class App(base_classes.App):
    """The office. `api` is itself: it has what we use of Excel's Application object."""

    CalculationState = 0
    Ready = True

    def __init__(self, engine: HarnessEngine) -> None:
        self._engine = engine
        self.office = engine.office

    @property
    def api(self) -> App:
        return self

    @property
    def engine(self) -> HarnessEngine:
        return self._engine

    @property
    def pid(self) -> int:
        return self._engine.pid

    @property
    def version(self) -> str:
        return "16.0"

    def activate(self, steal_focus: bool = False) -> None:
        """There is but one window system here, and nobody looks."""

    @property
    def books(self) -> Books:
        return Books(self)

    @property
    def selection(self) -> CellRange | None:
        book = self.books.active
        areas = self.office.ask("selection", book=book.path)
        if not areas:
            return None
        return Sheet(book, areas[0][0]).cells_at([Range(*area) for area in areas])

    @property
    def screen_updating(self) -> bool:
        return bool(self._engine.state["screen_updating"])

    @screen_updating.setter
    def screen_updating(self, on: bool) -> None:
        self.office.ask("paths")
        self._engine.state["screen_updating"] = bool(on)

    @property
    def enable_events(self) -> bool:
        return bool(self._engine.state["enable_events"])

    @enable_events.setter
    def enable_events(self, on: bool) -> None:
        self.office.ask("paths")
        self._engine.state["enable_events"] = bool(on)

    @property
    def status_bar(self) -> str | bool:
        if self._engine.shown is not None and self._engine.shown.exists():
            return self._engine.shown.read_text(encoding="utf-8")
        found: str | bool = self._engine.state["status_bar"]
        return found

    @status_bar.setter
    def status_bar(self, text: str | bool) -> None:
        for path in self.office.ask("paths"):
            self.office.ask("status", book=path, text=text or "")
        self._engine.state["status_bar"] = text
        if STATUS in os.environ:
            Path(os.environ[STATUS]).write_text(str(text or ""), encoding="utf-8")

    @property
    def calculation(self) -> str:
        paths = self.office.ask("paths")
        automatic = all(self.office.ask("automatic", book=path) for path in paths)
        return "automatic" if automatic else "manual"

    @calculation.setter
    def calculation(self, mode: str) -> None:
        for path in self.office.ask("paths"):
            self.office.ask("automatic", book=path, on=mode != "manual")

    def CalculateFull(self) -> None:
        for path in self.office.ask("paths"):
            self.office.ask("calculate_all", book=path)

    def calculate(self) -> None:
        for path in self.office.ask("paths"):
            self.office.ask("calculate", book=path)

    def run(self, macro: str, args: tuple[Any, ...]) -> Any:
        """Call a procedure of the add-in, which here is a document of the same office."""
        file, _, name = macro.partition("!")
        module = _MODULES.get(name, "SgdRibbon")
        found = self.office.ask("macro", file=file, name=f"{module}.{name}", arguments=list(args))
        self._engine.macros.append(name)
        if name == "SgdPress" and self._engine.shell is not None:
            self._engine.shell()
        if not isinstance(found, list):
            return found
        # Basic makes integers of whole numbers, which in Excel are the codes of errors.
        return tuple(tuple(float(item) if type(item) is int else item for item in row) for row in found)

    def alert(self, prompt: str, title: str, buttons: str, mode: str, callback: Any) -> str:
        self._engine.alerts.append(prompt)
        if ALERTS in os.environ:
            with Path(os.environ[ALERTS]).open("a", encoding="utf-8") as file:
                file.write(json.dumps(prompt) + "\n")
        return "ok"


class Books(base_classes.Books):
    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def active(self) -> Book:
        return next(iter(self))

    def __call__(self, key: str | int) -> Book:
        books = list(self)
        if isinstance(key, int):
            return books[key - 1]
        for book in books:
            if book.name.lower() == key.lower():
                return book
        raise KeyError(key)

    def __iter__(self) -> Iterator[Book]:
        for path in self.app.office.ask("paths"):
            yield Book(self.app, path)

    def __len__(self) -> int:
        return len(self.app.office.ask("paths"))

    def open(self, fullname: str, *_: Any) -> Book:
        return Book(self.app, self.app.office.ask("open", path=str(Path(fullname).resolve()), hidden=False))


class Book(base_classes.Book):
    def __init__(self, app: App, path: str) -> None:
        self._app, self.path = app, path

    @property
    def app(self) -> App:
        return self._app

    @property
    def api(self) -> Book:
        return self

    @property
    def FullName(self) -> str:
        return self.path

    @property
    def Date1904(self) -> bool:
        return bool(self._app.office.ask("settings", book=self.path)["date1904"])

    @property
    def PrecisionAsDisplayed(self) -> bool:
        return bool(self._app.office.ask("settings", book=self.path)["as_displayed"])

    def Windows(self, number: int) -> Any:
        areas = self._app.office.ask("selection", book=self.path)
        sheet = Sheet(self, areas[0][0])
        return type("Window", (), {"RangeSelection": sheet.cells_at([Range(*area) for area in areas]).api})

    @property
    def name(self) -> str:
        self._app.office.ask("title", book=self.path)  # fails if the book is gone
        return Path(self.path).name

    @property
    def fullname(self) -> str:
        return self.path

    @property
    def sheets(self) -> Sheets:
        return Sheets(self)

    @property
    def names(self) -> Names:
        return Names(self, None)

    def close(self) -> None:
        self._app.office.ask("close", book=self.path)

    def save(self, path: str | None = None, password: str | None = None) -> None:
        self._app.office.ask("save", book=self.path, path=path or "")

    def activate(self) -> None:
        self._app.office.ask("bring_forward", book=self.path)


def register(pipe: str) -> HarnessEngine:
    """Make the office that listens on a pipe the Excel of this process."""
    engine = HarnessEngine(pipe)
    engine.before = xw.engines.active
    _use(xw.Engine(impl=engine))
    return engine


def unregister(engine: HarnessEngine) -> None:
    """Leave xlwings as it was before, which is without an Excel on Linux, and end the connection."""
    _use(engine.before)
    engine.office.close()


def _use(engine: xw.Engine | None) -> None:
    xw.engines.engines[:] = [known for known in xw.engines if known.name != "excel"]
    xw.engines.engines_by_name.pop("excel", None)
    if engine is not None:
        xw.engines.add(engine)
    xw.engines.active = engine


def _process_of(pipe: str) -> int:
    """The process that listens on a pipe."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"soffice.bin" in command and f"name={pipe};".encode() in command:
            return int(folder.name)
    return 1


if PIPE in os.environ:
    register(os.environ[PIPE])
