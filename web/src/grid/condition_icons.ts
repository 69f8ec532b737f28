// The icons of conditional formats: arrows, lights, signs and so on, drawn on the canvas in the colours of their sets.

const RED = "#d6453d";
const YELLOW = "#e0a100";
const GREEN = "#2f9e5b";
const GREY = "#8a9099";
const BLACK = "#3b4048";
const BLUE = "#3d78c9";

/** Red, over yellow, to green. */
function trafficColor(at: number, count: number): string {
  const share = count > 1 ? at / (count - 1) : 1;
  return share < 0.25 ? RED : share > 0.75 ? GREEN : YELLOW;
}

type Shape = (context: CanvasRenderingContext2D, size: number, at: number, count: number, set: string) => void;

/** Draw icon `at` (from 0) of a set, such as `3Arrows`, around a point. */
export function drawIcon(
  context: CanvasRenderingContext2D,
  [set, at]: [set: string, at: number],
  x: number,
  y: number,
  size: number,
): void {
  const count = Number(set[0]) || 3;
  const shape = SHAPES.find(([name]) => set.includes(name))?.[1] ?? light;
  context.save();
  context.translate(x, y);
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.fillStyle = set.includes("Gray") ? GREY : trafficColor(at, count);
  context.strokeStyle = context.fillStyle;
  shape(context, size / 2, at, count, set);
  context.restore();
}

const arrow: Shape = (context, r, at, count) => {
  const share = count > 1 ? at / (count - 1) : 1;
  context.rotate(Math.PI / 2 - share * Math.PI); // down, over right, to up
  context.beginPath();
  context.moveTo(r, 0);
  context.lineTo(0, -r);
  context.lineTo(0, -r * 0.42);
  context.lineTo(-r, -r * 0.42);
  context.lineTo(-r, r * 0.42);
  context.lineTo(0, r * 0.42);
  context.lineTo(0, r);
  context.fill();
};

const triangle: Shape = (context, r, at, count) => {
  const share = count > 1 ? at / (count - 1) : 1;
  context.beginPath();
  if (share > 0.25 && share < 0.75) context.rect(-r, -r * 0.25, 2 * r, r * 0.5);
  else {
    const tip = share > 0.5 ? -1 : 1;
    context.moveTo(0, tip * r * 0.8);
    context.lineTo(r, -tip * r * 0.7);
    context.lineTo(-r, -tip * r * 0.7);
  }
  context.fill();
};

const light: Shape = (context, r, at, count) => {
  if (count === 4 && at === 0) context.fillStyle = BLACK;
  else if (count === 4) context.fillStyle = trafficColor(at - 1, 3);
  context.beginPath();
  context.arc(0, 0, r, 0, 2 * Math.PI);
  context.fill();
};

const redToBlack: Shape = (context, r, at) => {
  context.fillStyle = [BLACK, GREY, "#e79c98", RED][at] ?? RED;
  context.beginPath();
  context.arc(0, 0, r, 0, 2 * Math.PI);
  context.fill();
};

/** A light with a cross, an exclamation mark or a tick in it, or these alone. */
const symbol: Shape = (context, r, at, _count, set) => {
  const alone = set.endsWith("2");
  if (!alone) {
    context.beginPath();
    context.arc(0, 0, r, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = "#ffffff";
  }
  const s = r * (alone ? 0.8 : 0.48);
  context.lineWidth = alone ? 2.2 : 1.6;
  context.beginPath();
  if (at === 0) {
    context.moveTo(-s, -s);
    context.lineTo(s, s);
    context.moveTo(s, -s);
    context.lineTo(-s, s);
  } else if (at === 1) {
    context.moveTo(0, -s);
    context.lineTo(0, s * 0.25);
    context.moveTo(0, s);
    context.lineTo(0, s);
  } else {
    context.moveTo(-s, 0);
    context.lineTo(-s * 0.25, s * 0.75);
    context.lineTo(s, -s * 0.75);
  }
  context.stroke();
};

const sign: Shape = (context, r, at) => {
  context.beginPath();
  if (at === 0) {
    context.moveTo(0, -r);
    context.lineTo(r, 0);
    context.lineTo(0, r);
    context.lineTo(-r, 0);
  } else if (at === 1) {
    context.moveTo(0, -r);
    context.lineTo(r, r * 0.8);
    context.lineTo(-r, r * 0.8);
  } else context.arc(0, 0, r, 0, 2 * Math.PI);
  context.fill();
};

const flag: Shape = (context, r) => {
  context.fillRect(-r * 0.8, -r, r * 0.3, 2 * r);
  context.beginPath();
  context.moveTo(-r * 0.4, -r);
  context.lineTo(r, -r * 0.4);
  context.lineTo(-r * 0.4, r * 0.25);
  context.fill();
};

const star: Shape = (context, r, at, count) => {
  const path = new Path2D();
  for (let tip = 0; tip < 10; tip++) {
    const [length, angle] = [tip % 2 ? r * 0.45 : r, (tip * Math.PI) / 5 - Math.PI / 2];
    path.lineTo(length * Math.cos(angle), length * Math.sin(angle));
  }
  path.closePath();
  context.strokeStyle = context.fillStyle = YELLOW;
  context.lineWidth = 1;
  context.save();
  context.clip(path);
  context.fillRect(-r, -r, (2 * r * at) / (count - 1), 2 * r);
  context.restore();
  context.stroke(path);
};

/** Bars of a rating, as those of a phone's signal: as many are full as the number says. */
const rating: Shape = (context, r, at, count) => {
  const bars = count === 5 ? 4 : count;
  const full = count === 5 ? at : at + 1;
  for (let bar = 0; bar < bars; bar++) {
    const height = (2 * r * (bar + 1)) / bars;
    context.fillStyle = bar < full ? BLUE : GREY;
    context.globalAlpha = bar < full ? 1 : 0.35;
    context.fillRect(-r + (bar * 2 * r) / bars, r - height, (2 * r) / bars - 1, height);
  }
};

const quarter: Shape = (context, r, at, count) => {
  context.fillStyle = context.strokeStyle = GREY;
  context.beginPath();
  context.arc(0, 0, r, 0, 2 * Math.PI);
  context.stroke();
  context.beginPath();
  context.moveTo(0, 0);
  context.arc(0, 0, r, -Math.PI / 2, -Math.PI / 2 + (2 * Math.PI * at) / (count - 1));
  context.fill();
};

const boxes: Shape = (context, r, at) => {
  for (let box = 0; box < 4; box++) {
    context.fillStyle = box < at ? BLUE : GREY;
    context.globalAlpha = box < at ? 1 : 0.35;
    context.fillRect(box % 2 ? 0.5 : -r, box < 2 ? 0.5 : -r, r - 0.5, r - 0.5);
  }
};

const SHAPES: [name: string, shape: Shape][] = [
  ["Arrows", arrow],
  ["Triangles", triangle],
  ["RedToBlack", redToBlack],
  ["TrafficLights", light],
  ["Symbols", symbol],
  ["Signs", sign],
  ["Flags", flag],
  ["Stars", star],
  ["Rating", rating],
  ["Quarters", quarter],
  ["Boxes", boxes],
];
