"""The zip package around an Office document: safe reading, and rewriting that copies what did not change."""

from __future__ import annotations

import copy
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple
from urllib.parse import unquote

from sgdsheet.errors import FileError
from sgdsheet.hosts.xlsx.xml import REPAIR, Part, read_tree

MAX_TOTAL = 2 << 30
"""Bytes that the parts of one package may decompress to, together."""
MAX_RATIO = 400
"""How much larger than its compressed form a part may be, once it is larger than RATIO_FLOOR bytes."""
RATIO_FLOOR = 16 << 20
MAX_FILE = (1 << 32) - 2
"""Larger files would need the 64-bit zip format to be written."""

_MANIFEST = "META-INF/manifest.xml"
_MEDIA_TYPE = re.compile(rb"application/vnd\.oasis\.opendocument\.[a-z-]+")
_OFFICES = re.compile(rb"(Libre|Open|Neo|Star)Office|Collabora")
_CHUNK = 1 << 20
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
)
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_SAVE_AS = "Save it as .xlsx (Excel Workbook) and use that file"


class Relationship(NamedTuple):
    """How one part points to another; `kind` is the last word of the type, `target` a member name."""

    id: str
    kind: str
    target: str


class Package:
    """A package held in memory, so that it cannot change between reading and saving."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data
        self._sizes: dict[str, int] = {}
        self._changed: dict[str, tuple[str, bytes | None]] = {}
        """New contents of parts, by their keys, with their names; None where a part goes."""
        if len(data) > MAX_FILE:
            raise self._error("is larger than 4 GiB", "Split the workbook")
        if not data.startswith(b"PK"):
            raise _not_a_zip(name, data)
        try:
            self._archive = zipfile.ZipFile(BytesIO(data))
        except _ZIP_ERRORS as error:
            raise self._damaged(str(error)) from None
        self._members = self._index()

    def __contains__(self, part: str) -> bool:
        changed = self._changed.get(part.casefold())
        return part.casefold() in self._members if changed is None else changed[1] is not None

    def with_changes(self, changes: Mapping[str, bytes | None]) -> Package:
        """The package as it will be with some parts changed, added, or (None) removed; this one stays as it is."""
        other = copy.copy(self)
        other._changed = {**self._changed, **{_key(name): (name, content) for name, content in changes.items()}}
        return other

    @property
    def is_changed(self) -> bool:
        """Whether it differs from the file that was read."""
        return bool(self._changed)

    def part(self, name: str) -> Part:
        """A part, decompressed; FileError if it is missing, damaged or too large."""
        changed_name, content = self._changed.get(name.casefold(), (name, None))
        if content is not None:
            return Part(self.name, changed_name, content)
        info = self._members.get(name.casefold())
        if info is None or name not in self:
            raise self._error(f"has no part {name}", REPAIR)
        if info.flag_bits & 1:
            raise self._error("has an encrypted part", "Save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._error(f"is compressed in an unusual way ({name})", REPAIR)
        limit = max(RATIO_FLOOR, MAX_RATIO * min(info.compress_size, len(self.data)))
        self._sizes.pop(info.filename, None)  # a part that is read again counts once
        limit = min(limit, MAX_TOTAL - sum(self._sizes.values()))
        chunks, size = [], 0
        try:
            with self._archive.open(info) as stream:
                while chunk := stream.read(_CHUNK):
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > limit:
                        break
        except _ZIP_ERRORS as error:
            raise self._damaged(f"{name}: {error}") from None
        if size > limit:
            raise self._error(f"has a suspiciously large part ({name})", "Don't use it unless you trust its source")
        self._sizes[info.filename] = size
        return Part(self.name, info.filename.replace("\\", "/"), b"".join(chunks))

    def relationships(self, source: str) -> list[Relationship]:
        """The relationships of a part, or of the package for `""`; none if the part has no list of them."""
        folder, part = posixpath.dirname(source), relationships_part(source)
        if part not in self:
            return []
        found = []
        for node in read_tree(self.part(part)).all("Relationship"):
            if node.attributes.get("TargetMode") != "External":
                kind = node.attributes.get("Type", "").rpartition("/")[2]
                target = self._target(folder, node.attributes.get("Target", ""))
                found.append(Relationship(node.attributes.get("Id", ""), kind, target))
        return found

    def rewritten(self, changes: Mapping[str, bytes | None]) -> bytes:
        """The package with some parts changed, added, or (None) removed, besides those of `with_changes`.

        All others keep even their compressed bytes.
        """
        whole = self.with_changes(changes)._changed
        new = {key: content for key, (_, content) in whole.items()}
        added = [_new_member(name) for key, (name, content) in whole.items() if content and key not in self._members]
        out, directory, count = BytesIO(), [], 0
        try:
            for info in [*self._archive.infolist(), *added]:
                offset, key = out.tell(), _key(info.filename)
                content = new.get(key)
                if key in new and content is None:
                    continue
                local_extra, raw = self._raw(info) if key in self._members else (b"", b"")
                if content is not None:
                    info, raw = _with_content(info, content)
                local, central = _headers(info, local_extra, offset)
                out.write(local)
                out.write(raw)
                directory.append(central)
                count += 1
            start, size, comment = out.tell(), sum(map(len, directory)), self._archive.comment
            out.write(b"".join(directory))
            out.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, start, len(comment)))
            out.write(comment)
        except _ZIP_ERRORS as error:
            raise self._damaged(str(error)) from None
        return out.getvalue()

    def _index(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            key = _key(info.filename)
            if key in members:
                raise self._error(f"holds the member {info.filename!r} twice", REPAIR)
            if key.startswith("/") or ".." in key.split("/") or key[1:2] == ":":
                raise self._error(f"holds a member with an unsafe path ({info.filename!r})", REPAIR)
            members[key] = info
        return members

    @property
    def is_binary(self) -> bool:
        """Whether it is a binary workbook (.xlsb)."""
        return "xl/workbook.bin" in self

    @property
    def is_open_document(self) -> bool:
        """Whether it is an OpenDocument spreadsheet. Raises FileError for another OpenDocument file."""
        kind = self.part("mimetype").data[:200] if "mimetype" in self else b""
        if not kind and _MANIFEST in self and (found := _MEDIA_TYPE.search(self.part(_MANIFEST).data)):
            kind = found[0]  # some programs write no type of their own
        if b"opendocument" not in kind:
            return False
        if not kind.strip().startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
            raise self._error("is an OpenDocument file, but no spreadsheet", "Give the name of an .ods or .xlsx file")
        return True

    def names_office(self, part: str, element: bytes) -> bool:
        """Whether a part that describes the file, if it is there and whole, says that LibreOffice saved it."""
        try:
            return part in self and is_from_office(self.part(part).data, element)
        except FileError:
            return False

    def refuse_others(self) -> None:
        """Raise FileError for a zip archive that is no Office document."""
        if "[Content_Types].xml" not in self and "_rels/.rels" not in self:
            raise self._error("is a zip archive, not an xlsx workbook", "Give the name of an .xlsx file")

    def _target(self, folder: str, target: str) -> str:
        path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
        path = posixpath.normpath(path.replace("\\", "/"))
        if path.startswith(("../", "/")):
            raise self._error(f"refers to something outside of itself ({target!r})", REPAIR)
        return unquote(path) if path not in self and unquote(path) in self else path

    def _raw(self, info: zipfile.ZipInfo) -> tuple[bytes, bytes]:
        """Extra field of the local header, and the compressed bytes."""
        header = self.data[info.header_offset : info.header_offset + 30]
        signature, name_length, extra_length = struct.unpack("<4s22x2H", header)
        start = info.header_offset + 30 + name_length
        extra = self.data[start : start + extra_length]
        raw = self.data[start + extra_length : start + extra_length + info.compress_size]
        if signature != b"PK\3\4" or len(raw) != info.compress_size:
            raise zipfile.BadZipFile(f"{info.filename} is cut off")
        return extra, raw

    def _error(self, cause: str, remedy: str) -> FileError:
        return FileError(f"“{self.name}” {cause}", remedy=remedy)

    def _damaged(self, detail: str) -> FileError:
        return self._error(f"is damaged or incomplete ({detail})", "Get the file again, or repair it in Excel")


def is_from_office(data: bytes, element: bytes) -> bool:
    """Whether the text of an element says that LibreOffice, or one of its kin, saved the file."""
    found = re.search(rb"<(?:[\w.-]+:)?%s\b[^>]*>([^<]*)<" % element, data)
    return found is not None and _OFFICES.search(found[1]) is not None


def relationships_part(source: str) -> str:
    """The part that lists the relationships of a part, or of the package for `""`."""
    folder, _, name = source.rpartition("/")
    return posixpath.join(folder, "_rels", f"{name}.rels")


def _new_member(name: str) -> zipfile.ZipInfo:
    """A member that depends on nothing but its name."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 0
    return info


