"""What others may try on the server of `sgdsheet open`: pages of other sites, other users, workbooks and uploads.

The server is a process of its own, as it is for a person; after each attack it still answers.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
import xlsxwriter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.live_books import PATIENCE
from tests.web.served import Served, serving

EVIL = "<script>alert(1)</script>"
SHEET = "<img src=x onerror=a>"
NAME = 'a"><script>alert(1)<.xlsx'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("books")


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for a workbook whose every text is markup."""
    path = folder / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet(SHEET)
        page.write_string("A1", EVIL)
        page.write_number("A2", 1.5, book.add_format({"num_format": '0.0"<b>"'}))
        page.write_formula("A3", f'="{EVIL}"&A2', None, EVIL)
        page.write_url("A4", "javascript:alert(1)".replace("javascript:", "https://x.example/"), string=EVIL)
        page.write_comment("A1", EVIL)
        chart = book.add_chart({"type": "line"})
        chart.add_series({"name": EVIL, "values": [SHEET, 1, 0, 1, 0]})
        chart.set_title({"name": EVIL})
        page.insert_chart("C3", chart)
    (folder / "other.xlsx").write_bytes(b"another file")
    with serving(path, tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(autouse=True)
def still_answers(served: Served) -> Iterator[None]:
    yield
    assert served.client.get("/api/start").status_code == 200
    assert served.process.poll() is None


def raw(served: Served, request: str) -> bytes:
    """The answer to a request that is written by hand."""
    with socket.create_connection(("127.0.0.1", int(served.host.partition(":")[2])), timeout=PATIENCE) as line:
        line.sendall(request.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return b"".join(iter(lambda: line.recv(65_536), b""))


# --- other sites and other users --------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "é", '"', "\\", "; ;", "a" * 10_000])
def test_no_cookie_but_the_own_one_is_known(served: Served, value: str) -> None:
    name = next(iter(served.client.cookies))
    with httpx.Client(base_url=served.origin, timeout=PATIENCE) as stranger:
        answer = stranger.get("/api/start", headers={b"Cookie": f"{name}={value}".encode()})
    assert answer.status_code == 403
    assert "examples" not in answer.text


def test_the_cookie_of_another_server_is_not_ours(served: Served) -> None:
    _, _, value = served.cookie.partition("=")
    for name in ("sgdsheet", "sgdsheet-1", f"sgdsheet-{int(served.host.partition(':')[2]) + 1}"):
        headers = {"Cookie": f"{name}={value}"}
        assert httpx.get(f"{served.origin}/api/start", headers=headers, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "%ff", "token" * 1000])
def test_no_token_but_the_own_one_is_known(served: Served, token: str) -> None:
    answer = httpx.get(f"{served.origin}/?token={token}", timeout=PATIENCE)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "line",
    [
        "GET http://elsewhere.example/api/start HTTP/1.1\nHost: elsewhere.example",
        "GET /api/start HTTP/1.1\nHost: {host}\nHost: elsewhere.example",
        "GET /api/start HTTP/1.1\nHost: elsewhere.example\nX-Forwarded-Host: {host}",
        "GET /api/start HTTP/1.1\nHost: {host}.elsewhere.example",
        "GET /api/start HTTP/1.1\nHost: elsewhere.example\nOrigin: http://elsewhere.example",
    ],
)
def test_a_name_that_was_bound_to_this_machine_gets_nothing(served: Served, line: str) -> None:
    """DNS rebinding: the browser takes another site's page and ours for one, and would even send what that set."""
    answer = raw(served, line.format(host=served.host) + f"\nCookie: {served.cookie}\nConnection: close")
    assert answer.split(b" ")[1] in (b"421", b"400")
    assert b"examples" not in answer


@pytest.mark.parametrize("path", ["//elsewhere.example", "/\\elsewhere.example", "/%5celsewhere.example", "/%2f%2fx"])
def test_no_address_leads_to_another_site(served: Served, path: str) -> None:
    answer = raw(served, f"GET {path}?token={served.token} HTTP/1.1\nHost: {served.host}\nConnection: close")
    location = next((line for line in answer.split(b"\r\n") if line.lower().startswith(b"location:")), b"location: /x")
    target = location.partition(b": ")[2]
    assert target.startswith(b"/")
    assert not target.startswith((b"//", b"/\\"))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/start", "/api/open", "/api/upload"])
def test_other_methods_do_nothing(served: Served, method: str, path: str) -> None:
    assert served.client.request(method, path).status_code in (403, 405)


