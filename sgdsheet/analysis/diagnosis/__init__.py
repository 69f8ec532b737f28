"""What stands in the way of training: dead units, features of different scale, gradients that are 0 or huge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sgdsheet.analysis.diagnosis.curvature import MOST_EXACT, spectrum
from sgdsheet.analysis.diagnosis.findings import WARNING, Finding
from sgdsheet.analysis.diagnosis.gradients import Gradients, explosions, plateaus
from sgdsheet.analysis.diagnosis.rising_loss import explain_rise
from sgdsheet.analysis.diagnosis.scales import scales_of_columns, scales_of_curvature
from sgdsheet.analysis.diagnosis.unit_findings import about_layer
from sgdsheet.analysis.diagnosis.units import MOST_NUMBERS, find_layers
from sgdsheet.analysis.diagnosis.zero_gradients import steps, zero_gradients
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell

__all__ = ["Finding", "diagnose", "explain_rise"]


def diagnose(model: SheetModel, *, history: Sequence[float] | None = None) -> list[Finding]:
    """Look at a model at its present parameters; the warnings come first.

    `history` holds the losses of the run so far, if there was one. It takes a fraction of a second: what is
    expensive is left out for many parameters or much data.
    """
    gradients = Gradients.of(model)
    if not math.isfinite(gradients.objective):
        error = model.explain_bad_loss()
        return [Finding("not finite", WARNING, (error.cell or str(model.problem.loss),), str(error))]
    explained: dict[Cell, str] = {}
    layers = find_layers(model)
    findings = [found for layer in layers for found in about_layer(gradients, layer, explained)]
    cheap = bool(np.isfinite(gradients.flat).all()) and model.numbers_read() <= MOST_NUMBERS
    curvature = spectrum(model) if cheap and len(gradients.cells) <= MOST_EXACT else None
    findings += explosions(gradients, curvature)
    findings += steps(gradients) or zero_gradients(gradients, curvature, explained, layers)
    if curvature is not None:
        findings += scales_of_curvature(model, curvature)
    elif cheap:
        findings += scales_of_columns(model)
    if cheap and not explained:
        findings += plateaus(gradients, curvature, history or ())
    return sorted(findings, key=lambda found: found.severity != WARNING)
