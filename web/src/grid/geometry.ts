// Where cells are: widths and heights, merged areas, frozen panes.

import { contains, meets } from "../address";
import type { Area, SheetInfo, Span } from "../protocol";

const SPARE_ROWS = 50; // to be filled in, below and beside what is used
const SPARE_COLUMNS = 5;
const SMALLEST_ROWS = 100;
const SMALLEST_COLUMNS = 20;
const WIDE_SCREEN = 2600; // pixels: narrow columns fill it as well,
const FILLING = 120; // with so many columns at most
const DEFAULT_WIDTH = 64; // pixels, as Excel's
const DEFAULT_HEIGHT = 20;

/** What a person has changed of the sizes in the file, and what the texts of rows ask for. */
export interface Sizes {
  widths: Record<number, number>;
  heights: Record<number, number>;
  /** What is hidden now, if something was folded or unfolded. */
  hiddenRows?: Span[];
  hiddenColumns?: Span[];
}

export const NO_SIZES: Sizes = { widths: {}, heights: {} };

export function within(spans: Span[], place: number): boolean {
  return spans.some(([first, last]) => first <= place && place <= last);
}

/** The sizes of one sheet, looked up for every cell that is drawn. */
export class Geometry {
  readonly rows: number;
  readonly columns: number;
  readonly frozen: [rows: number, columns: number];
  private readonly width: number[];
  private readonly left: number[];
  private readonly heights: Map<number, number>;
  private readonly defaultHeight: number;
  private readonly mergedByRow = new Map<number, Area[]>();

  constructor(
    readonly sheet: SheetInfo,
    own: Sizes = NO_SIZES,
  ) {
    this.rows = Math.max(SMALLEST_ROWS, sheet.rows + SPARE_ROWS);
    const least = Math.max(SMALLEST_COLUMNS, sheet.columns + SPARE_COLUMNS);
    const usual = sheet.default_width ?? DEFAULT_WIDTH;
    this.width = [0];
    this.left = [0, 0];
    const fills = (column: number): boolean => column <= FILLING && (this.left[column] ?? 0) < WIDE_SCREEN;
    for (let column = 1; column <= least || fills(column); column++) {
      const hidden = within(own.hiddenColumns ?? sheet.hidden_columns, column);
      const width = hidden ? 0 : Math.round(own.widths[column] ?? sheet.widths[column] ?? usual);
      this.width.push(width);
      this.left.push((this.left[column] ?? 0) + width);
    }
    this.columns = this.width.length - 1;
    this.frozen = [Math.min(sheet.frozen[0], 60), Math.min(sheet.frozen[1], this.columns - 1)];
    this.defaultHeight = Math.round(sheet.default_height ?? DEFAULT_HEIGHT);
    this.heights = new Map(Object.entries(sheet.heights).map(([row, height]) => [Number(row), Math.round(height)]));
    for (const [row, height] of Object.entries(own.heights)) {
      if (height > this.heightOf(Number(row))) this.heights.set(Number(row), height);
    }
    for (const [first, last] of own.hiddenRows ?? sheet.hidden_rows) {
      for (let row = first; row <= Math.min(last, this.rows); row++) this.heights.set(row, 0);
    }
    for (const area of sheet.merged) {
      for (let row = area[0]; row <= Math.min(area[2], this.rows); row++) {
        const there = this.mergedByRow.get(row);
        if (there) there.push(area);
        else this.mergedByRow.set(row, [area]);
      }
    }
  }

  widthOf(column: number): number {
    return this.width[column] ?? DEFAULT_WIDTH;
  }

  heightOf(row: number): number {
    return this.heights.get(row) ?? this.defaultHeight;
  }

  /** Whether the height of a row stands in the file, or the row is hidden. */
  isSized(row: number): boolean {
    return this.heightOf(row) === 0 || within(this.sheet.sized_rows, row);
  }

  /** One height for all rows from this one on, or null if they differ. */
  commonHeight(from: number): number | null {
    for (const [row, height] of this.heights) if (row >= from && height !== this.defaultHeight) return null;
    return this.defaultHeight;
  }

  /** Pixels from the left edge of one column to that of another. */
  across(from: number, to: number): number {
    return (this.left[to] ?? 0) - (this.left[from] ?? 0);
  }

  /** Pixels from the top edge of one row to that of another, which is not above it. */
  down(from: number, to: number): number {
    let pixels = 0;
    for (let row = from; row < to; row++) pixels += this.heightOf(row);
    return pixels;
  }

  mergedAt(row: number, column: number): Area | undefined {
    const areas = this.mergedByRow.get(row);
    return areas?.find((area) => contains(area, row, column));
  }
}

/** The area, grown until it cuts through no merged cell. */
export function expanded(sheet: SheetInfo, area: Area): Area {
  let [top, left, bottom, right] = area;
  for (let grew = true; grew; ) {
    grew = false;
    for (const merged of sheet.merged) {
      if (!meets([top, left, bottom, right], merged)) continue;
      const next: Area = [
        Math.min(top, merged[0]),
        Math.min(left, merged[1]),
        Math.max(bottom, merged[2]),
        Math.max(right, merged[3]),
      ];
      grew ||= next[0] !== top || next[1] !== left || next[2] !== bottom || next[3] !== right;
      [top, left, bottom, right] = next;
    }
  }
  return [top, left, bottom, right];
}