# --- paths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        {"example": "../../pages"},
        {"example": "/etc/passwd"},
        {"example": ""},
        {"recent": -1},
        {"recent": 10**9},
        {"recent": True},
        {"path": "/etc/passwd"},
        {},
        [],
        None,
    ],
)
def test_nothing_is_opened_by_a_path(served: Served, asked: Any) -> None:
    answer = served.client.post("/api/open", json=asked)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/picture/..%2f..%2fserver.py", "/api/picture/%2fetc%2fpasswd", "/assets/%00"])
def test_no_picture_and_no_part_of_the_page_is_another_file(served: Served, path: str) -> None:
    answer = raw(served, f"GET {path} HTTP/1.1\nHost: {served.host}\nCookie: {served.cookie}\nConnection: close")
    assert answer.split(b" ")[1] in (b"404", b"400", b"405")
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "name", ["../x.xlsx", "a/b.xlsx", "..\\x.xlsx", "/x.xlsx", "C:\\x.xlsx", ".", "..", "", "x\0.xlsx", "x.exe", "x"]
)
def test_nothing_is_saved_outside_of_the_books_folder(served: Served, folder: Path, name: str) -> None:
    before = _files(folder)
    with served.page() as page:
        reply = page.ask("save", **{"as": name, "in_place": False})
    assert not reply["ok"]
    assert _files(folder) == before


def test_no_other_file_is_written_over(served: Served, folder: Path) -> None:
    with served.page() as page:
        assert not page.ask("save", **{"as": "other.xlsx", "in_place": False})["ok"]
    assert (folder / "other.xlsx").read_bytes() == b"another file"


# --- markup in workbooks ----------------------------------------------------------------------------------


def test_markup_in_a_workbook_is_data(served: Served) -> None:
    """It comes as texts in JSON, which the page draws; where the server writes HTML, it is escaped."""
    with served.page() as page:
        assert page.wait("book")["sheets"][0]["name"] == SHEET
        cells = page.cells(SHEET, 1, 1, 9, 9)
        assert (cells[1, 1], cells[3, 1]) == (EVIL, EVIL)
        copied = page.ask("copy", sheet=SHEET, area=[1, 1, 4, 2])
        assert "<script" not in copied["html"]
        assert "&lt;script&gt;" in copied["html"]
        for area in ([1, 1, 1, 1], [3, 1, 3, 1]):
            page.ask("cell", sheet=SHEET, row=area[0], column=area[1])
    answer = served.client.get(f"/api/book/{EVIL}/download")
    assert answer.status_code == 404
    assert "<script" not in answer.text or answer.headers["content-type"].startswith("application/json")


def test_a_typed_text_is_data(served: Served) -> None:
    with served.page() as page:
        assert page.ask("edit", sheet=SHEET, top=7, left=1, texts=[[EVIL]])["ok"]
        assert page.cells(SHEET, 1, 1, 9, 9)[7, 1] == EVIL
        refused = page.ask("edit", sheet=SHEET, top=8, left=1, texts=[[f"=SUM({EVIL}"]])
        assert not refused["ok"]
        assert refused["error"]["message"]


def test_the_name_of_an_uploaded_file_makes_no_header_and_no_path(served: Served, folder: Path) -> None:
    data = (folder / "book.xlsx").read_bytes()
    for name in (NAME, "../../up.xlsx", "a\r\nSet-Cookie: x=1.xlsx", "\u202exslx.exe", "x" * 5_000 + ".xlsx", ""):
        answer = served.client.post("/api/upload", params={"name": name}, content=data)
        assert answer.status_code == 200, name
        book = answer.json()["book"]
        with served.page(book) as page:
            shown = page.wait("book")
            assert shown["path"] in (None, "")
            assert "/" not in shown["name"]
            assert len(shown["name"]) <= 255
            assert not page.ask("save", **{"as": "up.xlsx", "in_place": False})["ok"]
        headers = served.client.get(f"/api/book/{book}/download").headers
        assert headers["content-disposition"].isascii()
        assert "<" not in headers["content-disposition"]
        assert "x=1" not in headers.get("set-cookie", "")
    lie = [path.relative_to(folder.parent).parts for path in folder.parent.rglob("*up.xlsx")]
    assert [(parts[1], len(parts)) for parts in lie] == [("dropped", 4)]  # the copy that the list of recent books has


# --- too much, too large, too slow ------------------------------------------------------------------------


