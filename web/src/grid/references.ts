// The cells that a formula refers to, each with the number of its colour: in the text, and around the cells.

import { readAddress, sameArea } from "../address";
import type { Area } from "../protocol";
import type { State } from "../store";

export interface Reference {
  sheet: string;
  area: Area;
  number: number;
}

export interface Piece {
  text: string;
  /** The number of the reference's colour, or null for text that is none. */
  number: number | null;
}

const TOKEN =
  /"(?:[^"]|"")*"|(?:(?:'(?:[^']|'')+'|[A-Za-z_][\w.]*)!)?\$?[A-Za-z]{1,3}\$?\d{1,7}(?::\$?[A-Za-z]{1,3}\$?\d{1,7})?(?![\w(.!])|[A-Za-z_][\w.]*|[^"'A-Za-z_$]+|./g;

/** A formula's text in pieces: its references, and what is between them. */
export function pieces(text: string, sheet: string): { pieces: Piece[]; references: Reference[] } {
  if (!text.startsWith("=")) return { pieces: [{ text, number: null }], references: [] };
  const references: Reference[] = [];
  const found: Piece[] = [];
  for (const [token] of text.matchAll(TOKEN)) {
    const read = token.startsWith('"') ? null : readAddress(token);
    if (!read) {
      found.push({ text: token, number: null });
      continue;
    }
    const place = { sheet: read.sheet ?? sheet, area: read.area };
    let same = references.find((each) => each.sheet === place.sheet && sameArea(each.area, place.area));
    if (!same) {
      same = { ...place, number: references.length };
      references.push(same);
    }
    found.push({ text: token, number: same.number });
  }
  return { pieces: found, references };
}

const NONE: Reference[] = [];
let last: { text: string; sheet: string; refers: unknown; references: Reference[] } | null = null;

/** The references of the formula that is typed, or of the active cell, with those that its names stand for. */
export function referenceColors(state: State): Reference[] {
  const { editing, detail } = state;
  const text = editing ? editing.text : (detail?.formula ?? "");
  if (!text.startsWith("=") || (!editing && detail?.sheet !== state.sheet)) return NONE;
  const sheet = editing?.sheet ?? state.sheet;
  const refers = editing ? null : (detail?.refers ?? null);
  if (last?.text === text && last.sheet === sheet && last.refers === refers) return last.references;
  const references = [...pieces(text, sheet).references];
  for (const each of refers ?? []) {
    if (!references.some((known) => known.sheet === each.sheet && sameArea(known.area, each.area))) {
      references.push({ ...each, number: references.length });
    }
  }
  last = { text, sheet, refers, references };
  return references;
}
