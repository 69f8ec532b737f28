"""Files that are complete or untouched at any moment."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file under another name beside it, then put it in place in one step. Raises OSError.

    A file that is replaced hands on its permissions. A link is replaced, too: resolve the path to follow it.
    """
    temporary = path.with_name(f".sgdsheet-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:  # never through a file or a link that lies there already
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
