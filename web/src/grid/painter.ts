// Draws one cell on the canvas: fill, lines, text that runs into empty neighbours, marks, glow.
//
// The grid clips to the column and calls for each cell by itself, so that a merged area is drawn by each of its cells,
// and a long text by each of those that it runs over. A cell's rectangle has its left and top lines in its first
// column and row of pixels.

import type { Area, CellExtra, CellStyle, Model } from "../protocol";
import { key, type ShownCell, type ShownCells } from "../shown_cells";
import { fillInTheDark, lineInTheDark, type Palette, textInTheDark } from "./colours";
import { drawIcon } from "./condition_icons";
import type { Geometry } from "./geometry";
import type { Glow } from "./glow";
import { fitsInto, fontOf, LINE, linesOf, PADDING, POINT, USUAL_SIZE, widthOf } from "./text_measure";
import { markAt, type Marked, markedAreas, roleColor } from "./roles";

const FURTHEST = 40; // columns that a text may run over
const NARROW = 18; // pixels; narrower cells are pixels of a picture
const NO_STYLE: CellStyle = {};
const NO_EXTRA: CellExtra = {};
const ICON = 12; // pixels
const PAPER = "#ffffff"; // what a workbook's colours are made for
const INK = "#1b1b1b";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Scene {
  palette: Palette;
  geometry: Geometry;
  cells: ShownCells;
  styles: CellStyle[];
  model: Model | undefined;
  glow: Glow;
}

/** Whether the cell is selected, and whether typing goes to it. */
export interface Chosen {
  selected: boolean;
  active: boolean;
}

interface Text {
  text: string;
  numeric: boolean;
  style: CellStyle;
  color: string;
  align: "left" | "center" | "right";
  /** Pixels from the left edge of the drawing cell to that of the text's own box, and the box's width. */
  shift: number;
  width: number;
}

export class Painter {
  private readonly marks: Marked[];
  private gradients: Map<number, number> | undefined;
  private greatest = 0;

  constructor(private readonly scene: Scene) {
    this.marks = markedAreas(scene.model);
  }

  /** Show these gradients from now on; returns the keys of the cells to be drawn again for it. */
  show(gradients: Map<number, number> | undefined): Set<number> {
    const keys = new Set([...(this.gradients?.keys() ?? []), ...(gradients?.keys() ?? [])]);
    this.gradients = gradients;
    this.greatest = 0;
    for (const gradient of gradients?.values() ?? []) this.greatest = Math.max(this.greatest, Math.abs(gradient));
    return keys;
  }

  /** Draw the cell into its rectangle. */
  draw(context: CanvasRenderingContext2D, rect: Rect, row: number, column: number, chosen: Chosen): void {
    const { geometry, cells, palette } = this.scene;
    const { x, y, width, height } = rect;
    if (width <= 0 || height <= 0) return;
    const merged = geometry.mergedAt(row, column);
    const own = cells.get(row, column);
    const cell = merged ? cells.get(merged[0], merged[1]) : own;
    const fill = this.fillOf(cell);
    context.fillStyle = fill ?? palette.background;
    context.fillRect(x, y, width, height);
    this.drawBar(context, rect, cell);
    this.drawGlow(context, rect, row, column, merged);
    if (chosen.selected) {
      context.fillStyle = palette.accentSoft;
      context.fillRect(x, y, width, height);
    }
    this.drawLines(context, rect, row, column, merged, fill);
    const text = this.textAt(row, column, merged, cell, fill ?? palette.background);
    if (text) this.drawText(context, rect, text, merged ? this.mergedRect(rect, row, column, merged) : rect);
    this.drawMark(context, rect, row, column);
    if (chosen.active) this.drawActive(context, rect, merged, row, column);
    if (own?.extra?.uncalculated) this.drawUncalculated(context, rect);
  }

  /** The style, with what conditional formats change of it; colours are looked at by themselves. */
  private styleOf(cell: ShownCell | undefined): CellStyle {
    if (!cell) return NO_STYLE;
    const style = this.scene.styles[cell.style] ?? NO_STYLE;
    const { bold, italic, underline, strike, border } = cell.extra ?? NO_EXTRA;
    if (!bold && !italic && !underline && !strike && !border) return style;
    return {
      ...style,
      bold: bold ?? style.bold,
      italic: italic ?? style.italic,
      underline: underline ?? style.underline,
      strike: strike ?? style.strike,
      border: { ...style.border, ...border },
    };
  }

