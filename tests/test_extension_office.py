"""The extension in LibreOffice itself: installed by unopkg into a fresh profile, on a screen, with a real mouse.

All of it where an environment is active, as in the terminal of a person who follows README.md.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import xlsxwriter
from click.testing import CliRunner

from sgdsheet import __version__
from sgdsheet.apps.cli.libreoffice import command
from sgdsheet.apps.libreoffice_ext import active_environment, extension_install
from sgdsheet.errors import HostError
from sgdsheet.hosts.libreoffice import LibreOfficeHost
from sgdsheet.hosts.libreoffice.office_process import AgentProcess
from sgdsheet.hosts.libreoffice.programs import office_python, soffice
from sgdsheet.live.ipc.state_cleanup import state_files
from sgdsheet.live.run.report_sheets import GRADIENTS, LOG, REPORT
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.activated import USER, empty_environment, environment_with_sgdsheet, own, tool_folder
from tests.errors import refusal
from tests.live_books import PATIENCE, most
from tests.office import available, look

PROGRAMS = ("Xvfb", "xdotool", "unopkg")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(not available(), reason="LibreOffice or its Python bridge is not installed"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

LONG = 30.0  # seconds: torch is imported on the first click


def calc(function: str) -> str:
    """A function's name as Calc writes it into files."""
    return f"ORG.SGDSHEET.FUNCTIONS.{function.replace('_', '')}"


