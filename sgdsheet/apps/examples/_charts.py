"""Series and axes of charts, in a few words. Lines also differ in dashes, and points in shape, not only in colour."""

from __future__ import annotations

from typing import Any

from xlsxwriter.chart import Chart  # type: ignore[import-untyped]

from sgdsheet.apps.examples.style import DATA, LOSS, PREDICTION, Page

SCATTER = {"type": "scatter", "subtype": "straight"}
BLUE, GREEN, RED, AMBER = DATA.dark, PREDICTION.dark, LOSS.dark, "#C77700"


def line(chart: Chart, page: Page, name: str, x: str, y: str, colour: str, *, dash: str = "solid", width: float = 2,
         marker: str = "", size: int = 8) -> None:  # fmt: skip
    """A line through points whose coordinates stand in the areas `x` and `y` of the page."""
    look: dict[str, Any] = {"type": "none"}
    if marker:
        look = {"type": marker, "size": size, "fill": {"color": colour}, "border": {"color": "#FFFFFF"}}
    chart.add_series(
        {
            "name": name,
            "categories": page.area(x),
            "values": page.area(y),
            "line": {"color": colour, "width": width, "dash_type": dash},
            "marker": look,
        }
    )


def points(chart: Chart, page: Page, name: str, x: str, y: str, colour: str, *, marker: str = "circle", size: int = 8
           ) -> None:  # fmt: skip
    """Points without a line."""
    hollow = marker in ("x", "plus", "star")
    fill = {"none": True} if hollow else {"color": colour}
    look = {"type": marker, "size": size, "fill": fill, "border": {"color": colour if hollow else "#FFFFFF"}}
    chart.add_series(
        {
            "name": name,
            "categories": page.area(x),
            "values": page.area(y),
            "line": {"none": True},
            "marker": look,
        }
    )


def bars(chart: Chart, page: Page, name: str, x: str, y: str, colour: str, *, gap: int = 50) -> None:
    """Columns over the names in the area `x`."""
    chart.add_series(
        {
            "name": name,
            "categories": page.area(x),
            "values": page.area(y),
            "fill": {"color": colour},
            "gap": gap,
            "overlap": 0,
        }
    )


def limits(chart: Chart, axis: str, low: float, high: float, unit: float) -> None:
    """Set the ends of an axis, and how far its numbers are apart; after that the look stays as it was."""
    getattr(chart, f"{axis}_axis").update({"min": low, "max": high, "major_unit": unit})
