"""How much memory is free, from what the operating system says."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import resource

_SHARE = 0.5
"""Share of the free memory that one run may fill."""
_UNKNOWN = 4 << 30
"""Bytes that are taken to be free where the system does not tell."""
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@cache
def room() -> int:
    """Bytes that a run may fill: half of what was free when it was first asked."""
    return int(_SHARE * min(_free(), _limit()))


def gigabytes(size: float) -> str:
    """`2.8 GB`, or `40.0 MB`."""
    return f"{size / 2**30:,.1f} GB" if size >= 2**29 else f"{size / 2**20:,.1f} MB"


def _free() -> int:
    """Free memory of the machine: on Linux what can be had without swapping, elsewhere half of all."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    if sys.platform == "win32":
        found = _WindowsMemory()
        found.length = ctypes.sizeof(found)
        asked = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(found))
        return int(found.free) if asked else _UNKNOWN
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError):
        return _UNKNOWN


class _WindowsMemory(ctypes.Structure):
    """MEMORYSTATUSEX, as Windows fills it in."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("free", ctypes.c_uint64),
        *((f"other_{number}", ctypes.c_uint64) for number in range(5)),
    )


def _limit() -> int:
    """What a container leaves, and what the process may address."""
    found = [sys.maxsize]
    for limit, used in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text(encoding="ascii")) - int(Path(used).read_text(encoding="ascii")))
    if sys.platform != "win32":
        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        if allowed != resource.RLIM_INFINITY:
            found.append(allowed)
    return max(0, min(found))
