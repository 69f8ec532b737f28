"""Excel functions, one module per category. A new function is one declaration in its category's module."""

from __future__ import annotations

import importlib
import pkgutil

from sgdsheet.compiler.functions.registry import REGISTRY, Function

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["REGISTRY", "Function"]
