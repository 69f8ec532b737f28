"""The command export-files: the model as PyTorch, for whoever offers it for download. It has no button."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Command
from sgdsheet.live.commands.export import module_name, module_of

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def export_files(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """The files that `export` writes, by their names, each in base64."""
    from sgdsheet.compiler.torch_source import save_export

    trainable = book.read_trainable(sheet, options)
    model = module_of(trainable)
    with tempfile.TemporaryDirectory() as folder:
        written = save_export(model, Path(folder) / f"{module_name(trainable)}.py")
        return {"files": {path.name: base64.b64encode(path.read_bytes()).decode() for path in written}}


COMMAND = Command("export-files", export_files)
