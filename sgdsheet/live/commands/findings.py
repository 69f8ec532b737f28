"""The command findings: what stands in the way of training, for whoever shows it beside the sheet. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def findings(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """What is found at the present parameters; nothing while a run is going on."""
    from sgdsheet.analysis.diagnosis import diagnose
    from sgdsheet.train.session import threads

    if book.run is not None:
        return {"sheet": book.run.trainable.problem.sheet, "findings": []}
    trainable = book.read_trainable(sheet, options)
    model = trainable.proven()
    records = book.status.records if book.status.sheet == trainable.problem.sheet else None
    history = [record.loss for record in records.kept] if records is not None else None
    with threads(1):
        found = diagnose(model, history=history)
    return {
        "sheet": trainable.problem.sheet,
        "findings": [
            {"kind": item.kind, "severity": item.severity, "cells": list(item.cells), "text": item.message}
            for item in found
        ],
    }


COMMAND = Command("findings", findings)
