"""A started server, and a page that is connected to it, without a browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.live_books import PATIENCE


class Served:
    """A server's process: its address, and a client that has the cookie."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        parts = urlsplit(url)
        self.host, self.path = parts.netloc, parts.path
        self.origin = f"http://{parts.netloc}"
        self.token = parts.query.removeprefix("token=")
        self.client = httpx.Client(base_url=self.origin, headers={"Origin": self.origin}, timeout=PATIENCE)
        self.client.get(f"{parts.path}?{parts.query}")

    @property
    def book(self) -> str:
        """The name that the server has for its workbook."""
        return self.path.rpartition("/")[2]

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())

    @contextmanager
    def page(self, book: str = "", *, farewell: float = 10.0) -> Iterator[Page]:
        """A page that is connected. At its end it waits `farewell` seconds for the server to say goodbye."""
        headers = {"Cookie": self.cookie}
        address = f"ws://{self.host}/api/book/{book or self.book}/live"
        with connect(
            address,
            origin=self.origin,  # type: ignore[arg-type]
            additional_headers=headers,
            proxy=None,
            max_size=None,
            max_queue=None,  # else messages that nobody reads any more keep the server's goodbye back
            ping_interval=None,
            close_timeout=farewell,
        ) as socket:
            yield Page(socket)

    def stop(self, number: int = signal.SIGINT) -> int:
        """End the server as Ctrl+C does; its exit status."""
        self.client.close()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End the server as a crash does."""
        self.client.close()
        self.process.kill()
        self.process.wait(PATIENCE)


class Page:
    """What a page sends and gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._number = 0
        self.seen: list[dict[str, Any]] = []
        """All messages that came, in their order."""

    def send(self, type: str, **content: Any) -> None:
        self.socket.send(json.dumps({"type": type, **content}))

    def next(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next message, acknowledged if it is one of cells."""
        message: dict[str, Any] = json.loads(self.socket.recv(seconds))
        self.seen.append(message)
        if message["type"] == "cells":
            self.send("ack", version=message["version"])
        return message

    def wait(self, type: str, seconds: float = PATIENCE, **content: Any) -> dict[str, Any]:
        """The next message of a type (and with this content); others are passed over."""
        while True:
            message = self.next(seconds)
            if message["type"] == type and all(message.get(key) == value for key, value in content.items()):
                return message

    def came(self, start: int, type: str, **content: Any) -> dict[str, Any]:
        """The first message of a type (and with this content) after so many: one that came already, or will come."""
        for message in self.seen[start:]:
            if message["type"] == type and all(message.get(key) == value for key, value in content.items()):
                return message
        return self.wait(type, **content)

    def ask(self, type: str, **content: Any) -> dict[str, Any]:
        """Ask, and return the reply."""
        self._number += 1
        self.send(type, id=self._number, **content)
        return self.wait("reply", id=self._number)

    def cells(self, sheet: str, *area: int) -> dict[tuple[int, int], str]:
        """The texts of an area, looked at anew."""
        self.send("view", sheet=sheet, area=list(area))
        return {(row, column): text for row, column, text, *_ in self.wait("cells", sheet=sheet)["cells"]}


@contextmanager
def serving(book: Path | None, folder: Path, *arguments: str) -> Iterator[Served]:
    """A started server for a workbook, with its state in a folder."""
    words = [sys.executable, "-m", "sgdsheet", "open", *([str(book)] if book is not None else [])]
    environment = {**os.environ, "SGDSHEET_STATE_DIR": str(folder)}
    process = subprocess.Popen(
        [*words, "--no-browser", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
    )
    try:
        assert process.stdout is not None
        served = Served(process, json.loads(process.stdout.readline())["url"])
        try:
            yield served
        finally:
            served.client.close()
        if process.poll() is None:
            served.stop()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
