// The loss over one parameter, the others held where they are, with the tangent whose steepness is the gradient.

import { useMemo } from "react";
import uPlot from "uplot";
import type { Palette } from "../grid/colours";
import { usePalette } from "../theme";
import { axis, padded, short, titled } from "./looks";
import { Plot, type PlotData, type PlotOptions } from "./plot";

const HEIGHT = 190;
const REACH = 0.22; // how far the tangent is drawn to either side, as a share of the slice

export interface Slice {
  x: number[];
  loss: (number | null)[];
  /** The parameter's present value, and the loss there. */
  at: [number, number];
  gradient: number;
}

export function SliceChart({ slice, name }: { slice: Slice; name: string }): JSX.Element {
  const palette = usePalette();
  const options = useMemo(() => (palette ? optionsOf(palette, name) : null), [palette, name]);
  const data = useMemo(() => dataOf(slice), [slice]);
  const way = slice.gradient > 0 ? "down" : "up";
  return (
    <figure className="around">
      {options && <Plot options={options} data={data} height={HEIGHT} label={`The loss over ${name}`} />}
      <figcaption>
        {name} is <b>{short(slice.at[0])}</b>, the gradient there <b>{short(slice.gradient)}</b>
        {slice.gradient !== 0 ? `: a step moves ${name} ${way}.` : ": nothing moves it."}
      </figcaption>
    </figure>
  );
}

/** The slice, the tangent and the point, over the values of all three in their order. */
function dataOf({ x, loss, at, gradient }: Slice): PlotData {
  const [low, high] = [x[0] ?? at[0], x.at(-1) ?? at[0]];
  const reach = (high - low) * REACH;
  const ends = [at[0] - reach, at[0] + reach];
  const rows = new Map<number, [number | null, number | null, number | null]>();
  x.forEach((value, index) => rows.set(value, [loss[index] ?? null, null, null]));
  for (const end of ends) rows.set(end, [rows.get(end)?.[0] ?? null, at[1] + gradient * (end - at[0]), null]);
  rows.set(at[0], [at[1], at[1], at[1]]);
  const sorted = [...rows].sort((a, b) => a[0] - b[0]);
  return [
    sorted.map(([value]) => value),
    sorted.map(([, row]) => row[0]),
    sorted.map(([, row]) => row[1]),
    sorted.map(([, row]) => row[2]),
  ];
}

function optionsOf(palette: Palette, name: string): PlotOptions {
  return {
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 10, 0, 0],
    scales: {
      x: { time: false, range: (_plot, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      y: { range: (plot) => padded(...extent(plot.data[1])) },
    },
    axes: [
      axis(palette, { size: 22, space: 56, ...titled(name) }),
      axis(palette, { size: 50, space: 28 }),
    ],
    series: [
      {},
      { stroke: palette.loss, width: 2, spanGaps: true, points: { show: false } },
      { stroke: palette.parameter, width: 1.5, dash: [6, 4], spanGaps: true, points: { show: false } },
      {
        stroke: palette.background,
        width: 0,
        paths: () => null,
        points: { show: true, size: 11, fill: palette.parameter, stroke: palette.background, width: 2 },
      },
    ],
  };
}

function extent(values: uPlot.AlignedData[number] | undefined): [number | null, number | null] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values ?? []) {
    if (value === null || value === undefined) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low > high ? [null, null] : [low, high];
}
