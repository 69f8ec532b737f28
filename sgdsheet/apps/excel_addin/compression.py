"""The compression of VBA source ([MS-OVBA] 2.4.1): runs of text that stood before become copy tokens."""

from __future__ import annotations

_CHUNK = 4096
_LONGEST_CHAIN = 64  # candidates looked at per place; more finds little that is longer


def compress(data: bytes) -> bytes:
    """A compressed container: a signature byte, then chunks of 4096 bytes of text each."""
    chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    return b"\x01" + b"".join(_chunk(chunk) for chunk in chunks)


def _chunk(chunk: bytes) -> bytes:
    body = _tokens(chunk)
    if len(body) < _CHUNK:
        return (0xB000 | (len(body) - 1)).to_bytes(2, "little") + body
    if len(chunk) < _CHUNK:  # a raw chunk is always full: the text would get longer
        raise ValueError("the end of the text cannot be compressed")
    return (0x3FFF).to_bytes(2, "little") + chunk


def _tokens(chunk: bytes) -> bytes:
    """Groups of eight tokens, each group after a byte that says which of them are copies."""
    result, group, flags, count = bytearray(), bytearray(), 0, 0
    seen: dict[bytes, list[int]] = {}
    place = 0
    while place < len(chunk):
        bits = max((place - 1).bit_length(), 4) if place else 4
        offset, length = _longest(chunk, place, seen.get(chunk[place : place + 3], []), (0xFFFF >> bits) + 3)
        if length >= 3:
            flags |= 1 << count
            group += ((offset - 1) << (16 - bits) | length - 3).to_bytes(2, "little")
        else:
            length = 1
            group.append(chunk[place])
        for passed in range(place, place + length):
            seen.setdefault(chunk[passed : passed + 3], []).append(passed)
        place += length
        count += 1
        if count == 8 or place == len(chunk):
            result += bytes([flags]) + group
            group, flags, count = bytearray(), 0, 0
    return bytes(result)


def _longest(chunk: bytes, place: int, starts: list[int], most: int) -> tuple[int, int]:
    """The longest run that begins at one of the earlier places: how far back, and how long."""
    best = (0, 0)
    limit = min(most, len(chunk) - place)
    for start in reversed(starts[-_LONGEST_CHAIN:]):
        length = 0
        while length < limit and chunk[start + length] == chunk[place + length]:
            length += 1
        if length > best[1]:
            best = (place - start, length)
    return best
