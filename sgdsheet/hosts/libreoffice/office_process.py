"""An office of our own, the agent as a process of its own, and the offices that a person has started."""

from __future__ import annotations

import hashlib
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from sgdsheet.errors import HostBusyError, HostError
from sgdsheet.hosts.libreoffice.programs import office_environment, office_python, soffice
from sgdsheet.hosts.refusals import program_gone
from sgdsheet.system.json_messages import Message, encode_line, read_messages

TIMEOUT = 60.0
"""Seconds that LibreOffice may take for one answer."""

_OWN_GROUP = 0x200 if sys.platform == "win32" else 0
"""Windows' CREATE_NEW_PROCESS_GROUP, so that Ctrl-C in a terminal does not end the agent: we need it to write the best
numbers."""

_START = 60.0  # seconds that an office may take to start
_GLANCE = 5.0  # seconds between two looks whether an office that starts has ended
_INVITED = "sgdsheet-guest-"  # how the names of the pipes begin on which a person's office listens for us
_INVITE = 5.0  # seconds that an office may take to hand options on to another
_FOLDER, _PIPE = Path(os.sep, "tmp"), "OSL_PIPE_"  # the folder of LibreOffice's pipes, and how their names begin
_SINGLE = "SingleOfficeIPC"  # the pipe by which a second start reaches the first

# The agent runs under a Python that may be too old for the rest of sgdsheet, so the packages around it are empty there.
_BOOT = """
import os, sys, types
for name, folder in zip(("sgdsheet", "sgdsheet.hosts", "sgdsheet.hosts.libreoffice"), sys.argv[1:4]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from sgdsheet.hosts.libreoffice.agent.requests import main
main(*sys.argv[4:])
sys.stdout.flush()
os._exit(0)  # UNO may crash at Python's own end, and systems report that
"""


class AgentProcess:
    """The agent in a process of its own, connected to the office that listens on a pipe."""

    def __init__(self, pipe: str, patience: float = 0.0, timeout: float = TIMEOUT, program: Path | None = None) -> None:
        self.timeout = timeout
        folders = [*Path(__file__).parents[2::-1]]
        command = [office_python(program), "-E", "-B", "-c", _BOOT, *folders, pipe, str(patience)]
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, creationflags=_OWN_GROUP, env=office_environment(),
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._replies: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._number = 0
        threading.Thread(target=self._receive, args=(self._process.stdout,), daemon=True).start()
        try:
            ready = self._next(patience + TIMEOUT)
        except HostError:
            self.close()
            raise
        if not ready["ok"]:
            self.close()
            raise HostError(f"no LibreOffice listens on the pipe “{pipe}”", remedy="Start LibreOffice")

    def ask(self, request: Message, timeout: float | None = None) -> Message:
        """The agent's reply. Raises BookClosedError if it is gone, HostBusyError if it does not come."""
        self._number += 1
        line = encode_line({"id": self._number, **request})
        try:
            self._requests.write(line)
            self._requests.flush()
        except (OSError, ValueError):  # the latter: the agent was closed
            raise program_gone("LibreOffice") from None
        while True:
            reply = self._next(self.timeout if timeout is None else timeout)
            if reply.get("id") == self._number:  # others are late answers to what was given up
                return reply

    def close(self) -> None:
        """End the process; the office stays."""
        with suppress(OSError):  # a request that was not sent
            self._requests.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self, replies: IO[bytes]) -> None:
        with replies, suppress(ValueError):  # what is no message does not come from our agent
            for reply in read_messages(replies):
                self._replies.put(reply)
        self._replies.put(None)

    def _next(self, timeout: float) -> Message:
        try:
            reply = self._replies.get(timeout=timeout)
        except queue.Empty:
            raise HostBusyError(
                f"LibreOffice has not answered for {timeout:g} seconds", remedy="Close its dialogs, then try again"
            ) from None
        if reply is None:
            self._replies.put(None)
            raise program_gone("LibreOffice")
        return reply


