"""A real browser that shows the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect, sync_playwright
from playwright.sync_api import Page as Tab

from sgdsheet.sheet.references import column_number
from tests.live_books import PATIENCE
from tests.web.served import Served

expect.set_options(timeout=1000 * PATIENCE)  # milliseconds

ROOT = Path(__file__).parent.parent.parent
BUNDLE = ROOT / "sgdsheet" / "apps" / "web" / "page" / "index.html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

needs_browser = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (on Debian: apt-get install chromium)"),
    pytest.mark.skipif(not BUNDLE.is_file(), reason="the page is not built (python web/build.py)"),
]


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Shown:
    """A tab with a book: what a person sees and does. Cells are named like `E6`."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.errors: list[str] = []
        """What the browser's console said of errors, but for connections that a test itself has cut."""
        tab.set_default_timeout(1000 * PATIENCE)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def open(self, served: Served, sheet: str | None = None) -> Shown:
        """Open the book as the address that was printed does."""
        self.tab.goto(f"{served.origin}{served.path}?token={served.token}")
        self.tab.wait_for_selector("[data-ready=true] canvas")
        if sheet is not None:
            self.show(sheet)
        return self

    def show(self, sheet: str) -> None:
        self.tab.get_by_role("tab", name=re.compile(rf"^{re.escape(sheet)}\b")).click()

    def go(self, address: str) -> None:
        """Select a cell or an area by typing its address into the name box."""
        box = self.tab.get_by_test_id("name-box")
        box.fill(address)
        box.press("Enter")
        focused = "() => ['CANVAS', 'TD'].includes(document.activeElement.tagName)"
        self.until(lambda: self.tab.evaluate(focused), "the focus in the sheet")

    def cell(self, address: str) -> Locator:
        """The cell in the table for screen readers; it is there while the cell is on screen."""
        letters, row = re.fullmatch(r"([A-Z]+)(\d+)", address).groups()  # type: ignore[union-attr]
        column, frozen = column_number(letters), self.frozen()
        part, at = (".grid-top", int(row)) if int(row) <= frozen else (".grid-body", int(row) - frozen)
        return self.tab.locator(f"{part} tr[aria-rowindex='{at + 1}'] td[aria-colindex='{column}']")

    def frozen(self) -> int:
        """How many rows stand still above the others."""
        table = self.tab.locator(".grid-top table")
        return int(table.get_attribute("aria-rowcount") or 1) - 1 if table.count() else 0

    def text(self, address: str) -> str:
        return self.cell(address).text_content() or ""

    def number(self, address: str) -> float:
        return float(self.text(address).replace("−", "-").replace(",", ""))

    def type(self, address: str, text: str) -> None:
        """Type over a cell, and press Enter."""
        self.go(address)
        self.tab.keyboard.type(text)
        self.tab.keyboard.press("Enter")

    def formula(self) -> str:
        """What the formula bar shows."""
        return self.tab.get_by_test_id("formula").input_value()

    def until(self, holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
        """Wait until something holds; the seconds that it took."""
        start = time.monotonic()
        while not holds():
            if time.monotonic() - start > seconds:
                notices = self.tab.get_by_test_id("notices").text_content()
                pytest.fail(f"after {seconds} s not: {what}; the page says: {notices!r}", pytrace=False)
            self.tab.wait_for_timeout(20)
        return time.monotonic() - start

    def press(self, label: str) -> None:
        """Press a button of the panel."""
        self.tab.locator(".panel").get_by_role("button", name=label, exact=True).click()

    @property
    def state(self) -> str:
        return self.tab.get_by_test_id("state").text_content() or ""

    def axe(self) -> list[str]:
        """What axe finds serious or critical."""
        self.tab.evaluate(axe_core().read_text(encoding="utf-8"))
        found: dict[str, Any] = self.tab.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]


def axe_core() -> Path:
    """The script of axe, which `python web/build.py --development` fetches."""
    path = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("axe is not here (python web/build.py --development)")
    return path
