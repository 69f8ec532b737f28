"""Makes the pictures of the documentation: animations, loss surfaces, and a sheet of every workbook.

    python docs/make_pictures.py [--only NAME]

NAME is a workbook. The sheets are drawn by LibreOffice and cut out by poppler-utils (pdftoppm, pdftotext); with fonts
that look like those of Office (on Debian: fonts-crosextra-carlito). This is no test: only a person can say that a
picture is good. The pictures of addin/GUIDE.md, which show the open program, are made by tests/make_pictures.py.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner
from PIL import Image, ImageChops

import sgdsheet
from sgdsheet.apps import examples
from sgdsheet.apps.cli.train import command as train
from sgdsheet.hosts.libreoffice.programs import soffice
from sgdsheet.plots.colours import in_palette, palette_of

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
LIMIT = 150_000  # bytes of a picture
WIDTH, DOTS = 1100, 140
SECONDS, MOVING_WIDTH = 4.0, 760

ANIMATED = {
    "linear_regression": "fit",
    "gradient_descent": "tangent",
    "quadratic": "centred",
    "titanic": "nnet",
    "cross_entropy": "two_classes",
    "mini_batches": "data",
    "local_minima": "greedy",
    "dead_relu": "leaky",
    "overfitting": "degree_15",
}
"""Workbooks whose charts are shown while they train, and the sheet."""

SHOWN = {
    "linear_regression": "fit",
    "gradient_descent": "tangent",
    "quadratic": "centred",
    "titanic": "nnet",
    "mini_batches": "data",
    "optimizers": "compare",
    "cross_entropy": "ten_classes",
    "attention": "lookup",
}
"""The sheet that stands for the workbook, where it is not the first with a model."""


def moving(name: str) -> None:
    """A training of the workbook as an animation."""
    model = sgdsheet.compile(book(name), ANIMATED[name])
    target = PICTURES / f"{name}.gif"
    sgdsheet.animate(model, target, seconds=SECONDS, width=MOVING_WIDTH)
    said(target)


def surfaces() -> None:
    """The loss of the roller coaster, and the course of its training."""
    workbook = book("quadratic")
    for params, name in (("G6,I6", "surface"), ("G6", "slice")):
        target = PICTURES / f"quadratic-{name}.png"
        target.unlink(missing_ok=True)  # the one of before was made smaller: no longer known as our own
        sgdsheet.surface(sgdsheet.compile(workbook, "centred"), params, target)
        shrunk(target)
    target = PICTURES / "quadratic-course.png"
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        trained = str(Path(folder) / "trained.xlsx")
        options = ["--sheet", "centred", "--plot", str(target), "-o", trained]
        source = str(ROOT / "workbooks" / "quadratic.xlsx")
        done = CliRunner().invoke(train, [source, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    shrunk(target)


def still(name: str) -> None:
    """The sheet that stands for a workbook, as it is printed."""
    workbook = book(name)
    sheet = SHOWN.get(name) or next(item for item in workbook.sheets if item != "Start")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        source = ROOT / "workbooks" / f"{name}.xlsx"
        command = [str(soffice()), profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        printed = folder / f"{name}.pdf"
        number = page_of(printed, sheet)
        subprocess.run(
            ["pdftoppm", "-png", "-r", str(DOTS), "-f", str(number), "-l", str(number), printed, folder / "page"],
            check=True,
        )
        (drawn,) = folder.glob("page*.png")
        picture = without_margins(Image.open(drawn).convert("RGB"))
    height = round(picture.height * WIDTH / picture.width)
    target = PICTURES / f"{name}.png"
    save(picture.resize((WIDTH, height), Image.Resampling.LANCZOS), target)


def page_of(printed: Path, sheet: str) -> int:
    """The first page of a sheet, whose name stands in its footer."""
    text = subprocess.run(["pdftotext", "-layout", printed, "-"], check=True, capture_output=True, text=True).stdout
    for number, page in enumerate(text.split("\f"), 1):
        footers = [line.split() for line in page.splitlines() if " page " in line]
        if any(words[:1] == [sheet] for words in footers):
            return number
    raise AssertionError(f"{printed.name} has no page of {sheet}")


def without_margins(picture: Image.Image) -> Image.Image:
    """The printed page without its footer and what is white around it."""
    body = picture.crop((0, 0, picture.width, round(picture.height * 0.945)))
    box = ImageChops.difference(body, Image.new("RGB", body.size, "white")).getbbox()
    assert box is not None
    room = 8
    return body.crop((max(0, box[0] - room), max(0, box[1] - room), box[2] + room, box[3] + room))


def shrunk(target: Path) -> None:
    save(Image.open(target).convert("RGB"), target)


def save(picture: Image.Image, target: Path) -> None:
    """As a small file: few colours are enough."""
    in_palette(picture, palette_of([picture])).save(target, optimize=True)
    said(target)


def said(target: Path) -> None:
    size = target.stat().st_size
    assert size <= LIMIT, f"{target.name} has {size:,} bytes"
    print(f"{target.name}  {size:,} bytes")


def book(name: str) -> sgdsheet.sheet.workbook.Workbook:
    return sgdsheet.load(ROOT / "workbooks" / f"{name}.xlsx")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=examples.names(), help="one workbook instead of all")
    only = parser.parse_args(arguments).only
    PICTURES.mkdir(exist_ok=True)
    for name in examples.names() if only is None else [only]:
        still(name)
        if name in ANIMATED:
            moving(name)
        if name == "quadratic":
            surfaces()


if __name__ == "__main__":
    main()
