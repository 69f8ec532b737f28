"""LibreOffice's registry of the extensions in a profile: what a crash leaves of it, and a copy to try things with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sgdsheet.errors import HostError

_EXTENSIONS = ("uno_packages", "extensions")
"""The folders of a profile that have what is installed."""


def empty_registers(profile: Path) -> list[Path]:
    """Files of 0 bytes where LibreOffice keeps what the extensions offer: it crashed while it wrote them."""
    folder = profile / "user" / "uno_packages" / "cache" / "registry"
    return [path for path in sorted(folder.glob("*/*.rdb")) if path.is_file() and path.stat().st_size == 0]


def copier(profile: Path) -> Callable[[Path], None]:
    """What puts the extensions of one profile into another, a new one."""

    def copy(target: Path) -> None:
        for name in _EXTENSIONS:
            source = profile / "user" / name
            if source.is_dir():
                try:
                    shutil.copytree(source, target / "user" / name, symlinks=True)
                except (OSError, shutil.Error):
                    raise HostError(f"{source} cannot be read", remedy="Close LibreOffice and try again") from None

    return copy