  /** The fill; in the dark scheme a dark one for a light one, but for the pixels of a picture. */
  private fillOf(cell: ShownCell | undefined): string | null {
    if (!cell) return null;
    if (cell.extra?.fill && !cell.extra.paper) return cell.extra.fill;
    const fill = cell.extra?.fill ?? this.styleOf(cell).fill;
    if (!fill) return null;
    return this.scene.palette.dark ? fillInTheDark(fill) : fill;
  }

  private colorOf(cell: ShownCell, background: string): string {
    const style = this.styleOf(cell);
    const color = cell.extra?.color ?? style.color ?? INK;
    return this.scene.palette.dark ? textInTheDark(color, cell.extra?.fill ?? style.fill ?? PAPER, background) : color;
  }

  private drawBar(context: CanvasRenderingContext2D, rect: Rect, cell: ShownCell | undefined): void {
    const { bar, bar_from: from = 0, bar_color: color, icon } = cell?.extra ?? NO_EXTRA;
    const room = rect.width - 4;
    if (bar) {
      context.fillStyle = color ?? this.scene.palette.data;
      context.globalAlpha = 0.42;
      context.fillRect(rect.x + 2 + room * from, rect.y + 3, room * Math.min(1, bar), rect.height - 5);
      context.globalAlpha = 1;
    }
    if (icon && rect.width >= NARROW) {
      drawIcon(context, icon, rect.x + 4 + ICON / 2, rect.y + rect.height / 2 + 0.5, Math.min(ICON, rect.height - 4));
    }
  }

  private drawGlow(
    context: CanvasRenderingContext2D,
    rect: Rect,
    row: number,
    column: number,
    merged: Area | undefined,
  ): void {
    const left = this.scene.glow.left(merged ? key(merged[0], merged[1]) : key(row, column));
    if (left <= 0) return;
    context.fillStyle = this.scene.palette.glow;
    context.globalAlpha = 0.42 * Math.min(1, left * 1.15);
    context.fillRect(rect.x, rect.y, rect.width, rect.height);
    context.globalAlpha = 1;
  }

  private drawLines(
    context: CanvasRenderingContext2D,
    { x, y, width, height }: Rect,
    row: number,
    column: number,
    merged: Area | undefined,
    fill: string | null,
  ): void {
    const { cells, geometry, palette } = this.scene;
    const style = this.styleOf(cells.get(row, column));
    const gridlines = geometry.sheet.gridlines && fill === null;
    if (!merged || column === merged[1]) {
      const beside = cells.get(row, column - 1);
      const border = style.border?.left ?? (column > 1 ? this.styleOf(beside).border?.right : undefined);
      if (border) this.line(context, x, y, border[0], height, border[1]);
      else if (gridlines && !this.fillOf(beside) && !this.covered(row, column)) {
        this.line(context, x, y, 1, height, palette.line);
      }
    }
    if (!merged || row === merged[0]) {
      const above = cells.get(row - 1, column);
      const border = style.border?.top ?? (row > 1 ? this.styleOf(above).border?.bottom : undefined);
      if (border) this.line(context, x, y, width, border[0], border[1]);
      else if (gridlines && !this.fillOf(above)) this.line(context, x, y, width, 1, palette.line);
    }
  }

  private line(
    context: CanvasRenderingContext2D,
    x: number,
    y: number,
    width: number,
    height: number,
    color: string,
  ): void {
    const { dark, line } = this.scene.palette;
    context.fillStyle = dark && color !== line ? lineInTheDark(color) : color;
    context.fillRect(x, y, width, height);
  }

  /** Whether a text runs over the line on the left of this cell, which is then not drawn. */
  private covered(row: number, column: number): boolean {
    const cells = this.scene.cells;
    if (cells.get(row, column)?.text) return false;
    const found = this.runningText(row, column);
    return found !== null && found.shift < 0;
  }

  private mergedRect(rect: Rect, row: number, column: number, merged: Area): Rect {
    const { geometry } = this.scene;
    return {
      x: rect.x - geometry.across(merged[1], column),
      y: rect.y - geometry.down(merged[0], row),
      width: geometry.across(merged[1], merged[3] + 1),
      height: geometry.down(merged[0], merged[2] + 1),
    };
  }

  private textAt(
    row: number,
    column: number,
    merged: Area | undefined,
    cell: ShownCell | undefined,
    background: string,
  ): Text | null {
    if (!merged && !cell?.text) return this.runningText(row, column);
    if (!cell?.text || cell.extra?.bare) return null;
    const { geometry } = this.scene;
    const width = merged ? geometry.across(merged[1], merged[3] + 1) : geometry.widthOf(column);
    const shift = merged ? -geometry.across(merged[1], column) : 0;
    return { ...this.described(cell, background), shift, width };
  }

