"""Functions that came from Excel's Analysis ToolPak: where arrays are calculated, they take arrays but no ranges.

`SUMPRODUCT(--(WEEKNUM(A1:A9)=5))` is #VALUE! in Excel, `SUMPRODUCT(--(WEEKNUM(+A1:A9)=5))` is not. LibreOffice and
Google Sheets make no difference between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.sheet.syntax import Area, Node, Shared

_DATES = "EDATE EOMONTH NETWORKDAYS WEEKNUM WORKDAY YEARFRAC"
_NUMBERS = "CONVERT DELTA ERF ERFC FACTDOUBLE GESTEP ISEVEN ISODD MROUND QUOTIENT SQRTPI"
_BESSEL = "BESSELI BESSELJ BESSELK BESSELY"
_BASES = "BIN2DEC BIN2HEX BIN2OCT DEC2BIN DEC2HEX DEC2OCT HEX2BIN HEX2DEC HEX2OCT OCT2BIN OCT2DEC OCT2HEX"
_COMPLEX = (
    "COMPLEX IMABS IMAGINARY IMARGUMENT IMCONJUGATE IMCOS IMDIV IMEXP IMLN IMLOG10 IMLOG2 IMPOWER IMREAL IMSIN IMSQRT "
    "IMSUB"
)
_RATES = "CUMIPMT CUMPRINC DOLLARDE DOLLARFR EFFECT NOMINAL AMORDEGRC AMORLINC"
_SECURITIES = (
    "ACCRINT ACCRINTM COUPDAYBS COUPDAYS COUPDAYSNC COUPNCD COUPNUM COUPPCD DISC DURATION INTRATE MDURATION ODDFPRICE "
    "ODDFYIELD ODDLPRICE ODDLYIELD PRICE PRICEDISC PRICEMAT RECEIVED TBILLEQ TBILLPRICE TBILLYIELD YIELD YIELDDISC "
    "YIELDMAT"
)
_SINGLE = frozenset(" ".join((_DATES, _NUMBERS, _BESSEL, _BASES, _COMPLEX, _RATES, _SECURITIES)).split())
_RANGES = {"NETWORKDAYS": 2, "WORKDAY": 2}
"""The argument of some that is a range: the holidays."""


def refuses_range(name: str, arguments: Sequence[Node]) -> bool:
    """Whether Excel gives #VALUE! for a function in an array because an argument is a range of several cells."""
    if name not in _SINGLE:
        return False
    return any(_is_range(node) for place, node in enumerate(arguments) if place != _RANGES.get(name))


def _is_range(node: Node) -> bool:
    node = node.meaning if isinstance(node, Shared) else node
    return isinstance(node, Area) and (node.bottom.base, node.right.base) != (node.top.base, node.left.base)
