"""What all tests share."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)

# On a busy machine one example may take long; and a test that fails has to fail again.
settings.register_profile("sgdsheet", deadline=None, derandomize=True)
settings.load_profile("sgdsheet")
