"""How the time grows with a workbook: each dimension ten times as large, from the file and back to it.

    python benchmarks/growth.py [--live] [--json FILE] [NAME …]

For each dimension (cells, formulas, blocks, array formulas, names, sheets, models, conditional formats, parameters) a
workbook is made in two sizes, one ten times the other. Both are trained on the file, and opened as for the browser:
shown, calculated, read as a live run reads it, edited, and what a person and a command did is undone. What takes
longer, or more memory, by more than 13 times is not linear: the last line says so, and the exit status is 1. Seconds
are those of the processor, the least of several rounds that take the two sizes in turn, so that other programs disturb
little; what is done in less than a tenth of a second, or in less than ten megabytes, says nothing. Memory is what
Python and NumPy hold at most. With `--live`, the workbook is also read in a LibreOffice, which is another process:
there, seconds are those of the clock. `tests/test_growth.py` counts calls instead.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
import xlsxwriter

import sgdsheet
from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.sheet_view import SheetView
from sgdsheet.compiler.backward.flat_program import flat_program
from sgdsheet.hosts import libreoffice
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.libreoffice.office_process import Office
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.web.web_host import WebHost
from sgdsheet.live.undo.snapshots import History
from sgdsheet.live.undo.tracking import PARAMETERS
from sgdsheet.problem.definition import find_problem, models_in
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.system.garbage import collect_rarely

MOST = 13.0
"""How many times longer ten times as much may take."""

NOTHING = {"seconds": 0.1, "MB": 10.0}
"""What nobody looks at below so many of these."""

ROUNDS, STEPS = 4, 5
"""How often each workbook goes through the stages, and through a step of training each time."""

Book = Any
Sheet = Any


def cells(book: Book, sheet: Sheet, count: int) -> None:
    """Data that one formula reads."""
    for row in range(count):
        sheet.write_row(row, 0, [row % 7, row % 5, row % 3])
    sheet.write_formula("K1", f"=SUMPRODUCT(A1:A{count},B1:B{count})*H1+SUMXMY2(B1:B{count},C1:C{count})*H1^2")


def formulas(book: Book, sheet: Sheet, count: int) -> None:
    """One formula, filled down."""
    for row in range(count):
        sheet.write_number(row, 0, row % 7)
        sheet.write_formula(row, 1, f"=(A{row + 1}*$H$1-1)^2")
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def blocks(book: Book, sheet: Sheet, count: int) -> None:
    """Formulas of which no two are alike."""
    for row in range(count):
        sheet.write_number(row, 0, row % 7)
        sheet.write_formula(row, 1, f"=(A{row + 1}*$H$1-{row + 2})^2")
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def array_formulas(book: Book, sheet: Sheet, count: int) -> None:
    """Array formulas of two cells each."""
    for row in range(0, 2 * count, 2):
        sheet.write_column(row, 0, [row % 7, row % 5])
        sheet.write_array_formula(row, 1, row + 1, 1, f"{{=(A{row + 1}:A{row + 2}*$H$1-1)^2}}")
    sheet.write_formula("K1", f"=SUM(B1:B{2 * count})")


def names(book: Book, sheet: Sheet, count: int) -> None:
    """Defined names, each read by one formula."""
    for row in range(count):
        sheet.write_number(row, 0, row % 7)
        book.define_name(f"item_{row}_", f"=model!$A${row + 1}")
        sheet.write_formula(row, 1, f"=(item_{row}_*$H$1-1)^2")
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def sheets(book: Book, sheet: Sheet, count: int) -> None:
    """Sheets with some formulas each, which the loss reads."""
    for number in range(count):
        other = book.add_worksheet(f"part{number}")
        for row in range(20):
            other.write_number(row, 0, row % 7)
            other.write_formula(row, 1, f"=(A{row + 1}*model!$H$1-1)^2")
        sheet.write_formula(number, 1, f"=SUM(part{number}!B1:B20)")
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def models(book: Book, sheet: Sheet, count: int) -> None:
    """Models, each on a sheet of its own; the loss sums up theirs."""
    for number in range(count):
        name = f"part{number}"
        other = book.add_worksheet(name)
        other.write_column(0, 0, [1, 2, 3])
        for row in range(3):
            other.write_formula(row, 1, f"=(A{row + 1}*$H$1*model!$H$1-1)^2")
        other.write_number("H1", 0.5)
        other.write_formula("K1", "=SUM(B1:B3)")
        book.define_name(f"{name}!sgd_loss", f"={name}!$K$1")
        book.define_name(f"{name}!sgd_params", f"={name}!$H$1")
        sheet.write_formula(number, 1, f"={name}!K1")
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def conditional_formats(book: Book, sheet: Sheet, count: int) -> None:
    """Conditional formats, each of one row: comparisons, formulas and scales of colours in turn."""
    red = book.add_format({"font_color": "red"})
    for row in range(count):
        sheet.write_number(row, 0, row % 7)
        sheet.write_formula(row, 1, f"=(A{row + 1}*$H$1-1)^2")
        rules = (
            {"type": "cell", "criteria": ">", "value": row % 5, "format": red},
            {"type": "formula", "criteria": f"=$B{row + 1}>$H$1+{row % 3}", "format": red},
            {"type": "2_color_scale"},
        )
        sheet.conditional_format(row, 0, row, 1, rules[row % 3])
    sheet.write_formula("K1", f"=SUM(B1:B{count})")


def parameters(book: Book, sheet: Sheet, count: int) -> None:
    """Parameter cells, each read by one formula."""
    for row in range(count):
        sheet.write_row(row, 0, [row % 7, 0.5])
        sheet.write_formula(row, 2, f"=(A{row + 1}*B{row + 1}-1)^2")
    sheet.write_formula("K1", f"=SUM(C1:C{count})+H1^2")


DIMENSIONS: dict[str, tuple[Callable[[Book, Sheet, int], None], int]] = {
    "cells": (cells, 10_000),
    "formulas": (formulas, 5_000),
    "blocks": (blocks, 400),
    "array formulas": (array_formulas, 400),
    "names": (names, 400),
    "sheets": (sheets, 50),
    "models": (models, 50),
    "conditional formats": (conditional_formats, 200),
    "parameters": (parameters, 5_000),
}
"""What makes a workbook with so much of it, and how much the smaller one has."""


def written(path: Path, dimension: str, count: int) -> str:
    """Make a workbook; returns its parameters. None of its formulas has a saved value that counts."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("model")
        sheet.write_number("H1", 0.5)
        DIMENSIONS[dimension][0](book, sheet, count)
    return f"model!B1:B{count},model!H1" if dimension == "parameters" else "model!H1"


