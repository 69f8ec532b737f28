"""How the time grows with a workbook: each dimension ten times as large, from the file and back to it.

    python benchmarks/growth.py [--json FILE] [NAME …]

For each dimension (cells, formulas, blocks, array formulas, names, sheets, parameters) a workbook is made in two
sizes, one ten times the other. What takes longer by more than 13 times is not linear: the last line says so, and the
exit status is 1. Seconds are those of the processor, the best of two, so that other programs disturb little; what is
done in less than a tenth of a second says nothing. `tests/test_growth.py` counts calls instead.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
import xlsxwriter

import sgdsheet
from sgdsheet.hosts.file import FileHost
from sgdsheet.system.garbage import collect_rarely

MOST, NOTHING = 13.0, 0.1
"""How many times longer ten times as much may take, and seconds below which nobody looks."""

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
    "sheets": (sheets, 20),
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


def seconds(path: Path, params: str) -> dict[str, float]:
    """Seconds of the processor for each stage, the best of two."""
    first, second = (_measured(path, params, time.process_time) for _ in range(2))
    return {stage: min(taken, second[stage]) for stage, taken in first.items()}


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
        start = now()
        for stage in _stages(host, params):
            found[stage] = now() - start
            start = now()
    return found


def _stages(host: FileHost, params: str) -> Iterator[str]:
    """Do one stage after the other, each told when it is done."""
    workbook = host.read()
    yield "read"
    model = sgdsheet.compile(workbook, loss="model!K1", params=params, trust_formulas=True)
    yield "group, plan and lower"
    model().backward()
    yield "a step"
    values = model.dependent_cells().values
    yield "dependent cells"
    host.write({**values, **model.parameter_cells()})
    host.saved_bytes()
    yield "write back"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DIMENSIONS)}; all of them if none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    collect_rarely()  # as every command does
    rows = []
    print(f"{'ten times as many':16} {'stage':24} {'seconds':>9} {'ten times':>9} {'growth':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for dimension in arguments.names or DIMENSIONS:
            count = DIMENSIONS[dimension][1]
            found = []
            for size in (count, 10 * count):
                path = Path(folder) / f"{dimension}{size}.xlsx"
                found.append(seconds(path, written(path, dimension, size)))
            for stage, small in found[0].items():
                large = found[1][stage]
                rows.append({"dimension": dimension, "stage": stage, "seconds": small, "ten times": large})
                print(
                    f"{dimension:16} {stage:24} {small:9.3f} {large:9.3f} {large / max(small, 1e-9):7.1f}", flush=True
                )
    missed = [
        f"{row['stage']} of {row['dimension']}"
        for row in rows
        if row["ten times"] > NOTHING and row["ten times"] > MOST * row["seconds"]
    ]
    print("Not met: " + ("; ".join(missed) if missed else "nothing"))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
