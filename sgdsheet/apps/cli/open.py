"""`sgdsheet open`: the workbook in the browser, live."""

from __future__ import annotations

import json
import threading
import webbrowser
from pathlib import Path

import click

from sgdsheet.apps.cli.common import console, json_option, shown
from sgdsheet.apps.cli.files import BOOK
from sgdsheet.system.processes import let_waiting_threads_sleep

HELP_LINE, PLACE = "Show a workbook in the browser, live", 5


@click.command("open")
@click.argument("book", required=False, type=BOOK)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="The port; the next free one unless given.")
@json_option
def command(book: str | None, no_browser: bool, port: int | None, as_json: bool) -> None:
    """Show the workbook BOOK in the browser, where it can be edited and trained; without BOOK, a start page.

    The page is served by this program to this machine only. Ctrl-C ends it.
    """
    from sgdsheet.apps.web.bookshelf import Bookshelf
    from sgdsheet.apps.web.server import Server

    let_waiting_threads_sleep()
    shelf = Bookshelf()
    path = f"/book/{shelf.open(Path(book)).id}" if book is not None else "/"
    server = Server(shelf, port)
    url = server.url(path)
    if as_json:
        print(json.dumps({"url": url}), flush=True)
    else:
        console().print(f"{shown(book or 'sgdsheet')} is at {shown(url)}\nCtrl-C ends it.", soft_wrap=True)

    def started() -> None:
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    try:
        server.run(started)
    except KeyboardInterrupt:  # is how a person ends it
        pass
    finally:
        server.close()
