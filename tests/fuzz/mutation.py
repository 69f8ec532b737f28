"""Changes to a package that a damaged disk, a careless program or a hostile person could make.

They know the structure: members of the archive, elements and attributes of the XML, references, numbers, formulas.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random

Members = dict[str, bytes]

NUMBERS = (
    *("", "0", "-0", "-1", "1e308", "1e309", "-1e999", "NaN", "INF", "1,5", "0x10", "1e-320", "９", "1 2", "+", "--1"),
    *("4294967296", "-2147483649", "99999999999999999999", "1048577", "16385", "65536", "1.7976931348623157e308"),
)
REFERENCES = (
    *("A0", "XFE1", "A1048577", "", "A", "1", "ZZZ99999999", "A1:", ":A1", "A1:XFD1048576", "B2:A1", "$A$1", "R1C1"),
    *(
        "A1 B2 C3",
        "#REF!",
        "Nope!A1",
        "'a'!'b'!A1",
        "A1:B2:C3",
        "-A1",
        "ａ1",
        "A1048576:A1048576",
        "1:1048576",
        "A:XFD",
    ),
)
TEXTS = (
    *("", " ", "\t", "\x7f", "\u202e", "\U0001f600", "_x0000_", "_xD800_", "&#0;", "&#xFFFF;", "&unknown;", "<", "]]>"),
    *("=1+1", "' OR 1", "../../../etc/passwd", "a" * 40_000, "%s%n", "{{}}", "\u0000"),
)
FORMULAS = (
    *(
        "A1",
        "1/0",
        "SUM(A:A)",
        "SUM(1:1048576)",
        "SUM(A1:XFD1048576)",
        "A1#",
        "@A1",
        "[1]x!A1",
        "Nope!A1",
        "1+",
        "(",
        ")",
    ),
    *("((((((((((1))))))))))", "IF(", '"', "'", "#REF!", "#REF!+A1", "INDIRECT(A1)", "OFFSET(A1,1E9,1E9)", "RAND()"),
    *(
        "MMULT(A1:Z99,A1:Z99)",
        "LET(x,1,x+y)",
        "LAMBDA(x,x)(1)",
        "{1,2;3}",
        "{}",
        "A1:B2 C3:D4",
        "(A1,B2)",
        "Table1[#All]",
    ),
    *(
        "_xlfn.XLOOKUP(1,A:A,B:B)",
        "SGD_GRAD(A1,B1)",
        "SUM(" * 60 + "1" + ")" * 60,
        "+".join(["A1"] * 400),
        "-" * 500 + "1",
    ),
    *("MMULT(ROW(1:99999),COLUMN(1:1))", "SUMPRODUCT(A1:A1048576*B1:B1048576)", 'REPT("x",1E9)', "1E308*10", "0^0"),
    *(
        "A1^A1^A1^A1",
        "EXP(1E6)",
        "LN(-1)",
        "SQRT(-A1)",
        "VLOOKUP(1,A1:B2,99)",
        "INDEX(A1:B2,0,99)",
        "CHOOSE(99,1)",
        "$A:$A*1",
    ),
)
KINDS = ("s", "str", "b", "e", "n", "d", "inlineStr", "x", "", "S")


def _archive(members: Members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def members_of(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def mutated(random: Random, data: bytes) -> tuple[bytes, str]:
    """The package with one to four changes, and their names."""
    members = members_of(data)
    done = []
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        level = random.random()
        if level < 0.08:
            change: Callable[[Random, Members], str] = random.choice(_MEMBER_CHANGES)
        elif level < 0.5:
            change = _xml
        else:
            change = _formula
        done.append(change(random, members))
    out = _archive(members)
    if random.random() < 0.06:
        raw = random.choice(_RAW_CHANGES)
        out = raw(random, out)
        done.append(raw.__name__.strip("_"))
    return out, ", ".join(done)


# --- members ----------------------------------------------------------------------------------------------


def _remove(random: Random, members: Members) -> str:
    name = random.choice(list(members))
    if len(members) > 1:
        del members[name]
    return f"without {name}"


def _rename(random: Random, members: Members) -> str:
    name = random.choice(list(members))
    other = random.choice(
        [name.upper(), f"../{name}", f"/{name}", name.replace("/", "\\"), f"{name}\x00", f"C:/{name}", "ä/" + name]
    )
    members[other] = members.pop(name)
    return f"{name} renamed"


def _exchange(random: Random, members: Members) -> str:
    one, two = random.choice(list(members)), random.choice(list(members))
    members[one], members[two] = members[two], members[one]
    return f"{one} and {two} exchanged"


def _cut(random: Random, members: Members) -> str:
    name = random.choice(list(members))
    members[name] = members[name][: random.randrange(len(members[name]) + 1)]
    return f"{name} cut"


def _bomb(random: Random, members: Members) -> str:
    """Much that is packed small: blanks, rows, columns of one number, strings, or a text without end."""
    name = _sheet_name(random, members)
    kind = random.randrange(4)
    if kind == 0:
        members[name] = members[name] + b" " * 80_000_000
    elif kind == 1:
        rows = b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (row, row) for row in range(1, 200_000))
        members[name] = re.sub(
            rb"<sheetData.*</sheetData>",
            lambda _: b"<sheetData>" + rows + b"</sheetData>",
            members[name],
            flags=re.DOTALL,
        )
    elif kind == 2:
        members["xl/sharedStrings.xml"] = members.get("xl/sharedStrings.xml", b"").replace(
            b"<si>", b"<si><t>" + b"x" * 20_000_000 + b"</t></si><si>", 1
        )
    else:
        members[name] = members[name].replace(b"<sheetData>", b"<sheetData>" + b"<row><c>" * 300_000, 1)
    return f"bomb {kind} in {name}"


_MEMBER_CHANGES = (_remove, _remove, _rename, _exchange, _cut, _bomb)


# --- the archive itself -----------------------------------------------------------------------------------


def _cut_file(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def _flip(random: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 4, 30])):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _twice(random: Random, data: bytes) -> bytes:
    out = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(out, "a") as package:
            name = random.choice(package.namelist())
            package.writestr(name, b"<x/>")
    return out.getvalue()


def _lie(random: Random, data: bytes) -> bytes:
    """Another size, offset or method in the central directory."""
    out = bytearray(data)
    starts = [found.start() for found in re.finditer(rb"PK\x01\x02", data)]
    if starts:
        place = random.choice(starts) + random.choice([10, 20, 24, 42])
        struct.pack_into(
            "<L", out, min(place, len(out) - 4), random.choice([0, 1, 2**31, 2**32 - 1, random.randrange(10**6)])
        )
    return bytes(out)


def _around(random: Random, data: bytes) -> bytes:
    return random.choice([b"MZ" * 50 + data, data + b"\0" * 1000, data + data, data[:-2] + b"\xff\xff"])


_RAW_CHANGES = (_cut_file, _flip, _flip, _twice, _lie, _around)


# --- XML --------------------------------------------------------------------------------------------------

_TAGS = re.compile(rb"<[A-Za-z][^<>]*>")
_ATTRIBUTES = re.compile(rb'\s([\w:]+)="([^"]*)"')


def _xml_name(random: Random, members: Members) -> str:
    kind = random.random()
    if kind < 0.55:
        return _sheet_name(random, members)
    if kind < 0.75 and "xl/workbook.xml" in members:
        return "xl/workbook.xml"
    names = [name for name in members if name.endswith((".xml", ".rels"))]
    return random.choice(names or list(members))


def _sheet_name(random: Random, members: Members) -> str:
    names = [name for name in members if name.startswith("xl/worksheets/") and name.endswith(".xml")]
    return random.choice(names or list(members))


def _xml(random: Random, members: Members) -> str:
    name = _xml_name(random, members)
    data = members[name]
    tags = list(_TAGS.finditer(data))
    if not tags:
        return _cut(random, members)
    change = random.choice(_XML_CHANGES)
    # Of a large sheet the head counts as much as the many cells.
    tag = random.choice(tags if random.random() < 0.7 else tags[:12])
    members[name] = change(random, data, tag)
    return f"{change.__name__.strip('_')} in {name}"


Tag = re.Match[bytes]


def _attribute(random: Random, tag: Tag) -> tuple[int, int, bytes, bytes] | None:
    """Where an attribute's value stands, its name, its value."""
    found = list(_ATTRIBUTES.finditer(tag.group()))
    if not found:
        return None
    one = random.choice(found)
    return tag.start() + one.start(2), tag.start() + one.end(2), one[1], one[2]


