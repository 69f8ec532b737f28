"""Datasets larger than a sheet, read from files: one module per format, found because it is in this folder.

    source = open_source(Path("data/mnist"), "train")
    source.fields["image"]     # uint8, [60000, 28, 28]

Values stay as they are stored; scaling them is what the sheet's formulas do. Nothing in a file is executed.
A new format is one module with one `dataset_format(…)`.
"""

from __future__ import annotations

import importlib
import pkgutil

from sgdsheet.data.formats.fields import field_called
from sgdsheet.data.formats.finite import check_finite
from sgdsheet.data.formats.selection import Selection, parse_selection
from sgdsheet.data.formats.source import FORMATS, PARTS, Format, Source, open_source, source_files

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "FORMATS",
    "PARTS",
    "Format",
    "Selection",
    "Source",
    "check_finite",
    "field_called",
    "open_source",
    "parse_selection",
    "source_files",
]
