"""Makes the pictures of addin/GUIDE.md: LibreOffice on a screen of its own, with the extension and a real mouse.

    python -m tests.make_pictures [--only NAME] [--mnist FOLDER]

FOLDER has the four files of MNIST; without it, the picture of the trained digit stays as it is. It needs what
`test_extension_office.py` needs, and ImageMagick. The pictures in the repository were made on Debian 12 with
libreoffice-gtk3 and fonts-crosextra-carlito. This is no test: only a person can say that a picture is good.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xlsxwriter
from click.testing import CliRunner
from PIL import Image

from sgdsheet.apps.cli.train import command as train
from sgdsheet.apps.libreoffice_ext.actions import ACTIONS
from sgdsheet.errors import HostError
from sgdsheet.hosts.libreoffice import LibreOfficeHost
from sgdsheet.hosts.libreoffice.office_process import AgentProcess
from sgdsheet.hosts.libreoffice.programs import soffice
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import Value
from tests.activated import USER, Environment, environment_with_sgdsheet, own, tool_folder
from tests.office import look
from tests.test_extension_office import calc, until

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "addin" / "pictures"
LIMIT = 150_000  # bytes of a picture
COLOURS = 255
SIZE = (1280, 780)
PATIENCE = 60.0
_OPENBOX = """<openbox_config xmlns="http://openbox.org/3.4/rc"><applications>
<application type="normal"><decor>no</decor><maximized>yes</maximized></application>
</applications></openbox_config>"""

# Run in the office: a window without what is not the subject.
_ARRANGE = """
frame = document.CurrentController.Frame
frame.ContainerWindow.setPosSize(0, 0, %d, %d, 15)
document.CurrentController.ShowPageBreaks = False
if frame.LayoutManager.isElementVisible("private:resource/toolbar/formatobjectbar"):
    frame.LayoutManager.hideElement("private:resource/toolbar/formatobjectbar")
