"""Look-ups that fail in one way only: nothing is found, which is #N/A."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.compiler.functions.registry import Context
from sgdsheet.sheet.syntax import Call, Node, Number, Omitted, Shared


def keys_of(context: Context, node: Node) -> Sequence[Node] | None:
    """The keys of a look-up whose only errors are theirs, and #N/A where nothing is found; None for anything else."""
    while isinstance(node, Shared):
        node = node.meaning
    match node:
        case Call("MATCH" | "XMATCH", (key, _, *_)):
            return (key,)
        case Call("VLOOKUP" | "HLOOKUP" as name, (key, table, Number(value=number), *_)):
            shape = context.shape(table)
            inside = shape is not None and 1 <= number < shape[1 if name == "VLOOKUP" else 0] + 1
            return (key,) if inside and _sound(context, table) else None
        case Call("LOOKUP", (key, vector, *results)):
            return (key,) if all(_sound(context, item) for item in (vector, *results)) else None
        case Call("XLOOKUP", (key, area, results, *more)) if not more or isinstance(more[0], Omitted):
            alike = context.shape(area) is not None and context.shape(area) == context.shape(results)
            return (key,) if alike and _sound(context, results) else None
        case Call("INDEX", (area, *places)) if len(places) in (1, 2) and _sound(context, area):
            return _keys_of_places(context, area, places)
    return None


def _sound(context: Context, node: Node) -> bool:
    """Whether no cell of a range or array is an error."""
    return context.builder.errors_of(context.lower(node, array=True)) is None


def _keys_of_places(context: Context, area: Node, places: Sequence[Node]) -> Sequence[Node] | None:
    """The keys of the look-ups that say which row and column INDEX takes, if none of them leads out of the area."""
    shape = context.shape(area)
    if shape is None or (len(places) == 1 and min(shape) > 1):
        return None
    lengths = (max(shape),) if len(places) == 1 else shape
    keys: list[Node] = []
    for place, length in zip(places, lengths, strict=True):
        if isinstance(place, Number) and 1 <= place.value < length + 1:
            continue
        if not (isinstance(place, Call) and place.name in ("MATCH", "XMATCH")):
            return None
        searched = context.shape(place.arguments[1])
        if searched is None or max(searched) > length:
            return None
        keys.append(place.arguments[0])
    return keys
