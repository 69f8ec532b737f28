"""The file system inside a .bin file ([MS-CFB] version 3): storages and streams in sectors of 512 bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

_SECTOR = 512
_MINI = 64
_CUTOFF = 4096  # shorter streams share the mini stream
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_RED, _BLACK = 0, 1
_IN_HEADER = 109  # numbers of FAT sectors that the header holds


@dataclass
class _Entry:
    """A directory entry: a storage or a stream, in a tree with its siblings."""

    name: str
    kind: int
    data: bytes = b""
    left: int = _FREE
    right: int = _FREE
    child: int = _FREE
    colour: int = _BLACK
    start: int = _END
    size: int = 0
    children: list[int] = field(default_factory=list)


def container(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with these streams; a slash in a name makes a storage."""
    entries = _directory(streams)
    big, mini_fat, mini_stream = _place_small(entries)
    sectors = bytearray()
    fat: list[int] = []

    def put(data: bytes) -> int:
        if not data:
            return _END
        first, count = len(fat), -(-len(data) // _SECTOR)
        sectors.extend(data.ljust(count * _SECTOR, b"\0"))
        fat.extend([*range(first + 1, first + count), _END])
        return first

    for entry in big:
        entry.start = put(entry.data)
    entries[0].start, entries[0].size = put(mini_stream), len(mini_stream)
    mini_start = put(struct.pack(f"<{len(mini_fat)}I", *mini_fat).ljust(-(-len(mini_fat) // 128) * _SECTOR, b"\xff"))
    directory_start = put(_directory_bytes(entries))
    fat_count = _fat_sectors(len(fat))
    fat_start = len(fat)
    fat += [_FAT] * fat_count
    fat += [_FREE] * (-len(fat) % 128)
    sectors += struct.pack(f"<{len(fat)}I", *fat)
    header = struct.pack(
        "<8s16s5H6x9I",
        bytes.fromhex("D0CF11E0A1B11AE1"), bytes(16), 0x3E, 3, 0xFFFE, 9, 6,
        0, fat_count, directory_start, 0, _CUTOFF, mini_start, -(-len(mini_fat) // 128), _END, 0,
    )  # fmt: skip
    places = [*range(fat_start, fat_start + fat_count)]
    return header + struct.pack(f"<{_IN_HEADER}I", *places, *[_FREE] * (_IN_HEADER - fat_count)) + bytes(sectors)


def _fat_sectors(used: int) -> int:
    """How many sectors the FAT needs to describe the used ones and its own."""
    count = -(-used // 127)
    if count > _IN_HEADER:
        raise ValueError("more than 7 MB in a compound file")
    return count


def _directory(streams: Mapping[str, bytes]) -> list[_Entry]:
    entries = [_Entry("Root Entry", _ROOT)]
    storages = {"": 0}
    for path, data in streams.items():
        parent, _, name = path.rpartition("/")
        if parent not in storages:
            storages[parent] = _add(entries, 0, _Entry(parent, _STORAGE))
        _add(entries, storages[parent], _Entry(name, _STREAM, data, size=len(data)))
    for entry in entries:
        order = sorted(entry.children, key=lambda index: (len(entries[index].name), entries[index].name.upper()))
        full_levels = (len(order) + 1).bit_length() - 1
        entry.child = _tree(entries, order, full_levels)
    return entries


def _add(entries: list[_Entry], parent: int, entry: _Entry) -> int:
    entries.append(entry)
    entries[parent].children.append(len(entries) - 1)
    return len(entries) - 1


def _tree(entries: list[_Entry], order: list[int], black_levels: int) -> int:
    """A balanced tree; what stands below its last full level is red, which makes it a red-black tree."""
    if not order:
        return _FREE
    middle = len(order) // 2
    entry = entries[order[middle]]
    entry.colour = _BLACK if black_levels > 0 else _RED
    entry.left = _tree(entries, order[:middle], black_levels - 1)
    entry.right = _tree(entries, order[middle + 1 :], black_levels - 1)
    return order[middle]


def _place_small(entries: list[_Entry]) -> tuple[list[_Entry], list[int], bytes]:
    """Short streams go into the mini stream; returns the long ones, the mini FAT and the mini stream."""
    big: list[_Entry] = []
    mini_fat: list[int] = []
    mini_stream = bytearray()
    for entry in entries:
        if entry.kind != _STREAM or not entry.data:
            continue
        if len(entry.data) >= _CUTOFF:
            big.append(entry)
            continue
        first, count = len(mini_fat), -(-len(entry.data) // _MINI)
        entry.start = first
        mini_fat += [*range(first + 1, first + count), _END]
        mini_stream += entry.data.ljust(count * _MINI, b"\0")
    return big, mini_fat, bytes(mini_stream)


def _directory_bytes(entries: list[_Entry]) -> bytes:
    result = bytearray()
    for entry in entries:
        name = (entry.name + "\0").encode("utf-16-le")
        start = 0 if entry.kind == _STORAGE else entry.start
        result += struct.pack(
            "<64sHBB3I16sIQQIQ",
            name, len(name), entry.kind, entry.colour, entry.left, entry.right, entry.child,
            bytes(16), 0, 0, 0, start, entry.size,
        )  # fmt: skip
    unused = struct.pack("<64sHBB3I16sIQQIQ", b"", 0, 0, 0, _FREE, _FREE, _FREE, bytes(16), 0, 0, 0, 0, 0)
    return bytes(result) + unused * (-len(entries) % 4)