  private described(cell: ShownCell, background: string): Omit<Text, "shift" | "width"> {
    const style = this.styleOf(cell);
    const numeric = cell.kind === "n";
    return { text: cell.text, numeric, style, color: this.colorOf(cell, background), align: alignOf(cell, style) };
  }

  /** The text of a neighbour that runs over this empty cell. */
  private runningText(row: number, column: number): Text | null {
    const { cells, geometry, palette } = this.scene;
    for (const step of [-1, 1]) {
      for (let at = column + step; at >= 1 && at <= geometry.columns && Math.abs(at - column) <= FURTHEST; at += step) {
        const cell = cells.get(row, at);
        if (!cell?.text) {
          if (geometry.mergedAt(row, at)) break;
          continue;
        }
        const style = this.styleOf(cell);
        const align = alignOf(cell, style);
        const runs = cell.kind === "t" && !style.wrap && (align === "center" || (align === "left") === step < 0);
        if (!runs || geometry.mergedAt(row, at)) break;
        const width = geometry.widthOf(at);
        const needed = this.measure(cell.text, style) + 2 * PADDING + indentOf(style);
        const shift = geometry.across(column, at);
        const beyond = align === "center" ? (needed - width) / 2 : needed - width;
        const gap = step < 0 ? -shift - width : shift - geometry.widthOf(column);
        if (beyond <= gap) break;
        const background = this.fillOf(cells.get(row, column)) ?? palette.background;
        return { ...this.described(cell, background), shift, width };
      }
    }
    return null;
  }

  private measure(text: string, style: CellStyle): number {
    return widthOf(text, this.fontOf(style));
  }

  private fits(text: string, style: CellStyle, room: number): boolean {
    return fitsInto(text, this.fontOf(style), room);
  }

  private fontOf(style: CellStyle): string {
    return fontOf(style, this.scene.palette.font);
  }

  private drawText(context: CanvasRenderingContext2D, clip: Rect, text: Text, box: Rect): void {
    const { style } = text;
    const left = clip.x + text.shift;
    const indent = indentOf(style);
    const room = text.width - 2 * PADDING - indent;
    const size = (style.size ?? USUAL_SIZE) * POINT;
    const lines = (style.wrap && !text.numeric) || text.text.includes("\n") ? linesOf(text.text, this.fontOf(style), Boolean(style.wrap), room) : [text.text];
    let shown = lines;
    if (text.numeric) {
      const fitted = this.fitted(text, room);
      if (fitted === null) return;
      shown = [fitted];
    }
    const height = size * LINE;
    const all = height * shown.length;
    const clips = !this.isInside(shown, text, room, clip, box, all);
    if (clips) {
      context.save();
      context.beginPath();
      context.rect(clip.x, clip.y, clip.width, clip.height);
      context.clip();
    }
    context.font = this.fontOf(style);
    context.fillStyle = text.color;
    context.textAlign = text.align;
    context.textBaseline = "middle";
    const x =
      text.align === "left"
        ? left + PADDING + indent
        : text.align === "right"
          ? left + text.width - PADDING + 1 - indent
          : left + text.width / 2;
    const first =
      style.valign === "top"
        ? box.y + 2
        : style.valign === "center"
          ? box.y + (box.height - all) / 2
          : Math.max(box.y + 1, box.y + box.height - all - 1);
    shown.forEach((line, index) => {
      const y = first + height * (index + 0.5) + 0.5;
      context.fillText(line, x, y);
      if (style.underline || style.strike) this.drawStrokes(context, line, style, text.align, x, y, size);
    });
    if (clips) context.restore();
  }

  /** Whether a text lies within its cell by itself: most do, and a clip costs more than the text. */
  private isInside(lines: string[], { shift, style }: Text, room: number, clip: Rect, box: Rect, height: number): boolean {
    if (shift || lines.length > 1 || style.italic || box.height > clip.height || height + 2 > box.height) return false;
    return box.width <= clip.width && this.fits(lines[0] ?? "", style, room);
  }

  private drawStrokes(
    context: CanvasRenderingContext2D,
    line: string,
    style: CellStyle,
    align: Text["align"],
    x: number,
    y: number,
    size: number,
  ): void {
    const width = this.measure(line, style);
    const from = align === "left" ? x : align === "right" ? x - width : x - width / 2;
    if (style.underline) context.fillRect(from, Math.round(y + size * 0.46), width, 1);
    if (style.strike) context.fillRect(from, Math.round(y), width, 1);
  }

