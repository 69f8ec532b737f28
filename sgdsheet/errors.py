"""Every exception that sgdsheet raises on purpose, on one page.

    SgdSheetError
    ├── FileError                 the file cannot be read, is unsafe, or cannot be written
    ├── FormulaError              a formula cannot be understood
    │   ├── UnsupportedFunction   … because of a function that sgdsheet does not know
    │   └── CircularReference     … because it depends on itself
    ├── ProblemError              loss, parameters or constraints are missing or unusable
    │   ├── NoModelError          … because nobody has said what the loss is
    │   └── SeveralModelsError    … because nobody has said which of several models is meant
    ├── DataError                 a value in the sheet cannot be used
    ├── ProofError                the workbook holds other values than its formulas give
    ├── SettingError              an option or a setting is unknown or impossible
    ├── TrainingError             training cannot go on
    └── HostError                 a spreadsheet program refuses
        ├── BookClosedError       … because the workbook, its sheet or the program is gone
        └── HostBusyError         … because a person is editing a cell or has a dialog open

    Interrupted                   a person has ended long work before anything was written: no error, so nothing that
                                  goes on after errors goes on after this

A message is one line: the cell, the cause, the remedy. Excel's own errors (#N/A and friends) are values,
see `sgdsheet.sheet.workbook.ExcelError`; they are never raised.
"""

from __future__ import annotations

_LONGEST = 60


def printable(text: str) -> str:
    """Text as it may stand in a line, with a space for each control character.

    Spaces stay as they are, so that names and paths can be copied.
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def one_line(text: str) -> str:
    """Text from a workbook as it may stand in a message: `printable`, and no more than one space between words."""
    return " ".join(printable(text).split())


def quoted(text: str) -> str:
    """A short quotation of a cell's text."""
    line = one_line(text)
    return f"“{line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}”"


def in_full(text: str) -> str:
    """A name or path that a person may want to copy: never cut."""
    return f"“{printable(text)}”"


class SgdSheetError(Exception):
    """Base of all errors that a person can mend.

    `cause` says what is wrong, `remedy` what to do, `cell` (an A1 address with its sheet) where. `more` are further
    lines for a person at a terminal, such as commands to copy.
    """

    def __init__(self, cause: str, *, cell: object = None, remedy: str = "") -> None:
        self.cause = cause
        self.cell = str(cell) if cell is not None else None
        self.remedy = remedy
        self.more: list[str] = []
        head = f"{self.cell}: {cause}" if self.cell else cause
        super().__init__(f"{head}. {remedy}" if remedy else head)


class FileError(SgdSheetError):
    """The file cannot be read, is unsafe, or cannot be written."""


class FormulaError(SgdSheetError):
    """A formula cannot be understood or lowered."""


class UnsupportedFunction(FormulaError):
    """A formula on the path from the parameters to the loss calls a function that is not in the registry."""

    def __init__(self, function: str, cause: str, *, cell: object = None, remedy: str = "") -> None:
        self.function = function
        super().__init__(cause, cell=cell, remedy=remedy)


class CircularReference(FormulaError):
    """Formulas depend on themselves."""


class ProblemError(SgdSheetError):
    """Loss, parameters or constraints are missing or unusable."""


class NoModelError(ProblemError):
    """Neither names on the sheet nor options say what the loss is."""


class SeveralModelsError(ProblemError):
    """Several sheets have a model, and nobody has said which is meant."""


class DataError(SgdSheetError):
    """A value in the sheet cannot be used."""


class ProofError(SgdSheetError):
    """The workbook holds other values than its formulas give: nothing is trained on that unasked."""


class SettingError(SgdSheetError):
    """An option or a setting is unknown or impossible."""


class TrainingError(SgdSheetError):
    """Training cannot go on."""


class HostError(SgdSheetError):
    """A spreadsheet program refuses what was asked of it."""


class BookClosedError(HostError):
    """The workbook, its sheet or the whole program is gone."""


class HostBusyError(HostError):
    """The program keeps refusing while a person edits a cell or has a dialog open."""


class Interrupted(BaseException):
    """A person has ended long work before anything was written. Like KeyboardInterrupt, it is no Exception."""
