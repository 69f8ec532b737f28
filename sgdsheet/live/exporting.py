"""The command export: the model as PyTorch, in a file beside the workbook."""

from __future__ import annotations

import re
from itertools import count
from os.path import lexists
from pathlib import Path

from sgdsheet.errors import FileError
from sgdsheet.export import save_export
from sgdsheet.live.desk import Desk, Options, Reply
from sgdsheet.model import compile

_OURS = "\nWritten by sgdsheet."
_HEAD = 4_000  # characters in which an exported file says that it is ours


def export(book: Desk, sheet: str | None, options: Options) -> Reply:
    """Write the model with the present parameters, and say where. A file that is not ours is left alone."""
    prepared = book.prepare(sheet, options)
    model = compile(prepared.workbook, problem=prepared.problem, precision="float64")
    folder = prepared.workbook.folder or _documents()
    path = _free(folder, f"{Path(prepared.workbook.name).stem}_{prepared.problem.sheet}")
    try:
        written = save_export(model, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"“{path}” cannot be written: {reason}", remedy="Save the workbook somewhere else") from None
    text = f"the model was written to {path}"
    if len(written) > 1:
        text += f" and its numbers to {written[1].name}"
    book.host.message(f"{text}. Run it: python {path.name}")
    return {"message": text, "files": [str(item) for item in written]}


def _free(folder: Path, title: str) -> Path:
    """`titanic_nnet.py`, or with a number if a file lies there that a person has made."""
    name = re.sub(r"\W+", "_", title).strip("_") or "model"
    if name[0].isdigit():
        name = f"model_{name}"
    for number in count(1):
        path = folder / (f"{name}.py" if number == 1 else f"{name}_{number}.py")
        if _is_ours(path) or not (lexists(path) or lexists(path.with_suffix(".pt"))):
            return path
    raise AssertionError("numbers do not end")


def _is_ours(path: Path) -> bool:
    """Whether it is a file that an earlier export wrote; a link never is."""
    if path.is_symlink() or path.with_suffix(".pt").is_symlink() or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8") as file:
            return _OURS in file.read(_HEAD)
    except (OSError, UnicodeDecodeError):
        return False


def _documents() -> Path:
    """For a workbook that was never saved, or lies on the web."""
    folder = Path.home() / "Documents"
    return folder if folder.is_dir() else Path.home()