def _set_attribute(random: Random, data: bytes, tag: Tag) -> bytes:
    found = _attribute(random, tag)
    if found is None:
        return _drop_tag(random, data, tag)
    start, end, name, _ = found
    choices: tuple[str, ...] = NUMBERS + REFERENCES + TEXTS[:12]
    if name in (b"r", b"ref", b"sqref", b"spans", b"activeCell"):
        choices = REFERENCES
    elif name == b"t":
        choices = KINDS
    elif name in (b"s", b"si", b"cm", b"count", b"localSheetId", b"sheetId", b"activeTab", b"numFmtId", b"uniqueCount"):
        choices = NUMBERS
    value = random.choice(choices).replace("\0", "").encode()
    return data[:start] + value.replace(b'"', b"&quot;").replace(b"<", b"&lt;") + data[end:]


def _drop_attribute(random: Random, data: bytes, tag: Tag) -> bytes:
    found = list(_ATTRIBUTES.finditer(tag.group()))
    if not found:
        return _drop_tag(random, data, tag)
    one = random.choice(found)
    return data[: tag.start() + one.start()] + data[tag.start() + one.end() :]


def _twice_attribute(random: Random, data: bytes, tag: Tag) -> bytes:
    found = list(_ATTRIBUTES.finditer(tag.group()))
    if not found:
        return _repeat_element(random, data, tag)
    one = random.choice(found)
    return data[: tag.start() + one.end()] + one.group() + data[tag.start() + one.end() :]


