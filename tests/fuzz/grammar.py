"""Random formulas, by the registry of functions: what each argument of a function may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import Takes
from sgdsheet.sheet.references import column_letters
from tests.fuzz.grids import COLUMNS, NUMERIC_TEXTS, ROWS, TEXTS, number

PREFIXED = {
    *("NORM.S.DIST", "NORM.DIST", "IFS", "SWITCH", "XLOOKUP", "VAR.S", "STDEV.S", "VAR.P", "STDEV.P", "XOR", "IFNA"),
    *("CONCAT", "TEXTJOIN", "MAXIFS", "MINIFS", "XMATCH", "LET"),
}
"""Functions that a file holds with the prefix of what came after Excel 2007."""
_NAMES = re.compile(r"(?<![\w.])([A-Z][A-Z0-9.]*)\(")

# What the arguments of a function are; the last letter goes on for further ones. Functions that are not named here
# get numbers (of those that take scalars) or lists. n number, i whole number, s anything, c condition, r range or list,
# a array, d digits, b TRUE or FALSE. Those in SHAPED have a method of their own.
ARGUMENTS = {
    "IF": "css",
    "IFERROR": "es",
    "IFNA": "es",
    "AND": "qqq",
    "OR": "qqq",
    "XOR": "qqq",
    "NOT": "c",
    "ROUND": "nd",
    "ROUNDUP": "nd",
    "ROUNDDOWN": "nd",
    "TRUNC": "nd",
    "NORM.DIST": "nnnb",
    "NORM.S.DIST": "nb",
    "TRANSPOSE": "a",
    "ROWS": "a",
    "COLUMNS": "a",
    "ROW": "v",
    "COLUMN": "v",
    "ISERR": "s",
    "ISERROR": "s",
    "ISNA": "s",
    "ERROR.TYPE": "e",
    "N": "s",
    "T": "s",
}
SHAPED = {
    *("SUMIF", "AVERAGEIF", "COUNTIF", "SUMIFS", "AVERAGEIFS", "COUNTIFS", "SUMPRODUCT", "SUMXMY2", "SUMX2MY2"),
    *("SUMX2PY2", "MMULT", "INDEX", "MATCH", "VLOOKUP", "HLOOKUP", "XLOOKUP", "CHOOSE", "SWITCH", "IFS"),
}
SETTLED = """
ABS ACOS ACOSH AND ASIN ASINH ATAN ATAN2 ATANH AVERAGE AVERAGEIF AVERAGEIFS CHOOSE COLUMN COLUMNS COS COSH COUNT
COUNTA COUNTIF COUNTIFS DEGREES DEVSQ EXP FALSE GAMMALN HLOOKUP IF IFERROR IFS INDEX INT LN LOG LOG10 MATCH MAX MIN
MMULT MOD NORM.DIST NORM.S.DIST NOT OR PI POWER PRODUCT RADIANS ROUND ROUNDDOWN ROUNDUP ROW ROWS SIGN SIN SINH SQRT
STDEV STDEV.P STDEV.S STDEVP SUM SUMIF SUMIFS SUMPRODUCT SUMSQ SUMX2MY2 SUMX2PY2 SUMXMY2 SWITCH TAN TANH TRANSPOSE
TRUE TRUNC VAR VAR.P VAR.S VARP VLOOKUP XLOOKUP XOR
"""
"""The functions of the run in CI: with them fixed, a new function gives no other formulas there."""

OPERATORS = ("+", "-", "*", "/", "^", "&", "=", "<>", "<", ">", "<=", ">=")
ERROR_TEXTS = ("#N/A", "#DIV/0!", "#VALUE!", "#NUM!", "#REF!")


def prefixed(text: str) -> str:
    """Names of functions as a file has them."""
    return _NAMES.sub(lambda found: f"_xlfn.{found[1]}(" if found[1] in PREFIXED else found[0], text)


class Grammar:
    """Formulas over the data of `grids`. `array` is set while an array expression is written."""

    def __init__(self, random: Random, depth: int = 3, functions: Sequence[str] = ()) -> None:
        self.random = random
        self.depth = depth
        self.whole = True
        """Whether whole columns may come: in array formulas the other engines calculate with a million cells."""
        everything = (name for name, found in REGISTRY.items() if not found.described and found.examples)
        self.functions = sorted(functions or everything)

    # --- references -------------------------------------------------------------------------------------

    def _dollar(self) -> str:
        return "$" if self.random.random() < 0.5 else ""

    def cell(self, rows: int = ROWS) -> str:
        column = self.random.randint(1, COLUMNS) if self.random.random() < 0.6 else self.random.randint(1, 3)
        return f"{self._dollar()}{column_letters(column)}{self._dollar()}{self.random.randint(1, rows)}"

    def area(self, height: int | None = None, width: int | None = None) -> str:
        """A range of a size; without one, of any shape that is at hand."""
        random = self.random
        if self.whole and height is None and width is None and random.random() < 0.08:
            return self._whole()
        height = height or random.choice([1, 1, 2, 3, 4, 6, ROWS])
        width = width or (1 if height > 1 and random.random() < 0.7 else random.choice([1, 2, 3, 4]))
        top, left = random.randint(1, max(1, ROWS - height + 1)), random.randint(1, max(1, COLUMNS - width + 1))
        row, column = self._dollar(), self._dollar()
        last = self._dollar() if random.random() < 0.15 else row  # ends that move apart
        first = f"{column}{column_letters(left)}{row}{top}"
        return f"{first}:{column}{column_letters(left + width - 1)}{last}{top + height - 1}"

    def _whole(self) -> str:
        mark = self._dollar()
        if self.random.random() < 0.7:
            name = column_letters(self.random.randint(1, COLUMNS))
            return f"{mark}{name}:{mark}{name}"
        row = self.random.randint(9, ROWS)
        return f"{mark}{row}:{mark}{row}"

    def constant_array(self, height: int | None = None, width: int | None = None) -> str:
        random = self.random
        height, width = height or random.randint(1, 3), width or random.randint(1, 3)

        def item() -> str:
            kind = random.random()
            if kind < 0.8:
                return self.literal()
            if kind < 0.9:
                return f'"{random.choice(TEXTS[:4] + NUMERIC_TEXTS)}"'
            return random.choice(["TRUE", "FALSE"])

        return "{" + ";".join(",".join(item() for _ in range(width)) for _ in range(height)) + "}"

    def literal(self) -> str:
        value = number(self.random)
        return str(int(value)) if value == int(value) else repr(value)

    # --- expressions ------------------------------------------------------------------------------------

    def scalar(self, depth: int, array: bool = False) -> str:
        """Anything with a value: a number most often."""
        random = self.random
        if depth <= 0 or random.random() < 0.25:
            return self.leaf(array)
        kind = random.random()
        if kind < 0.35:
            left, right = self.scalar(depth - 1, array), self.scalar(depth - 1, array)
            operator = random.choice(OPERATORS[:5] if random.random() < 0.7 else OPERATORS)
            return f"({left}{operator}{right})" if random.random() < 0.7 else f"{left}{operator}{right}"
        if kind < 0.4:
            return f"-{self.scalar(depth - 1, array)}"
        if kind < 0.42:
            return f"({self.scalar(depth - 1, array)})%"
        return self.call(random.choice(self.functions), depth, array)

    def leaf(self, array: bool) -> str:
        random, kind = self.random, self.random.random()
        if array and kind < 0.45:
            return self.area(random.choice([1, 2, 3, 4]), random.choice([1, 1, 2, 3]))
        if kind < 0.55:
            return self.cell()
        if kind < 0.85:
            return self.literal()
        if kind < 0.9:
            return f'"{random.choice(TEXTS + NUMERIC_TEXTS)}"'
        if kind < 0.94:
            return random.choice(["TRUE", "FALSE"])
        if kind < 0.96:
            return random.choice(ERROR_TEXTS)
        return self.area() if kind < 0.98 or array else self.cell()

    def call(self, name: str, depth: int, array: bool) -> str:
        written = f"_xlfn.{name}" if name in PREFIXED else name
        arguments = self._shaped(name, depth, array) if name in SHAPED else self._plain(name, depth, array)
        return f"{written}({','.join(arguments)})"

    def _plain(self, name: str, depth: int, array: bool) -> list[str]:
        found = REGISTRY[name]
        letters = ARGUMENTS.get(name) or {Takes.SCALARS: "n", Takes.RANGES: "r"}.get(found.takes, "a")
        low, high = found.arguments
        count = self.random.randint(low, max(low, min(high, 3, len(letters) if name in ARGUMENTS else 3)))
        found = [self.argument(letters[min(index, len(letters) - 1)], depth - 1, array) for index in range(count)]
        if name in ("IF", "IFERROR") and self.random.random() < 0.04:
            found[1] = ""  # an omitted argument
        return found

    def argument(self, letter: str, depth: int, array: bool) -> str:
        random = self.random
        match letter:
            case "n":
                return self.scalar(depth, array)
            case "i":
                return str(random.randint(-1, 4)) if random.random() < 0.85 else self.scalar(depth, array)
            case "d":
                return str(random.randint(-2, 3)) if random.random() < 0.8 else self.scalar(depth, array)
            case "b":
                return random.choice(["TRUE", "FALSE", "1", "0"]) if random.random() < 0.9 else self.scalar(0, array)
            case "s":
                return self.scalar(depth, array)
            case "c":
                return self.condition(depth, array)
            case "q":
                return self.condition(depth, array) if random.random() < 0.6 else self.area()
            case "e":
                caught = random.choice(["LN({})", "SQRT({})", "1/{}", "{}", "{}"])
                return caught.format(self.scalar(depth, array))
            case "v":
                return self.cell() if random.random() < 0.6 else self.area()
            case "a":
                return self.array(depth)
            case _:
                kind = random.random()
                if kind < 0.6:
                    return self.area()
                return self.constant_array() if kind < 0.7 else self.scalar(depth, array)

    def condition(self, depth: int, array: bool) -> str:
        random = self.random
        if random.random() < 0.75:
            return f"{self.scalar(min(depth, 1), array)}{random.choice(OPERATORS[6:])}{self.scalar(0, array)}"
        return self.scalar(depth, array)

    def array(self, depth: int, height: int | None = None, width: int | None = None) -> str:
        """A range, an array constant, or a calculation with them."""
        random, kind = self.random, self.random.random()
        if depth <= 0 or kind < 0.6:
            return self.area(height, width)
        if kind < 0.7:
            return self.constant_array(height, width)
        if kind < 0.9:
            height, width = height or random.randint(1, 4), width or random.randint(1, 3)
            other = self.area(height, width) if random.random() < 0.5 else self.scalar(0)
            return f"{self.area(height, width)}{random.choice(OPERATORS)}{other}"
        return self.scalar(depth - 1, True)

    # --- functions whose arguments have to fit each other -----------------------------------------------

    def _size(self) -> tuple[int, int]:
        random = self.random
        return random.choice([(ROWS, 1), (6, 1), (4, 1), (3, 1), (1, 4), (1, 3), (2, 2), (3, 2), (1, 1)])

    def _other(self, size: tuple[int, int]) -> tuple[int, int]:
        """Mostly the same size."""
        return size if self.random.random() < 0.9 else self._size()

    def criterion(self, depth: int) -> str:
        random, kind = self.random, self.random.random()
        if kind < 0.35:
            mark = random.choice(["", "=", "<>", "<", ">", "<=", ">="])
            value = random.choice([self.literal(), *TEXTS, *NUMERIC_TEXTS, "a*", "?", "*a*", "~*", "TRUE", ""])
            return f'"{mark}{value}"'
        if kind < 0.55:
            return self.literal()
        if kind < 0.8:
            return self.cell()
        if kind < 0.9:
            return f'"{random.choice(["<", ">", ">=", "<>"])}"&{self.cell()}'
        return random.choice(["TRUE", "FALSE", '""', '"="', '"<>"', self.scalar(depth)])

    def key(self, depth: int) -> str:
        random, kind = self.random, self.random.random()
        if kind < 0.5:
            return self.cell()
        if kind < 0.75:
            return self.literal()
        return f'"{random.choice([*TEXTS, "a*", "?b", "~*"])}"' if kind < 0.9 else self.scalar(depth)

    def _shaped(self, name: str, depth: int, array: bool) -> list[str]:
        random, low = self.random, depth - 1
        size = self._size()
        match name:
            case "COUNTIF":
                return [self.area(), self.criterion(low)]
            case "SUMIF" | "AVERAGEIF":
                found = [self.area(*size), self.criterion(low)]
                return [*found, self.area(*self._other(size))] if random.random() < 0.7 else found
            case "COUNTIFS" | "SUMIFS" | "AVERAGEIFS" | "MAXIFS" | "MINIFS":
                pairs = [
                    text
                    for _ in range(random.randint(1, 2))
                    for text in (self.area(*self._other(size)), self.criterion(low))
                ]
                return pairs if name == "COUNTIFS" else [self.area(*size), *pairs]
            case "SUMPRODUCT":
                return [self.array(low, *self._other(size)) for _ in range(random.randint(1, 3))]
            case "SUMXMY2" | "SUMX2MY2" | "SUMX2PY2":
                return [self.array(low, *size), self.array(low, *self._other(size))]
            case "MMULT":
                rows, inner, columns = (random.randint(1, 3) for _ in range(3))
                return [self.array(low, rows, inner), self.array(low, inner if random.random() < 0.9 else 2, columns)]
            case "INDEX":
                if 1 in size and random.random() < 0.5:
                    return [self.array(0, *size), self.argument("i", low, array)]
                return [self.array(0, *size), self.argument("i", low, array), self.argument("i", low, array)]
            case "MATCH":
                line = self.array(0, *random.choice([(ROWS, 1), (6, 1), (1, 5)]))
                mode = random.choice([[], ["0"], ["0"], ["1"], ["-1"], ["FALSE"], [""]])
                return [self.key(low), line, *mode]
            case "VLOOKUP" | "HLOOKUP":
                table = self.area(random.choice([4, 6, ROWS]), random.randint(1, 4))
                about = random.choice([[], ["FALSE"], ["FALSE"], ["TRUE"], ["0"], ["1"], [""]])
                return [self.key(low), table, self.argument("i", low, array), *about]
            case "XLOOKUP":
                line = random.choice([(ROWS, 1), (6, 1), (1, 4)])
                more: list[str] = [self.scalar(low) if random.random() < 0.6 else ""]
                more.append(random.choice(["", "0", "1", "-1", "2"]))
                more.append(random.choice(["1", "1", "-1", "2", "-2"]))
                line_of = [self.area(*line), self.area(*self._other(line))]
                return [self.key(low), *line_of, *more[: random.randint(0, min(3, REGISTRY[name].arguments[1] - 3))]]
            case "CHOOSE":
                return [self.argument("i", low, array), *(self.scalar(low, array) for _ in range(random.randint(1, 3)))]
            case "SWITCH":
                pairs = [self.scalar(0 if index % 2 == 0 else low, array) for index in range(random.randint(2, 5))]
                return [self.scalar(min(low, 1), array), *pairs]
            case _:  # IFS
                return [
                    text
                    for _ in range(random.randint(1, 2))
                    for text in (self.condition(low, array), self.scalar(low, array))
                ]

    def formula(self, array: bool) -> str:
        """A whole formula, without `=`: a call or a calculation. Each function comes equally often."""
        self.whole = not array
        if self.random.random() < 0.75:
            return self.call(self.random.choice(self.functions), self.depth, array)
        return self.scalar(self.depth, array)
