// How wide texts are in the fonts of their cells, where they break, and how high they make their rows.

import type { CellStyle } from "../protocol";
import { key, rowOf, type ShownCell, type ShownCells } from "../shown_cells";
import type { Geometry } from "./geometry";

export const PADDING = 4;
export const POINT = 96 / 72;
export const USUAL_SIZE = 11; // points
export const LINE = 1.28; // the height of a line, in sizes of its font

const MOST_KNOWN = 20000;
const known = new Map<string, number>();
let scratch: CanvasRenderingContext2D | null = null;

/** The font of a style as CSS has it. */
export function fontOf(style: CellStyle, usual: string): string {
  const size = Math.round((style.size ?? USUAL_SIZE) * POINT * 10) / 10;
  const family = style.font ? `"${style.font.replaceAll('"', "")}", ${usual}` : usual;
  return `${style.italic ? "italic " : ""}${style.bold ? "bold " : ""}${size}px ${family}`;
}

/** The width of a text in pixels. */
export function widthOf(text: string, font: string): number {
  const at = `${font}\n${text}`;
  let width = known.get(at);
  if (width === undefined) {
    scratch ??= document.createElement("canvas").getContext("2d");
    if (!scratch) throw new Error("This browser draws on no canvas.");
    scratch.font = font;
    width = scratch.measureText(text).width;
    if (known.size > MOST_KNOWN) known.clear();
    known.set(at, width);
  }
  return width;
}

/**
 * Whether a text is at most so many pixels wide. Numbers that change all the time are not measured one by one: where
 * there is room for as many of the widest digits, and a little more, that is enough to know.
 */
export function fitsInto(text: string, font: string, room: number): boolean {
  if (NUMBER.test(text) && (text.length + 0.5) * widestDigit(font) <= room) return true;
  return widthOf(text, font) <= room;
}

const NUMBER = /^[\d.,+-]+$/;

/** The width of the widest of what plain numbers consist of, as it is beside another of its kind. */
function widestDigit(font: string): number {
  let width = widest.get(font);
  if (width === undefined) {
    width = Math.max(...DIGITS.map((digit) => widthOf(digit, font))) / 2;
    widest.set(font, width);
  }
  return width;
}

const widest = new Map<string, number>();
const DIGITS = [..."0123456789.,+-"].map((digit) => digit + digit);

/** A text in lines: at its line breaks, and if it is to wrap, between words, or within a word that is too long. */
export function linesOf(text: string, font: string, wrap: boolean, room: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of wrap ? paragraph.split(/(?<=[ \-])/) : [paragraph]) {
      if (wrap && line && widthOf((line + word).trimEnd(), font) > room) {
        lines.push(line.trimEnd());
        line = "";
      }
      line += word;
      while (wrap && line.length > 1 && widthOf(line.trimEnd(), font) > room) {
        let fits = line.length - 1;
        while (fits > 1 && widthOf(line.slice(0, fits), font) > room) fits--;
        lines.push(line.slice(0, fits));
        line = line.slice(fits);
      }
    }
    lines.push(line.trimEnd());
  }
  return lines;
}

export function isWrapped(cell: ShownCell, style: CellStyle): boolean {
  return (Boolean(style.wrap) && cell.kind !== "n") || cell.text.includes("\n");
}

/** The heights that rows need for what is known of their texts, of those rows that are not high enough for them. */
export function neededHeights(
  keys: Iterable<number>,
  cells: ShownCells,
  styles: CellStyle[],
  geometry: Geometry,
  usual: string,
): Record<number, number> {
  const found: Record<number, number> = {};
  for (const at of keys) {
    const row = rowOf(at);
    const column = at - key(row, 0);
    const cell = cells.get(row, column);
    if (!cell?.text || geometry.isSized(row) || geometry.mergedAt(row, column)) continue;
    const style = styles[cell.style] ?? {};
    const wrapped = isWrapped(cell, style);
    if (!wrapped && (style.size ?? USUAL_SIZE) <= USUAL_SIZE) continue;
    const room = geometry.widthOf(column) - 2 * PADDING;
    if (room <= 0) continue;
    const lines = wrapped ? linesOf(cell.text, fontOf(style, usual), Boolean(style.wrap), room).length : 1;
    const height = Math.min(546, Math.ceil(lines * (style.size ?? USUAL_SIZE) * POINT * LINE + 3));
    if (height > Math.max(geometry.heightOf(row), found[row] ?? 0)) found[row] = height;
  }
  return found;
}
