"""The background trainer as a process of its own, and the channel to it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.live.ipc import channel, client
from sgdsheet.live.ipc.client import call
from sgdsheet.live.ipc.service import Service
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.system import state_folder
from tests.live_books import PATIENCE, most, services, until


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(state_folder.VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def started(state: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The services that a test starts, also in vain; none outlives it."""
    with services() as found:
        yield found


def status(**more: Any) -> dict[str, Any]:
    return call({"command": "status", "host": "libreoffice", "book": "nowhere.ods"}, timeout=PATIENCE, **more)


def running() -> int | None:
    """The process that holds the lock, from the log."""
    lines = state_folder.log_path().read_text(encoding="utf-8").splitlines() if state_folder.log_path().exists() else []
    last = [line for line in lines if "starts, process" in line or line.endswith(": left")]
    return int(last[-1].rpartition(" ")[2]) if last and "starts" in last[-1] else None


def starts() -> int:
    """How many services there have been."""
    return state_folder.log_path().read_text(encoding="utf-8").count("starts, process")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def service() -> int:
    """A running service: its process."""
    assert status()["ok"]
    process = running()
    assert process is not None
    return process


@pytest.fixture
def server() -> Iterator[channel.Server]:
    """A server in this process that answers with what it was asked."""
    found = channel.Server(state_folder.address(), state_folder.key(), lambda message: {"ok": True, "got": message})
    yield found
    found.close()


def ask(message: dict[str, Any], key: bytes | None = None) -> dict[str, Any]:
    return channel.ask(state_folder.address(), key if key is not None else state_folder.key(), message, PATIENCE)


# --- the service ------------------------------------------------------------------------------------------


def test_it_starts_on_demand_and_quits(service: int) -> None:
    assert status(start=False) == {
        "ok": True,
        "state": "idle",
        "step": 0,
        "loss": None,
        "steps_per_second": None,
        "can_undo": False,
        "message": "",
        "steps": None,
        "failed": None,
        "stopped": None,
    }
    assert call({"command": "quit"})["ok"]
    until(lambda: not alive(service))
    reply = status(start=False)
    assert reply["kind"] == "HostError"
    assert "is not running" in reply["error"]


def test_errors_come_back_as_one_line(service: int) -> None:
    reply = call({"command": "explode"})
    assert not reply["ok"]
    assert "\n" not in reply["error"]
    assert reply["kind"] == "SettingError"
    assert alive(service)


def test_a_killed_service_is_started_again(service: int) -> None:
    """Its lock and its socket stay behind and are no hindrance."""
    os.kill(service, 9)
    until(lambda: not alive(service))
    assert Path(state_folder.address()).exists()
    assert state_folder.lock_path().exists()
    assert status()["ok"]
    assert running() not in (service, None)


def test_two_starters_get_one_service(started: list[subprocess.Popen[bytes]]) -> None:
    replies: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: replies.append(status())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply["ok"] for reply in replies] == [True] * 4
    reply = call({"command": "quit"}, start=False, timeout=PATIENCE)
    assert reply["ok"], reply
    for process in started:  # those that came late, too
        assert process.wait(PATIENCE) == 0
    assert starts() == 1


def test_a_service_that_nobody_needs_any_more(service: int) -> None:
    """Started beside another one, it comes to run only when that one has been told to quit."""
    call({"command": "quit"}, start=False)
    until(lambda: not alive(service))
    late = client.start_service("--after", "")  # as of when none had ever run
    assert late.wait(PATIENCE) == 0
    assert starts() == 1
    assert status()["ok"]  # whoever needs one still gets one
    assert starts() == 2


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service starts in another folder, and means the same one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(state_folder.VARIABLE, "mine")
    assert status()["ok"]
    assert running() is not None
    assert not (tmp_path / "mine" / "mine").exists()