def write_book(path: Path) -> None:
    """A loss (x - 1)² + 3(y - 2)² + 1 with x and y in A1:A2, and functions beside it."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Sheet1")
        sheet.write_column("A1", [4.0, -2.0])
        sheet.write_formula("B1", "=(A1-1)^2+3*(A2-2)^2+1")
        sheet.write_column("D1", [-1.5, 0.0, 2.25])
        sheet.write_array_formula("E1:E3", f"{{={calc('SGD_TANH')}(D1:D3)}}")
        sheet.write_formula("E4", f"={calc('SGD_RELU')}(D1)")
        sheet.write_formula("E5", f"=SUM({calc('SGD_SOFTMAX')}(D1:D3))")
        sheet.write_formula("E6", f"={calc('SGD_MSE')}(D1:D3,A1:A2)")
        sheet.write_array_formula("F1:F2", f"{{={calc('SGD_GRAD')}(B1,A1:A2)}}")
        sheet.write_formula("F3", "=SUM(F1:F2)")
        sheet.write_array_formula("G1:G2", f"{{={calc('SGD_STEP')}(A1:A2,B1,0.25)}}")
        sheet.write_formula("K1", f"=({calc('SGD_RELU')}(A1)-1)^2+{calc('SGD_RELU')}(-A2)^2")
        sheet.write_array_formula("L1:L2", f"{{={calc('SGD_GRAD')}(K1,A1:A2)}}")
        sheet.write("N1", 1.0)
        sheet.write_formula("O1", "=N1^3+N1", None, 2.0)
        sheet.write("P1", 30.0)
        sheet.write_formula("C5", '=HYPERLINK("org.sgdsheet:step","a link")', None, "a link")
        sheet.write_formula("C6", '=HYPERLINK("org.sgdsheet:quit","a link")', None, "a link")
        settings = {"optimizer": "sgd", "learning_rate": 1e-6, "steps": 100_000_000}  # nobody waits for the end
        # A training at full speed takes a processor from the functions in cells, for which the window waits.
        for row, setting in enumerate({**settings, "steps per second": 30}.items()):
            sheet.write_row(row, 7, setting)
        book.define_name("Sheet1!sgd_settings", "=Sheet1!$H$1:$I$4")
        book.define_name("Sheet1!sgd_loss", "=Sheet1!$B$1")
        book.define_name("Sheet1!sgd_params", "=Sheet1!$A$1:$A$2")


class Shown(NamedTuple):
    """Something in a window: where its middle is on the screen, and whether it can be used."""

    name: str
    kind: str
    middle: tuple[int, int]
    enabled: bool


@dataclass
class Screen:
    """A LibreOffice that has the extension, in a window on a screen of its own."""

    folder: Path
    options: list[str]
    """Of `sgdsheet libreoffice`."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    without_python: list[Value | None] = field(default_factory=list)
    pipe: str = ""
    eyes: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> str:
        """One of our commands. Root cannot install extensions: there it runs as nobody, see `tool_folder`."""
        own(self.folder / "profile", USER)
        done = CliRunner().invoke(command, [*arguments, *self.options], catch_exceptions=False)
        own(self.folder / "profile", os.getuid())
        assert done.exit_code == 0, done.output
        return done.output

    def start(self) -> None:
        display = self._start_screen()
        self.pipe = pipe = f"sgdsheet-test-{uuid.uuid4().hex[:12]}"
        self.environment = {**os.environ, "DISPLAY": f":{display}", "SAL_USE_VCLPLUGIN": "gen"}
        options = [f"-env:UserInstallation={(self.folder / 'profile').as_uri()}", f"--accept=pipe,name={pipe};urp;"]
        flags = ["--norestore", "--nologo", "--nodefault", "--nofirststartwizard"]
        self._spawn([str(soffice()), *flags, *options])
        self.agent = AgentProcess(pipe, patience=2 * LONG)
        path = self.folder / "book.xlsx"
        write_book(path)
        opened = self.agent.ask({"do": "open", "path": str(path), "hidden": False})
        self.host = LibreOfficeHost(self.agent, opened["result"])
        until(lambda: {"Step", "Train", "Stop", "Undo", "Set loss"} <= self.buttons().keys())

    def _start_screen(self) -> str:
        reading, writing = os.pipe()
        arguments = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
        self._spawn(arguments, pass_fds=(writing,))
        os.close(writing)
        with open(reading, encoding="ascii") as numbers:
            return numbers.readline().strip()

    def _spawn(self, arguments: list[str], **options: Any) -> None:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = self.environment or None
        self.processes.append(subprocess.Popen(arguments, env=environment, start_new_session=True, **quiet, **options))

    def look(self, *request: object) -> Any:
        """What `office_view.py` answers."""
        if self.eyes is None:
            command = [str(office_python()), str(Path(__file__).with_name("office_view.py")), self.pipe]
            self.eyes = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.eyes.stdin is not None
        assert self.eyes.stdout is not None
        print(json.dumps(request), file=self.eyes.stdin, flush=True)
        return json.loads(self.eyes.stdout.readline())

    def shown(self) -> list[Shown]:
        """What a screen reader finds, from the top down; nothing while the window is still being built."""
        return [Shown(*item) for item in self.look("shown") or ()]

    def buttons(self) -> dict[str, Shown]:
        """The buttons by their labels; of two, the one of the toolbar, which is above a bar on the sheet."""
        return {item.name: item for item in reversed(self.shown()) if item.kind == "button"}

    def enabled(self, *labels: str) -> bool:
        """Whether all of these buttons can be pressed."""
        found = self.buttons()
        return all(label in found and found[label].enabled for label in labels)

    def said(self) -> str:
        """What the bar on top of the sheet says; empty text if there is none."""
        texts = [item for item in self.shown() if item.kind == "text"]
        bar = next((item.middle[1] for item in texts if item.name == "sgdsheet"), None)
        if bar is None:
            return ""
        return " ".join(item.name for item in texts if abs(item.middle[1] - bar) < 20 and item.name != "sgdsheet")

    def active_sheet(self) -> str:
        """The sheet that a person looks at."""
        return str(self.host.read_part(lambda _: []).active)

    def select(self, *areas: str) -> None:
        """Select areas as a person would, with Ctrl held."""
        chosen = [parse_range(each, "Sheet1") for each in areas]
        assert self.agent.ask({"do": "select", "book": self.host.key, "areas": chosen})["ok"]

    def view(self, row: int = 1, column: int = 1) -> dict[str, Any]:
        """Where a cell is on the screen, and whether a bar of ours is on top of the sheet."""
        found: dict[str, Any] = self.look("cell", row, column)
        return found

    def follow_link(self, row: int, column: int) -> None:
        """Click on a cell with Ctrl held down, by which LibreOffice follows a link."""
        place = map(str, self.view(row, column)["place"])
        keys = ["xdotool", "mousemove", *place, "keydown", "ctrl", "click", "1", "keyup", "ctrl"]
        subprocess.run(keys, env=self.environment, check=True)

    def click(self, label: str) -> None:
        """Press a button as soon as it can be pressed."""
        until(lambda: self.enabled(label))
        x, y = self.buttons()[label].middle
        arguments = ["xdotool", "mousemove", str(x), str(y), "click", "1"]
        subprocess.run(arguments, env=self.environment, check=True)

    def point_at_menu(self) -> None:
        """Open a menu, with the mouse on one of its entries, and close it again."""
        for keys in (["mousemove", "17", "9", "click", "1"], ["mousemove", "40", "60"], ["key", "Escape", "Escape"]):
            subprocess.run(["xdotool", *keys], env=self.environment, check=True)
            time.sleep(0.3)

    def children(self) -> list[int]:
        """The processes that the office has started for its buttons."""
        python = str(self.folder / ".venv" / "bin" / "python")
        found = subprocess.run(["pgrep", "-f", f"^{python} .*child_process"], capture_output=True, text=True)
        return list(map(int, found.stdout.split()))

    def read(self, area: str) -> list[Value | None]:
        """The values of a column, such as `E1:E3`."""
        first, _, last = area.partition(":")
        column = ord(first[0]) - 64
        rows = range(int(first[1:]), int((last or first)[1:]) + 1)
        found = self.host.read_values([Range("Sheet1", rows[0], column, rows[-1], column)])
        return [found.get(Cell("Sheet1", row, column)) for row in rows]

    def write(self, cell: tuple[int, int], value: float) -> None:
        self.host.write({Cell("Sheet1", *cell): value})

    def close(self) -> None:
        with suppress(AttributeError, HostError, subprocess.TimeoutExpired):
            self.agent.ask({"do": "quit"}, timeout=10)
            self.processes[-1].wait(timeout=10)
        if hasattr(self, "agent"):
            self.agent.close()
        if self.eyes is not None:
            with self.eyes:
                self.eyes.kill()
            self.eyes = None
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


