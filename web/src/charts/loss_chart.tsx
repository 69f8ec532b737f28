// The loss as it falls: of all data, of the validation samples, and the learning rate, on a linear or a log axis.

import { useMemo, useState } from "react";
import uPlot from "uplot";
import type { Palette } from "../grid/colours";
import type { HistoryPoint } from "../protocol";
import { useStore } from "../store";
import { usePalette } from "../theme";
import { axis, counted, logarithmic, padded, seriesColor, short } from "./looks";
import { Plot, type PlotData, type PlotOptions } from "./plot";

const HEIGHT = 190;
const KEPT = "sgdsheet.loss";

type Scale = "auto" | "linear" | "log";

interface Shown {
  scale: Scale;
  rate: boolean;
}

export function LossChart(): JSX.Element {
  const history = useStore((each) => each.histories[each.sheet]);
  const state = useStore((each) => each.status.state);
  const palette = usePalette();
  const [shown, setShown] = useState<Shown>(kept);
  const [hovered, setHovered] = useState<number | null>(null);
  const points = history?.points ?? NO_POINTS;
  const facts = useMemo(() => factsOf(points), [points]);
  const log = facts.positive && (shown.scale === "log" || (shown.scale === "auto" && facts.decades > 2));
  const rate = shown.rate && facts.rate;
  const options = useMemo(
    () => (palette ? optionsOf(palette, log, facts.validation, rate, setHovered) : null),
    [palette, log, facts.validation, rate],
  );
  const data = useMemo(() => dataOf(points, log), [points, log]);
  const at = hovered !== null && hovered < points.length ? points[hovered] : points.at(-1);

  const change = (next: Shown): void => {
    setShown(next);
    localStorage.setItem(KEPT, JSON.stringify(next));
  };
  return (
    <div className="loss-chart">
      <div className="chart-legend">
        <Key color={palette && lineColor(palette, "loss")} name="Loss" value={short(at?.[1])} />
        {facts.validation && (
          <Key color={palette && lineColor(palette, "validation")} name="Validation" value={short(at?.[2])} />
        )}
        {rate && <Key color={palette && lineColor(palette, "rate")} name="Rate" value={short(at?.[3])} dashed />}
      </div>
      <div className="chart-frame" style={{ height: HEIGHT }}>
        {options && points.length > 0 ? (
          <Plot options={options} data={data} height={HEIGHT} label={sentence(points, facts.validation)} />
        ) : (
          <p className="chart-empty">
            {state === "idle"
              ? "The loss appears here as it falls. Press Step or Train."
              : "The formulas are being compiled. The first time takes a few seconds."}
          </p>
        )}
      </div>
      <div className="chart-switches">
        <button
          type="button"
          className="toggle"
          aria-pressed={log}
          disabled={!facts.positive}
          title={facts.positive ? "Each line of the grid is ten times the one below" : "Only losses above 0 have a logarithm"}
          onClick={() => change({ ...shown, scale: log ? "linear" : "log" })}
        >
          Log axis
        </button>
        <button
          type="button"
          className="toggle"
          aria-pressed={rate}
          disabled={!facts.rate}
          title="The size of a step, which a schedule changes as training goes on"
          onClick={() => change({ ...shown, rate: !rate })}
        >
          Learning rate
        </button>
        <span className="chart-step">{at ? `step ${counted(at[0])}` : ""}</span>
      </div>
    </div>
  );
}

function lineColor(palette: Palette, of: "loss" | "validation" | "rate"): string {
  return of === "loss" ? palette.loss : seriesColor(palette, of === "validation" ? 0 : 7, null);
}

function Key(props: { color: string | null; name: string; value: string; dashed?: boolean }): JSX.Element {
  return (
    <span className="chart-key">
      <i style={{ borderTop: `2px ${props.dashed ? "dashed" : "solid"} ${props.color ?? "currentColor"}` }} />
      {props.name} <b>{props.value}</b>
    </span>
  );
}

const NO_POINTS: HistoryPoint[] = [];

function kept(): Shown {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Shown>;
    return { scale: found.scale ?? "auto", rate: found.rate ?? false };
  } catch {
    return { scale: "auto", rate: false };
  }
}

interface Facts {
  positive: boolean;
  decades: number;
  validation: boolean;
  rate: boolean;
}

function factsOf(points: HistoryPoint[]): Facts {
  let [low, high, validation, rate] = [Infinity, -Infinity, false, false];
  for (const [, loss, valid, learningRate] of points) {
    for (const value of [loss, valid]) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    validation ||= valid !== null;
    rate ||= learningRate !== null;
  }
  const positive = low > 0 && high < Infinity;
  return { positive, decades: positive ? Math.log10(high / low) : 0, validation, rate };
}

function dataOf(points: HistoryPoint[], log: boolean): PlotData {
  const visible = (value: number | null): number | null => (log && value !== null && value <= 0 ? null : value);
  return [
    points.map((point) => point[0]),
    points.map((point) => visible(point[1])),
    points.map((point) => visible(point[2])),
    points.map((point) => point[3]),
  ];
}

function optionsOf(
  palette: Palette,
  log: boolean,
  validation: boolean,
  rate: boolean,
  hover: (index: number | null) => void,
): PlotOptions {
  const line = (of: "loss" | "validation" | "rate"): uPlot.Series => ({
    stroke: lineColor(palette, of),
    width: 1.75,
    points: { show: (plot) => plot.data[0].length < 3, size: 6 },
    spanGaps: true,
  });
  const right = axis(palette, { scale: "rate", side: 1, size: 46, grid: { show: false } });
  return {
    legend: { show: false },
    padding: [8, rate ? 0 : 10, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    hooks: { setCursor: [(plot) => hover(plot.cursor.idx ?? null)] },
    scales: {
      x: { time: false, range: (_plot, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      y: log ? { distr: 3 } : { range: (_plot, low, high) => padded(low, high) },
      rate: { range: (_plot, _low, high) => [0, (high || 1) * 1.08] },
    },
    axes: [
      axis(palette, { size: 22, space: 60 }),
      axis(palette, { size: 50, space: 26, ...(log ? logarithmic(palette) : {}) }),
      ...(rate ? [right] : []),
    ],
    series: [
      {},
      { ...line("loss"), label: "Loss" },
      { ...line("validation"), label: "Validation", show: validation },
      { ...line("rate"), label: "Learning rate", scale: "rate", dash: [4, 4], width: 1.25, show: rate },
    ],
  };
}

function sentence(points: HistoryPoint[], validation: boolean): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "The loss: no steps yet";
  const valid = validation ? `, the validation loss ${short(last[2])}` : "";
  return `The loss went from ${short(first[1])} to ${short(last[1])} in ${last[0]} steps${valid}`;
}
