// A chart of the workbook, drawn anew as its cells change: lines, areas, columns, bars, and points of a scatter chart.

import { useMemo } from "react";
import uPlot from "uplot";
import type { Palette } from "../grid/colours";
import { luminance, mix } from "../grid/colours";
import type { Chart, ChartSeries } from "../protocol";
import { usePalette } from "../theme";
import { axis, clipped, fixed, logarithmic, padded, seriesColor, titled } from "./looks";
import { Pie, PieLegend } from "./pie";
import { Plot, type PlotData, type PlotOptions } from "./plot";
import { scatterData, scatterOptions } from "./scatter";

const HEIGHT = 200;
const MOST_LABELS = 14;

interface Props {
  chart: Chart;
  height?: number;
}

export function SheetChart({ chart, height = HEIGHT }: Props): JSX.Element {
  if (chart.kind === "undrawn") {
    return (
      <figure className="sheet-chart">
        <figcaption>{chart.title}</figcaption>
        <p>This {chart.what} chart is not drawn here. It stays in the workbook as it is.</p>
      </figure>
    );
  }
  return chart.kind === "pie" || chart.kind === "doughnut" ? (
    <RoundChart chart={chart} height={height} />
  ) : (
    <PlottedChart chart={chart} height={height} />
  );
}

function RoundChart({ chart, height }: Required<Props>): JSX.Element {
  const palette = usePalette();
  return (
    <figure className="sheet-chart">
      <figcaption>{chart.title}</figcaption>
      {palette && (
        <div className="pie-and-legend">
          <Pie chart={chart} height={height} palette={palette} />
          <PieLegend chart={chart} palette={palette} />
        </div>
      )}
    </figure>
  );
}

function PlottedChart({ chart: told, height }: Required<Props>): JSX.Element {
  const palette = usePalette();
  const chart = useMemo(() => (isTurned(told) ? turned(told) : told), [told]);
  const shape = shapeOf(chart);
  const options = useMemo(
    () => (palette ? (chart.kind === "scatter" ? scatterOptions(palette, chart) : optionsOf(palette, chart)) : null),
    [palette, shape],
  );
  const data = useMemo(() => (chart.kind === "scatter" ? scatterData(chart) : dataOf(chart)), [chart]);
  const named = chart.series.filter((series) => series.name);
  return (
    <figure className="sheet-chart">
      <figcaption>{chart.title || (named.length === 1 && named[0]?.name)}</figcaption>
      {options && <Plot options={options} data={data} height={height} label={sentence(chart)} />}
      {named.length > 1 && palette && (
        <div className="chart-legend chart-legend-below">
          {chart.series.map((series, place) => (
            <span className="chart-key" key={place}>
              <i className={keyShape(chart, series)} style={{ color: seriesColor(palette, place, series.color) }} />
              {series.name || `Series ${place + 1}`}
            </span>
          ))}
        </div>
      )}
    </figure>
  );
}

/** Whether the last category is drawn first: a lying chart is drawn from the top, and begins at the bottom. */
function isTurned(chart: Chart): boolean {
  return chart.kind !== "scatter" && (chart.kind === "bar") !== (chart.reversed_x ?? false);
}

function turned(chart: Chart): Chart {
  const count = Math.max(0, ...chart.series.map(({ y }) => y.length));
  const around = <T,>(values: (T | null)[]): (T | null)[] =>
    Array.from({ length: count }, (_, index) => values[count - 1 - index] ?? null);
  const series = chart.series.map((each) => ({ ...each, x: around(each.x), y: around(each.y) }));
  return { ...chart, series };
}

function keyShape(chart: Chart, series: ChartSeries): string {
  if (["column", "bar", "area"].includes(series.kind ?? chart.kind)) return "key-box";
  return series.lines ? "key-line" : "key-dot";
}

/** What a chart needs to be made anew for; that its numbers change is not among it. */
function shapeOf(chart: Chart): string {
  const labels = chart.kind === "scatter" ? [] : categories(chart);
  const series = chart.series.map(({ name, color, lines, markers, kind }) => [name, color, lines, markers, kind]);
  const { kind, x_title, y_title, log_x, log_y, reversed_x, reversed_y, x_range, y_range, stacking } = chart;
  const axes = [x_title, y_title, log_x, log_y, reversed_x, reversed_y, x_range, y_range];
  return JSON.stringify([kind, axes, stacking, series, labels]);
}

/** The labels under a chart's columns; numbers that only count are left to the axis. */
function categories(chart: Chart): string[] {
  const longest = chart.series.reduce<ChartSeries | null>((a, b) => (a && a.x.length >= b.x.length ? a : b), null);
  return (longest?.x ?? []).map((value, index) => (value === null ? String(index + 1) : String(value)));
}

function dataOf(chart: Chart): PlotData {
  const count = Math.max(1, ...chart.series.map((series) => series.y.length));
  const places = Array.from({ length: count }, (_, index) => index);
  const seen = (value: number | null): number | null => (chart.log_y && value !== null && value <= 0 ? null : value);
  const columns = chart.series.map((series) => places.map((index) => seen(series.y[index] ?? null)));
  return [places, ...(stacked(chart) ? onTop(chart, columns).reverse() : columns)];
}

function stacked(chart: Chart): boolean {
  const one = allBars(chart) || all(chart, "area") || all(chart, "line");
  return one && chart.stacking !== undefined && chart.stacking !== "clustered";
}

function all(chart: Chart, ...kinds: string[]): boolean {
  return chart.series.every((series) => kinds.includes(series.kind ?? chart.kind));
}

