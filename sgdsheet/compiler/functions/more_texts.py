"""Texts of other languages and currencies, and arrays as texts."""

from __future__ import annotations

import math

from sgdsheet.compiler.functions.plain import Grid, plain
from sgdsheet.compiler.functions.text import LONGEST, dollar, valuetotext
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError


@plain(
    "ARRAYTOTEXT",
    examples={"ARRAYTOTEXT({1,TRUE;2,3})": "1, TRUE, 2, 3", 'ARRAYTOTEXT({1,"a";2,3},1)': '{1,"a";2,3}'},
)
def arraytotext(array: Grid, strict: float = 0.0) -> str | ExcelError:
    """An array as a text; strictly as it would be typed into a formula."""
    if int(strict) not in (0, 1):
        return ExcelError.VALUE
    rows = [[valuetotext(cell, strict) for cell in row] for row in array.rows]
    text = (
        f"{{{';'.join(','.join(row) for row in rows)}}}"
        if int(strict)
        else ", ".join(cell for row in rows for cell in row)
    )
    return text if len(text) <= LONGEST else ExcelError.VALUE


@plain("USDOLLAR", examples={"USDOLLAR(1234.567)": "$1,234.57"})
def usdollar(number: float, decimals: float = 2.0) -> str | ExcelError:
    """A number as a text of US dollars."""
    return dollar(number, decimals)


_KANA = {
    "ガ": "ｶﾞ", "ギ": "ｷﾞ", "グ": "ｸﾞ", "ゲ": "ｹﾞ", "ゴ": "ｺﾞ", "ザ": "ｻﾞ", "ジ": "ｼﾞ", "ズ": "ｽﾞ", "ゼ": "ｾﾞ", "ゾ": "ｿﾞ",
    "ダ": "ﾀﾞ", "ヂ": "ﾁﾞ", "ヅ": "ﾂﾞ", "デ": "ﾃﾞ", "ド": "ﾄﾞ", "バ": "ﾊﾞ", "ビ": "ﾋﾞ", "ブ": "ﾌﾞ", "ベ": "ﾍﾞ", "ボ": "ﾎﾞ",
    "パ": "ﾊﾟ", "ピ": "ﾋﾟ", "プ": "ﾌﾟ", "ペ": "ﾍﾟ", "ポ": "ﾎﾟ", "ヴ": "ｳﾞ", "ア": "ｱ", "イ": "ｲ", "ウ": "ｳ", "エ": "ｴ",
    "オ": "ｵ", "カ": "ｶ", "キ": "ｷ", "ク": "ｸ", "ケ": "ｹ", "コ": "ｺ", "サ": "ｻ", "シ": "ｼ", "ス": "ｽ", "セ": "ｾ",
    "ソ": "ｿ", "タ": "ﾀ", "チ": "ﾁ", "ツ": "ﾂ", "テ": "ﾃ", "ト": "ﾄ", "ナ": "ﾅ", "ニ": "ﾆ", "ヌ": "ﾇ", "ネ": "ﾈ",
    "ノ": "ﾉ", "ハ": "ﾊ", "ヒ": "ﾋ", "フ": "ﾌ", "ヘ": "ﾍ", "ホ": "ﾎ", "マ": "ﾏ", "ミ": "ﾐ", "ム": "ﾑ", "メ": "ﾒ",
    "モ": "ﾓ", "ヤ": "ﾔ", "ユ": "ﾕ", "ヨ": "ﾖ", "ラ": "ﾗ", "リ": "ﾘ", "ル": "ﾙ", "レ": "ﾚ", "ロ": "ﾛ", "ワ": "ﾜ",
    "ヲ": "ｦ", "ン": "ﾝ", "ァ": "ｧ", "ィ": "ｨ", "ゥ": "ｩ", "ェ": "ｪ", "ォ": "ｫ", "ッ": "ｯ", "ャ": "ｬ", "ュ": "ｭ",
    "ョ": "ｮ", "ー": "ｰ", "。": "｡", "、": "､", "「": "｢", "」": "｣", "・": "･",
}  # fmt: skip
_NARROW = {**{chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}, "　": " ", **_KANA}
_WIDE = {short: long for long, short in _NARROW.items()}


@plain("ASC", examples={'ASC("ＥＸＣＥＬ")': "EXCEL", 'ASC("エクセル")': "ｴｸｾﾙ"})
def asc(text: str) -> str:
    """A text with the wide letters of Japanese as narrow ones."""
    return "".join(_NARROW.get(letter, letter) for letter in text)


