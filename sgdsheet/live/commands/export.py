"""The command export: the model as PyTorch, in a file beside the workbook."""

from __future__ import annotations

import re
from itertools import count
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING

from sgdsheet.errors import FileError
from sgdsheet.live.commands.declaration import Button, Command, Group
from sgdsheet.system.outputs import MODULE, NUMBERS, Product, documents, recognised

if TYPE_CHECKING:
    from sgdsheet.compiler.model import SheetModel
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply
    from sgdsheet.live.run.trainable import Trainable


def export(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Write the model with the present parameters, and say where. A file that is not ours is left alone."""
    from sgdsheet.compiler.torch_source import save_export

    trainable = book.read_trainable(sheet, options)
    model = module_of(trainable)
    folder = trainable.workbook.folder or documents()  # never saved, or on the web
    path = _free(folder, module_name(trainable))
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


def module_of(trainable: Trainable) -> SheetModel:
    """The model as it is exported: in double precision, and proved."""
    from sgdsheet.compiler.model import compile
    from sgdsheet.compiler.proof import required

    trust = trainable.settings.trust_formulas
    model = compile(trainable.workbook, problem=trainable.problem, precision="float64", trust_formulas=trust)
    required(model, trust=trust)
    return model


def module_name(trainable: Trainable) -> str:
    """`titanic_nnet`: a name that Python can import."""
    title = f"{Path(trainable.workbook.name).stem}_{trainable.problem.sheet}"
    name = re.sub(r"\W+", "_", title).strip("_") or "model"
    return f"model_{name}" if name[0].isdigit() else name


def _free(folder: Path, name: str) -> Path:
    """`titanic_nnet.py`, or with a number if a file lies there that a person has made."""
    for number in count(1):
        path = folder / (f"{name}.py" if number == 1 else f"{name}_{number}.py")
        if _may_write(path, MODULE) and _may_write(path.with_suffix(".pt"), NUMBERS):
            return path
    raise AssertionError("numbers do not end")


def _may_write(path: Path, product: Product) -> bool:
    """Whether nothing lies there, or what an earlier export wrote; a link never is."""
    if not lexists(path):
        return True
    try:
        return not path.is_symlink() and path.is_file() and recognised(path, product)
    except OSError:
        return False


COMMAND = Command(
    "export",
    export,
    Button(
        group=Group.HELP,
        place=10,
        label="Export",
        tip="writes the model as readable Python beside the workbook",
        title="Export to PyTorch",
        help="Writes the model as readable Python beside the workbook. It needs PyTorch only, not the workbook.",
        image="ExportTextFile",
        drawing=(
            '<path d="M13 3H5v18h14v-7" stroke="#555"/>',
            '<path d="M11 13 20 4M14 4h6v6" stroke="#1e66b8"/>',
        ),
        key="W",
        ribbon_label="Export to PyTorch",
    ),
)