  /** A number as it fits: whole, rounded if its format is General, else ##; nothing in a pixel of a picture. */
  private fitted({ text, style, width }: Text, room: number): string | null {
    const fits = (shown: string): boolean => this.fits(shown, style, room + PADDING);
    if (fits(text)) return text;
    if (style.general && /^-?\d+\.\d+$/.test(text)) {
      const decimals = text.length - text.indexOf(".") - 1;
      for (let digits = decimals - 1; digits >= 0; digits--) {
        const rounded = Number(text).toFixed(digits);
        if (fits(rounded)) return rounded;
      }
    }
    if (width < NARROW) return null;
    const mark = this.measure("#", style);
    return "#".repeat(Math.max(1, Math.floor((room + PADDING) / mark)));
  }

  /** A line around a marked area, and the arrow of a parameter's gradient. */
  private drawMark(context: CanvasRenderingContext2D, rect: Rect, row: number, column: number): void {
    const mark = markAt(this.marks, row, column);
    if (!mark) return;
    const { x, y, width, height } = rect;
    const [top, left, bottom, right] = mark.area;
    const big = (bottom - top + 1) * (right - left + 1) > 1 && width < NARROW;
    const strong = mark.role === "loss" || mark.role === "parameter";
    const line = strong && !big ? 2 : 1;
    context.fillStyle = roleColor(this.scene.palette, mark.role);
    if (row === top) context.fillRect(x, y, width, line);
    if (row === bottom) context.fillRect(x, y + height - line, width, line);
    if (column === left) context.fillRect(x, y, line, height);
    if (column === right) context.fillRect(x + width - line, y, line, height);
    if (row === top && column === left && !big) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + 8, y);
      context.lineTo(x, y + 8);
      context.fill();
    }
    const gradient = mark.role === "parameter" ? this.gradients?.get(key(row, column)) : undefined;
    if (gradient !== undefined) this.drawGradient(context, rect, gradient);
  }

  /** An arrow up where the loss grows with the parameter, down where it falls; the larger, the fuller. */
  private drawGradient(context: CanvasRenderingContext2D, { x, y, width, height }: Rect, gradient: number): void {
    const { palette } = this.scene;
    const share = this.greatest > 0 ? Math.min(1, Math.abs(gradient) / this.greatest) ** 0.5 : 0;
    const color = gradient > 0 ? palette.up : palette.down;
    if (width < NARROW) {
      context.fillStyle = color;
      context.globalAlpha = 0.75 * share;
      context.fillRect(x + width / 2 - 2, y + height / 2 - 2, 4, 4);
      context.globalAlpha = 1;
      return;
    }
    context.fillStyle = color;
    context.globalAlpha = 0.2 * share;
    context.fillRect(x + 2, y + 2, width - 4, height - 4);
    context.globalAlpha = 0.35 + 0.65 * share;
    const middle = y + height / 2 + 0.5;
    const tip = gradient === 0 ? 0 : gradient > 0 ? -4 : 4;
    context.beginPath();
    if (tip === 0) context.rect(x + 5, middle - 1, 7, 2);
    else {
      context.moveTo(x + 8.5, middle + tip);
      context.lineTo(x + 12.5, middle - tip * 0.75);
      context.lineTo(x + 4.5, middle - tip * 0.75);
    }
    context.fill();
    context.globalAlpha = 1;
  }

  /** The frame of the cell that typing goes to. */
  private drawActive(
    context: CanvasRenderingContext2D,
    { x, y, width, height }: Rect,
    merged: Area | undefined,
    row: number,
    column: number,
  ): void {
    const [top, left, bottom, right] = merged ?? [row, column, row, column];
    context.fillStyle = this.scene.palette.accent;
    if (row === top) context.fillRect(x, y, width, 2);
    if (row === bottom) context.fillRect(x, y + height - 2, width, 2);
    if (column === left) context.fillRect(x, y, 2, height);
    if (column === right) context.fillRect(x + width - 2, y, 2, height);
  }

  private drawUncalculated(context: CanvasRenderingContext2D, { x, y, width, height }: Rect): void {
    context.fillStyle = this.scene.palette.uncalculated;
    context.beginPath();
    context.moveTo(x + width, y + height);
    context.lineTo(x + width - 7, y + height);
    context.lineTo(x + width, y + height - 7);
    context.fill();
  }
}

function alignOf(cell: ShownCell, style: CellStyle): Text["align"] {
  if (style.align === "left" || style.align === "right") return style.align;
  if (style.align === "center" || style.align === "centerContinuous" || style.align === "distributed") return "center";
  if (cell.kind === "n") return "right";
  return cell.kind === "b" || cell.kind === "e" ? "center" : "left";
}

function indentOf(style: CellStyle): number {
  return (style.indent ?? 0) * 9;
}
