"""The page that `check --html` writes: everything that was found, in one file without scripts, to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path

from sgdsheet import __version__
from sgdsheet.analysis.checking import BlockCheck, Report
from sgdsheet.analysis.diagnosis import Finding
from sgdsheet.analysis.tallies import Tally, by_function, by_sheet, causes, differing
from sgdsheet.apps.cli.check_groups import by_office_line, differ_line
from sgdsheet.apps.cli.common import count, figure
from sgdsheet.errors import one_line
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.outputs import PAGE, ready

_MOST = 1_000
"""Cells, and formulas, that the page lists of each kind."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --muted: #6b7280; --line: #e5e7eb; --paper: #ffffff; --card: #f9fafb;
  --good: #166534; --bad: #b42318; --note: #8f5f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --muted: #9ca3af; --line: #374151; --paper: #111827;
  --card: #1f2937; --good: #4ade80; --bad: #f87171; --note: #fbbf24; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .muted { color: var(--muted); } .good { color: var(--good); } .bad { color: var(--bad); }
.note { color: var(--note); }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; }
.cards b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 50%; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--muted); font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; } summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } }
"""

Row = Sequence[str]


def write_page(
    path: Path, workbook: Workbook, source: Path, report: Report, findings: Sequence[Finding], title: str
) -> None:
    """Write the page. `source` is the workbook's file, `title` says what was checked. Raises FileError."""
    write_atomically(ready(path, PAGE), page(workbook, source, report, findings, title).encode())