def _element_end(data: bytes, tag: Tag) -> int:
    if tag.group().endswith(b"/>"):
        return tag.end()
    name = re.split(rb"[\s>]", tag.group()[1:], maxsplit=1)[0]
    found = data.find(b"</" + name + b">", tag.end())
    return tag.end() if found < 0 else found + len(name) + 3


def _drop_tag(random: Random, data: bytes, tag: Tag) -> bytes:
    return data[: tag.start()] + data[tag.end() :]


def _drop_element(random: Random, data: bytes, tag: Tag) -> bytes:
    return data[: tag.start()] + data[_element_end(data, tag) :]


def _repeat_element(random: Random, data: bytes, tag: Tag) -> bytes:
    end = _element_end(data, tag)
    return data[:end] + data[tag.start() : end] * random.choice([1, 1, 3]) + data[end:]


def _move_element(random: Random, data: bytes, tag: Tag) -> bytes:
    end = _element_end(data, tag)
    piece, rest = data[tag.start() : end], data[: tag.start()] + data[end:]
    places = [found.start() for found in _TAGS.finditer(rest)]
    place = random.choice(places or [0])
    return rest[:place] + piece + rest[place:]


def _text(random: Random, data: bytes, tag: Tag) -> bytes:
    """What stands behind a tag becomes something else."""
    end = data.find(b"<", tag.end())
    if end < 0:
        return data
    value = random.choice(NUMBERS + TEXTS + REFERENCES)
    return data[: tag.end()] + value.encode("utf-8", "replace") + data[end:]


