// Scatter charts: each series has x values of its own, in any order, as points, as a line through them, or both.

import uPlot from "uplot";
import type { Palette } from "../grid/colours";
import type { Chart, ChartSeries } from "../protocol";
import { axis, fixed, logarithmic, padded, seriesColor, titled } from "./looks";
import { type PlotData, type PlotOptions } from "./plot";

const SIZE = 5; // pixels of a point

/** Each series' points; texts among the x values count 1, 2, 3 …, as in Excel. */
export function scatterData(chart: Chart): PlotData {
  const columns = chart.series.map((series) => {
    const texts = series.x.some((value) => typeof value === "string");
    const x = series.y.map((_, index) => {
      const value = texts || series.x.length === 0 ? index + 1 : series.x[index];
      return typeof value === "number" && !(chart.log_x && value <= 0) ? value : null;
    });
    const y = series.y.map((value) => (chart.log_y && value !== null && value <= 0 ? null : value));
    return [x, y];
  });
  return [null, ...columns] as unknown as PlotData;
}

export function scatterOptions(palette: Palette, chart: Chart): PlotOptions {
  const range = (key: "x" | "y"): uPlot.Scale.Range => (plot) => {
    const [low, high] = extent(plot, key === "x" ? 0 : 1);
    return fixed(padded(low, high), key === "x" ? chart.x_range : chart.y_range);
  };
  return {
    mode: 2,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 10, 0, 0],
    scales: {
      x: {
        time: false,
        dir: chart.reversed_x ? -1 : 1,
        ...(chart.log_x ? { distr: 3, range: logRange(0) } : { range: range("x") }),
      },
      y: {
        dir: chart.reversed_y ? -1 : 1,
        ...(chart.log_y ? { distr: 3, range: logRange(1) } : { range: range("y") }),
      },
    },
    axes: [
      axis(palette, { size: 24, space: 56, ...(chart.log_x ? logarithmic(palette) : {}), ...titled(chart.x_title) }),
      axis(palette, { size: 48, space: 28, ...(chart.log_y ? logarithmic(palette) : {}), ...titled(chart.y_title) }),
    ],
    series: [
      {},
      ...chart.series.map((series, place) => ({
        label: series.name,
        facets: [
          { scale: "x", auto: true },
          { scale: "y", auto: true },
        ],
        stroke: seriesColor(palette, place, series.color),
        paths: painter(series, seriesColor(palette, place, series.color), palette.background),
      })),
    ],
  };
}

type Columns = [(number | null)[], (number | null)[]];

function columnsOf(plot: uPlot): Columns[] {
  return (plot.data.slice(1) as unknown as Columns[]).filter(Boolean);
}

function extent(plot: uPlot, which: 0 | 1): [number | null, number | null] {
  let [low, high] = [Infinity, -Infinity];
  for (const columns of columnsOf(plot)) {
    for (const value of columns[which]) {
      if (value === null || !Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low > high ? [null, null] : [low, high];
}

function logRange(which: 0 | 1): uPlot.Scale.Range {
  return (plot) => {
    const [low, high] = extent(plot, which);
    if (low === null || high === null) return [0.1, 10];
    return low === high ? [low / 2, high * 2] : [low / 1.3, high * 1.3];
  };
}

/** Draws one series: the line in the order of its cells, broken where a value is missing, then the points. */
function painter(series: ChartSeries, color: string, background: string): uPlot.Series.PathBuilder {
  return (plot, place) => {
    const [xs, ys] = (plot.data as unknown as Columns[])[place] ?? [[], []];
    const { ctx } = plot;
    const size = SIZE * uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    ctx.lineWidth = 1.75 * uPlot.pxRatio;
    ctx.lineJoin = "round";
    ctx.strokeStyle = color;
    ctx.fillStyle = color;
    const at = (index: number): [number, number] | null => {
      const [x, y] = [xs[index], ys[index]];
      if (x === null || x === undefined || y === null || y === undefined) return null;
      return [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
    };
    if (series.lines) {
      let pen = false;
      ctx.beginPath();
      for (let index = 0; index < ys.length; index++) {
        const point = at(index);
        if (point && pen) ctx.lineTo(...point);
        else if (point) ctx.moveTo(...point);
        pen = point !== null;
      }
      ctx.stroke();
    }
    if (series.markers || !series.lines) {
      ctx.strokeStyle = background;
      ctx.lineWidth = uPlot.pxRatio;
      for (let index = 0; index < ys.length; index++) {
        const point = at(index);
        if (!point) continue;
        ctx.beginPath();
        ctx.arc(point[0], point[1], size / 2 + (ys.length < 40 ? 1 : 0), 0, 2 * Math.PI);
        ctx.fill();
        if (ys.length * size < plot.bbox.width) ctx.stroke(); // else the rims would cover the points beside them
      }
    }
    ctx.restore();
    return null;
  };
}
