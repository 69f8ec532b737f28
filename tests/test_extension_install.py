"""`sgdsheet libreoffice` with several profiles, broken ones, and environments that lead LibreOffice astray."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from sgdsheet.apps.cli.libreoffice import command
from sgdsheet.apps.libreoffice_ext import active_environment, configuration, extension_install, oxt
from sgdsheet.apps.libreoffice_ext.calc_functions import calc_functions
from sgdsheet.apps.libreoffice_ext.office.chosen_python import INSTALL
from sgdsheet.apps.libreoffice_ext.office_registry import empty_registers
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.errors import HostError
from sgdsheet.hosts.libreoffice.programs import office_environment, office_python, soffice
from tests.activated import USER, Environment, empty_environment, environment_with_sgdsheet, own, tool_folder
from tests.office import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="LibreOffice or its Python bridge is not installed"),
    pytest.mark.skipif(shutil.which("unopkg") is None, reason="not installed: unopkg"),
]

ACTIVE_STYLE = "application/vnd.sun.star.uno-component;type=Python"
"""How the extension was registered by earlier versions: LibreOffice runs the Python file to see what is in it."""


@dataclass
class Machine:
    """A user with several profiles of LibreOffice, none of which runs."""

    folder: Path
    program: Path

    def profile(self, name: str) -> Path:
        return self.folder / "profile" / name

    def run(self, action: str, profile: str, status: int = 0) -> str:
        """What one of our commands prints, or the message that it ends with."""
        place = self.profile(profile)
        own(place.parent, USER)
        arguments = [action, "--office", str(self.program), "--profile", str(place)]
        done = CliRunner().invoke(command, arguments)
        if status:
            assert isinstance(done.exception, HostError)
            return str(done.exception)
        assert done.exit_code == 0, done.exception
        return done.output

    def add_old_style(self, profile: str) -> None:
        """The extension as it was registered earlier, in an environment without Pythons that mislead."""
        path = self.folder / "old" / oxt.FILE_NAME
        path.parent.mkdir()
        built = io.BytesIO(oxt.build(calc_functions(declarations())))
        with zipfile.ZipFile(built) as new, zipfile.ZipFile(path, "w") as old:
            for name in new.namelist():
                content = new.read(name)
                if name == "META-INF/manifest.xml":
                    content = content.replace(b"sgdsheet.components", configuration.COMPONENT.encode())
                    content = content.replace(b"application/vnd.sun.star.uno-components", ACTIVE_STYLE.encode())
                    assert ACTIVE_STYLE.encode() in content
                old.writestr(name, content)
        own(self.folder / "profile", USER)
        where = f"-env:UserInstallation={self.profile(profile).as_uri()}"
        arguments = [self.program / "unopkg", "add", "--suppress-license", path, where]
        subprocess.run(list(map(str, arguments)), env=office_environment(), check=True, capture_output=True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Where an environment is active, of LibreOffice's own Python: that misleads LibreOffice most easily."""
    folder = Path(tempfile.mkdtemp(prefix="sgdsheet-test-"))
    folder.chmod(0o755)
    monkeypatch.setenv("SGDSHEET_STATE_DIR", str(folder / "state"))
    for name, value in empty_environment(folder / ".venv", office_python()).active(os.environ).items():
        monkeypatch.setenv(name, value)
    (folder / "profile").mkdir()  # the home folder of the office
    yield Machine(folder, tool_folder(folder / "program"))
    shutil.rmtree(folder)


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it answers is not what the test is about, and takes seconds."""
    monkeypatch.setattr(extension_install, "try_out", lambda program, profile: None)


@pytest.mark.usefixtures("untried")
def test_uninstall_leaves_other_profiles_alone(machine: Machine) -> None:
    settings = extension_install.settings_file()
    machine.run("install", "a")
    written = settings.read_bytes()
    assert "not installed there" in machine.run("uninstall", "b")
    assert not (machine.folder / "profile" / "b").exists()
    assert settings.read_bytes() == written
    machine.run("install", "b")
    machine.run("install", "gone")
    shutil.rmtree(machine.folder / "profile" / "gone")
    assert "Removed" in machine.run("uninstall", "b")
    assert settings.read_bytes() == written  # profile a needs it, and the one that is gone does not
    assert "Removed" in machine.run("uninstall", "a")
    assert not settings.exists()


@pytest.mark.usefixtures("untried")
def test_settings_of_an_earlier_version_name_no_profiles(machine: Machine) -> None:
    """They are the usual profile's, as long as that has the extension."""
    settings = extension_install.settings_file()
    machine.run("install", "a")
    settings.write_text(json.dumps({"python": sys.executable}))
    assert extension_install.known_profiles() == [""]
    assert "not installed there" in machine.run("uninstall", "b")
    assert settings.exists()
    assert "Removed" in machine.run("uninstall", "a")
    assert not settings.exists()