document.CurrentController.getSidebar() and document.CurrentController.getSidebar().setVisible(False)
print("null")
"""
_NO_SPELLING = """
from com.sun.star.beans import PropertyValue
node = PropertyValue("nodepath", 0, "org.openoffice.Office.Linguistic/SpellChecking", 0)
provider = office.ServiceManager.createInstance("com.sun.star.configuration.ConfigurationProvider")
access = provider.createInstanceWithArguments("com.sun.star.configuration.ConfigurationUpdateAccess", (node,))
access.IsSpellAuto = False
access.commitChanges()
print("null")
"""
_PRESS = """
helper = office.ServiceManager.createInstanceWithContext("com.sun.star.frame.DispatchHelper", office)
helper.executeDispatch(document.CurrentController.Frame, {url!r}, "_self", 0, ())
print("null")
"""
_SHOW = """
view = document.CurrentController
sheet = document.Sheets.getByName({sheet!r})
view.setActiveSheet(sheet)
view.ZoomType, view.ZoomValue = 3, {zoom}
pane = view.getByIndex(view.Count - 1)
pane.setFirstVisibleColumn({column})
pane.setFirstVisibleRow(max(pane.getFirstVisibleRow() if {row} < 0 else {row}, 0))
view.select(sheet.getCellRangeByName({selected!r}))
print("null")
"""


class Studio:
    """A screen, a profile with our extension, and an office in a window."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pipe = folder, f"sgdsheet-studio-{uuid.uuid4().hex[:12]}"
        self._processes: list[subprocess.Popen[bytes]] = []
        python = environment_with_sgdsheet(folder / ".venv")
        self._install(python)
        display = self._screen()
        self.environment = {**python.active(os.environ), "DISPLAY": f":{display}", "NO_AT_BRIDGE": "1"}
        if shutil.which("openbox"):  # GTK's windows need a window manager
            settings = folder / "openbox.xml"
            settings.write_text(_OPENBOX, encoding="utf-8")
            self._spawn(["openbox", "--config-file", str(settings)])
        flags = ["--norestore", "--nologo", "--nodefault", "--nofirststartwizard"]
        self._office = [str(soffice()), *flags, f"-env:UserInstallation={(folder / 'profile').as_uri()}"]
        self._spawn([*self._office, f"--accept=pipe,name={self.pipe};urp;"])
        self.agent = AgentProcess(self.pipe, patience=PATIENCE)
        look(self, folder, _NO_SPELLING)  # type: ignore[arg-type]

    def _install(self, python: Environment) -> None:
        """As a person does where the environment is active; root is nobody for it."""
        profile = self.folder / "profile"
        profile.mkdir()
        own(profile, USER)
        options = ["--office", str(tool_folder(self.folder / "program")), "--profile", str(profile)]
        command = [str(python.folder / "bin" / "sgdsheet"), "libreoffice", "install", *options]
        subprocess.run(command, env=python.active(os.environ), check=True)
        own(profile, os.getuid())

    def _screen(self) -> str:
        reading, writing = os.pipe()
        options = ["-displayfd", str(writing), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
        self._spawn(["Xvfb", *options], pass_fds=(writing,))
        os.close(writing)
        with open(reading, encoding="ascii") as numbers:
            return numbers.readline().strip()

    def _spawn(self, command: list[str], **options: Any) -> None:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = getattr(self, "environment", None)
        self._processes.append(subprocess.Popen(command, env=environment, start_new_session=True, **quiet, **options))

    def close(self) -> None:
        """End the office, then the screen."""
        with suppress(HostError, AttributeError, subprocess.TimeoutExpired):
            self.agent.ask({"do": "quit"}, timeout=10)
            self._processes[-1].wait(timeout=10)
        if hasattr(self, "agent"):
            self.agent.close()
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def open(self, path: Path) -> None:
        """As from a file manager: GTK hangs now and then when another thread than its own makes a window."""
        subprocess.run([*self._office, str(path)], env=self.environment, check=True, timeout=PATIENCE)

    def mouse(self, *arguments: object) -> None:
        subprocess.run(["xdotool", *map(str, arguments)], env=self.environment, check=True)

    def grab(self) -> Image.Image:
        """What is on the screen."""
        done = subprocess.run(
            ["import", "-window", "root", "png:-"], env=self.environment, check=True, capture_output=True
        )
        return Image.open(io.BytesIO(done.stdout)).convert("RGB").crop((0, 0, *SIZE))


class Window:
    """A workbook in the studio's office."""

    def __init__(self, studio: Studio, path: Path) -> None:
        self.studio, self.path = studio, path
        studio.open(path)
        until(lambda: studio.agent.ask({"do": "attach", "book": str(path)})["ok"])
        self.host = LibreOfficeHost(studio.agent, str(path))
        time.sleep(2)  # GTK is not done yet
        self.uno(_ARRANGE % SIZE)

    def uno(self, script: str) -> Any:
        """Run a script in the office. Once more if it fails: a window that is just being made has no address yet."""
        try:
            return look(self.studio, self.path, script)  # type: ignore[arg-type]
        except AssertionError:
            time.sleep(1)
            return look(self.studio, self.path, script)  # type: ignore[arg-type]

    def show(self, sheet: str, selected: str, *, zoom: int = 100, column: int = 0, row: int = -1) -> None:
        self.uno(_SHOW.format(sheet=sheet, selected=selected, zoom=zoom, column=column, row=row))

    def press(self, label: str) -> None:
        """A button of the toolbar. Not with the mouse: under GTK nobody tells where the buttons are."""
        url = next(action.url for action in ACTIONS if action.label == label)
        self.uno(_PRESS.format(url=url))

    def read(self, sheet: str, cell: str) -> Value | None:
        area = parse_range(cell, sheet)
        return self.host.read_values([area]).get(area.first)

    def write(self, sheet: str, values: dict[str, Value]) -> None:
        self.host.write({parse_range(cell, sheet).first: value for cell, value in values.items()})

    def close(self) -> None:
        self.studio.agent.ask({"do": "close", "book": self.host.key})


# --- the scenes -------------------------------------------------------------------------------------------


def titanic(studio: Studio) -> None:
    """Menu, training, gradients, log: the first five minutes."""
    book = _copied(studio, "titanic.xlsx")
    book.show("nnet", "E6")
    studio.mouse("mousemove", 470, 10, "click", 1)  # the menu SGD
    time.sleep(1)
    _save("libreoffice-menu", studio.grab().crop((0, 0, 1000, 450)))
    studio.mouse("key", "Escape")
    book.uno('document.Sheets.getByName("nnet").getCellRangeByName("A1:D1").Columns.IsVisible = False; print("null")')
    book.show("nnet", "O6", zoom=80, column=4)
    before = book.read("nnet", "O6")
    book.press("Gradients")
    until(lambda: book.uno("print(document.Sheets.Count)") == 3, PATIENCE)
    book.show("SGD gradients", "A1")
    time.sleep(1)
    _save("libreoffice-gradients", studio.grab().crop((0, 66, 1000, 340)))
    book.show("nnet", "O6", zoom=80, column=4, row=8)
    book.write("nnet", {"S4": 0.0005, "S5": 100_000.0})
    book.press("Train")
    until(lambda: book.read("nnet", "O6") != before, PATIENCE)
    book.press("Stop")
    book.press("Undo")
    until(lambda: book.read("nnet", "O6") == before)
    book.press("Log")
    book.press("Train")
    until(lambda: book.uno("print(document.Sheets.Count)") == 4, PATIENCE)
    book.show("SGD log", "A1")
    time.sleep(5)
    _save("libreoffice-log", _while_it_trains(book).crop((0, 66, 1000, SIZE[1])))
    book.press("Stop")
    time.sleep(1)
    book.close()


def newcomer(studio: Studio) -> None:
    """The trial of a newcomer by the README: open the example, Step, Train, Stop, Undo."""
    book = _copied(studio, "titanic.xlsx")
    book.show("nnet", "O6", zoom=70)
    time.sleep(2)
    before = book.read("nnet", "O6")
    _save("libreoffice-opened", studio.grab())
    book.press("Step")
    until(lambda: book.read("nnet", "O6") != before, PATIENCE)
    time.sleep(2)
    _save("libreoffice-step", studio.grab())
    book.write("nnet", {"S4": 0.0005, "S5": 100_000.0})
    book.press("Train")
    until(lambda: (book.read("nnet", "O6") or 1.0) < 0.2, PATIENCE)  # type: ignore[operator]
    _save("libreoffice-train", _while_it_trains(book))
    book.press("Stop")
    time.sleep(3)
    _save("libreoffice-stopped", studio.grab())
    book.press("Undo")
    time.sleep(3)
    _save("libreoffice-undone", studio.grab())
    book.close()


def own_sheet(studio: Studio) -> None:
    """A sheet of one's own: a line through eight points, and a function in its cells."""
    path = studio.folder / "line.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet, bold, line = book.add_worksheet("line"), book.add_format({"bold": True}), range(2, 10)
        sheet.write_row("A1", ["x", "y", "prediction", "squared error", None, "slope", "constant", "loss"], bold)
        sheet.write_column("A2", [1, 2, 3, 4, 5, 6, 7, 8])
        sheet.write_column("B2", [3.1, 4.9, 7.2, 8.8, 11.1, 13.2, 14.8, 17.1])
        for row in line:
            sheet.write_formula(f"C{row}", f"=$F$2*A{row}+$G$2")
            sheet.write_formula(f"D{row}", f"=(C{row}-B{row})^2")
        sheet.write_row("F2", [0.5, 0])
        sheet.write_formula("H2", "=AVERAGE(D2:D9)")
        sheet.write("F4", "gradient", bold)
        sheet.write_array_formula("F5:G5", f"{{={calc('SGD_GRAD')}(H2,F2:G2)}}")
        sheet.set_column("A:H", 13)
    window = Window(studio, path)
    window.show("line", "F5", zoom=110)
    window.uno('document.calculateAll(); print("null")')
    until(lambda: isinstance(window.read("line", "F5"), float), PATIENCE)
    time.sleep(1)
    _save("libreoffice-function", studio.grab().crop((0, 66, 1100, 440)))
    window.close()


def digits(studio: Studio, mnist: Path) -> None:
    """The convolutional network after two passes over MNIST. No `--preview`: the digit in it is our own drawing."""
    trained = studio.folder / "mnist_cnn.xlsx"
    options = ["--source", str(mnist), "--epochs", "2", "-o", str(trained)]
    done = CliRunner().invoke(train, [str(ROOT / "workbooks" / "mnist_cnn.xlsx"), *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    window = Window(studio, trained)
    window.show("cnn", "A6", zoom=50)
    window.uno('document.CurrentController.ColumnRowHeaders = False; print("null")')
    time.sleep(3)
    _save("mnist-cnn", studio.grab().crop((0, 66, *SIZE)))
    window.close()


def _copied(studio: Studio, name: str) -> Window:
    path = studio.folder / name
    shutil.copy(ROOT / "workbooks" / name, path)
    return Window(studio, path)


def _while_it_trains(book: Window) -> Image.Image:
    """The screen once a bar on top of the sheet tells of the training."""
    until(lambda: book.uno('import json; print(json.dumps(document.CurrentController.hasInfobar("sgdsheet")))'))
    return book.studio.grab()


def _save(name: str, picture: Image.Image) -> None:
    """As a small file: few colours are enough for a spreadsheet."""
    target = PICTURES / f"{name}.png"
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE).save(target, optimize=True)
    size = target.stat().st_size
    assert size <= LIMIT, f"{target.name} has {size:,} bytes"
    print(f"{target.name}  {picture.width} × {picture.height}, {size:,} bytes")


SCENES: dict[str, Callable[[Studio], None]] = {"titanic": titanic, "newcomer": newcomer, "own_sheet": own_sheet}


@contextmanager
def studio() -> Iterator[Studio]:
    """A studio in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sgdsheet-studio-"))
    folder.chmod(0o755)
    os.environ["SGDSHEET_STATE_DIR"] = str(folder / "state")
    try:
        made = Studio(folder)
        try:
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*SCENES, "digits"], help="one scene instead of all")
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="the folder of the four files of MNIST")
    chosen = parser.parse_args(arguments)
    PICTURES.mkdir(exist_ok=True)
    for name, scene in SCENES.items():
        if chosen.only in (None, name):
            with studio() as made:
                scene(made)
    if chosen.mnist is not None and chosen.only in (None, "digits"):
        with studio() as made:
            digits(made, chosen.mnist)


if __name__ == "__main__":
    main()
