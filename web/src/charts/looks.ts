// Colours and numbers of the charts, the same in all of them.

import type uPlot from "uplot";
import type { Palette } from "../grid/colours";
import { readableOn } from "../grid/colours";
import type { Ends } from "../protocol";

// Eight colours that differ in lightness as well as in hue; each has at least 3:1 on its background (WCAG 1.4.11).
const SERIES_LIGHT = ["#1f6feb", "#c2410c", "#15803d", "#a21caf", "#0e7490", "#b45309", "#be123c", "#4d5b6a"];
const SERIES_DARK = ["#6cb0ff", "#ff9b6a", "#58d68a", "#e58bf0", "#4fd1e0", "#f0b54d", "#ff8fa3", "#a9b6c4"];

/** The colour of a series: the workbook's own where it can be seen, else one of ours. */
export function seriesColor(palette: Palette, place: number, own: string | null): string {
  const ours = (palette.dark ? SERIES_DARK : SERIES_LIGHT)[place % SERIES_LIGHT.length] ?? palette.accent;
  return own && /^#[0-9a-f]{6}$/i.test(own) ? readableOn(own.toLowerCase(), palette.background, ours) : ours;
}

export const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// Made once: making one takes longer than all else that a refresh changes in the panel.
const ONE_DECIMAL = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A whole number with commas: 12,345. */
export function counted(value: number): string {
  return WHOLE.format(value);
}

/** A number as short as it can be said: 0.0123, 1.2e-7, 34,500. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2).replace("e+", "e");
  if (size >= 1000) return (size < 1e4 ? ONE_DECIMAL : WHOLE).format(value);
  return String(Number(value.toPrecision(4)));
}

function tick(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  if (size >= 1e4) return `${Number((value / 1000).toPrecision(4))}k`;
  return String(Number(value.toPrecision(6)));
}

/** An axis with quiet lines; of a log axis only the decades are told. */
export function axis(palette: Palette, own: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: palette.headerText,
    font: FONT,
    labelFont: FONT,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
    gap: 4,
    values: (_plot, splits) => splits.map((value) => (value === null ? "" : tick(value))),
    ...own,
  };
}

/** What makes an axis logarithmic for the eye: lines and numbers at decades only. */
export function logarithmic(palette: Palette): Partial<uPlot.Axis> {
  return { filter: decades, grid: { stroke: palette.line, width: 1, filter: decades } };
}

/** Only decades, and not all of them where there are many. */
function decades(_plot: uPlot, splits: number[]): (number | null)[] {
  const powers = splits.map((value) => Math.log10(value)).map((power) => (isWhole(power) ? Math.round(power) : null));
  const there = powers.filter((power): power is number => power !== null);
  if (there.length < 2) return splits;
  const every = Math.max(1, Math.ceil(there.length / 5));
  return splits.map((value, index) => {
    const power = powers[index];
    return power !== null && power !== undefined && power % every === 0 ? value : null;
  });
}

function isWhole(value: number): boolean {
  return Math.abs(value - Math.round(value)) < 1e-9;
}

/** The range of an axis: what is shown, and a little air; constant data lie in the middle. */
export function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (low === high) return low === 0 ? [-1, 1] : [low - Math.abs(low) * 0.5, high + Math.abs(high) * 0.5];
  const air = (high - low) * 0.06;
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}

/** A range with the ends that the workbook has fixed. */
export function fixed([low, high]: [number, number], ends: Ends | undefined): [number, number] {
  const [from, to] = [ends?.[0] ?? low, ends?.[1] ?? high];
  return from < to ? [from, to] : [low, high];
}

/** An axis' title, if it has one. */
export function titled(label: string): Partial<uPlot.Axis> {
  return label ? { label: clipped(label, 40), labelSize: 16, labelGap: 0 } : {};
}

export function clipped(text: string, most = 10): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
