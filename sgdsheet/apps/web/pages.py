"""What the server answers over HTTP: the page and its parts, and where WebSockets begin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from sgdsheet import __version__
from sgdsheet.apps.web.bookshelf import Bookshelf
from sgdsheet.apps.web.socket_client import SocketClient
from sgdsheet.errors import SgdSheetError

PAGE = Path(__file__).parent / "page"
"""The page's own files, which the build of the package puts there."""

_MISSING = (
    "This installation of sgdsheet has no page for the browser: it could not be built, because npm was not reachable."
    " Connect to the internet and run: pip install --force-reinstall --no-deps sgdsheet"
)


def application(shelf: Bookshelf, started: Callable[[], None]) -> Starlette:
    """The application, without the checks of who may ask (see `access`)."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        started()
        yield
        shelf.close()

    async def start(request: Request) -> Response:
        return JSONResponse({"version": __version__, "examples": [], "recent": []})

    async def live(socket: WebSocket) -> None:
        try:
            book = shelf.book(socket.path_params["id"])
        except SgdSheetError:
            await socket.close(4404)
            return
        await SocketClient(book, socket).run()

    routes: list[BaseRoute] = [
        Route("/", _index),
        Route("/book/{id}", _index),
        Route("/api/start", start),
        WebSocketRoute("/api/book/{id}/live", live),
    ]
    if (assets := PAGE / "assets").is_dir():
        routes.append(Mount("/assets", StaticFiles(directory=assets)))
    return Starlette(routes=routes, lifespan=life)


async def _index(request: Request) -> Response:
    index = PAGE / "index.html"
    if not index.is_file():
        return HTMLResponse(f"<!doctype html><title>sgdsheet</title><p>{escape(_MISSING)}</p>", 503)
    return FileResponse(index, media_type="text/html; charset=utf-8")