def _wide(text: str) -> str:
    """A text with narrow letters as wide ones; a letter and its voicing mark become one."""
    found, place = [], 0
    while place < len(text):
        length = 2 if text[place : place + 2] in _WIDE else 1
        part = text[place : place + length]
        found.append(_WIDE.get(part, part))
        place += length
    return "".join(found)


@plain("DBCS", examples={'DBCS("EXCEL")': "ＥＸＣＥＬ", 'DBCS("ｴｸｾﾙ")': "エクセル"})
def dbcs(text: str) -> str:
    """A text with narrow letters as the wide ones of Japanese."""
    return _wide(text)


@plain("JIS", examples={'JIS("ﾊﾞ")': "バ"})
def jis(text: str) -> str:
    """A text with narrow letters as the wide ones of Japanese: the Japanese name of DBCS."""
    return _wide(text)


# --- Thai -------------------------------------------------------------------------------------------------

_DIGITS = ("", "หนึ่ง", "สอง", "สาม", "สี่", "ห้า", "หก", "เจ็ด", "แปด", "เก้า")
_PLACES = ("", "สิบ", "ร้อย", "พัน", "หมื่น", "แสน")
_MILLION = "ล้าน"


def _thai(number: int) -> str:
    """A whole number in Thai words."""
    if number >= 1_000_000:
        return _thai(number // 1_000_000) + _MILLION + (_thai(number % 1_000_000) if number % 1_000_000 else "")
    words, digits = [], str(number)
    for place, digit in zip(range(len(digits) - 1, -1, -1), map(int, digits), strict=True):
        if digit == 0:
            continue
        if place == 1 and digit in (1, 2):
            words.append(("", "ยี่")[digit - 1] + _PLACES[1])
        elif place == 0 and digit == 1 and number > 10:
            words.append("เอ็ด")
        else:
            words.append(_DIGITS[digit] + _PLACES[place])
    return "".join(words)


@plain("BAHTTEXT", examples={"BAHTTEXT(1234)": "หนึ่งพันสองร้อยสามสิบสี่บาทถ้วน"})
def bahttext(number: float) -> str:
    """A number as an amount of baht in Thai words."""
    if abs(number) >= 1e13:
        raise FormulaError("writes a very large number in Thai words", remedy="Use a smaller one")
    hundredths = math.floor(abs(number) * 100 + 0.5)
    baht, satang = divmod(hundredths, 100)
    if not hundredths:
        return "ศูนย์บาทถ้วน"
    words = f"{_thai(baht)}บาท" if baht else ""
    words += f"{_thai(satang)}สตางค์" if satang else "ถ้วน"
    return ("ลบ" if number < 0 else "") + words


# --- euros ------------------------------------------------------------------------------------------------

_RATES = {
    "BEF": (40.3399, 0), "LUF": (40.3399, 0), "DEM": (1.95583, 2), "ESP": (166.386, 0), "FRF": (6.55957, 2),
    "IEP": (0.787564, 2), "ITL": (1936.27, 0), "NLG": (2.20371, 2), "ATS": (13.7603, 2), "PTE": (200.482, 0),
    "FIM": (5.94573, 2), "GRD": (340.75, 0), "SIT": (239.64, 2), "EUR": (1.0, 2),
}  # fmt: skip
"""Units of a national currency in a euro, by the Council of the European Union, and the decimals of Excel's results."""


@plain(
    "EUROCONVERT",
    note="The currencies are those that Excel's documentation lists, from the first members to Slovenia.",
    examples={
        'EUROCONVERT(1.2,"DEM","EUR")': 0.61,
        'EUROCONVERT(1,"FRF","EUR",TRUE,3)': 0.152,
        'EUROCONVERT(1,"FRF","EUR",FALSE)': 0.15,
        'EUROCONVERT(1,"FRF","DEM",TRUE,3)': 0.29728616,
        'EUROCONVERT(1,"USD","EUR")': "#VALUE!",
    },
)
def euroconvert(
    number: float, source: str, target: str, full: bool = False, digits: float | None = None
) -> float | ExcelError:
    """An amount of a currency that became the euro in another one, by way of euros with so many digits."""
    if source not in _RATES or target not in _RATES or (digits is not None and digits < 3):
        return ExcelError.VALUE
    if source == target:
        return number
    euros = number / _RATES[source][0]
    if digits is not None and source != "EUR":
        size = int(digits) - 1 - math.floor(math.log10(abs(euros))) if euros else 0
        euros = round(euros, size)
    found = euros * _RATES[target][0]
    return found if full else float(f"{found:.{_RATES[target][1]}f}")
