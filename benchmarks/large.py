"""A large sheet: 1.2 million formulas, 100,000 rows of 12, from the file to a step of training.

    python benchmarks/large.py [--json FILE] [--rows N]

Each measurement is a process of its own, of a sheet with that many rows and of one with a tenth of them; once with
formulas that share their text, as Excel writes a fill-down, and SUMPRODUCT, and once with each formula written out, as
other programs do, and all products as well (`H8*$H$3+I8*$I$3+…`). All times are seconds of processor time; steps are
taken in turn with hand-written PyTorch on the same tensors, on one thread.

A tenth of the rows shall cost a tenth. What the first workbook of a process costs, whatever its size (modules that are
imported), is measured by a small one before and told apart. Steps are compared with the hand-written ones of the same
size: the data of a tenth of the rows lie in the processor's cache, so that those are faster than a tenth, too.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

ROWS, INPUTS, UNITS = 100_000, 6, 3
FORMULAS = 12
"""Formulas of a row: six scaled inputs, three units of a network, the prediction, its error, the squared error."""
FIRST = 8
"""The sheet's first row of data. Above it: means, standard deviations, the weights (rows 3 to 6), the loss."""
LIMITS = {"load": 9.0, "compile": 2.0, "memory": 1.0, "step": 1.3, "growth": 0.3}
"""Seconds to load and to compile, gigabytes, times hand-written PyTorch; how far a tenth of the rows may be off."""

_NAMESPACE = "http://schemas.openxmlformats.org"
_LINK = f"{_NAMESPACE}/officeDocument/2006/relationships"
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_NAMESPACE}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_NAMESPACE}/package/2006/relationships"><Relationship Id="rId1" '
        f'Type="{_LINK}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_NAMESPACE}/package/2006/relationships"><Relationship Id="rId1" '
        f'Type="{_LINK}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_NAMESPACE}/spreadsheetml/2006/main" '
        f'xmlns:r="{_LINK}"><sheets><sheet name="net" sheetId="1" r:id="rId1"/>'
        '</sheets><definedNames><definedName name="sgd_loss" localSheetId="0">net!$A$1</definedName>'
        '<definedName name="sgd_params" localSheetId="0">net!$H$3:$N$5,net!$H$6:$K$6</definedName>'
        "</definedNames></workbook>"
    ),
}


