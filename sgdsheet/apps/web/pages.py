"""What the server answers over HTTP: the page and its parts, and where WebSockets begin."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from sgdsheet import __version__
from sgdsheet.apps.web.book_room import BookRoom
from sgdsheet.apps.web.book_saving import bytes_of, packed
from sgdsheet.apps.web.bookshelf import Bookshelf, picture_of, start_page
from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.apps.web.socket_client import SocketClient
from sgdsheet.errors import FileError, SettingError, SgdSheetError

PAGE = Path(__file__).parent / "page"
"""The page's own files, which the build of the package puts there."""

MOST_UPLOADED = 100 << 20
"""Bytes of an uploaded file."""

_MOST_ASKED = 10_000
"""Bytes of what is sent with other requests."""
_MOST_PAGES = 100
"""Pages that are connected at once."""
_THREADS = 48
"""Threads for what has to wait, such as for the trainer."""

_MISSING = (
    "This installation of sgdsheet has no page for the browser: it could not be built, because npm was not reachable."
    " Connect to the internet and install sgdsheet again: pip install --force-reinstall --no-deps sgdsheet"
)
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """The endpoints, over the workbooks of a shelf."""

    def __init__(self, shelf: Bookshelf) -> None:
        self._shelf = shelf
        self._rooms: dict[str, BookRoom] = {}
        self._pages = 0

    @property
    def routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Route("/", _index),
            Route("/book/{id}", _index),
            Route("/api/start", _told(self._start)),
            Route("/api/picture/{name}", _told(self._picture)),
            Route("/api/open", _told(self._open), methods=["POST"]),
            Route("/api/upload", _told(self._upload), methods=["POST"]),
            Route("/api/book/{id}/download", _told(self._download)),
            Route("/api/book/{id}/export", _told(self._export)),
            WebSocketRoute("/api/book/{id}/live", self._live),
        ]
        if (assets := PAGE / "assets").is_dir():
            routes.append(Mount("/assets", StaticFiles(directory=assets)))
        return routes

    async def _start(self, request: Request) -> Response:
        found = await asyncio.to_thread(start_page, self._shelf)
        return JSONResponse({"version": __version__, **found})

    async def _picture(self, request: Request) -> Response:
        path = await asyncio.to_thread(picture_of, request.path_params["name"])
        return FileResponse(path) if path is not None else Response(status_code=404)

    async def _open(self, request: Request) -> Response:
        try:
            asked: Any = json.loads(await _body(request, _MOST_ASKED))
        except ValueError:
            asked = None
        if isinstance(asked, dict) and isinstance(asked.get("example"), str):
            served = await asyncio.to_thread(self._shelf.open_example, asked["example"])
        elif isinstance(asked, dict) and type(asked.get("recent")) is int:
            served = await asyncio.to_thread(self._shelf.open_recent, asked["recent"])
        else:
            raise SettingError("the request is malformed", remedy="Reload the page")
        return JSONResponse({"book": served.id})

    async def _upload(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        data = await _body(request, MOST_UPLOADED)
        served = await asyncio.to_thread(self._shelf.upload, name, data)
        return JSONResponse({"book": served.id})

    async def _download(self, request: Request) -> Response:
        book = self._book(request).book
        name, data = await asyncio.to_thread(bytes_of, book)
        return _attachment(data, name, _XLSX)

    async def _export(self, request: Request) -> Response:
        served, sheet = self._book(request), request.query_params.get("sheet")
        reply = await asyncio.to_thread(served.done, "export-files", sheet)
        name, data = packed({name: b64decode(text) for name, text in reply["files"].items()})
        return _attachment(data, name, "application/octet-stream")

    def _book(self, request: Request) -> ServedBook:
        return self._shelf.book(request.path_params["id"])

    async def _live(self, socket: WebSocket) -> None:
        try:
            served = self._shelf.book(socket.path_params["id"])
        except SgdSheetError:
            await socket.accept()
            await socket.close(4404, "this workbook is not open")
            return
        if self._pages >= _MOST_PAGES:
            await socket.accept()
            await socket.close(1013, "too many pages are connected")
            return
        room = self._rooms.setdefault(served.id, BookRoom(served))
        self._pages += 1
        try:
            await SocketClient(room, socket).run()
        finally:
            self._pages -= 1


def application(shelf: Bookshelf, started: Callable[[], None]) -> Starlette:
    """The application, without the checks of who may ask (see `access`)."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="sgdsheet web"))
        started()
        yield
        await asyncio.to_thread(shelf.close)

    return Starlette(routes=Pages(shelf).routes, lifespan=life)


def _told(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors are answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except SgdSheetError as error:
            status = 404 if isinstance(error, FileError) and "not open" in error.cause else 400
            told = {"message": str(error), "cell": error.cell, "cause": error.cause, "remedy": error.remedy}
            return JSONResponse({"error": told}, status, {"Connection": "close"})

    return answer


async def _body(request: Request, most: int) -> bytes:
    """What comes with a request. Raises FileError as soon as it is too much."""
    too_much = FileError(f"the file is larger than {most >> 20} MB", remedy="Start with: sgdsheet open BOOK")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise too_much
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise too_much
        pieces.append(piece)
    return b"".join(pieces)


def _attachment(data: bytes, name: str, kind: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(data, media_type=kind, headers={"Content-Disposition": disposition})


async def _index(request: Request) -> Response:
    index = PAGE / "index.html"
    if not index.is_file():
        return HTMLResponse(f"<!doctype html><title>sgdsheet</title><p>{escape(_MISSING)}</p>", 503)
    return FileResponse(index, media_type="text/html; charset=utf-8")
