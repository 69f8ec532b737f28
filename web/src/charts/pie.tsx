// Pies and doughnuts. Slices go clockwise from the top; as in spreadsheet programs, a number below 0 counts as its
// absolute value. A pie in the SVG of the page needs no library, and is drawn anew whenever its numbers change.

import type { Palette } from "../grid/colours";
import { mix } from "../grid/colours";
import type { Chart, ChartSeries } from "../protocol";
import { clipped, seriesColor } from "./looks";

const RADIUS = 100;
const HOLE = 50;
const OURS = 8; // colours that are chosen before they come again, paler
const TOLD = 12; // slices that the legend and the sentence name

interface Slice {
  name: string;
  share: number;
  color: string;
}

export function Pie({ chart, height, palette }: { chart: Chart; height: number; palette: Palette }): JSX.Element {
  const rings = chart.series.map((series) => slicesOf(series, palette));
  const hole = chart.kind === "doughnut" ? HOLE : 0;
  const width = (RADIUS - hole) / Math.max(1, rings.length);
  const empty = rings.every((slices) => slices.every((slice) => slice.share === 0));
  const box = `${-RADIUS - 2} ${-RADIUS - 2} ${2 * RADIUS + 4} ${2 * RADIUS + 4}`;
  return (
    <svg className="pie" style={{ height }} viewBox={box} role="img" aria-label={pieSentence(chart, palette)}>
      {empty && <circle r={RADIUS} fill="none" stroke={palette.line} strokeDasharray="4 4" />}
      {rings.map((slices, ring) => {
        const inner = hole + ring * width;
        let from = 0;
        return slices.map(({ share, color, name }, place) => {
          const path = arc(inner, inner + width, from, (from += share));
          return (
            share > 0 && (
              <path key={`${ring} ${place}`} d={path} fill={color} fillRule="evenodd" stroke={palette.background}>
                <title>{`${name}: ${percent(share)}`}</title>
              </path>
            )
          );
        });
      })}
    </svg>
  );
}

/** What the colours of a pie mean, with the share of each in the first ring. */
export function PieLegend({ chart, palette }: { chart: Chart; palette: Palette }): JSX.Element {
  const slices = chart.series[0] ? slicesOf(chart.series[0], palette) : [];
  return (
    <div className="chart-legend chart-legend-below chart-legend-pie">
      {slices.slice(0, TOLD).map(({ name, share, color }, place) => (
        <span className="chart-key" key={place}>
          <i className="key-box" style={{ color }} />
          {clipped(name, 24)} <b>{percent(share)}</b>
        </span>
      ))}
      {slices.length > TOLD && <span>and {slices.length - TOLD} more</span>}
    </div>
  );
}

function slicesOf(series: ChartSeries, palette: Palette): Slice[] {
  const sizes = series.y.map((value) => Math.abs(value ?? 0));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return sizes.map((size, place) => ({
    name: nameOf(series, place),
    share: total > 0 ? size / total : 0,
    color: sliceColor(series, place, palette),
  }));
}

function nameOf(series: ChartSeries, place: number): string {
  const name = series.x[place];
  return name === null || name === undefined || name === "" ? String(place + 1) : String(name);
}

function sliceColor(series: ChartSeries, place: number, palette: Palette): string {
  const own = series.slice_colors?.[place] ?? series.color;
  const color = seriesColor(palette, place, own);
  const again = own ? 0 : Math.floor(place / OURS) % 3;
  return again ? mix(palette.background, color, 1 - 0.3 * again) : color;
}

/** The outline of a slice, or of a part of a ring, between two shares of the circle. */
function arc(inner: number, outer: number, from: number, to: number): string {
  const at = (radius: number, share: number): string =>
    `${(radius * Math.sin(2 * Math.PI * share)).toFixed(3)} ${(-radius * Math.cos(2 * Math.PI * share)).toFixed(3)}`;
  if (to - from > 0.99999) return circle(outer) + (inner > 0 ? circle(inner) : "");
  const large = to - from > 0.5 ? 1 : 0;
  const back = inner > 0 ? `L ${at(inner, to)} A ${inner} ${inner} 0 ${large} 0 ${at(inner, from)}` : "L 0 0";
  return `M ${at(outer, from)} A ${outer} ${outer} 0 ${large} 1 ${at(outer, to)} ${back} Z`;
}

function circle(radius: number): string {
  return `M 0 ${-radius} A ${radius} ${radius} 0 1 1 0 ${radius} A ${radius} ${radius} 0 1 1 0 ${-radius} Z `;
}

function percent(share: number): string {
  const size = share * 100;
  return `${size > 0 && size < 0.1 ? "<0.1" : Number(size.toFixed(1))} %`;
}

/** What a screen reader says of it. */
function pieSentence(chart: Chart, palette: Palette): string {
  const what = chart.kind === "doughnut" ? "Doughnut chart" : "Pie chart";
  const told = chart.series.map((series) => {
    const slices = slicesOf(series, palette);
    const parts = slices.slice(0, TOLD).map(({ name, share }) => `${name} ${percent(share)}`);
    if (slices.length > TOLD) parts.push(`${slices.length - TOLD} more`);
    return (chart.series.length > 1 && series.name ? `${series.name}: ` : "") + parts.join(", ");
  });
  return `${what}${chart.title ? `: ${chart.title}` : ""}. ${told.join("; ")}`;
}
