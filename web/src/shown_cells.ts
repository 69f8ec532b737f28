// The cells of a sheet that the server has sent: what is on screen, and a margin around it.

import { contains } from "./address";
import type { Area, CellExtra, CellsMessage, Kind } from "./protocol";

export interface ShownCell {
  text: string;
  kind: Kind;
  style: number;
  extra?: CellExtra;
}

const WIDTH = 16384; // columns of a row, in a key

export const key = (row: number, column: number): number => row * WIDTH + column;
export const rowOf = (key: number): number => Math.floor((key - 1) / WIDTH);
export const columnOf = (key: number): number => ((key - 1) % WIDTH) + 1;

export class ShownCells {
  private cells = new Map<number, ShownCell>();
  /** What the server was asked for; beyond it nothing is known. */
  area: Area = [1, 1, 1, 1];

  get(row: number, column: number): ShownCell | undefined {
    return this.cells.get(key(row, column));
  }

  keys(): Iterable<number> {
    return this.cells.keys();
  }

  /** Take what was sent; returns the keys of the cells that changed. */
  take(message: CellsMessage): number[] {
    const changed: number[] = [];
    const named = message.full ? new Set<number>() : null;
    const hold = (row: number, column: number, cell: ShownCell): void => {
      const at = key(row, column);
      named?.add(at);
      const before = this.cells.get(at);
      const same = before?.text === cell.text && before.kind === cell.kind && before.style === cell.style;
      if (same && sameExtra(before.extra, cell.extra)) return;
      this.cells.set(at, cell);
      changed.push(at);
    };
    for (const [row, column, text, kind, style, extra] of message.cells) hold(row, column, { text, kind, style, extra });
    const pixels = message.pixels ?? [];
    for (let at = 0; at < pixels.length; at += 4) {
      const [row = 0, column = 0, style = 0, color = 0] = pixels.slice(at, at + 4);
      const extra = { fill: `#${color.toString(16).padStart(6, "0")}` };
      hold(row, column, { text: "", kind: "n", style, extra });
    }
    if (named) {
      for (const at of this.cells.keys()) {
        if (!named.has(at) && contains(message.area, rowOf(at), columnOf(at))) {
          this.cells.delete(at);
          changed.push(at);
        }
      }
    }
    return changed;
  }

  /** Forget what is outside the area, and outside the frozen rows and columns: nobody keeps it up to date. */
  look(area: Area, frozen: [rows: number, columns: number]): void {
    this.area = area;
    for (const at of this.cells.keys()) {
      const row = rowOf(at);
      const column = columnOf(at);
      const inRows = row <= frozen[0] || (area[0] <= row && row <= area[2]);
      const inColumns = column <= frozen[1] || (area[1] <= column && column <= area[3]);
      if (!inRows || !inColumns) this.cells.delete(at);
    }
  }
}

function sameExtra(a: CellExtra | undefined, b: CellExtra | undefined): boolean {
  if (a === b) return true;
  if (!a || !b) return false;
  return a.fill === b.fill && a.color === b.color && a.bar === b.bar && JSON.stringify(a) === JSON.stringify(b);
}
