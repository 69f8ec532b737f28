"""Pictures in few colours, for small files: flat ones stay exactly as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.system.extras import optional

COLOURS = 128
"""Colours of the palette: those of flat areas, and the most frequent ones along edges."""


def palette_of(pictures: Sequence[Any]) -> NDArray[np.int64]:
    """The most frequent colours of some frames (n × 3): a quantizer would make white grey."""
    counts: Counter[tuple[int, int, int]] = Counter()
    for picture in pictures:
        for count, colour in picture.getcolors(picture.width * picture.height):
            counts[colour] += count
    return np.array([colour for colour, _ in counts.most_common(COLOURS)])


def in_palette(picture: Any, palette: NDArray[np.int64]) -> Any:
    """The picture in the nearest of these colours."""
    red, green, blue = np.moveaxis(np.asarray(picture, dtype=np.int64), 2, 0)
    codes, places = np.unique((red << 16 | green << 8 | blue).ravel(), return_inverse=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    distances = ((colours[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1).astype(np.uint8)[places].reshape(picture.height, picture.width)
    found = optional("PIL.Image", "plot").fromarray(nearest)
    found.putpalette(palette.flatten().tolist())
    return found
