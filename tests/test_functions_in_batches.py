"""Functions that make numbers of their fixed arguments first, in mini-batches: each row keeps its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sgdsheet.train.session import Session
from tests.training_books import model

COUNT, SIZE = 12, 5
DATES = [40500.0, 44000.0, 41000.0, 70000.0, 40300.0, 45000.0, 52000.0, 43000.0, 41500.0, 48000.0, 60000.0, 40900.0]
SHARES = [0.05, 0.9, 0.3, 0.5, 0.7, 0.15, 0.97, 0.4, 0.6, 0.25, 0.8, 0.1]


@pytest.mark.parametrize(
    ("formula", "start"),
    [
        ("PRICE(40000,A{r},0.05,$G$1,100,2)", 0.04),
        ("YIELD(40000,A{r},$G$1,95,100,2)", 0.04),
        ("DISC(40000,A{r},90+$G$1,100)", 0.04),
        ("CUMIPMT($G$1,60,1000,1,INT(B{r}*50)+1,0)", 0.01),
        ("GAMMA.INV(B{r},$G$1,2)", 1.5),
        ("INDEX($G$1:$H$2,1,1+(B{r}>0.92))", 1.5),  # the first samples have the same column
    ],
)
def test_a_batch_is_the_mean_of_its_rows(tmp_path: Path, formula: str, start: float) -> None:
    last = COUNT + 1
    cells = {
        f"A2:A{last}": [[date] for date in DATES],
        f"B2:B{last}": [[share] for share in SHARES],
        f"C2:C{last}": f"=({formula}-1)^2",
        "G1": start,
        "Z1": f"=AVERAGE(C2:C{last})",
    }
    made = model(tmp_path, cells, {"sgd_params": "G1", "sgd_loss": "Z1", "sgd_data": f"A2:C{last}"})
    errors = [made.value_of(made.problem.loss._replace(row=row, column=3)) for row in range(2, last + 1)]
    rows = torch.tensor(errors, dtype=torch.float64)
    session = Session(made, optimizer="sgd", lr=1e-30, batch_size=SIZE, epochs=1, shuffle="no", seed=1)
    losses = [step.loss for step in session]
    assert losses == [pytest.approx(float(part.mean()), rel=1e-9) for part in rows.split(SIZE)]
