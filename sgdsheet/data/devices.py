"""Where a model is calculated, and in what shape."""

from __future__ import annotations

import torch

from sgdsheet.data.layouts.layout import Translate, as_it_is
from sgdsheet.errors import SettingError
from sgdsheet.problem.definition import Problem
from sgdsheet.problem.optimizers import normalised
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Cell


def translator(settings: Settings) -> Translate:
    """What makes a program of the formulas ready to run: nothing, or `torch.compile`."""
    return torch.compile if settings.compile else as_it_is


def device_of(settings: Settings, problem: Problem) -> torch.device:
    """The device that the settings name; `auto` is a GPU if there is one."""
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise SettingError(
            "there is no GPU that torch can use",
            cell=_named(problem),
            remedy="Choose the device cpu, or install torch with CUDA",
        )
    return torch.device("cuda" if there and settings.device in ("auto", "cuda") else "cpu")


def refuse_device(settings: Settings, problem: Problem) -> None:
    """A model whose data are in the sheet is too small for a GPU to be any use."""
    if settings.device == "cuda":
        raise SettingError(
            "a GPU is for models that are trained on data from a file", cell=_named(problem), remedy="Choose cpu"
        )


def _named(problem: Problem) -> Cell | None:
    """The cell that sets the device."""
    named = (row.cell for row in problem.settings if normalised(row.name) == "device" and row.value)
    return next(named, None)
