"""Makes the pictures of the page in the browser: what its first minute looks like.

    python docs/make_browser_pictures.py [--only NAME]

Needs Chromium and the built page (python web/build.py), with fonts that look like those of Office. This is no test:
only a person can say that a picture is good. All other pictures of the documentation are made by docs/make_pictures.py.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from sgdsheet.system.state_folder import VARIABLE  # noqa: E402
from tests.web.browser import started_browser  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LIMIT, MOVING_LIMIT = 150_000, 250_000  # bytes of a picture
WIDTH, MOVING_WIDTH = 1100, 760
FRAMES, FRAME = 30, 0.15  # how many, and seconds of each
WINDOW = {"width": 1400, "height": 860}
WAIT = 120_000  # milliseconds


@contextmanager
def page_of(browser: Browser, book: str | None, *, dark: bool = False) -> Iterator[Page]:
    """The page of an example, or the start page, of a server that has just been started."""
    context = browser.new_context(viewport=WINDOW, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    with tempfile.TemporaryDirectory() as folder:
        words = [str(shutil.copy(ROOT / "workbooks" / f"{book}.xlsx", folder))] if book is not None else []
        process = subprocess.Popen(
            [sys.executable, "-m", "sgdsheet", "open", *words, "--no-browser", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, VARIABLE: str(Path(folder) / "state")},
        )
        try:
            assert process.stdout is not None
            page.goto(json.loads(process.stdout.readline())["url"])
            yield page
        finally:
            context.close()
            process.terminate()
            process.wait()


def show(page: Page, sheet: str, cell: str) -> None:
    """Show a sheet with a parameter selected, and wait for the loss around it: then everything is calculated."""
    page.wait_for_selector("[data-ready=true] canvas")
    page.get_by_role("tab", name=sheet).first.click()
    go(page, cell)
    page.wait_for_selector(".parameter figcaption")
    page.wait_for_timeout(2500)


def go(page: Page, address: str) -> None:
    box = page.get_by_test_id("name-box")
    box.fill(address)
    box.press("Enter")


def press(page: Page, command: str) -> None:
    page.locator(f".panel [data-command={command}]").click()


def trained(page: Page) -> None:
    """Train to the end, and let what glows come to rest."""
    press(page, "train")
    page.wait_for_function("() => document.querySelector('[data-testid=state]').textContent !== 'Ready'")
    page.wait_for_function("() => document.querySelector('[data-testid=state]').textContent === 'Ready'")
    page.wait_for_timeout(3000)
    for close in reversed(page.locator(".notice button").all()):
        close.click()
    page.wait_for_timeout(500)


def moving(browser: Browser) -> None:
    """The first minute: a parabola finds its way through measured points, in slow motion."""
    with page_of(browser, "quadratic") as page:
        show(page, "centred", "G6")
        page.locator(".part", has_text="Findings").locator("h2 button").click()
        frames = [taken(page)] * 6
        page.get_by_role("slider", name="Speed").press("Home")
        for _ in range(3):
            page.get_by_role("slider", name="Speed").press("ArrowRight")
        page.locator(".panel").evaluate("(panel) => panel.scrollTo(0, 0)")
        press(page, "train")
        page.wait_for_function("() => document.querySelector('[data-testid=state]').textContent === 'Training'")
        for _ in range(FRAMES):
            frames.append(taken(page))
            page.wait_for_timeout(90)
    height = round(frames[0].height * MOVING_WIDTH / frames[0].width)
    small = [frame.resize((MOVING_WIDTH, height), Image.Resampling.LANCZOS) for frame in frames]
    both = Image.new("RGB", (MOVING_WIDTH, 2 * height))
    both.paste(small[0], (0, 0))
    both.paste(small[-1], (0, height))
    colours = in_few_colours(both)
    first, *rest = [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in small]
    target = PICTURES / "browser.gif"
    first.save(target, save_all=True, append_images=rest, duration=round(FRAME * 1000), loop=0, optimize=True)
    said(target, MOVING_LIMIT)


def still(browser: Browser) -> None:
    """The Titanic's network after its training."""
    with page_of(browser, "titanic") as page:
        show(page, "nnet", "E6")
        trained(page)
        save(taken(page), "browser")


def dark(browser: Browser) -> None:
    """Gradient descent at night: the tangent in the sheet's chart, and around the parameter."""
    with page_of(browser, "gradient_descent", dark=True) as page:
        show(page, "tangent", "G6")
        page.get_by_role("button", name="Around a parameter").scroll_into_view_if_needed()
        page.locator(".around").scroll_into_view_if_needed()
        page.wait_for_timeout(800)
        save(taken(page), "browser-dark")


def start(browser: Browser) -> None:
    """The start page."""
    with page_of(browser, None) as page:
        page.wait_for_selector(".card img")
        page.wait_for_timeout(1500)
        save(taken(page), "browser-start")


def taken(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(picture: Image.Image, name: str) -> None:
    """As a small file: few colours are enough."""
    height = round(picture.height * WIDTH / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    target = PICTURES / f"{name}.png"
    in_few_colours(small).save(target, optimize=True)
    said(target, LIMIT)


def in_few_colours(picture: Image.Image) -> Image.Image:
    return picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def said(target: Path, limit: int) -> None:
    size = target.stat().st_size
    print(f"{target.name}  {size:,} bytes")
    assert size <= limit, f"{target.name} has more than {limit:,} bytes"


PARTS: dict[str, Callable[[Browser], None]] = {
    "browser.gif": moving,
    "browser.png": still,
    "browser-dark.png": dark,
    "browser-start.png": start,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="one picture instead of all")
    only = parser.parse_args(arguments).only
    with started_browser() as browser:
        for name, make in PARTS.items():
            if only in (None, name):
                make(browser)


if __name__ == "__main__":
    main()