def build(path: Path, rows: int, *, shared: bool) -> None:
    """Write the workbook with its results. Columns: A the truth, B to G the inputs, H to S the formulas."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(3.0, 2.0, (rows, INPUTS)).round(4)
    means, deviations = inputs.mean(0), inputs.std(0)
    weights, outer = (
        generator.normal(0, 0.5, (UNITS, INPUTS + 1)).round(3),
        generator.normal(0, 0.5, UNITS + 1).round(3),
    )
    scaled = (inputs - means) / deviations
    truth = (np.sin(scaled[:, 0]) + scaled[:, 1] * 0.3).round(4)
    units = np.maximum(0.0, scaled @ weights[:, :INPUTS].T + weights[:, INPUTS])
    fit = units @ outer[:UNITS] + outer[UNITS]
    errors = fit - truth
    results = np.column_stack([scaled, units, fit, errors, errors**2])
    forms = [f"({letter}{{0}}-{letter}$1)/{letter}$2" for letter in "BCDEFG"]
    for row in (3, 4, 5):
        products = "+".join(f"{letter}{{0}}*${letter}${row}" for letter in "HIJKLM")
        total = f"SUMPRODUCT($H{{0}}:$M{{0}},$H${row}:$M${row})" if shared else products
        forms.append(f"MAX(0,{total}+$N${row})")
    forms.append("SUMPRODUCT(N{0}:P{0},$H$6:$J$6)+$K$6" if shared else "N{0}*$H$6+O{0}*$I$6+P{0}*$J$6+$K$6")
    forms += ["Q{0}-$A{0}", "R{0}^2"]
    letters, last = "HIJKLMNOPQRS", FIRST + rows - 1
    head = [
        _row(
            1,
            [
                ("A", f"<f>AVERAGE(S{FIRST}:S{last})</f><v>{float((errors**2).mean())!r}</v>"),
                *_numbers("BCDEFG", means),
            ],
        ),
        _row(2, _numbers("BCDEFG", deviations)),
        *(_row(3 + unit, _numbers("HIJKLMN", line)) for unit, line in enumerate(weights)),
        _row(6, _numbers("HIJK", outer)),
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, text in _PARTS.items():
            package.writestr(name, text)
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(f'<worksheet xmlns="{_NAMESPACE}/spreadsheetml/2006/main"><sheetData>{"".join(head)}'.encode())
            for place in range(rows):
                row = FIRST + place
                cells = [("A", f"<v>{truth[place]}</v>"), *_numbers("BCDEFG", inputs[place])]
                for index, (letter, form, value) in enumerate(zip(letters, forms, results[place], strict=True)):
                    text = f"<f>{form.format(row)}</f>"
                    if shared:
                        area = f' ref="{letter}{FIRST}:{letter}{last}"' if place == 0 else ""
                        text = f'<f t="shared"{area} si="{index}"' + (text.replace("<f>", ">") if place == 0 else "/>")
                    cells.append((letter, f"{text}<v>{float(value)!r}</v>"))
                part.write(_row(row, cells).encode())
            part.write(b"</sheetData></worksheet>")


def _numbers(letters: str, values: np.ndarray) -> list[tuple[str, str]]:
    return [(letter, f"<v>{float(value)!r}</v>") for letter, value in zip(letters, values, strict=True)]


def _row(number: int, cells: list[tuple[str, str]]) -> str:
    return f'<row r="{number}">' + "".join(f'<c r="{letter}{number}">{text}</c>' for letter, text in cells) + "</row>"


def measure(path: Path, rows: int, steps: int) -> dict:
    """Load, compile and train one workbook, beside hand-written PyTorch."""
    import torch
    import torch.nn.functional as F

    import sgdsheet
    from sgdsheet.analysis.checking import check_workbook

    torch.set_num_threads(1)
    first = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "first.xlsx"
        build(small, 10, shared=True)
        sgdsheet.compile(sgdsheet.load(small), precision="float64")
    start = time.process_time()
    book = sgdsheet.load(path)
    loaded = time.process_time()
    model = sgdsheet.compile(book, precision="float64")
    compiled = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    inner, outer = (parameter for _, parameter in model.named_parameters())
    values = book.sheets["net"].values
    last = FIRST + rows

    def column(number: int) -> torch.Tensor:
        return torch.tensor([values[row, number] for row in range(FIRST, last)], dtype=torch.float64)

    data, truth = torch.stack([column(number) for number in range(8, 14)], 1), column(1)
    own = [torch.nn.Parameter(parameter.detach().clone()) for parameter in (inner, outer)]

    def written() -> torch.Tensor:
        units = torch.relu(F.linear(data, own[0][:, :INPUTS], own[0][:, INPUTS]))
        return F.mse_loss(units @ own[1][:UNITS] + own[1][UNITS], truth)

    loss, expected = model().item(), written().item()
    if not math.isclose(loss, expected, rel_tol=1e-9):
        raise SystemExit(f"the losses differ, {loss!r} from the sheet and {expected!r} by hand")
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(steps):
        for forward, parameters, seconds in ((model, [inner, outer], taken[0]), (written, own, taken[1])):
            before = time.process_time()
            for parameter in parameters:
                parameter.grad = None
            forward().backward()
            with torch.no_grad():
                for parameter in parameters:
                    parameter -= 1e-9 * parameter.grad
            seconds.append(time.process_time() - before)
    ours, theirs = (statistics.median(seconds) for seconds in taken)
    ratio = statistics.median(one / other for one, other in zip(*taken, strict=True))
    checking = time.process_time()
    report = check_workbook(book)
    if not report.passed or report.compared != FORMULAS * rows + 1:
        raise SystemExit(f"check: {report.compared} cells compared, {len(report.mismatches)} differ")
    return {
        "first": start - first,
        "load": loaded - start,
        "compile": compiled - loaded,
        "memory": memory,
        "step": ours,
        "hand_written": theirs,
        "ratio": ratio,
        "check": time.process_time() - checking,
        "memory_with_check": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def in_a_process(path: Path, rows: int, steps: int) -> dict:
    command = [sys.executable, __file__, "--measure", str(path), "--rows", str(rows), "--steps", str(steps)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def unmet(name: str, whole: dict, tenth: dict) -> list[str]:
    """Which of the limits are not met."""
    found = [f"{name}: {what} {whole[what]:.3g}, at most {LIMITS[what]:g}" for what in ("load", "compile", "memory")
             if whole[what] > LIMITS[what]]  # fmt: skip
    if whole["ratio"] > LIMITS["step"]:
        found.append(f"{name}: a step {whole['ratio']:.2f} times hand-written, at most {LIMITS['step']:g}")
    for what in ("load", "compile", "ratio"):
        share = tenth[what] / whole[what] * (1 if what == "ratio" else 10)
        if abs(share - 1) > LIMITS["growth"]:
            cost = "a step beside the hand-written one" if what == "ratio" else f"a tenth of {what}"
            found.append(f"{name}: a tenth of the rows costs {share:.2f} times {cost}, wanted 1 ± 30 %")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.rows, options.steps)))
        return
    rows, failed = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, shared in (("shared formulas", True), ("written-out formulas and products", False)):
            found = []
            for count in (options.rows, options.rows // 10):
                path = Path(folder) / f"{count}.xlsx"
                build(path, count, shared=shared)
                found.append(in_a_process(path, count, options.steps))
                figures = found[-1]
                print(
                    f"{name}, {count:,} rows of {FORMULAS}: load {figures['load']:.2f} s (the process's first workbook "
                    f"{figures['first']:.2f} s), compile "
                    f"{figures['compile']:.2f} s, peak {figures['memory']:.2f} GB, step {1e3 * figures['step']:.2f} ms "
                    f"({figures['ratio']:.2f} times hand-written), check --all {figures['check']:.1f} s",
                    flush=True,
                )
            rows[name] = found
            failed += unmet(name, *found)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("not met: " + "; ".join(failed) if failed else "all limits are met")


if __name__ == "__main__":
    main()