def until(value: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first value that is true."""
    end = time.monotonic() + seconds
    while not (found := value()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    folder = Path(tempfile.mkdtemp(prefix="sgdsheet-test-"))
    folder.chmod(0o755)
    (folder / "profile").mkdir()
    screen = Screen(folder, ["--office", str(tool_folder(folder / "program")), "--profile", str(folder / "profile")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGDSHEET_STATE_DIR", str(folder / "state"))
        # Two: what root's Python is linked to, nobody may be unable to read, and a Python that is none misleads nobody.
        for made in (
            empty_environment(folder / "other", office_python()),
            environment_with_sgdsheet(folder / ".venv"),
        ):
            for name, value in made.active(os.environ).items():
                patch.setenv(name, value)
        patch.setattr(sys, "executable", str(made.python))
        try:
            assert f"Installed sgdsheet {__version__}" in screen.run("install")
            screen.status = json.loads(screen.run("status", "--json"))
            settings = extension_install.settings_file()
            hidden = settings.rename(settings.with_name("hidden.json"))
            screen.start()
            screen.write((1, 4), -0.5)
            screen.without_python = screen.read("E4")
            hidden.rename(settings)
            yield screen
        finally:
            screen.close()
            shutil.rmtree(folder)


def test_status_tells_what_is_installed(screen: Screen) -> None:
    assert screen.status == {
        "office": str(screen.folder / "program" / "unopkg"),
        "version": __version__,
        "settings": str(screen.folder / "state" / "libreoffice.json"),
        "python": str(screen.folder / ".venv" / "bin" / "python"),
        "trouble": None,
    }


def test_the_environment_leads_the_office_to_uno(screen: Screen) -> None:
    """Without that, the office of this screen would have crashed: it was started where the environment is active."""
    assert shutil.which("python3", path=screen.environment["PATH"]) == str(screen.folder / ".venv" / "bin" / "python3")
    (line,) = (screen.folder / ".venv").rglob(active_environment.FILE_NAME)
    code = "import sys; print(sys.path)"
    inside = {**screen.environment, "PYTHONPATH": str(soffice().parent)}
    for environment, leads in ((screen.environment, False), (inside, True)):
        python = screen.folder / ".venv" / "bin" / f"python{line.parent.parent.name.removeprefix('python')}"
        if not python.exists():  # another version than LibreOffice's: what stands there is for LibreOffice's only
            continue
        done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True, check=True)
        folders = ast.literal_eval(done.stdout)
        assert any(Path(folder, "uno.py").is_file() for folder in folders) is leads


def test_profile_in_use_is_refused(screen: Screen) -> None:
    with refusal(HostError, cause="running with the profile"):
        extension_install.status(str(screen.folder / "program"), str(screen.folder / "profile"))


def test_no_python_to_start_is_an_error_value(screen: Screen) -> None:
    assert screen.without_python == [ExcelError.NA]


def test_functions_compute_in_cells(screen: Screen) -> None:
    screen.write((1, 4), -0.75)
    given = torch.tensor([-0.75, 0.0, 2.25], dtype=torch.float64)
    until(lambda: screen.read("E1") == [float(torch.tanh(given[0]))])
    assert screen.read("E1:E3") == torch.tanh(given).tolist()
    assert screen.read("E4") == [0.0]
    assert screen.read("E5") == [pytest.approx(1.0, abs=1e-15)]
    screen.write((1, 4), 1.25)
    assert screen.read("E4") == [1.25]


def test_wrong_call_is_an_excel_error(screen: Screen) -> None:
    screen.write((3, 4), 2.5)
    assert screen.read("E6") == [ExcelError.VALUE]


def test_gradient_and_step_in_cells(screen: Screen) -> None:
    screen.write((1, 1), 4.0)
    assert screen.read("F1:F2") == [2 * (4.0 - 1), 6 * (-2.0 - 2)]
    assert screen.read("F3") == [6.0 - 24.0]  # a cell that depends on them
    assert screen.read("G1:G2") == [4.0 - 0.25 * 6, -2.0 + 0.25 * 24]


def test_gradient_of_a_loss_that_needs_functions_itself(screen: Screen) -> None:
    """Calc calculates them while it reads the loss for the gradient; nobody may wait for the other then."""
    started = time.monotonic()
    screen.write((1, 1), 5.0)
    assert screen.read("L1:L2") == [2 * (5.0 - 1), 2 * -2.0]
    assert time.monotonic() - started < LONG
    screen.write((1, 1), 4.0)


def test_a_click_on_step_changes_the_parameters(screen: Screen) -> None:
    before, loss = screen.read("A1:A2"), screen.read("B1")[0]
    screen.click("Step")
    until(lambda: screen.read("A1:A2") != before)
    assert isinstance(loss, float)
    assert screen.read("B1")[0] < loss  # type: ignore[operator]


def test_a_link_in_a_cell_presses_no_button(screen: Screen) -> None:
    """A workbook comes from anywhere: what it can make people click must not train, write or end anything."""
    before = screen.read("A1:A2")
    assert not screen.view()["bar"]
    for row in (5, 6):
        screen.follow_link(row, 3)
        until(lambda: screen.view()["bar"])  # it says why nothing happens
    time.sleep(1.0)
    assert screen.read("A1:A2") == before
    screen.click("Undo")
    until(lambda: screen.read("A1:A2") != before)  # the step before is taken back: sgdsheet is still there


def train(screen: Screen) -> None:
    """Click on Train, and see the sheet move."""
    screen.write((1, 1), 4.0)
    screen.write((2, 1), -2.0)
    assert not screen.enabled("Stop")
    screen.click("Train")
    for _ in range(3):  # the sheet shows how it goes, while a person could do something else
        before = screen.read("A1:A2")
        until(lambda last=before: screen.read("A1:A2") != last)


def test_train_runs_on_until_stop_and_undo_takes_it_back(screen: Screen) -> None:
    train(screen)
    assert screen.enabled("Stop", "Undo")
    assert not screen.enabled("Train")
    assert screen.said().startswith("step ")
    screen.point_at_menu()  # of which the office tells in the status bar what it is for
    said = screen.said()
    until(lambda: screen.said().startswith("step ") and screen.said() != said)
    screen.click("Stop")
    until(lambda: screen.enabled("Train"))  # all that Stop does is done
    assert not screen.enabled("Stop")
    assert moved(screen) == 0
    assert "; stopped" in screen.said()
    screen.click("Undo the training")
    until(lambda: screen.read("A1:A2") == [4.0, -2.0])
    until(lambda: not screen.said())


def test_sheets_that_a_click_asks_for_come_to_the_front(screen: Screen) -> None:
    screen.write((1, 1), 4.0)
    for label, sheet, cell in (("Gradients", GRADIENTS, (5, 2)), ("Report", REPORT, (1, 1)), ("Log", LOG, (1, 1))):
        screen.select("A1")
        assert screen.active_sheet() == "Sheet1"
        if sheet == LOG:  # which is written while a model is trained
            train(screen)
        screen.click(label)
        until(lambda sheet=sheet: screen.active_sheet() == sheet)
        value = screen.host.read_values([Range.of_cell(Cell(sheet, *cell))])[Cell(sheet, *cell)]
        assert value == {GRADIENTS: 2 * (4.0 - 1), REPORT: "Report: Sheet1!B1", LOG: "step"}[sheet]
    screen.click("Stop")
    until(lambda: screen.enabled("Train"))
    assert screen.active_sheet() == LOG
    screen.click("Undo")
    until(lambda: screen.read("A1:A2") == [4.0, -2.0])
    screen.select("A1")


def test_goal_seek_of_what_is_selected(screen: Screen) -> None:
    screen.select("O1:P1", "N1")
    screen.click("Goal seek")
    until(lambda: screen.read("O1") == [pytest.approx(30.0, abs=1e-6)])
    assert screen.read("N1") == [pytest.approx(3.0, abs=1e-7)]  # 27 + 3
    screen.select("A1")
    screen.click("Undo")
    until(lambda: screen.read("N1") == [1.0])


def test_a_killed_process_is_told_of_at_once_and_undone(screen: Screen) -> None:
    """Among the last: once in many runs, LibreOffice 7.4 itself was gone some time after the process was killed.

    The cells with functions of ours, which the kill leaves without an answer, do not keep it from being told.
    """
    train(screen)
    (process,) = screen.children()
    os.kill(process, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: "has ended" in screen.said())
    assert time.monotonic() - killed < most(2.0, 15.0)
    assert screen.enabled("Train")
    assert not screen.enabled("Stop")
    x, y = screen.read("A1:A2")
    assert (x, y) != (4.0, -2.0)
    assert isinstance(x, float)
    assert isinstance(y, float)
    until(lambda: screen.read("F1:F2") == [pytest.approx(2 * (x - 1)), pytest.approx(6 * (y - 2))])
    screen.click("Undo the training")
    until(lambda: screen.read("A1:A2") == [4.0, -2.0])
    assert screen.children() != [process]


def test_what_goes_wrong_is_said_on_top_of_the_sheet(screen: Screen) -> None:
    screen.select("D5")
    screen.click("Goal seek")
    until(lambda: "nothing says which cells are to reach which values" in screen.said())


def moved(screen: Screen) -> float:
    """How far the first parameter goes in a while."""
    before = screen.read("A1")[0]
    time.sleep(2.0)
    after = screen.read("A1")[0]
    assert isinstance(before, float)
    assert isinstance(after, float)
    return abs(after - before)


def test_training_ends_where_the_workbook_is_saved_under_another_name(screen: Screen) -> None:
    """Two trainings of one workbook under two names would follow: the window's buttons know the new one only."""
    train(screen)
    new = screen.folder / "other.xlsx"
    script = f"""
from com.sun.star.beans import PropertyValue
document.storeAsURL({new.as_uri()!r}, (PropertyValue("FilterName", 0, "Calc MS Excel 2007 XML", 0),))
"""
    look(screen, screen.folder / "book.xlsx", script)
    until(lambda: "Saved under another name" in screen.said())
    until(lambda: screen.enabled("Train") and not screen.enabled("Stop"))
    until(lambda: moved(screen) == 0.0)
    assert screen.read("A1:A2") != [4.0, -2.0]
    screen.click("Undo")
    until(lambda: screen.read("A1:A2") == [4.0, -2.0])


def test_a_workbook_with_a_model_has_its_process_ready(screen: Screen) -> None:
    """Nothing is pressed: to open it is enough. One without a model starts nothing."""
    for process in screen.children():
        os.kill(process, signal.SIGKILL)
    until(lambda: not screen.children())
    for name in ("plain", "model"):
        path = screen.folder / f"{name}.xlsx"
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet("Sheet1")
            sheet.write("A1", 4.0)
            sheet.write_formula("B1", "=(A1-1)^2", None, 9.0)
            if name == "model":
                book.define_name("Sheet1!sgd_loss", "=Sheet1!$B$1")
                book.define_name("Sheet1!sgd_params", "=Sheet1!$A$1")
        assert screen.agent.ask({"do": "open", "path": str(path), "hidden": False})["ok"]
        if name == "plain":
            assert not screen.children()
    (process,) = until(screen.children)
    until(lambda: "libtorch" in Path(f"/proc/{process}/maps").read_text(encoding="utf-8"))


def test_the_trainer_ends_with_the_office(screen: Screen) -> None:
    with suppress(HostError):
        screen.agent.ask({"do": "quit"}, timeout=30)
    office = screen.processes[-1]
    office.wait(PATIENCE)

    def gone() -> bool:
        try:
            os.killpg(office.pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone)


def test_uninstall_leaves_nothing(screen: Screen) -> None:
    screen.close()
    assert extension_install.settings_file().exists()
    assert state_files()  # the buttons have trained
    told = screen.run("uninstall")
    assert "Removed the extension" in told
    assert not list((screen.folder / ".venv").rglob(active_environment.FILE_NAME))
    assert "To remove them, too: sgdsheet libreoffice uninstall --all" in told
    assert not extension_install.settings_file().exists()
    assert "not installed" in screen.run("status")
    deployed = screen.folder / "profile" / "user" / "uno_packages"
    assert not [path for path in deployed.rglob("*") if "sgdsheet" in path.name]
    assert "not installed there" in screen.run("uninstall")
    assert "Removed what was in" in screen.run("uninstall", "--all")
    assert not Path(os.environ["SGDSHEET_STATE_DIR"]).exists()