def page(workbook: Workbook, source: Path, report: Report, findings: Sequence[Finding], title: str) -> str:
    """The whole page as HTML."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        _verdict(report),
        f'<p class="note">! {escape(by_office_line(report))}.</p>' if report.by_office else "",
        _cards(report),
        _loss(report),
        _sheets(by_sheet(report)),
        _differing(report),
        _unsupported(report),
        _frozen(report),
        _findings(findings),
        _functions(by_function(report)),
        _origin(source),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="sgdsheet {__version__}">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Check of {escape(workbook.name)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _verdict(report: Report) -> str:
    if report.fault is not None:
        return f'<p class="bad">✗ {_text(report.fault)}</p>'
    if report.mismatches:
        return f'<p class="bad">✗ {differ_line(report)}.</p>'
    if not report.passed:
        worst = _text(report.gradient_worst_cell)
        return f'<p class="bad">✗ The gradient differs from central differences, at {worst}.</p>'
    if not (report.compared or report.by_office):
        return '<p class="note">! The file has no saved values to compare with.</p>'
    return f'<p class="good">✓ All {report.compared:,} compared cells equal their saved values.</p>'


def _cards(report: Report) -> str:
    cards = [
        (f"{report.formulas:,}", "formula cells"),
        (f"{report.supported:,}", "calculated"),
        (f"{report.compared:,}", "compared"),
        (f"{len(report.mismatches):,}", "differ"),
        (f"{report.formulas - report.supported - report.frozen_cells:,}", "cannot be calculated"),
    ]
    if report.frozen:
        cards.append((f"{report.frozen_cells:,}", "keep their saved values"))
    if report.compared:
        cards.append((f"{report.largest_difference:.1e}", "largest difference"))
    return '<ul class="cards">' + "".join(f"<li><b>{value}</b>{label}</li>" for value, label in cards) + "</ul>"


def _loss(report: Report) -> str:
    if report.loss_computed is None and report.loss_saved is None:
        return ""
    rows = [
        ("computed", "cannot be calculated" if report.loss_computed is None else figure(report.loss_computed)),
        ("saved", "no saved value" if report.loss_saved is None else figure(report.loss_saved)),
    ]
    if report.gradient_max_error is not None:
        checked = f"{count(report.gradient_checked, 'gradient')}, largest error {report.gradient_max_error:.1e}"
        rows.append(("against central differences", checked))
    return "<h2>Loss and gradient</h2>" + _table((), rows)


def _sheets(tallies: Sequence[Tally]) -> str:
    rows = [_counts(tally) for tally in tallies]
    return "<h2>Sheets</h2>" + _table(("sheet", *_COUNTS), rows, numbers=5) if rows else ""


_COUNTS = ("formula cells", "calculated", "differ", "cannot be calculated")


def _counts(tally: Tally) -> Row:
    figures = (tally.formulas, tally.calculated, tally.differing, tally.unsupported)
    return (escape(tally.name), *(f"{number:,}" for number in figures))


def _differing(report: Report) -> str:
    groups = differing(report)
    if not groups:
        return ""
    pieces = ["<h2>What differs, the worst first</h2>"]
    for group in groups[:_MOST]:
        block, worst = group.block, group.worst
        cells = f"{len(block.mismatches):,} of {count(block.area.size, 'cell')}"
        head = f"<code>{escape(str(block.area))}</code> ({cells}) <code>{_text(block.formula)}</code>: "
        head += f"{_text(worst.cell)} is saved as {_value(worst.saved)}, computed {_value(worst.computed)}"
        items = sorted(block.mismatches, key=lambda item: -item.distance)
        rows = [(escape(str(item.cell)), _value(item.saved), _value(item.computed)) for item in items[:_MOST]]
        more = f"<p>and {len(items) - _MOST:,} more</p>" if len(items) > _MOST else ""
        table = _table(("cell", "saved", "computed"), rows) + more
        pieces.append(f"<details><summary>{head}</summary>{table}</details>")
    if len(groups) > _MOST:
        pieces.append(f"<p>and {count(len(groups) - _MOST, 'more formula')}</p>")
    return "\n".join(pieces)


def _unsupported(report: Report) -> str:
    rows = []
    for cause, blocks in causes(report):
        cells = sum(block.area.size for block in blocks)
        rows.append((_text(cause), f"{cells:,}", _places(blocks), f"<code>{_text(blocks[0].formula)}</code>"))
    if not rows:
        return ""
    head = ("function or cause", "cells", "where", "the first formula")
    return "<h2>What cannot be calculated</h2>" + _table(head, rows[:_MOST], numbers=2)


def _frozen(report: Report) -> str:
    """What keeps its saved values, and why."""
    rows = [(escape(str(item.area)), item.function.name, _text(item.function.reason)) for item in report.frozen[:_MOST]]
    return "<h2>What keeps its saved values</h2>" + _table(("cells", "function", "why"), rows) if rows else ""


def _places(blocks: Sequence[BlockCheck]) -> str:
    shown = ", ".join(f"<code>{escape(str(block.area))}</code>" for block in blocks[:10])
    return shown + (f" and {len(blocks) - 10:,} more" if len(blocks) > 10 else "")


def _findings(findings: Sequence[Finding]) -> str:
    items = "".join(f"<li>{_text(finding.message)}</li>" for finding in findings)
    return f"<h2>What stands in the way of training</h2><ul>{items}</ul>" if items else ""


def _functions(tallies: Sequence[Tally]) -> str:
    rows = [_counts(tally) for tally in tallies]
    return "<h2>Functions</h2>" + _table(("function", *_COUNTS), rows, numbers=5) if rows else ""


def _origin(source: Path) -> str:
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    moment = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    mark = f" SHA-256 of the file: <code>{digest}</code>" if digest else ""
    return f'<p class="muted">Checked by sgdsheet {__version__}, {moment}.{mark}</p>'


def _table(head: Sequence[str], rows: Iterable[Row], numbers: int = 1) -> str:
    """A table whose second to `numbers`th columns are numbers. The cells are HTML."""

    def tag(kind: str, place: int, content: str) -> str:
        mark = ' class="number"' if 0 < place < numbers else ""
        return f"<{kind}{mark}>{content}</{kind}>"

    def line(kind: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(tag(kind, place, content) for place, content in enumerate(cells)) + "</tr>"

    top = f"<thead>{line('th', head)}</thead>" if head else ""
    body = "".join(line("td", cells) for cells in rows)
    return f'<div class="wide"><table>{top}<tbody>{body}</tbody></table></div>'


def _text(content: object) -> str:
    return escape(one_line(str(content)))


def _value(content: object) -> str:
    if isinstance(content, float):
        return figure(content)
    if isinstance(content, bool):
        return str(content).upper()
    return f"“{_text(content)}”" if isinstance(content, str) else _text(content)
