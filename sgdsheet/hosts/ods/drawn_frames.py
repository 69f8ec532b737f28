"""The frames on the sheets of an OpenDocument file that hold an object, such as a chart, as its content tells them."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsheet.hosts.xlsx.xml import Node
from sgdsheet.sheet.workbook import Position

FRAME = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0 frame"
_PASSED_OVER = frozenset(("image", "table", "text-box", "binary-data"))
"""Elements in a frame that are no part of what a chart is: its picture, and copies of the cells that it shows."""
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on a sheet, with all that stands in it. `place` is the cell that holds it, None where a page does."""

    sheet: str
    place: Position | None
    tree: Node


class FrameBuilder:
    """Collects the elements of one frame while a document is parsed; what is nested too deeply is left out."""

    def __init__(self, sheet: str, place: Position | None, attributes: dict[str, str]) -> None:
        self._sheet, self._place = sheet, place
        self._stack = [_node(FRAME, attributes)]
        self._pieces: list[str] = []
        self._ignored = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        node = _node(tag, attributes)
        if self._ignored or node.tag in _PASSED_OVER or len(self._stack) >= _DEEPEST:
            self._ignored += 1
            return
        self._stack[-1].children.append(node)
        self._stack.append(node)
        self._pieces.clear()

    def end(self) -> Frame | None:
        """An element ends; the frame if that was the frame itself."""
        if self._ignored:
            self._ignored -= 1
            return None
        node = self._stack.pop()
        node.text = "".join(self._pieces)
        self._pieces.clear()
        return None if self._stack else Frame(self._sheet, self._place, node)

    def text(self, piece: str) -> None:
        """Text of the element that is open."""
        if not self._ignored:
            self._pieces.append(piece)


def _node(tag: str, attributes: dict[str, str]) -> Node:
    return Node(tag.rpartition(" ")[2], {name.rpartition(" ")[2]: value for name, value in attributes.items()})
