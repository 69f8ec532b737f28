"""The server of `sgdsheet open`: its start, who may ask it, and what a page is sent."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.live_books import PATIENCE
from tests.web.served import Served, serving

ROOT = Path(__file__).parent.parent.parent
BOOK = ROOT / "workbooks" / "titanic.xlsx"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(BOOK, tmp_path_factory.mktemp("state")) as found:
        yield found


def test_the_token_is_swapped_for_a_cookie(served: Served) -> None:
    with httpx.Client(base_url=served.origin, timeout=PATIENCE) as stranger:
        assert stranger.get(served.path).status_code == 403
        assert stranger.get(f"{served.path}?token=wrong").status_code == 403
        answer = stranger.get(f"{served.path}?token={served.token}&sheet=nnet")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{served.path}?sheet=nnet")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert served.token not in cookie
        assert cookie.startswith(f"sgdsheet-{served.host.partition(':')[2]}=")
        assert stranger.get("/api/start").status_code == 200


def test_the_exchange_leads_nowhere_else(served: Served) -> None:
    answer = httpx.get(f"{served.origin}//elsewhere.example/?token={served.token}", timeout=PATIENCE)
    assert answer.headers["location"].startswith("/elsewhere.example")


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1", "localhost:1", "127.0.0.1.elsewhere.example"])
def test_other_names_of_the_machine_are_refused(served: Served, host: str) -> None:
    assert served.client.get("/api/start", headers={"Host": host}).status_code == 421


def test_localhost_is_this_machine(served: Served) -> None:
    port = served.host.partition(":")[2]
    headers = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert served.client.get("/api/start", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_sites_are_refused(served: Served, method: str, headers: dict[str, str]) -> None:
    assert served.client.request(method, "/api/start", headers=headers).status_code == 403


def test_a_write_says_where_it_comes_from(served: Served) -> None:
    answer = httpx.post(f"{served.origin}/api/start", headers={"Cookie": served.cookie}, timeout=PATIENCE)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/", "/api/start", "/assets/none.js", "/nowhere"])
def test_every_answer_protects_the_page(served: Served, path: str) -> None:
    headers = served.client.get(path).headers
    assert "script-src 'self';" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": None, "cookie": True},
        {"origin": "http://elsewhere.example", "cookie": True},
        {"origin": "own", "cookie": False},
    ],
)
def test_a_socket_opens_for_the_own_page_only(served: Served, headers: dict[str, str | bool | None]) -> None:
    origin = served.origin if headers["origin"] == "own" else headers["origin"]
    cookie = {"Cookie": served.cookie} if headers["cookie"] else {}
    address = f"ws://{served.host}/api/book/{served.book}/live"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=origin, additional_headers=cookie, proxy=None)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


def test_paths_lead_out_of_nothing(served: Served) -> None:
    for path in ("/assets/../../pages.py", "/assets/%2e%2e/%2e%2e/pages.py", "/assets/..%2f..%2fpages.py"):
        with socket.create_connection(("127.0.0.1", int(served.host.partition(":")[2]))) as raw:
            raw.sendall(f"GET {path} HTTP/1.0\r\nHost: {served.host}\r\nCookie: {served.cookie}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert b" 404 " in answer.split(b"\r\n")[0]
        assert b"import" not in answer


def test_a_page_gets_the_book_and_the_cells_in_view(served: Served) -> None:
    with served.page() as page:
        book = page.wait("book")
        assert book["name"] == "titanic.xlsx"
        assert "nnet" in [sheet["name"] for sheet in book["sheets"]]
        page.send("view", sheet="nnet", area=[1, 1, 20, 20])
        cells = page.wait("cells")
        assert (cells["sheet"], cells["full"]) == ("nnet", True)
        assert [kind for row, column, _, kind, *_ in cells["cells"] if (row, column) == (6, 15)] == ["n"]


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "1", '{"type": 1}', '{"type": "nothing"}', '{"type": "view", "sheet": "none"}', "[" * 9999]
)
def test_a_malformed_message_is_refused(served: Served, text: str) -> None:
    with served.page() as page:
        page.socket.send(text)
        assert page.wait("reply")["ok"] is False
        assert page.ask("ping")["ok"] is True


def test_control_c_ends_it(tmp_path: Path) -> None:
    with serving(BOOK, tmp_path) as served, served.page() as page:
        page.next()
        assert served.stop(signal.SIGINT) == 0


def test_a_taken_port_is_said_in_one_line(served: Served) -> None:
    port = served.host.partition(":")[2]
    words = [sys.executable, "-m", "sgdsheet", "open", "--no-browser", "--port", port]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"sgdsheet: port {port} is in use. Leave out --port")
    assert ended.stderr.count("\n") == 1


def test_a_book_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sgdsheet", "open", str(tmp_path / "none.xlsx"), "--no-browser"]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "does not exist" in ended.stderr
