"""LET, LAMBDA and what calls a LAMBDA: they are written out before a formula is calculated (`frontend.lambdas`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """A function that is written out."""

    name: str
    signature: str
    help: str
    examples: Mapping[str, float | str | bool]


_SIZES = "The arrays must be cells or constants: of what is calculated nobody knows the size beforehand."

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form("LET", "LET(name, value, …, formula)", "A formula in which names stand for values.", {"LET(x,3,x*x)": 9}),
        Form(
            "LAMBDA",
            "LAMBDA([parameter], …, formula)",
            "A function of one's own, to be called at once, by a name of the workbook, or by the functions below.",
            {"LAMBDA(x,y,x+y)(3,4)": 7},
        ),
        Form(
            "ISOMITTED",
            "ISOMITTED(parameter)",
            "Whether a parameter of a LAMBDA, written in brackets, was left out.",
            {"LAMBDA(x,[y],IF(ISOMITTED(y),x,x*y))(3)": 3},
        ),
        Form(
            "MAP", "MAP(array, …, lambda)", "What a LAMBDA makes of each cell.", {"SUM(MAP({1,2,3},LAMBDA(x,x^2)))": 14}
        ),
        Form(
            "REDUCE",
            "REDUCE(start, array, lambda)",
            "What a LAMBDA makes of a start and each cell in turn.",
            {"REDUCE(1,{2,3,4},LAMBDA(a,x,a*x))": 24},
        ),
        Form(
            "SCAN",
            "SCAN(start, array, lambda)",
            "What REDUCE gives after each cell.",
            {"SUM(SCAN(0,{1,2,3},LAMBDA(a,x,a+x)))": 10},
        ),
        Form(
            "BYROW",
            "BYROW(array, lambda)",
            "What a LAMBDA makes of each row.",
            {"SUM(BYROW({1,2;3,4},LAMBDA(r,MAX(r))))": 6},
        ),
        Form(
            "BYCOL",
            "BYCOL(array, lambda)",
            "What a LAMBDA makes of each column.",
            {"SUM(BYCOL({1,2;3,4},LAMBDA(c,MAX(c))))": 7},
        ),
        Form(
            "MAKEARRAY",
            "MAKEARRAY(rows, columns, lambda)",
            "An array of what a LAMBDA makes of row and column numbers.",
            {"SUM(MAKEARRAY(2,2,LAMBDA(r,c,r*c)))": 9},
        ),
    )
}

NOTES = dict.fromkeys(("MAP", "REDUCE", "SCAN", "BYROW", "BYCOL"), _SIZES)