function allBars(chart: Chart): boolean {
  return all(chart, "bar", "column");
}

/**
 * Each series on top of those before it. Bars below 0 hang below those below 0; a line or an area shows the sum of those
 * up to it, a line none where its own cell is empty.
 */
function onTop(chart: Chart, columns: (number | null)[][]): (number | null)[][] {
  const [bars, lines] = [allBars(chart), all(chart, "line")];
  const count = columns[0]?.length ?? 0;
  const totals = Array.from({ length: count }, (_, row) => columns.reduce((sum, column) => sum + Math.abs(column[row] ?? 0), 0));
  const above = Array<number>(count).fill(0);
  const below = Array<number>(count).fill(0);
  return columns.map((column) =>
    column.map((value, row) => {
      const part = (value ?? 0) / (chart.stacking === "percentStacked" ? totals[row] || 1 : 1);
      const pile = part < 0 && bars ? below : above;
      pile[row] = (pile[row] ?? 0) + part;
      return lines && value === null ? null : pile[row];
    }),
  );
}

function optionsOf(palette: Palette, chart: Chart): PlotOptions {
  const labels = categories(chart);
  const bars = chart.series.some((series) => ["bar", "column"].includes(series.kind ?? chart.kind));
  const lying = chart.kind === "bar";
  const edge = bars ? 0.6 : labels.length > 1 ? 0.02 * labels.length : 0.5;
  const across: uPlot.Axis = axis(palette, {
    side: lying ? 3 : 2,
    size: lying ? 64 : 24,
    splits: () => thinned(labels.length),
    values: (_plot, splits) => splits.map((place) => clipped(labels[place] ?? "")),
    grid: { show: !bars, stroke: palette.line, width: 1 },
    ...titled(chart.x_title),
  });
  const up: uPlot.Axis = axis(palette, {
    side: lying ? 2 : 3,
    size: lying ? 24 : 48,
    space: lying ? 56 : 28,
    ...(chart.log_y ? logarithmic(palette) : {}),
    ...titled(chart.y_title),
  });
  const lines = chart.series.map((series, place) => lineOf(palette, chart, series, place));
  return {
    legend: { show: false },
    padding: [8, 10, 0, 0],
    cursor: { show: false },
    scales: {
      x: {
        time: false,
        range: () => [-edge, Math.max(0, labels.length - 1) + edge],
        ...(lying ? { ori: 1, dir: -1 } : {}),
      },
      y: {
        ...(chart.log_y
          ? { distr: 3 }
          : { range: (_plot, low, high) => fixed(bars || chart.kind === "area" ? fromZero(low, high) : padded(low, high), chart.y_range) }),
        dir: chart.reversed_y ? -1 : 1,
        ...(lying ? { ori: 0 } : {}),
      },
    },
    axes: [across, up],
    series: [{}, ...(stacked(chart) ? lines.reverse() : lines)],
  };
}

function lineOf(palette: Palette, chart: Chart, series: ChartSeries, place: number): uPlot.Series {
  const color = seriesColor(palette, place, series.color);
  const own = { label: series.name, stroke: color, width: series.lines ? 1.75 : 0 };
  const kind = series.kind ?? chart.kind;
  if (kind === "bar" || kind === "column") {
    const columns = chart.series.filter((each) => ["bar", "column"].includes(each.kind ?? chart.kind));
    const count = stacked(chart) ? 1 : columns.length;
    const share = 0.76 / count;
    const turn = isTurned(chart) ? count - 1 - columns.indexOf(series) : columns.indexOf(series);
    const at = stacked(chart) ? 0 : turn;
    const bars = uPlot.paths.bars?.({ size: [share * 0.94, 60], align: 0, disp: beside(at, count, share) });
    return { ...own, width: 0, fill: color, paths: bars, points: { show: false } };
  }
  const points = { show: series.markers || !series.lines, size: 6, fill: color, stroke: palette.background, width: 1 };
  if (kind === "area") {
    const fill = mix(palette.background, color, luminance(palette.background) > 0.5 ? 0.28 : 0.4);
    return { ...own, fill, points: { show: false } };
  }
  return { ...own, points };
}

/** Where the columns of a series stand: beside those of the others. */
function beside(place: number, count: number, share: number): uPlot.Series.BarsPathBuilderDisplay {
  return {
    x0: {
      unit: 1,
      values: (plot) => Array.from(plot.data[0], (at) => Number(at) + (place - count / 2) * share + share * 0.03),
    },
    size: { unit: 1, values: (plot) => Array.from(plot.data[0], () => share * 0.94) },
  };
}

function fromZero(low: number | null, high: number | null): [number, number] {
  const [bottom, top] = [Math.min(0, low ?? 0), Math.max(0, high ?? 1)];
  const air = (top - bottom || 1) * 0.06;
  return [bottom < 0 ? bottom - air : 0, top > 0 ? top + air : 0];
}

function thinned(count: number): number[] {
  const every = Math.max(1, Math.ceil(count / MOST_LABELS));
  return Array.from({ length: Math.ceil(count / every) }, (_, index) => index * every);
}

function sentence(chart: Chart): string {
  const names = chart.series.map((series) => series.name).filter(Boolean);
  const what = `${chart.kind[0]?.toUpperCase()}${chart.kind.slice(1)} chart`;
  return `${what}${chart.title ? `: ${chart.title}` : ""}${names.length ? ` (${names.join(", ")})` : ""}`;
}
