// The colours that the canvas needs, read from the page's design tokens; a canvas knows no CSS variables.

export interface Palette {
  dark: boolean;
  background: string;
  text: string;
  faint: string;
  line: string;
  header: string;
  headerText: string;
  headerSelected: string;
  accent: string;
  accentSoft: string;
  glow: string;
  parameter: string;
  loss: string;
  data: string;
  prediction: string;
  up: string;
  down: string;
  uncalculated: string;
  references: string[];
  font: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    dark: token("scheme") === "dark",
    background: token("sheet"),
    text: token("sheet-text"),
    faint: token("text-faint"),
    line: token("sheet-line"),
    header: token("sheet-header"),
    headerText: token("text-soft"),
    headerSelected: token("sheet-header-on"),
    accent: token("accent"),
    accentSoft: token("accent-soft"),
    glow: token("glow"),
    parameter: token("role-parameter"),
    loss: token("role-loss"),
    data: token("role-data"),
    prediction: token("role-prediction"),
    up: token("gradient-up"),
    down: token("gradient-down"),
    uncalculated: token("uncalculated"),
    references: [1, 2, 3, 4, 5].map((number) => token(`reference-${number}`)),
    font: token("font-sheet"),
  };
}

const seen = new Map<string, [number, number, number]>();

function channels(color: string): [number, number, number] {
  let found = seen.get(color);
  if (!found) {
    const hex = /^#([0-9a-f]{6})/i.exec(color)?.[1] ?? "000000";
    found = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
    seen.set(color, found);
  }
  return found;
}

/** Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2). */
export function luminance(color: string): number {
  const [red, green, blue] = channels(color).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Hue (0 to 6), saturation and lightness (0 to 1) of `#rrggbb`. */
function toHsl(color: string): [number, number, number] {
  const [red, green, blue] = channels(color).map((value) => value / 255) as [number, number, number];
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  const [spread, lightness] = [most - least, (most + least) / 2];
  if (spread === 0) return [0, 0, lightness];
  const saturation = spread / (1 - Math.abs(2 * lightness - 1));
  const hue =
    most === red ? (green - blue) / spread + 6 : most === green ? (blue - red) / spread + 2 : (red - green) / spread + 4;
  return [hue % 6, Math.min(1, saturation), lightness];
}

function fromHsl(hue: number, saturation: number, lightness: number): string {
  const chroma = (1 - Math.abs(2 * lightness - 1)) * saturation;
  const part = (offset: number): string => {
    const at = (hue + offset) % 6;
    const share = Math.max(0, Math.min(1, at < 3 ? 2 - at : at - 4));
    const value = lightness - chroma / 2 + chroma * share;
    return Math.round(Math.max(0, Math.min(1, value)) * 255)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${part(0)}${part(4)}${part(2)}`;
}

function contrast(a: string, b: string): number {
  const [first, second] = [luminance(a), luminance(b)];
  return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
}

const known = new Map<string, string>();

function remembered(key: string, calculate: () => string): string {
  let found = known.get(key);
  if (found === undefined) {
    found = calculate();
    known.set(key, found);
  }
  return found;
}

/** A fill in the dark scheme: a workbook's light fills, made for white paper, as dark ones of the same hue. */
export function fillInTheDark(color: string): string {
  return remembered(`fill${color}`, () => {
    const [hue, saturation, lightness] = toHsl(color);
    if (lightness < 0.6) return color;
    return fromHsl(hue, saturation * 0.45, 0.095 + (1 - lightness) * 0.6 + saturation * 0.035);
  });
}

/** A line in the dark scheme. */
export function lineInTheDark(color: string): string {
  return remembered(`line${color}`, () => {
    const [hue, saturation, lightness] = toHsl(color);
    return fromHsl(hue, saturation * 0.8, lightness > 0.5 ? 0.14 + (1 - lightness) * 0.5 : 0.62 - lightness * 0.3);
  });
}

/**
 * A text's colour in the dark scheme: that of the workbook where it can be read on what is behind it there.
 *
 * A dark colour becomes the light one of its hue. What nobody could read on paper stays hidden.
 */
export function textInTheDark(color: string, onPaper: string, background: string): string {
  if (onPaper === background) return color;
  return remembered(`text${color}${onPaper}${background}`, () => {
    if (contrast(color, onPaper) < 1.3) return background;
    if (contrast(color, background) >= 4.6) return color;
    const [hue, saturation, lightness] = toHsl(color);
    const end = luminance(background) < 0.2 ? 1 : 0;
    const turned = end ? Math.max(lightness, 1 - lightness) : Math.min(lightness, 1 - lightness);
    for (let share = 0; share < 1; share += 0.1) {
      const candidate = fromHsl(hue, saturation * 0.85, turned + (end - turned) * share);
      if (contrast(candidate, background) >= 5) return candidate;
    }
    return end ? "#ffffff" : "#000000";
  });
}

/** A colour between two, `share` of the way from the first to the second. */
export function mix(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)];
  const parts = a.map((value, index) => Math.round(value + ((b[index] ?? 0) - value) * share));
  return `#${parts.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** The colour, or another where it can't be seen on this background (3:1, as for lines and graphics in WCAG 2). */
export function readableOn(color: string, background: string, otherwise: string): string {
  return contrast(color, background) >= 3 ? color : otherwise;
}