def seconds(books: Sequence[tuple[Path, str]]) -> list[dict[str, float]]:
    """Seconds of the processor for each stage of each workbook, the least of several rounds."""
    found = [[_measured(*book, time.process_time) for book in books] for _ in range(ROUNDS)]
    return [
        {stage: min(taken[place][stage] for taken in found) for stage in found[0][place]} for place in range(len(books))
    ]


def memory(path: Path, params: str) -> float:
    """Megabytes that Python and NumPy hold at most, from reading a workbook to writing it."""
    gc.collect()
    tracemalloc.start()
    try:
        _measured(path, params, time.process_time)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def live_reading(office: Office, path: Path) -> float:
    """Seconds in which an open workbook is read, the least of several times."""
    with closing(libreoffice.connect(office.open(path), office.pipe)) as host:
        taken = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            host.read()
            taken.append(time.perf_counter() - start)
    return min(taken)


def calls(path: Path, params: str) -> dict[str, float]:
    """How many functions are called in each stage, Python's own ones among them: the same on every machine."""
    count = 0

    def counted(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        return _measured(path, params, lambda: count)
    finally:
        sys.setprofile(before)


def _measured(path: Path, params: str, now: Callable[[], float]) -> dict[str, float]:
    """What each stage takes of something that grows."""
    found = {}
    gc.collect()
    with closing(FileHost(path)) as host:
        for stages in (_stages(host, params), _open_stages(path, params)):
            start = now()
            for stage in stages:
                found[stage] = now() - start
                start = now()
    return found


def _stages(host: FileHost, params: str) -> Iterator[str]:
    """Do one stage after the other on a file, each told when it is done."""
    workbook = host.read()
    yield "read"
    model = sgdsheet.compile(workbook, loss="model!K1", params=params, trust_formulas=True)
    yield "group, plan and lower"
    program = flat_program(model.program, list(model.program.parameters()), model.as_objective)
    assert program is not None
    yield "derive the gradient"
    for _ in range(STEPS):
        program.forward()
        program.backward()
    yield "steps"
    values = model.dependent_cells().values
    yield "dependent cells"
    host.write({**values, **model.parameter_cells()})
    host.saved_bytes()
    yield "write back"


def _open_stages(path: Path, params: str) -> Iterator[str]:
    """Do one stage after the other on an open workbook, each told when it is done."""
    book = OpenBook(FileHost(path), str(path))
    look = book.appearance()
    yield "open"
    models_in(book.workbook)
    yield "find models"
    book.change({Cell("model", 1, 9): 1.0}, "typing")
    yield "calculate everything"
    formulas = RuleFormulas(lambda asked: book.loose_values("model", asked), lambda: book.version)
    view = SheetView(
        *(look, lambda: look.sheet("model"), "model", False, book.values_in, book.number_formats, formulas, book)
    )
    seen = Range("model", 1, 1, book.workbook.sheets["model"].extent[0], 2)
    view.entries(seen, book.uncalculated_in)
    yield "show"
    workbook = WebHost(book).read()
    yield "live reading"
    book.change({Cell("model", 1, 8): 0.75}, "typing")
    yield "recalculate"
    view.entries(seen, book.uncalculated_in)
    yield "show again"
    book.undo()
    yield "undo typing"
    problem = find_problem(workbook, loss="model!K1", params=params)
    cells = {cell: 0.25 for area in problem.parameters for cell in area.cells()}
    before = book.write(cells)
    yield "write parameters"
    history = History(str(path), path.with_suffix(".json"))
    history.begin("train", dict(before), "model", {PARAMETERS: problem.parameters})
    history.wrote(cells)
    book.write({cell: value for cell, value in history.pop().before.items() if value is not None})
    yield "undo training"
    book.data()
    yield "save"
    book.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--live", action="store_true", help="read the workbooks in LibreOffice, too")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DIMENSIONS)}; all of them if none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    collect_rarely()  # as every command does
    rows = []
    print(f"{'ten times as many':16} {'stage':24} {'one':>9} {'ten times':>9} {'growth':>7}")
    with tempfile.TemporaryDirectory() as folder, Office() if arguments.live else nullcontext() as office:
        for dimension in arguments.names or DIMENSIONS:
            count = DIMENSIONS[dimension][1]
            sizes = {Path(folder) / f"{dimension}{size}.xlsx": size for size in (count, 10 * count)}
            books = [(path, written(path, dimension, size)) for path, size in sizes.items()]
            small, large = seconds(books)
            found = [(stage, "seconds", one, large[stage]) for stage, one in small.items()]
            found.append(("memory", "MB", memory(*books[0]), memory(*books[1])))
            if office is not None:
                found.append(("live reading", "seconds", *(live_reading(office, path) for path in sizes)))
            for stage, unit, one, ten in found:
                rows.append({"dimension": dimension, "stage": stage, "unit": unit, "one": one, "ten times": ten})
                print(f"{dimension:16} {stage:24} {one:9.3f} {ten:9.3f} {ten / max(one, 1e-9):7.1f}", flush=True)
    missed = [
        f"{row['stage']} of {row['dimension']}"
        for row in rows
        if row["ten times"] > NOTHING[row["unit"]] and row["ten times"] > MOST * row["one"]
    ]
    print("Not met: " + ("; ".join(missed) if missed else "nothing"))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