class Office:
    """An office of our own, with its own profile, without windows unless `visible`. Use it in a `with` statement.

    `program` is LibreOffice's program where it is not the usual one; `prepare` puts something into the new profile.
    Raises HostError if it does not start.
    """

    def __init__(
        self,
        *,
        visible: bool = False,
        environment: dict[str, str] | None = None,
        program: Path | None = None,
        prepare: Callable[[Path], object] | None = None,
    ) -> None:
        self._program = program or soffice()
        self.pipe = f"sgdsheet-{uuid.uuid4().hex[:12]}"
        self.profile = Path(tempfile.mkdtemp(prefix="sgdsheet-office-"))
        if prepare is not None:
            prepare(self.profile)
        self.process = start_office(
            self._program,
            *([] if visible else ["--headless"]),
            *("--nodefault", "--nofirststartwizard", f"-env:UserInstallation={self.profile.as_uri()}"),
            f"--accept=pipe,name={self.pipe};urp;",
            environment=os.environ if environment is None else environment,
        )
        try:
            self.agent = self._connect()
        except HostError:
            self.kill()
            raise

    def _connect(self) -> AgentProcess:
        """An agent, as soon as the office answers. One that has ended is not waited for."""
        end = time.monotonic() + _START
        while True:
            try:
                return AgentProcess(self.pipe, patience=_GLANCE, program=self._program)
            except HostError:
                if self.process.poll() is not None:
                    raise HostError("LibreOffice ended while it started") from None
                if time.monotonic() > end:
                    raise

    def open(self, path: str | Path, *, hidden: bool = False) -> str:
        """Open a file; its key. Raises HostError for a file that is locked or no spreadsheet."""
        remove_stale_lock(Path(path))
        reply = self.agent.ask({"do": "open", "path": str(Path(path).resolve()), "hidden": hidden})
        if not reply["ok"]:
            name = Path(path).name
            if reply["reason"] == "locked":
                remedy = f"Close it in the other program; if none has it, delete “.~lock.{name}#” beside it"
                raise HostError(f"LibreOffice cannot open “{name}”: another program seems to have it", remedy=remedy)
            raise HostError(f"LibreOffice cannot open “{name}”", remedy="Check that it is a spreadsheet")
        return str(reply["result"])

    def stop(self) -> None:
        """Close all documents, unsaved, and end the office, for sure."""
        with suppress(HostError, subprocess.TimeoutExpired):
            self.agent.ask({"do": "quit"}, timeout=5)
            self.process.wait(timeout=5)
        self.agent.close()
        self.kill()

    def kill(self) -> None:
        """End the office at once, as a crash would."""
        kill_group(self.process)
        shutil.rmtree(self.profile, ignore_errors=True)
        for place in self._pipes():
            place.unlink(missing_ok=True)

    def _pipes(self) -> list[Path]:
        """The files of its pipes, which a killed office leaves behind."""
        if sys.platform == "win32":
            return []
        digest = hashlib.md5(self.profile.as_uri().encode("utf-16-le"), usedforsecurity=False).digest()
        single = f"{_SINGLE}_{''.join(f'{byte:x}' for byte in digest)}"  # as LibreOffice writes it: no zeros in front
        return [_FOLDER / f"{_PIPE}{os.getuid()}_{name}" for name in (self.pipe, single)]

    def __enter__(self) -> Office:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def remove_stale_lock(path: Path) -> None:
    """Remove the lock file that an office of ours left behind: its profile is gone, so the office is, too."""
    lock = path.with_name(f".~lock.{path.name}#")
    try:
        profile = lock.read_text(encoding="utf-8").rstrip(";\n").rpartition(",")[2]
    except OSError:
        return
    folder = Path(profile.removeprefix("file://").rstrip("/"))
    if "sgdsheet-office-" in folder.name and not folder.exists():
        lock.unlink(missing_ok=True)


def listening() -> list[str]:
    """The pipes on which offices of this user listen."""
    if sys.platform == "win32":
        found = [name.removeprefix(_PIPE) for name in os.listdir("\\\\.\\pipe\\") if name.startswith(_PIPE)]
    else:
        start = f"{_PIPE}{os.getuid()}_"
        found = [place.name.removeprefix(start) for place in _FOLDER.glob(f"{start}*") if _is_ours(place)]
    return sorted(name for name in found if not name.startswith(_SINGLE))


def invite() -> str | None:
    """Have the office that a person has started listen on a pipe for us; None if none runs.

    The pipe has a name that nobody can guess, and `withdraw` closes it. A second start with the same profile hands its
    options on to the office that runs, and ends.
    """
    if sys.platform != "win32":
        places = _FOLDER.glob(f"{_PIPE}{os.getuid()}_{_SINGLE}*")
        if not any(map(_is_ours, places)):
            return None
    pipe = f"{_INVITED}{secrets.token_hex(16)}"
    if _hand_over(f"--accept=pipe,name={pipe};urp;", "--nodefault"):
        return pipe
    _forget(pipe)
    return None


def withdraw(pipe: str) -> None:
    """Close a pipe that `invite` has opened. Connections that are open stay; an office that has ended is left alone."""
    if pipe in listening():
        with suppress(HostError):
            _hand_over(f"--unaccept=pipe,name={pipe};urp;", "--nodefault")
    _forget(pipe)


def _forget(pipe: str) -> None:
    """Remove the file of a pipe on which nobody listens any more."""
    if sys.platform != "win32":
        (_FOLDER / f"{_PIPE}{os.getuid()}_{pipe}").unlink(missing_ok=True)


def _hand_over(*options: str) -> bool:
    """Hand options on to the office that runs with the person's profile; False if none does."""
    start = start_office(soffice(), *options, "--headless")
    try:
        start.wait(timeout=_INVITE)
    except subprocess.TimeoutExpired:  # none was running with that profile: this one is new, and empty
        kill_group(start)
        return False
    return True


def _is_ours(place: Path) -> bool:
    """Whether a program of this user listens on a pipe: in a folder for all, another user can make one of any name."""
    try:
        return place.lstat().st_uid == os.getuid() and _answers(place)
    except OSError:
        return False


def _answers(place: Path) -> bool:
    """Whether a program listens on a pipe; a killed one leaves its pipe behind."""
    if sys.platform == "win32":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place)) == 0


def start_office(program: Path, *options: str, environment: Mapping[str, str] = os.environ) -> subprocess.Popen[bytes]:
    """Start LibreOffice without its logo and without asking what to recover.

    Its process leads a group: soffice is a script, whose children are ended with it.
    """
    return subprocess.Popen(
        [str(program), "--nologo", "--norestore", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=office_environment(environment, visible="--headless" not in options),
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started in a session of its own, and all that it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
