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

const readable = new Map<string, string>();

/**
 * The colour of text on this background: the workbook's own, unless nobody could read it there.
 *
 * A workbook's colours are made for white paper; in the dark scheme its black text on no fill turns light.
 */
export function readableOn(color: string, background: string, otherwise: string): string {
  const together = `${color}${background}${otherwise}`;
  let found = readable.get(together);
  if (found === undefined) {
    const [a, b] = [luminance(color), luminance(background)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found = contrast >= 2.6 ? color : mixedUntilReadable(color, background, otherwise);
    readable.set(together, found);
  }
  return found;
}

function mixedUntilReadable(color: string, background: string, otherwise: string): string {
  const base = luminance(background);
  for (let share = 0.25; share < 1; share += 0.25) {
    const mixed = mix(color, otherwise, share);
    const own = luminance(mixed);
    if ((Math.max(own, base) + 0.05) / (Math.min(own, base) + 0.05) >= 4.5) return mixed;
  }
  return otherwise;
}

/** A colour between two, `share` of the way from the first to the second. */
export function mix(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)];
  const parts = a.map((value, index) => Math.round(value + ((b[index] ?? 0) - value) * share));
  return `#${parts.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
