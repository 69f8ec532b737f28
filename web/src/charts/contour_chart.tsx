// The loss over two parameters as a map: darker is lower, lines join equal losses, and the path is that of training.

import { contours } from "d3-contour";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Palette } from "../grid/colours";
import { mix } from "../grid/colours";
import { usePalette } from "../theme";
import { FONT, short } from "./looks";

const HEIGHT = 250;
const LEVELS = 14;
const LEFT = 46;
const BELOW = 34;
const EDGE = 8;

export interface Contour {
  x: number[];
  y: number[];
  /** `loss[j][i]` at `x[i]` and `y[j]`. */
  loss: (number | null)[][];
  /** The present values. */
  at: [number, number];
}

type Path = [number, number][];

interface Props {
  contour: Contour;
  /** Where the two parameters have gone, to the newest place. */
  path: Path;
  names: [string, string];
}

export function ContourChart({ contour, path, names }: Props): JSX.Element {
  const palette = usePalette();
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const bands = useMemo(() => bandsOf(contour), [contour]);

  useEffect(() => {
    const target = frame.current;
    if (!target) return;
    const observer = new ResizeObserver(() => setWidth(target.clientWidth));
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current && palette && width > 0) draw(canvas.current, width, palette, contour, path, bands, names);
  }, [palette, width, contour, path, bands, names[0], names[1]]);

  const at = path.at(-1) ?? contour.at;
  return (
    <figure className="around">
      <div ref={frame} style={{ height: HEIGHT }}>
        <canvas ref={canvas} role="img" aria-label={`Map of the loss over ${names[0]} and ${names[1]}`} />
      </div>
      <figcaption>
        The loss over {names[0]} and {names[1]}, from <b>{short(bands.low)}</b> (dark) to <b>{short(bands.high)}</b>
        ; now at {short(at[0])}, {short(at[1])}.
      </figcaption>
    </figure>
  );
}

interface Bands {
  low: number;
  high: number;
  polygons: { share: number; rings: [number, number][][] }[];
}

/** Areas above each level; the levels are dense near the lowest loss, where the valley is. */
function bandsOf({ x, y, loss }: Contour): Bands {
  const finite = loss.flat().filter((value): value is number => value !== null && Number.isFinite(value));
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const values = loss.flat().map((value) => (value === null || !Number.isFinite(value) ? high : value));
  const spread = high - low || 1;
  const levels = Array.from({ length: LEVELS }, (_, index) => low + spread * (index / LEVELS) ** 2);
  const found = contours().size([x.length, y.length]).thresholds(levels)(values);
  return {
    low,
    high,
    polygons: found.map((area, index) => ({
      share: index / (LEVELS - 1),
      rings: area.coordinates.flat() as [number, number][][],
    })),
  };
}

function draw(
  canvas: HTMLCanvasElement,
  width: number,
  palette: Palette,
  contour: Contour,
  path: Path,
  bands: Bands,
  names: [string, string],
): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, HEIGHT);
  const area = { left: LEFT, top: EDGE, width: width - LEFT - EDGE, height: HEIGHT - EDGE - BELOW };
  const columns = contour.x.length;
  const rows = contour.y.length;
  // d3-contour's cell (0, 0) has its middle at 0.5, 0.5, where our first value is; y grows upwards.
  const across = (grid: number): number => area.left + ((grid - 0.5) / (columns - 1)) * area.width;
  const up = (grid: number): number => area.top + area.height - ((grid - 0.5) / (rows - 1)) * area.height;
  const [dark, light] = palette.dark ? ["#0b2a3a", "#e8d9a8"] : ["#123b5a", "#f4ecd2"];
  const between = palette.dark ? "#2f7f78" : "#3a9a8c";

  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  context.clip();
  context.fillStyle = dark;
  context.fillRect(area.left, area.top, area.width, area.height);
  for (const { share, rings } of bands.polygons) {
    context.beginPath();
    for (const ring of rings) {
      ring.forEach(([x, y], index) => (index ? context.lineTo(across(x), up(y)) : context.moveTo(across(x), up(y))));
      context.closePath();
    }
    context.fillStyle = share < 0.5 ? mix(dark, between, share * 2) : mix(between, light, share * 2 - 1);
    context.fill("evenodd");
    context.lineWidth = 0.7;
    context.strokeStyle = "rgba(255, 255, 255, 0.28)";
    context.stroke();
  }
  drawPath(context, palette, contour, path, area);
  context.restore();
  drawAxes(context, palette, contour, names, area, width);
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

function drawPath(context: CanvasRenderingContext2D, palette: Palette, contour: Contour, path: Path, area: Box): void {
  const { x, y } = contour;
  const place = ([a, b]: [number, number]): [number, number] => [
    area.left + ((a - (x[0] ?? 0)) / ((x.at(-1) ?? 1) - (x[0] ?? 0) || 1)) * area.width,
    area.top + area.height - ((b - (y[0] ?? 0)) / ((y.at(-1) ?? 1) - (y[0] ?? 0) || 1)) * area.height,
  ];
  context.lineJoin = "round";
  for (const [color, lineWidth] of [["rgba(0, 0, 0, 0.55)", 4], ["#ffffff", 1.8]] as const) {
    context.beginPath();
    path.forEach((point, index) => (index ? context.lineTo(...place(point)) : context.moveTo(...place(point))));
    context.strokeStyle = color;
    context.lineWidth = lineWidth;
    context.stroke();
  }
  const at = path.at(-1) ?? contour.at;
  context.beginPath();
  context.arc(...place(at), 5.5, 0, 2 * Math.PI);
  context.fillStyle = palette.parameter;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#ffffff";
  context.stroke();
}

function drawAxes(
  context: CanvasRenderingContext2D,
  palette: Palette,
  { x, y }: Contour,
  names: [string, string],
  area: Box,
  width: number,
): void {
  context.font = FONT;
  context.fillStyle = palette.headerText;
  context.textBaseline = "top";
  const bottom = area.top + area.height;
  context.textAlign = "left";
  context.fillText(short(x[0]), area.left, bottom + 4);
  context.textAlign = "right";
  context.fillText(short(x.at(-1)), width - EDGE, bottom + 4);
  context.textAlign = "center";
  context.fillText(names[0], area.left + area.width / 2, bottom + 17);
  context.textAlign = "right";
  context.fillText(short(y.at(-1)), area.left - 5, area.top);
  context.textBaseline = "bottom";
  context.fillText(short(y[0]), area.left - 5, bottom);
  context.save();
  context.translate(10, area.top + area.height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(names[1], 0, 0);
  context.restore();
}
