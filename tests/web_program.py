"""Workbooks that are open in this process, as a program for the contract of live hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.hosts.web import web_host
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.web.web_host import WebHost
from sgdsheet.sheet.references import Range


@dataclass
class WebBook:
    """An open workbook, and what a page does to it."""

    book: OpenBook
    host: WebHost

    def select(self, areas: Sequence[Range]) -> None:
        self.book.selected = tuple(areas)

    def shut(self) -> None:
        self.book.close()

    def rename(self, sheet: str, name: str) -> None:
        """A page cannot rename sheets yet: the sheet is given another name by hand."""
        with self.book.turn:
            self.book.snapshot()  # all values are in the sheets
            sheets = self.book.workbook.sheets
            found = sheets.pop(sheet)
            found.name = name
            sheets[name] = found

    def status_bar(self) -> str:
        return self.book.status

    def heat(self, sheet: str) -> list[str]:
        return [area.a1 for area in self.book.report_sheets[sheet].heat]

    def chart_rows(self, sheet: str) -> tuple[int, int]:
        own = self.book.report_sheets[sheet]
        assert own.chart is not None
        return own.chart.header or max(own.bold, default=1), own.chart.last or len(own.rows)


class WebProgram:
    """This process."""

    def __init__(self) -> None:
        self._books: list[OpenBook] = []

    def open(self, path: Path) -> WebBook:
        book = OpenBook.open(path)
        self._books.append(book)
        return WebBook(book, web_host.connect(book.key))

    def stop(self) -> None:
        for book in self._books:
            book.close()