def _entities(random: Random, data: bytes, tag: Tag) -> bytes:
    document = random.choice(
        [
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
            b'<!DOCTYPE x SYSTEM "file:///etc/hostname">',
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        ]
    )
    start = data.find(b"?>")
    at = start + 2 if start >= 0 else 0
    return data[:at] + document + data[at : tag.end()] + random.choice([b"&a;", b"&b;", b""]) + data[tag.end() :]


def _nested(random: Random, data: bytes, tag: Tag) -> bytes:
    depth = random.choice([50, 1000, 100_000])
    return data[: tag.end()] + b"<a>" * depth + b"</a>" * depth + data[tag.end() :]


def _encoded(random: Random, data: bytes, tag: Tag) -> bytes:
    text = data.decode("utf-8", "replace")
    kind = random.randrange(4)
    if kind == 0:
        return text.replace("UTF-8", "UTF-16", 1).encode("utf-16")
    if kind == 1:
        return text.replace('encoding="UTF-8"', 'encoding="latin-1"', 1).encode("latin-1", "replace")
    if kind == 2:
        return b"\xef\xbb\xbf" + data
    return data[: tag.end()] + bytes((random.randrange(256),)) * 2 + data[tag.end() :]


def _namespace(random: Random, data: bytes, tag: Tag) -> bytes:
    return re.sub(rb'xmlns="[^"]*"', random.choice([b"", b'xmlns="urn:x"', b'xmlns:y="urn:y"']), data, count=1)


_XML_CHANGES = (
    *([_set_attribute] * 8 + [_drop_attribute] * 4 + [_drop_element] * 4 + [_repeat_element] * 3 + [_move_element] * 2),
    *([_text] * 4 + [_twice_attribute, _drop_tag, _entities, _nested, _encoded, _namespace]),
)


# --- formulas, values, names ------------------------------------------------------------------------------

_FORMULA = re.compile(rb"(<f\b[^>]*>)([^<]*)(</f>)")
_VALUE = re.compile(rb"(<v>)([^<]*)(</v>)")
_NAME = re.compile(rb"(<definedName\b[^>]*>)([^<]*)(</definedName>)")
_TOKEN = re.compile(rb"\$?[A-Z]{1,3}\$?[0-9]+|[0-9.]+|[A-Z][A-Z.]+\(|[-+*/^&=,:]")


def _formula(random: Random, members: Members) -> str:
    kind = random.random()
    pattern = _FORMULA if kind < 0.6 else _VALUE if kind < 0.85 else _NAME
    name = "xl/workbook.xml" if pattern is _NAME and "xl/workbook.xml" in members else _sheet_name(random, members)
    data = members[name]
    found = list(pattern.finditer(data))
    if not found:
        return _xml(random, members)
    for one in sorted(
        random.sample(found, min(len(found), random.choice([1, 1, 3, 20]))), key=lambda item: -item.start()
    ):
        new = _value(random) if pattern is _VALUE else _changed_formula(random, one[2])
        data = data[: one.start(2)] + new.replace(b"\0", b"") + data[one.end(2) :]
    members[name] = data
    return f"{'formulas' if pattern is _FORMULA else 'values' if pattern is _VALUE else 'names'} in {name}"


def _value(random: Random) -> bytes:
    return random.choice(NUMBERS + TEXTS[:12] + ("#N/A", "#REF!", "TRUE", "43831", "1e-300", "-1e300")).encode()


def _changed_formula(random: Random, text: bytes) -> bytes:
    tokens = list(_TOKEN.finditer(text))
    if not tokens or random.random() < 0.4:
        return random.choice(FORMULAS).replace("&", "&amp;").replace("<", "&lt;").encode()
    one = random.choice(tokens)
    other = random.choice(
        [
            b"",
            random.choice(NUMBERS).encode(),
            random.choice(REFERENCES).encode(),
            b"A1:XFD1048576",
            b"#REF!",
            b"1/0",
            b"*",
            b"(",
            b"MMULT(",
            b"0",
        ]
    )
    return text[: one.start()] + other + text[one.end() :]
