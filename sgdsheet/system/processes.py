"""Which of several processes this is, how one ends, and how many processors there are.

`torchrun` tells by environment variables which process this is.
"""

from __future__ import annotations

import os
import sys
import time
from typing import NoReturn


def count() -> int:
    """How many processes work together; 1 unless torchrun started them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """The number of this process, from 0. The first one talks and writes."""
    return int(os.environ.get("RANK", "0"))


def processors() -> int:
    """How many processors this process may use, at least 1."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


_SPINS = "GOMP_SPINCOUNT"


def let_waiting_threads_sleep() -> None:
    """Have torch's threads, where they wait for each other, soon leave their processor to other programs; Linux only.

    To be called before torch is loaded. Else they look again and again for some 10 ms, and where others want a
    processor meanwhile, a step with two threads takes ten to twenty times as long. The number is libgomp's own for more
    threads than processors. What a person has set in the environment stays.
    """
    if sys.platform == "linux" and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(_SPINS, "1000")


def waiting_threads_sleep() -> bool:
    """Whether torch's threads soon leave their processor to other programs where they wait for each other."""
    return sys.platform == "linux" and _SPINS in os.environ


def wait_for_the_first(seconds: float = 10.0) -> None:
    """Let the first process say what is wrong: what is wrong for one is wrong for all.

    When it has ended, torchrun ends the others. One that is not ended in this time is the only one with a problem.
    """
    if rank():
        time.sleep(seconds)


def end(status: int) -> NoReturn:
    """End this process at once, without Python's tidying up, which takes torch a good part of a second.

    Where several processes work together, threads of gloo outlive DistributedDataParallel and its process group; now
    and then they abort an interpreter that takes its time to tidy up.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
