"""Checkpoints: a run's state as JSON. Numbers come back bit for bit, and nothing is executed.

A checkpoint holds the parameters, the optimizer's memory, the random generator and how far the run had come,
so a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgdsheet.errors import FileError
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.outputs import CHECKPOINT, ready

FORMAT = "sgdsheet checkpoint 1"
_DTYPES = {str(dtype): dtype for dtype in (torch.float64, torch.float32, torch.int64, torch.uint8, torch.bool)}
_NOT_ONE = "Give a file that “sgdsheet train --checkpoint” wrote"


def encode(value: Any) -> Any:
    """Tensors, dictionaries and sequences as plain JSON. Floats are hexadecimal text: exact, NaN included."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().flatten().tolist()
        return {
            "tensor": [encode(item) for item in flat],
            "dtype": str(value.dtype),
            "shape": list(value.shape),
        }
    if isinstance(value, dict):
        return {"pairs": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, float):
        return {"float": value.hex()}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"{type(value).__name__} does not belong into a checkpoint")


def decode(value: Any) -> Any:
    """What `encode` was given, from its plain JSON. Raises ValueError, KeyError or TypeError for anything else."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if "tensor" in value:
            shape = [int(size) for size in value["shape"]]
            numbers = [decode(item) for item in value["tensor"]]
            if math.prod(shape) != len(numbers):
                raise ValueError("shape")
            return torch.tensor(numbers, dtype=_DTYPES[value["dtype"]]).reshape(shape)
        if "pairs" in value:
            return {decode(key): decode(item) for key, item in value["pairs"]}
        return float.fromhex(value["float"])
    return value


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state to a file, complete or not at all. Raises FileError."""
    content = json.dumps({"format": FORMAT, "state": encode(state)})
    try:
        write_atomically(ready(path, CHECKPOINT), content.encode("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"“{path}” cannot be written: {reason}", remedy="Write somewhere else") from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a state. Raises FileError for anything that is not a checkpoint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"“{path}” cannot be read: {error.strerror}", remedy="Check the file name") from None
    except (ValueError, RecursionError):
        raise FileError(f"“{path}” is not a checkpoint", remedy=_NOT_ONE) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileError(f"“{path}” is not a checkpoint of this version", remedy=_NOT_ONE)
    try:
        state = decode(content["state"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, RuntimeError):
        raise FileError(f"“{path}” is a damaged checkpoint", remedy=_NOT_ONE) from None
    if not isinstance(state, dict):
        raise FileError(f"“{path}” is a damaged checkpoint", remedy=_NOT_ONE)
    return state
