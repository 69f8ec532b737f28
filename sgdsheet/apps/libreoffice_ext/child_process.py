"""What the LibreOffice extension starts in the user's own Python: the trainer and the functions, behind two pipes."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from sgdsheet.apps.libreoffice_ext.cell_calls import Calls
from sgdsheet.apps.libreoffice_ext.link import Link
from sgdsheet.errors import HostError, SettingError, quoted
from sgdsheet.hosts.base import LiveHost
from sgdsheet.hosts.libreoffice import LibreOfficeHost
from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.ipc.pending_request import refusal
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.ipc.worker import load
from sgdsheet.system import processes


class Bridge:
    """Answers the office's two kinds of messages: commands from the toolbar, and calls from cells."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._trainer = Trainer(self._connect, self._show_state)

    def serve(self) -> None:
        """Answer the office's messages until it ends."""
        try:
            self._link.serve(self._command, Calls(self._link.channel).answer)
        finally:
            self._trainer.close()

    def _connect(self, host: str, book: str, where: str) -> LiveHost:
        if host != "libreoffice":
            raise HostError(f"the LibreOffice extension cannot reach {host}")
        return LibreOfficeHost(self._link.channel(), book)

    def _show_state(self, host: str, book: str, where: str, state: str) -> bool:
        """Tell the office's buttons the state of a workbook's training."""
        return bool(self._link.channel().ask({"do": "state", "book": book, "state": state})["ok"])

    def _saved_as(self, old: str, new: str) -> dict[str, Any]:
        """A workbook has another name: its training ends, its history goes with it, and the old name is forgotten."""
        reply = self._trainer.saved_as("libreoffice", old, new)
        self._link.channel().ask({"do": "detach", "book": old})
        return reply

    def _command(self, message: dict[str, Any]) -> dict[str, Any]:
        """Do what a button or a menu asks. A link in a workbook has an address, too: it gets no further than these.

        What training needs is loaded before any button is pressed where the office asks to `warm` up; that a workbook
        was `saved_as` another, it tells, too.
        """
        if "warm" in message:
            threading.Thread(target=load, name="sgdsheet warming up", daemon=True).start()
            return {"ok": True}
        if "saved_as" in message:
            return self._saved_as(*message["saved_as"])
        request = message["command"]
        if request.get("command") not in COMMANDS:
            return refusal(SettingError(f"{quoted(str(request.get('command')))} is no button of sgdsheet"))
        return self._trainer.handle(request)


def main() -> None:
    """Speak through the standard streams. Whatever a library prints must not get between the lines."""
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Bridge(Link(sys.stdin.buffer, target)).serve()
    processes.end(0)  # the office waits: no tidying up of torch


if __name__ == "__main__":
    main()
