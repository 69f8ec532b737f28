// Where the keyboard goes from a cell.

import type { Place, SheetInfo } from "../protocol";
import type { ShownCells } from "../shown_cells";
import type { Geometry } from "./geometry";

export type Step = [rows: number, columns: number];

export const ARROWS: Record<string, Step> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** The cell one step on: past the rest of a merged cell, and past hidden rows and columns. */
export function stepped(geometry: Geometry, [row, column]: Place, [rows, columns]: Step): Place {
  const merged = geometry.mergedAt(row, column);
  let at: Place = [row, column];
  if (merged && rows) at = [rows > 0 ? merged[2] : merged[0], column];
  if (merged && columns) at = [row, columns > 0 ? merged[3] : merged[1]];
  do {
    at = [at[0] + rows, at[1] + columns];
    if (!inside(geometry, at)) return [row, column];
  } while (geometry.heightOf(at[0]) === 0 || geometry.widthOf(at[1]) === 0);
  return anchored(geometry, at);
}

/** The corner that stands for a merged cell. */
export function anchored(geometry: Geometry, [row, column]: Place): Place {
  const merged = geometry.mergedAt(row, column);
  return merged ? [merged[0], merged[1]] : [row, column];
}

function inside(geometry: Geometry, [row, column]: Place): boolean {
  return row >= 1 && column >= 1 && row <= geometry.rows && column <= geometry.columns;
}

/**
 * The end of the filled cells in a direction, or the next filled one behind empty cells, as Ctrl and an arrow go.
 *
 * Where that is beyond the cells that are known, it is the end of what the sheet uses.
 */
export function edge(geometry: Geometry, cells: ShownCells, from: Place, [rows, columns]: Step): Place {
  const sheet = geometry.sheet;
  const filled = ([row, column]: Place): boolean => Boolean(cells.get(row, column)?.text);
  const next = ([row, column]: Place): Place => [row + rows, column + columns];
  let at = next(from);
  if (!inside(geometry, at)) return from;
  const seeking = !filled(from) || !filled(at);
  while (inside(geometry, at)) {
    if (!known(cells, at)) return usedEnd(sheet, from, [rows, columns]);
    if (seeking ? filled(at) : !filled(next(at)) && known(cells, next(at))) return at;
    at = next(at);
  }
  return usedEnd(sheet, from, [rows, columns]);
}

function known({ area }: ShownCells, [row, column]: Place): boolean {
  return area[0] <= row && row <= area[2] && area[1] <= column && column <= area[3];
}

function usedEnd(sheet: SheetInfo, [row, column]: Place, [rows, columns]: Step): Place {
  if (rows > 0) return [Math.max(row, sheet.rows), column];
  if (columns > 0) return [row, Math.max(column, sheet.columns)];
  return rows < 0 ? [1, column] : [row, 1];
}