def test_profile_that_cannot_be_written(machine: Machine) -> None:
    home = machine.folder / "profile"
    locked = home / "locked"
    locked.mkdir()
    own(home, USER)
    locked.chmod(0o555)
    with pytest.raises(HostError) as caught:
        extension_install.install([], str(machine.program), str(locked / "profile"))
    locked.chmod(0o755)
    assert str(caught.value) == (
        "unopkg failed: a folder could not be created. "
        "Your own user must be able to write into LibreOffice's profile. See to that, or name another: --profile"
    )


# --- what does not answer ---------------------------------------------------------------------------------


def test_extension_that_does_not_answer_is_removed_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = machine.folder / "python"
    broken.write_text("#!/bin/sh\necho \"No module named 'sgdsheet'\" >&2\nexit 1\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(broken))
        told = machine.run("install", "a", status=1)
    assert told == (
        "the extension was installed, but its functions do not answer in LibreOffice: "
        f"{broken} cannot run sgdsheet: No module named 'sgdsheet'. {INSTALL[:-1]}. It was removed again"
    )
    assert not extension_install.settings_file().exists()
    assert "not installed" in machine.run("status", "a")


def test_part_of_the_extension_is_gone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("SAL_USE_VCLPLUGIN", "gen")  # with it, LibreOffice wants a screen even where it is headless
    machine.run("install", "a")
    (part,) = machine.profile("a").glob("user/uno_packages/**/component.py")
    part.unlink()
    assert "answers  no: its buttons and functions do not answer" in machine.run("status", "a").replace("\n", " ")
    assert "Removed" in machine.run("uninstall", "a")


def test_empty_register_after_a_crash(machine: Machine) -> None:
    """LibreOffice starts in an active environment that does not lead to uno, as it did with earlier versions."""
    profile = machine.profile("a")
    machine.add_old_style("a")
    own(profile, os.getuid())
    options = ["--headless", "--norestore", f"-env:UserInstallation={profile.as_uri()}", "--convert-to", "csv"]
    book = Path(__file__).parent.parent / "workbooks" / "quadratic.xlsx"
    crash = [soffice(), *options, "--outdir", machine.folder, book]
    assert subprocess.run(list(map(str, crash)), capture_output=True, timeout=60).returncode != 0
    assert empty_registers(profile)
    told = machine.run("status", "a").replace("\n", " ")
    assert "answers  no: LibreOffice's register of extensions is empty" in told
    assert "run: sgdsheet libreoffice install" in told
    assert "register of extensions was empty, after a crash. It was made anew" in machine.run("install", "a")
    assert not empty_registers(profile)


# --- environments -----------------------------------------------------------------------------------------


def test_nothing_of_an_environment_is_inherited(tmp_path: Path) -> None:
    venv, conda, shims = tmp_path / "venv" / "bin", tmp_path / "conda" / "bin", tmp_path / ".pyenv" / "shims"
    for folder in (venv, conda, shims):
        folder.mkdir(parents=True)
    (venv.parent / "pyvenv.cfg").touch()
    (conda.parent / "conda-meta").mkdir()
    kept = {"HOME": "a", "DISPLAY": ":1", "SGDSHEET_STATE_DIR": "b", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
    gone = ("VIRTUAL_ENV VIRTUAL_ENV_PROMPT _OLD_VIRTUAL_PATH PYTHONHOME PYTHONPATH PYTHONSTARTUP __PYVENV_LAUNCHER__ "
            "CONDA_PREFIX CONDA_DEFAULT_ENV _CE_CONDA UV_PYTHON PIPX_HOME PYENV_VERSION POETRY_ACTIVE")  # fmt: skip
    path = os.pathsep.join(map(str, (venv, conda, tmp_path, shims, "/usr/bin")))
    found = office_environment({**kept, **dict.fromkeys(gone.split(), "x"), "PATH": path})
    assert found == {**kept, "PATH": os.pathsep.join(["/usr/bin", str(tmp_path), "/usr/bin"])}
    assert "SAL_USE_VCLPLUGIN" not in office_environment({"SAL_USE_VCLPLUGIN": "gen"})
    assert office_environment({"SAL_USE_VCLPLUGIN": "gen"}, visible=True)["SAL_USE_VCLPLUGIN"] == "gen"
    assert office_environment({})["PATH"]


def test_environment_is_led_to_uno_and_forgets_it(tmp_path: Path) -> None:
    made = environment_with_sgdsheet(tmp_path / "venv")
    before = sorted(made.folder.rglob("*"))
    assert active_environment.lead_to_uno(soffice(), made.folder)
    (line,) = made.folder.rglob(active_environment.FILE_NAME)
    assert str(soffice().parent) in line.read_text()
    active_environment.forget(made.folder)
    assert sorted(made.folder.rglob("*")) == before
    assert active_environment.lead_to_uno(soffice(), tmp_path)  # no environment: nothing to do
    assert not list(tmp_path.glob("lib"))


@pytest.fixture
def uv() -> str:
    found = shutil.which("uv")
    if found is None:
        pytest.skip("not installed: uv")
    return found


def converts(machine: Machine, environment: dict[str, str]) -> bool:
    """Whether LibreOffice, with the extension in the profile `a`, opens a spreadsheet where it is started like that."""
    profile = machine.profile("a")
    own(profile, os.getuid())
    options = ["--headless", "--norestore", f"-env:UserInstallation={profile.as_uri()}", "--convert-to", "csv"]
    book = Path(__file__).parent.parent / "workbooks" / "quadratic.xlsx"
    start = [soffice(), *options, "--outdir", machine.folder / "out", book]
    subprocess.run(list(map(str, start)), env=environment, capture_output=True, timeout=100)
    return (machine.folder / "out" / "quadratic.csv").is_file()


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("python", [office_python(), Path(sys.executable)], ids=["LibreOffice's", "another"])
@pytest.mark.parametrize("tool", ["venv", "uv"])
def test_office_opens_where_an_environment_is_active(
    machine: Machine, tool: str, python: Path, request: pytest.FixtureRequest
) -> None:
    folder = machine.folder / "env"
    if tool == "uv":
        command = [request.getfixturevalue("uv"), "venv", "--quiet", "--python", str(python.resolve()), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        made = Environment(folder)
    else:
        made = empty_environment(folder, python)
    machine.run("install", "a")
    environment = made.active(office_environment())
    assert active_environment.lead_to_uno(soffice(), folder)
    assert converts(machine, environment)


def test_another_python_of_the_same_version_misleads_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of conda, of uv, or built by the person: no environment, but LibreOffice would take it for its own."""
    asked = subprocess.run(
        [office_python(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    )
    library = tmp_path / "lib" / f"python{asked.stdout.strip()}"
    (library / "site-packages").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    assert active_environment.terminal_leads(soffice())
    (library / "os.py").touch()
    assert active_environment.lead_to_uno(soffice(), tmp_path)
    assert not list(tmp_path.rglob(active_environment.FILE_NAME))  # LibreOffice would take its library, too
    assert not active_environment.terminal_leads(soffice())


# --- offices that are shut off ----------------------------------------------------------------------------


def only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A machine without any other LibreOffice than what is in this folder."""
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("FLATPAK_USER_DIR", str(folder / "flatpak"))
    monkeypatch.setenv("FLATPAK_SYSTEM_DIR", str(folder / "system"))
    monkeypatch.delenv("SGDSHEET_SOFFICE", raising=False)
    (folder / "bin").mkdir()


def as_snap(folder: Path) -> None:
    """As snapd lays it: every command is a link to its own program."""
    (folder / "snap").write_text("#!/bin/sh\nexit 1\n")
    (folder / "snap").chmod(0o755)
    (folder / "bin" / "libreoffice").symlink_to(folder / "snap")


def as_flatpak(folder: Path) -> None:
    """As flatpak lays it: the app in its own folder, and a command that runs it."""
    (folder / "flatpak" / "app" / "org.libreoffice.LibreOffice").mkdir(parents=True)
    exported = folder / "flatpak" / "exports" / "bin" / "org.libreoffice.LibreOffice"
    exported.parent.mkdir(parents=True)
    exported.write_text("#!/bin/sh\nexec /usr/bin/flatpak run org.libreoffice.LibreOffice\n")


@pytest.mark.parametrize(("lay", "kind"), [(as_snap, "Snap"), (as_flatpak, "Flatpak")])
@pytest.mark.parametrize("action", ["install", "status", "uninstall"])
def test_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lay: Callable[[Path], None], kind: str, action: str
) -> None:
    monkeypatch.setenv("SGDSHEET_STATE_DIR", str(tmp_path / "state"))
    only(monkeypatch, tmp_path)
    lay(tmp_path)
    done = CliRunner().invoke(command, [action])
    assert isinstance(done.exception, HostError)
    assert done.exception.cause.startswith(f"LibreOffice is here as a {kind} only")
    assert "Install LibreOffice from your distribution" in done.exception.remedy
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "state" / "libreoffice.json").exists()


@pytest.mark.usefixtures("untried")
def test_another_office_that_cannot_have_it_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATPAK_USER_DIR", str(machine.folder / "flatpak"))
    as_flatpak(machine.folder)
    told = machine.run("install", "a").replace("\n", " ")
    assert "The LibreOffice that is installed as a Flatpak cannot have it: start the other one." in told
