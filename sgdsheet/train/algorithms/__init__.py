"""Optimizers of our own, one per module, found because they are in this folder.

Each is a `torch.optim.Optimizer`, so any optimizer that is written for PyTorch can stand here; its row in
`problem/optimizers.py` says what drives it: one gradient per step, or a closure that is called several times.
"""

from __future__ import annotations

import importlib
import pkgutil

import torch


def _found() -> dict[str, type[torch.optim.Optimizer]]:
    modules = [importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__)]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {
        kind.__name__: kind
        for kind in kinds
        if issubclass(kind, torch.optim.Optimizer) and kind.__module__.startswith(__name__)
    }


OWN: dict[str, type[torch.optim.Optimizer]] = _found()
