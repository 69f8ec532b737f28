"""Who may ask the server, and what every answer says about that. Nothing of the workbook is known here.

The server listens on this machine only, which keeps other machines out, but not the pages of other sites in the same
browser, nor other users of the machine. So each request must come to a name of this machine (against DNS rebinding),
with the cookie that the opened address was exchanged for (against other users), and what changes anything, as well as a
WebSocket, must come from our own page (against other sites).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost")
"""The names of this machine under which the page may be asked for."""

_READS = ("GET", "HEAD")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; connect-src 'self' ws://{host}; worker-src 'self' blob:; manifest-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The page loads nothing from elsewhere and runs no script that stands in a page. Styles of single elements are let in:
the grid and the charts set them."""

_ASK_AGAIN = "Open the address that sgdsheet printed in the terminal: it has the key to this page."


class Access:
    """Lets in who knows the token, by a cookie, and turns all others away with a plain sentence."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        self._cookie = f"sgdsheet-{port}"  # cookies ignore ports: two servers must not take each other's
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, headers, host)
            return
        answer = self._refusal(scope, headers, host) or self._exchanged(scope)
        if answer is None and not self._known(headers):
            answer = _refused(_ASK_AGAIN)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope["path"], host)
            await send(message)

        await (answer or self._app)(scope, receive, guarded)

    async def _socket(self, scope: Scope, receive: Receive, send: Send, headers: Headers, host: str) -> None:
        """A WebSocket is only opened by our own page, which has the cookie; refused, it is closed before it opens."""
        own = host in self._hosts and headers.get("origin") == f"http://{host}"
        if own and self._known(headers):
            await self._app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope, headers: Headers, host: str) -> Response | None:
        """Why a request cannot be from our own page; None if it can."""
        if host not in self._hosts:
            return _refused("This server answers to 127.0.0.1 and localhost only.", 421)
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        reads = scope["method"] in _READS
        foreign = origin is not None and origin != f"http://{host}"
        if not reads and (foreign or site not in ("same-origin", None) or (site is None and origin is None)):
            return _refused("Only the page of this server may ask for that.")
        if reads and scope["path"].startswith("/api/") and (foreign or site in ("cross-site", "same-site")):
            return _refused("Only the page of this server may ask for that.")
        return None

    def _exchanged(self, scope: Scope) -> Response | None:
        """Swap the token of an opened address for the cookie, and have the browser forget the token."""
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = query.pop("token", None)
        if given is None or scope["method"] != "GET":
            return None
        if not _same(given[0], self._token):
            return _refused(_ASK_AGAIN)
        rest = urlencode(query, doseq=True)
        path = "/" + scope["path"].lstrip("/\\")  # `//elsewhere` would lead away
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="lax", path="/")
        return answer

    def _known(self, headers: Mapping[str, str]) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return found is not None and _same(found.value, self._session)


def _same(given: str, known: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing of them."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())


def _refused(text: str, status: int = 403) -> Response:
    return PlainTextResponse(text + "\n", status)


def _add_headers(headers: MutableHeaders, path: str, host: str) -> None:
    headers["Content-Security-Policy"] = _POLICY.format(host=host)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cache-Control"] = "no-cache" if path.startswith("/assets/") else "no-store"
