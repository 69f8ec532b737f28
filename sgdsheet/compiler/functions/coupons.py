"""Coupon dates of a bond: when interest is paid, and the days between."""

from __future__ import annotations

from collections.abc import Callable

from sgdsheet.compiler.functions.day_counts import (
    FREQUENCIES,
    coupon_dates,
    coupon_days,
    coupons_left,
    days_since_coupon,
    days_to_coupon,
    is_day,
    whole,
)
from sgdsheet.compiler.functions.plain import plain
from sgdsheet.sheet.workbook import ExcelError

_BOND = "DATE(2011,1,25),DATE(2011,11,15),2,1"


def _declare(name: str, help_text: str, result: float, count: Callable[[int, int, int, int], float]) -> None:
    """Declare a function of the settlement, the maturity, the coupons a year and the basis."""

    def implementation(settlement: float, maturity: float, frequency: float, basis: float = 0.0) -> float | ExcelError:
        first, last, coupons, way = whole(settlement), whole(maturity), whole(frequency), whole(basis)
        if not is_day(first) or not is_day(last) or first >= last or coupons not in FREQUENCIES or not 0 <= way <= 4:
            return ExcelError.NUM
        return float(count(first, last, coupons, way))

    implementation.__doc__, implementation.__module__ = help_text, __name__
    plain(name, dates=True, booleans=False, examples={f"{name}({_BOND})": result})(implementation)


_declare("COUPDAYBS", "Days from the last coupon date to the settlement.", 71, days_since_coupon)
_declare("COUPDAYS", "Days of the coupon period in which the settlement lies.", 181, coupon_days)
_declare("COUPDAYSNC", "Days from the settlement to the next coupon date.", 110, days_to_coupon)
_declare("COUPNUM", "How many coupons are left at the settlement.", 2, lambda *of: coupons_left(*of[:3]))
_declare("COUPPCD", "The last coupon date before the settlement.", 40497, lambda *of: coupon_dates(*of[:3])[0])
_declare("COUPNCD", "The first coupon date after the settlement.", 40678, lambda *of: coupon_dates(*of[:3])[1])