def test_it_leaves_when_idle() -> None:
    process = client.start_service("--idle-minutes", "0.05")
    until(lambda: status(start=False).get("ok", False))
    until(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert "idle: leaving" in state_folder.log_path().read_text(encoding="utf-8")
    assert state_folder.error_path().read_bytes() == b""


def test_after_an_upgrade_a_new_one_takes_over(service: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The request says another version than the one that runs; the new service is again the one on the disk.
    monkeypatch.setattr(client, "__version__", "999.0")
    reply = call({"command": "check", "host": "libreoffice", "book": "x.ods", "options": {}}, timeout=PATIENCE)
    assert "another version" in reply["error"]
    until(lambda: not alive(service))
    assert starts() == 2
    until(lambda: running() is None)


OLD = """
import time
from sgdsheet.live.ipc import service

wait = service.Service.wait

def slowly(self):
    wait(self)
    time.sleep(0.5)

service.Service.wait = slowly
service.main()
"""
NEW = "import sgdsheet; sgdsheet.__version__ = '999.0'; from sgdsheet.live.ipc import service; service.main()"


def test_an_old_service_that_is_slow_to_go(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again while it leaves, it answers again: that is not the new one yet."""

    def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", code, *arguments]))
        return started[-1]

    old = start(OLD)
    until(lambda: bool(status(start=False).get("ok")))
    monkeypatch.setattr(client, "__version__", "999.0")
    with monkeypatch.context() as patched:
        patched.setattr(client, "start_service", lambda *arguments: start(NEW, *arguments))
        reply = call({"command": "explode"}, timeout=PATIENCE)
    assert "is not a command" in reply["error"]
    assert old.wait(PATIENCE) == 0
    assert starts() == 2


@pytest.mark.parametrize("leaving", [True, False])
def test_who_leaves_may_hang_up(
    leaving: bool, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that said that it leaves did nothing: it is asked again. Any other may have done what it was asked."""
    asked = []

    def answer(message: channel.Message) -> channel.Message:
        asked.append(message)
        if len(asked) == 1 and leaving:
            return {"ok": False, "kind": client.OTHER_VERSION, "leaving": True, "process": 1}
        if len(asked) <= 2:
            raise ConnectionResetError
        return {"ok": True}

    def start(*_: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "pass"]))
        return started[-1]

    monkeypatch.setattr(client, "start_service", start)
    server = channel.Server(state_folder.address(), state_folder.key(), answer)
    try:
        reply = status()
    finally:
        server.close()
    assert reply["ok"] is leaving
    assert len(asked) == (3 if leaving else 1)
    assert leaving or "the connection failed" in reply["error"]


def test_an_old_service_that_trains_stays() -> None:
    class Busy(Trainer):
        busy = True  # type: ignore[assignment]

    service = Service(Busy(lambda *_: pytest.fail("not needed")), 1.0)
    reply = service.answer({"command": "train", "version": "999.0"})
    assert reply["kind"] == client.OTHER_VERSION
    assert not reply["leaving"]
    assert "Stop the training" in reply["error"]
    assert service.answer({"command": "status", "version": "999.0"})["ok"]


def test_asking_is_instant() -> None:
    code = (
        "import sys, sgdsheet.live.ipc.client; print(sorted({'torch', 'numpy', 'scipy', 'xlwings'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"


# --- the channel --------------------------------------------------------------------------------------------


def test_two_clients_at_once(server: channel.Server) -> None:
    with greeted() as one, greeted() as two:
        for connection, number in ((one, 1), (two, 2), (two, 3), (one, 4)):
            connection.send_bytes(json.dumps({"number": number}).encode())
            assert json.loads(connection.recv_bytes())["got"] == {"number": number}


def test_many_clients(server: channel.Server) -> None:
    got: list[int] = []
    threads = [threading.Thread(target=lambda n=n: got.append(ask({"n": n})["got"]["n"])) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(20))


def test_without_the_key(server: channel.Server) -> None:
    with pytest.raises(channel.ChannelError, match="another key"):
        ask({"command": "status"}, b"x" * 32)
    with pytest.raises(AuthenticationError):
        Client(state_folder.address(), authkey=b"guess")
    assert ask({})["ok"]


def greeted() -> Connection:
    """A connection of somebody who knows the key, and may send what he likes."""
    return Client(state_folder.address(), authkey=state_folder.key())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff\xfe",
        b"[1, 2]",
        b'"text"',
        b'{"a": ',
        b"[" * 50_000,
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",  # a pickle
        b"{}" + b" " * channel.LONGEST_REQUEST,
    ],
    ids=["empty", "bytes", "list", "text", "half", "deep", "pickle", "oversized"],
)
def test_garbage_is_cut_off(server: channel.Server, data: bytes) -> None:
    with greeted() as connection:
        with suppress(BrokenPipeError):  # cut off before all was sent
            connection.send_bytes(data)
        with pytest.raises((EOFError, OSError)):
            connection.recv_bytes()
    assert ask({"still": "there"})["ok"]


@pytest.mark.skipif(sys.platform == "win32", reason="a Unix socket")
@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff" + b"\x7f" * 8]
)
def test_strangers_do_not_hold_it_up(server: channel.Server, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(state_folder.address())
        stranger.sendall(data)
        started = time.monotonic()
        assert ask({})["ok"]
        assert time.monotonic() - started < most(1.0, channel._HANDSHAKE)


def test_a_crowd_of_strangers_is_let_go(server: channel.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_HANDSHAKE", 0.3)
    strangers = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    for stranger in strangers:
        stranger.connect(state_folder.address())
    until(lambda: _answers())
    for stranger in strangers:
        stranger.close()


def _answers() -> bool:
    try:
        return bool(ask({})["ok"])
    except channel.ChannelError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_files_are_for_the_user_only(server: channel.Server, state: Path) -> None:
    key = state_folder.key()
    assert len(key) == 32
    assert state_folder.key() == key
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(state_folder.address()).stat().st_mode) == 0o600
    state.chmod(0o755)
    (state / "key").chmod(0o644)
    assert state_folder.key() == key
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "key").stat().st_mode) == 0o600


def test_a_damaged_key_is_one_line(state: Path) -> None:
    state_folder.key()
    (state / "key").write_text("zz")
    assert "the key file" in call({"command": "status"}, start=False)["error"]


def test_a_long_path_gets_a_short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state_folder.VARIABLE, str(tmp_path / ("long" * 30)))
    assert len(state_folder.address()) < 100
    server = channel.Server(state_folder.address(), state_folder.key(), lambda message: {"ok": True})
    assert ask({})["ok"]
    server.close()
    Path(state_folder.address()).parent.rmdir()