def test_an_upload_of_200_megabytes_is_refused_before_it_is_there(served: Served) -> None:
    started, size = monotonic(), _memory(served)
    line = http.client.HTTPConnection(served.host, timeout=PATIENCE)
    line.putrequest("POST", "/api/upload?name=a.xlsx")
    for name, value in (("Origin", served.origin), ("Cookie", served.cookie), ("Content-Length", str(200 << 20))):
        line.putheader(name, value)
    line.endheaders()
    answer = line.getresponse()  # nothing was sent yet
    assert answer.status == 400
    assert json.loads(answer.read())["error"]["cause"] == "the file is larger than 100 MB"
    line.close()
    assert monotonic() - started < PATIENCE
    assert _memory(served) - size < 50 << 20


def test_an_upload_that_does_not_say_how_large_it_is_ends_at_100_megabytes(served: Served) -> None:
    size, line = _memory(served), http.client.HTTPConnection(served.host, timeout=PATIENCE)
    piece, sent = b"a" * (1 << 20), 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        while sent < 200:
            sent += 1
            yield piece

    headers = {"Origin": served.origin, "Cookie": served.cookie}
    with suppress(BrokenPipeError, ConnectionResetError):
        line.request("POST", "/api/upload?name=a.xlsx", pieces(), headers, encode_chunked=True)
        assert line.getresponse().status == 400
    line.close()
    assert sent < 200
    assert _memory(served) - size < 400 << 20


def test_files_that_are_none(served: Served) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<a/>" + b" " * (64 << 20))
    for data in (b"", b"PK", b"<html>", b"\0" * 1000, bomb.getvalue(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 99):
        answer = served.client.post("/api/upload", params={"name": "a.xlsx"}, content=data)
        assert answer.status_code == 400
        assert set(answer.json()["error"]) == {"message", "cell", "cause", "remedy"}


HUGE = [1, 1, 1_048_576, 16_384]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "view", "sheet": SHEET, "area": HUGE},
        {"type": "copy", "sheet": SHEET, "area": HUGE},
        {"type": "fill", "sheet": SHEET, "from": [1, 1, 1, 1], "to": HUGE},
        {"type": "fill", "sheet": SHEET, "from": HUGE, "to": [1, 1, 1, 1]},
        {"type": "edit", "sheet": SHEET, "top": 1_048_576, "left": 1, "texts": [["1"], ["2"]]},
        {"type": "edit", "sheet": SHEET, "top": -5, "left": 0, "texts": [["1"]]},
        {"type": "edit", "sheet": SHEET, "top": 1, "left": 5, "texts": [["x" * 40_000]]},
        {"type": "edit", "sheet": SHEET, "top": 1, "left": 5, "texts": [["=" + "(" * 5_000]]},
        {"type": "edit", "sheet": SHEET, "top": 1, "left": 5, "texts": {"a": 1}},
        {"type": "select", "sheet": SHEET, "areas": [[1, 1, 2, 2]] * 30_000},
        {"type": "select", "sheet": SHEET, "areas": [HUGE]},
        {"type": "cell", "sheet": SHEET, "row": 10**30, "column": 1e300},
        {"type": "slice", "sheet": SHEET, "cells": [[1, 1]] * 50_000},
        {"type": "settings", "sheet": SHEET, "values": {"learning rate": "x" * 100_000}},
        {"type": "command", "name": "__class__", "sheet": SHEET, "options": {}},
        {"type": "command", "name": "train", "sheet": EVIL, "options": {"steps": "x"}},
        {"type": "edit", "sheet": "no such sheet", "top": 1, "left": 1, "texts": [["1"]]},
    ],
)
def test_what_asks_for_too_much_is_answered_soon(served: Served, message: dict[str, Any]) -> None:
    started = monotonic()
    with served.page() as page:
        page.ask(**message)
        assert page.ask("ping")["ok"]
    assert monotonic() - started < PATIENCE


def test_a_message_that_is_too_large_ends_the_connection(served: Served) -> None:
    headers = {"Cookie": served.cookie}
    address = f"ws://{served.host}/api/book/{served.book}/live"
    with connect(address, origin=served.origin, additional_headers=headers, proxy=None) as line:  # type: ignore[arg-type]
        with suppress(ConnectionClosed):
            line.send(json.dumps({"type": "ping", "id": 1, "more": "x" * (21 << 20)}))
        assert _ending(line) is not None


