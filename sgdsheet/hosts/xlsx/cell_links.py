"""Links of a worksheet that lead to a place in the workbook. Those that lead out of it are not read."""

from __future__ import annotations

import re
from html import unescape
from itertools import islice

from sgdsheet.errors import FormulaError
from sgdsheet.hosts.xlsx.edit import ATTRIBUTE
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import Position

_LINK = re.compile(rb"""<(?:[\w.-]+:)?hyperlink\b((?:[^<>"']|"[^"<]*"|'[^'<]*')*)>""")
_MOST_LINKS, _MOST_CELLS, _LONGEST = 5_000, 100, 300


def read_links(data: bytes) -> dict[Position, str]:
    """Where links lead to, by their cells: `'my sheet'!A1`, `A1` of the same sheet, or a defined name.

    `data` is the XML of the worksheet after its rows. Of very many links only the first are read, of a link over many
    cells the first of these.
    """
    found: dict[Position, str] = {}
    for number, match in enumerate(_LINK.finditer(data)):
        if number >= _MOST_LINKS:
            break
        given = {name: unescape(value[1:-1].decode(errors="replace")) for name, value in ATTRIBUTE.findall(match[1])}
        target, area = given.get(b"location", "").removeprefix("#"), given.get(b"ref", "")
        outside = any(name.rpartition(b":")[2] == b"id" for name in given)
        if outside or not target or len(target) > _LONGEST:
            continue
        try:
            cells = parse_range(area, "")
        except FormulaError:
            continue
        bottom, right = min(cells.bottom, cells.top + _MOST_CELLS), min(cells.right, cells.left + _MOST_CELLS)
        first = cells._replace(bottom=bottom, right=right)  # the area may be as large as the sheet
        found.update(dict.fromkeys(islice(first.positions(), _MOST_CELLS), target))
    return found
