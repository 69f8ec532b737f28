"""Which of several processes this is. `torchrun` tells each of them by environment variables."""

from __future__ import annotations

import os


def count() -> int:
    """How many processes work together; 1 unless torchrun started them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """The number of this process, from 0. The first one talks and writes."""
    return int(os.environ.get("RANK", "0"))
