"""CONVERT: units of measure, by their definitions (NIST Special Publication 811, and the yard and pound of 1959)."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsheet.compiler.functions.plain import plain
from sgdsheet.sheet.workbook import ExcelError

_INCH, _POUND, _GRAVITY = 0.0254, 453.59237, 9.80665
_FOOT, _YARD, _MILE, _NAUTICAL = 12 * _INCH, 36 * _INCH, 63360 * _INCH, 1852.0
_SURVEY_MILE = 6336000 / 3937  # 5,280 feet of 1200/3937 m
_POINT = _INCH / 72
_LIGHT_YEAR = 9.46073047258080e15
_PARSEC = 3.08567758128155e16
_GALLON, _IMPERIAL = 231 * _INCH**3 * 1000, 4.54609  # litres
_POUND_FORCE = _POUND / 1000 * _GRAVITY

_Units = Mapping[str, float]

_MASS: _Units = {
    "g": 1.0,
    "sg": 14593.9029372064,
    "lbm": _POUND,
    "u": 1.66053100460465e-24,
    "ozm": _POUND / 16,
    "grain": _POUND / 7000,
    "cwt": 100 * _POUND,
    "shweight": 100 * _POUND,
    "uk_cwt": 112 * _POUND,
    "lcwt": 112 * _POUND,
    "hweight": 112 * _POUND,
    "stone": 14 * _POUND,
    "ton": 2000 * _POUND,
    "uk_ton": 2240 * _POUND,
    "LTON": 2240 * _POUND,
    "brton": 2240 * _POUND,
}
_LENGTH: _Units = {
    "m": 1.0,
    "mi": _MILE,
    "Nmi": _NAUTICAL,
    "in": _INCH,
    "ft": _FOOT,
    "yd": _YARD,
    "ang": 1e-10,
    "ell": 45 * _INCH,
    "ly": _LIGHT_YEAR,
    "parsec": _PARSEC,
    "pc": _PARSEC,
    "Picapt": _POINT,
    "Pica": _POINT,
    "pica": 12 * _POINT,
    "survey_mi": _SURVEY_MILE,
}
_TIME: _Units = {
    "yr": 31557600.0,
    "day": 86400.0,
    "d": 86400.0,
    "hr": 3600.0,
    "mn": 60.0,
    "min": 60.0,
    "sec": 1.0,
    "s": 1.0,
}
_PRESSURE: _Units = {
    "Pa": 1.0,
    "p": 1.0,
    "atm": 101325.0,
    "at": 101325.0,
    "mmHg": 133.322,
    "psi": _POUND_FORCE / _INCH**2,
    "Torr": 101325.0 / 760,
}
_FORCE: _Units = {"N": 1.0, "dyn": 1e-5, "dy": 1e-5, "lbf": _POUND_FORCE, "pond": _GRAVITY / 1000}
_ENERGY: _Units = {
    "J": 1.0,
    "e": 1e-7,
    "c": 4.184,
    "cal": 4.1868,
    "eV": 1.60217648700000e-19,
    "ev": 1.60217648700000e-19,
    "HPh": 2684519.53769617,
    "hh": 2684519.53769617,
    "Wh": 3600.0,
    "wh": 3600.0,
    "flb": _POUND_FORCE * _FOOT,
    "BTU": 1055.05585262,
    "btu": 1055.05585262,
}
_POWER: _Units = {"HP": 745.699871582270, "h": 745.699871582270, "PS": 75 * _GRAVITY, "W": 1.0, "w": 1.0}
_MAGNETISM: _Units = {"T": 1.0, "ga": 1e-4}
_VOLUME: _Units = {
    "l": 1.0,
    "L": 1.0,
    "lt": 1.0,
    "tsp": _GALLON / 768,
    "tspm": 0.005,
    "tbs": _GALLON / 256,
    "oz": _GALLON / 128,
    "cup": _GALLON / 16,
    "pt": _GALLON / 8,
    "us_pt": _GALLON / 8,
    "uk_pt": _IMPERIAL / 8,
    "qt": _GALLON / 4,
    "uk_qt": _IMPERIAL / 4,
    "gal": _GALLON,
    "uk_gal": _IMPERIAL,
    "barrel": 42 * _GALLON,
    "bushel": 2150.42 * _INCH**3 * 1000,
    "regton": 100 * _FOOT**3 * 1000,
    "GRT": 100 * _FOOT**3 * 1000,
    "MTON": 40 * _FOOT**3 * 1000,
}
_AREA: _Units = {
    "uk_acre": 4840 * _YARD**2,
    "us_acre": _SURVEY_MILE**2 / 640,
    "ar": 100.0,
    "ha": 10000.0,
    "Morgen": 2500.0,
}
_INFORMATION: _Units = {"bit": 1.0, "byte": 8.0}
_SPEED: _Units = {
    "m/s": 1.0,
    "m/sec": 1.0,
    "m/h": 1 / 3600,
    "m/hr": 1 / 3600,
    "mph": _MILE / 3600,
    "kn": _NAUTICAL / 3600,
    "admkn": 6080 * _FOOT / 3600,
}

_CUBES = {"ang": "ang3", "ft": "ft3", "in": "in3", "ly": "ly3", "m": "m3", "mi": "mi3", "Nmi": "Nmi3", "yd": "yd3"}


def _powers(power: int, factor: float) -> dict[str, float]:
    """The units of length to a power: `m2`, `m^2`, `m3`, `m^3`."""
    lengths = {**{name: _LENGTH[name] for name in _CUBES}, "Pica": _POINT, "Picapt": _POINT}
    return {f"{name}{mark}{power}": factor * size**power for name, size in lengths.items() for mark in ("", "^")}


_GROUPS: tuple[dict[str, float], ...] = (
    dict(_MASS),
    dict(_LENGTH),
    dict(_TIME),
    dict(_PRESSURE),
    dict(_FORCE),
    dict(_ENERGY),
    dict(_POWER),
    dict(_MAGNETISM),
    {**_VOLUME, **_powers(3, 1000.0)},
    {**_AREA, **_powers(2, 1.0)},
    dict(_INFORMATION),
    dict(_SPEED),
)
_METRIC = {
    *("g", "u", "m", "ang", "ly", "parsec", "pc", "sec", "s", "Pa", "p", "atm", "at", "mmHg", "Torr", "N", "dyn", "dy"),
    *("pond", "J", "e", "c", "cal", "eV", "ev", "Wh", "wh", "W", "w", "T", "ga", "l", "L", "lt", "ar", "bit", "byte"),
    *("m/s", "m/sec", "m/h", "m/hr"),
}
"""The units that take prefixes."""
_PREFIXES = {
    **{
        "Y": 1e24,
        "Z": 1e21,
        "E": 1e18,
        "P": 1e15,
        "T": 1e12,
        "G": 1e9,
        "M": 1e6,
        "k": 1e3,
        "h": 1e2,
        "da": 1e1,
        "e": 1e1,
    },
    **{
        "d": 1e-1,
        "c": 1e-2,
        "m": 1e-3,
        "u": 1e-6,
        "n": 1e-9,
        "p": 1e-12,
        "f": 1e-15,
        "a": 1e-18,
        "z": 1e-21,
        "y": 1e-24,
    },
}
_BINARY = {name: 1024.0**power for power, name in enumerate(("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"), 1)}
_TEMPERATURES = {
    **dict.fromkeys(("C", "cel"), (1.0, 273.15)),
    **dict.fromkeys(("F", "fah"), (5 / 9, 273.15 - 160 / 9)),
    **dict.fromkeys(("K", "kel"), (1.0, 0.0)),
    "Rank": (5 / 9, 0.0),
    "Reau": (1.25, 273.15),
}
"""Kelvin for one degree, and for none."""


def _size(unit: str) -> tuple[int, float] | None:
    """Which quantity a unit measures, and how much of it."""
    for group, units in enumerate(_GROUPS):
        if unit in units:
            return group, units[unit]
    for prefix, factor in (*_PREFIXES.items(), *_BINARY.items()):
        rest = unit.removeprefix(prefix)
        if rest == unit:
            continue
        binary = prefix in _BINARY
        if rest in ("bit", "byte") if binary else rest in _METRIC:
            group = next(number for number, units in enumerate(_GROUPS) if rest in units)
            return group, _GROUPS[group][rest] * factor
        power = {"m2": 2, "m^2": 2, "m3": 3, "m^3": 3}.get(rest)
        if power and not binary:
            group = next(number for number, units in enumerate(_GROUPS) if rest in units)
            return group, _GROUPS[group][rest] * factor**power
    return None


@plain(
    "CONVERT",
    booleans=False,
    examples={
        'CONVERT(1,"lbm","kg")': 0.45359237,
        'CONVERT(68,"F","C")': 20,
        'CONVERT(2.5,"ft","sec")': "#N/A",
        'CONVERT(CONVERT(100,"ft","m"),"ft","m")': 9.290304,
        'CONVERT(1,"mi","km")': 1.609344,
        'CONVERT(3,"kibyte","byte")': 3072,
    },
)
def convert(number: float, source: str, target: str) -> float | ExcelError:
    """A number of one unit in another."""
    if source in _TEMPERATURES and target in _TEMPERATURES:
        if source == target:
            return number
        (size, start), (step, zero) = _TEMPERATURES[source], _TEMPERATURES[target]
        return round((number * size + start - zero) / step, 12)
    first, second = _size(source), _size(target)
    if first is None or second is None or first[0] != second[0]:
        return ExcelError.NA
    return number if source == target else number * first[1] / second[1]
