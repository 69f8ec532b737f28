"""What only Excel can show about the add-in: the lines of `sgdsheet addin verify`, and their printed form.

A line with a `probe` is tried by the command itself (`probes.py`), before Excel is there or in it. The others ask a
person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WINDOWS, MAC = "win32", "darwin"
"""As in `sys.platform`."""

HEAD = """# Checklist for the add-in in real Excel

The tests build the add-in, compare it with files that Excel made, parse its VBA, and run it in LibreOffice and under
Wine. None of them starts Excel. What only Excel can show is here. Before a release, go through it once on Windows and
once on a Mac:

```sh
sgdsheet addin verify
```

It walks through these lines: what it can press and compare it does by itself (“itself”), for the rest it says what to
do and asks what you see (“you”). At the end it writes a report to send. `--alone` leaves the questions out.

You need Excel for the desktop, started once, `pip install "sgdsheet[excel]"`, and `sgdsheet addin install`.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what to do, and what must be seen then. `systems` are those that it is for, all if empty."""

    do: str
    expect: str
    probe: str = ""
    systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together, and what to do before them."""

    title: str
    lines: tuple[Line, ...]
    before: str = ""


SECTIONS = (
    Section(
        "Before Excel",
        (
            Line("Build the add-in twice", "The same bytes; all its modules can be read back", "built"),
            Line("`sgdsheet addin status`", "“up to date”, and this Python", "installed"),
            Line(
                "Start the installed Python as a click does, in a folder with a module `sgdsheet.py` of somebody else",
                "It answers in one line, and the module is not run",
                "answers",
            ),
            Line("Load the library of xlwings beside that Python", "It has the procedure", "library", (WINDOWS,)),
        ),
    ),
    Section(
        "Installing",
        (
            Line(
                "Start Excel with a new workbook",
                "No question about repairing, no security warning, a tab “SGD” behind “Data”",
            ),
            Line("Look for the add-in among what Excel has open", "It is there, and each module answers", "loaded"),
            Line(
                "Alt+F11, choose the project sgdsheet, Debug ▸ Compile",
                "No error. Nine modules. Tools ▸ References: nothing MISSING",
            ),
            Line(
                "Look at the tab in a wide and in a narrow window",
                "Five groups, every control has an icon or a box, no empty icon",
            ),
            Line("Let the mouse rest on each button", "A title and a sentence or two"),
            Line("Press Alt, then Y, then S", "Step runs: every key tip can be typed", systems=(WINDOWS,)),
            Line(
                "The first click of all",
                "macOS asks whether Python may control Excel. After “Don't Allow”, Step says where to allow it",
                systems=(MAC,),
            ),
        ),
    ),
    Section(
        "Buttons",
        (
            Line("Step", "The parameters change, and the loss falls", "step"),
            Line("Step once more", "Excel is back within a second", "quick"),
            Line(
                "Train, and write into an empty cell meanwhile",
                "Parameters move several times; the status bar shows step and loss; the cell keeps what was written",
                "train",
            ),
            Line(
                "While it trains, look at the buttons",
                "Only Stop, Highlight, Log, Examples and About can be pressed, in another workbook all",
            ),
            Line("Stop", "The parameters stand still within a second; the status bar is Excel's again", "stop"),
            Line("Undo, then Reset", "Earlier parameters come back, in the end those of the file", "undo"),
            Line("Gradients; Log, then Train and Stop", "A sheet of gradients, and a sheet of the run", "sheets"),
            Line(
                "Exchange the values of cells by the add-in's own procedure",
                "It returns what stood there, and writes in one turn of Excel; cells with a formula it leaves alone",
                "one_turn",
                (WINDOWS,),
            ),
            Line("Step in a workbook named `a & b^'%PATH%.xlsx`", "It works; nothing else is started", "hostile_name"),
            Line(
                "Help ▸ Examples ▸ Titanic, twice",
                "A copy in Documents opens; the second time “titanic 2.xlsx”, and the first is untouched",
            ),
            Line(
                "A sheet without a model",
                "Only Set loss, Set parameters, Set data rows, Examples and About can be pressed",
            ),
            Line(
                "Highlight, four times",
                "Loss, parameters, data rows, settings are selected in turn; the status bar says which, until you move",
            ),
            Line("Check", "A message: values and gradients agree"),
            Line("Train, and press F2 in a cell for ten seconds", "Training waits; it goes on afterwards"),
            Line(
                "Train, and close the workbook",
                "Excel asks to save as usual; no error; no Python left in the task manager after a while",
            ),
            Line(
                "Find learning rate, Randomize, Export to PyTorch",
                "Each does what its screen tip says; the export tells its file, and leaves a file of yours of that "
                "name alone",
            ),
            Line("Two workbooks with a model: Train in both", "Each trains its own cells"),
            Line("Save the workbook in OneDrive with AutoSave on, then Step", "It works, or says plainly why not"),
            Line(
                "Alt+F11, Run ▸ Reset; go back to Excel and to another sheet, then Train",
                "The buttons still follow the sheet and the training: the ribbon was found again",
                systems=(WINDOWS,),
            ),
            Line(
                "Alt+F11, Run ▸ Reset; then Step",
                "It works. The buttons may stay as they were until Excel is started again",
                systems=(MAC,),
            ),
        ),
        "The command opens a small workbook with a model for its own lines. For yours, open the example “Titanic” from "
        "Help ▸ Examples, and go to the sheet nnet.",
    ),
    Section(
        "Settings",
        (
            Line(
                "Write the learning rate 0.05 with Excel's own decimal mark",
                "The cell holds the number 0.05",
                "decimal_mark",
            ),
            Line("Optimizer: adam; learning rate: 0.05", "The cells of sgd_settings show both"),
            Line(
                "File ▸ Options ▸ Advanced: do not use system separators, decimal separator `;`. Learning rate: `0;05`",
                "The cell holds 0.05, and the box shows `0;05`",
            ),
            Line("Change the cell of the learning rate; go to another sheet and back", "The box shows the new value"),
            Line(
                "Learning rate: `=1+1`, `abc`, `-1`, `1,000` (where the comma stands between thousands); "
                "epochs: `2.5`; batch size: `0`",
                "For each a message says what is allowed; the cell stays",
            ),
            Line(
                "A sheet with a model and without sgd_settings; epochs: 5",
                "Four rows appear to the right of everything, named sgd_settings on that sheet",
            ),
            Line("A protected sheet; epochs: 5", "A message; nothing changes"),
        ),
    ),
    Section(
        "Functions",
        (
            Line("`=SGD_VERSION()`", "The version; the first call takes a few seconds", "version", (WINDOWS,)),
            Line(
                "`=SGD_SOFTMAX(A1:C4)` with numbers there",
                "An array that spills, rows add up to 1",
                "softmax",
                (WINDOWS,),
            ),
            Line('`=SGD_RELU("a")`', "`#VALUE!`", "relu", (WINDOWS,)),
            Line(
                'Enter `=SGD_RELU("a")`',
                "The reason stands in the status bar when the cell is calculated. It stays when Enter moves on, and "
                "goes when you select another cell later",
                systems=(WINDOWS,),
            ),
            Line("`=SGD_GRAD(loss, params)` in a model", "The numbers that Gradients writes", "grad", (WINDOWS,)),
            Line(
                "Type `=SGD_LINEAR(` and press fx",
                "The function's help; three arguments, the last optional, each with a sentence of its own",
                systems=(WINDOWS,),
            ),
            Line(
                "Uninstall pywin32 from the Python, start Excel anew, `=SGD_VERSION()`",
                "`#N/A` after a few seconds, and the reason in the status bar: Excel does not hang",
                systems=(WINDOWS,),
            ),
            Line(
                '`=RunPython("train")`, `=FindInterpreter()`, `=Server()`', "An error for each; nothing runs", "closed"
            ),
            Line("`=SGD_RELU(1)`", "`#N/A`, and the status bar says why", systems=(MAC,)),
        ),
    ),
    Section(
        "What a stranger's workbook must not do",
        (
            Line(
                "Step in a workbook with a sheet `sgdsheet.conf`, A1 `INTERPRETER_WIN`, B1 the path of a program; a "
                "file `sgdsheet.conf` with the same beside it; a sheet `a.py`; and beside it `sgdsheet.py`, "
                "`torch.py`, `xlwings.py`, which write a file",
                "Step works with sgdsheet's own Python, and no file is written",
                "stranger",
            ),
        ),
    ),
    Section(
        "Other computers",
        (
            Line(
                "A Windows user whose name is in another alphabet than Windows' language: install, Step, "
                "`=SGD_VERSION()`",
                "All work",
                systems=(WINDOWS,),
            ),
            Line(
                "`sgdsheet addin install` with a Python of the Microsoft Store, and with an environment made from it",
                "It is refused, and says where to get another Python. No file is left",
                systems=(WINDOWS,),
            ),
        ),
    ),
    Section(
        "Going away",
        (
            Line(
                "Rename the folder of the Python, then Step",
                "One message that says what to run. No traceback, and on a Mac no silence",
            ),
            Line(
                "Uninstall sgdsheet from the Python with pip, then Step", "One message that says what to run, and where"
            ),
            Line(
                "`sgdsheet addin uninstall` while Excel runs", "It says that Excel must quit, or it removes the files"
            ),
            Line(
                "Quit Excel, `sgdsheet addin uninstall`, start Excel",
                "The tab is gone, and so are the files that installing named, folders that were made for them, and the "
                "background Python. It says where the log and what Undo needs stay; with `--all` these are gone, too",
            ),
            Line("With xlwings' own add-in installed beside it", "It still works after installing and uninstalling"),
        ),
    ),
)


def numbered() -> Iterator[tuple[int, Section, Line]]:
    """Each line with its number, from 1."""
    pairs = ((section, line) for section in SECTIONS for line in section.lines)
    for number, (section, line) in enumerate(pairs, start=1):
        yield number, section, line


def printed() -> str:
    """The checklist as a page."""
    pages = [HEAD]
    for section in SECTIONS:
        pages.append(f"\n## {section.title}\n\n" + (f"{section.before}\n\n" if section.before else ""))
        pages.append("| # | who | do | expect |\n|---|---|---|---|\n")
        for number, of, line in numbered():
            if of is section:
                where = " or ".join({WINDOWS: "Windows", MAC: "Mac"}[system] for system in line.systems)
                do = f"{where}: {line.do}" if where else line.do
                pages.append(f"| {number} | {'itself' if line.probe else 'you'} | {do} | {line.expect} |\n")
    return "".join(pages)