def _key(member: str) -> str:
    return member.replace("\\", "/").casefold()


def _with_content(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    changed = copy.copy(info)
    raw = content
    if info.compress_type == zipfile.ZIP_DEFLATED:
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        raw = compressor.compress(content) + compressor.flush()
    changed.CRC, changed.file_size, changed.compress_size = zlib.crc32(content), len(content), len(raw)
    return changed, raw


def _headers(info: zipfile.ZipInfo, local_extra: bytes, offset: int) -> tuple[bytes, bytes]:
    """Local header and central directory record of a member."""
    flags = info.flag_bits & ~0x08  # sizes stand in the header, no data descriptor follows
    name = info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437")
    year, month, day, hour, minute, second = info.date_time
    stamp = (hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day)
    sizes = (info.CRC, info.compress_size, info.file_size)
    common = (flags, info.compress_type, *stamp, *sizes, len(name))
    local_extra, extra = _without_zip64(local_extra), _without_zip64(info.extra)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", info.extract_version, *common, len(local_extra))
    made_by = info.create_version | info.create_system << 8
    central = struct.pack("<4s6H3L2H", b"PK\1\2", made_by, info.extract_version, *common, len(extra))
    central += struct.pack("<3H2L", len(info.comment), 0, info.internal_attr, info.external_attr, offset)
    return local + name + local_extra, central + name + extra + info.comment


def _without_zip64(extra: bytes) -> bytes:
    """Extra fields without the 64-bit sizes: the sizes proper are written instead."""
    kept, position = b"", 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        end = position + 4 + length
        if kind != 1:
            kept += extra[position:end]
        position = end
    return kept


def is_old_format(data: bytes) -> bool:
    """Whether these are the bytes of a workbook in the old format (.xls), and not of one with a password."""
    return data.startswith(_OLE) and not _is_encrypted(data)


def _is_encrypted(data: bytes) -> bool:
    return "EncryptedPackage".encode("utf-16-le") in data


def _not_a_zip(name: str, data: bytes) -> FileError:
    cause, remedy = "is not an xlsx workbook", "Give the name of an .xlsx file"
    if data.startswith(_OLE):
        cause, remedy = "is protected by a password", "Open it in Excel and save it without a password"
    elif not data:
        cause = "is empty, not an xlsx workbook"
    elif name.lower().endswith(".txt"):
        cause, remedy = "is not an xlsx workbook but a text file", f"Open it in Excel. {_SAVE_AS}"
    return FileError(f"“{name}” {cause}", remedy=remedy)