def test_100_slow_clients_hold_up_nobody(served: Served) -> None:
    """Half of them never end their request, half are pages that never read; one more gets its cells at once."""
    port = int(served.host.partition(":")[2])
    headers = {"Cookie": served.cookie}
    address = f"ws://{served.host}/api/book/{served.book}/live"
    with ExitStack() as lines:
        for _ in range(50):
            half = lines.enter_context(socket.create_connection(("127.0.0.1", port)))
            half.sendall(f"POST /api/upload?name=a.xlsx HTTP/1.1\r\nHost: {served.host}\r\nX-".encode())
        for _ in range(50):
            page = lines.enter_context(
                connect(
                    address,
                    origin=served.origin,  # type: ignore[arg-type]
                    additional_headers=headers,
                    proxy=None,
                    max_queue=1,
                    close_timeout=0.1,  # what it never reads stands before the server's goodbye
                )
            )
            page.send(json.dumps({"type": "view", "sheet": SHEET, "area": [1, 1, 200, 50]}))
        with served.page() as page:
            started = monotonic()
            assert page.cells(SHEET, 1, 1, 9, 9)[1, 1] == EVIL
            for number in range(20):
                assert page.ask("edit", sheet=SHEET, top=20, left=1, texts=[[str(number)]])["ok"]
            assert page.cells(SHEET, 1, 1, 30, 9)[20, 1] == "19"
            assert monotonic() - started < PATIENCE


def half_request(served: Served) -> socket.socket:
    """A connection that has begun to ask, and waits."""
    found = socket.create_connection(("127.0.0.1", int(served.host.partition(":")[2])), timeout=PATIENCE)
    found.sendall(f"GET / HTTP/1.1\r\nHost: {served.host}\r\nX-".encode())
    return found


def is_open(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_any_number_of_idle_connections_locks_nobody_out(served: Served) -> None:
    """Half requests, connections without a word, and some that go on letter by letter: a person still gets the page.

    They are ended. A connection that asks again and again stays; only waiting has an end.
    """
    asking = http.client.HTTPConnection(served.host, timeout=PATIENCE)

    def asks() -> None:
        asking.request("GET", "/api/start", headers={"Cookie": served.cookie})
        answer = asking.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["examples"]

    with ExitStack() as lines, served.page() as page:
        for number in range(600):
            half = lines.enter_context(half_request(served))
            if number % 100 == 99:
                started = monotonic()
                answer = httpx.get(f"{served.origin}/", headers={"Cookie": served.cookie}, timeout=PATIENCE)
                assert answer.status_code == 200
                assert page.ask("ping")["ok"]
                with served.page() as another:
                    assert another.cells(SHEET, 1, 1, 2, 2)[1, 1] == EVIL
                assert monotonic() - started < PATIENCE
        assert is_open(half)
        asking.auto_open = 0  # it must not connect anew behind our back
        asking.connect()
        silent = lines.enter_context(socket.create_connection(("127.0.0.1", int(served.host.partition(":")[2]))))
        ends, asked = monotonic() + PATIENCE, 0
        while monotonic() < ends and (is_open(half) or is_open(silent)):
            asks()
            asked += 1
            with suppress(OSError):
                half.send(b"a")  # a letter now and then is no request
            sleep(0.5)
        assert not is_open(half)
        assert not is_open(silent)
        asks()  # although it is older than the silent one
        assert asked > 1
        assert page.ask("ping")["ok"]
    asking.close()


def test_too_many_pages_are_told_so(served: Served) -> None:
    headers = {"Cookie": served.cookie}
    address = f"ws://{served.host}/api/book/{served.book}/live"
    with ExitStack() as lines:
        endings = [
            _ending(
                lines.enter_context(
                    connect(address, origin=served.origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]
                ),
                messages=1,
            )
            for _ in range(105)
        ]
        assert endings == [None] * 100 + [1013] * 5
    with served.page() as page:
        assert page.ask("ping")["ok"]


def _files(folder: Path) -> list[str]:
    """The workbooks and whatever else is in a folder and around it, without what the server keeps for itself."""
    found = (path.relative_to(folder.parent) for path in folder.parent.rglob("*"))
    return sorted(str(path) for path in found if not path.parts[0].startswith("state"))


def _ending(line: ClientConnection, messages: int = 1_000) -> int | None:
    """The code with which the server ends a connection, within so many messages; None if it does not."""
    for _ in range(messages):
        try:
            line.recv(PATIENCE)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006
    return None


def _memory(served: Served) -> int:
    """Bytes of memory that the server has."""
    status = Path(f"/proc/{served.process.pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10
