// What the page knows: one object that is replaced when something in it changes, and the cells beside it.

import { useSyncExternalStore } from "react";
import type { LinkState } from "./connection";
import type {
  Area,
  BookMessage,
  CellDetail,
  Chart,
  Finding,
  HistoryPoint,
  Model,
  PathMessage,
  Place,
  SheetInfo,
  StatusMessage,
} from "./protocol";
import { ShownCells } from "./shown_cells";

export interface Selection {
  /** The cell that typing goes to. */
  active: Place;
  /** The corner that stands still, and the one that moves, as Shift extends the range. */
  anchor: Place;
  head: Place;
  /** Further areas, chosen with Ctrl. */
  more: Area[];
}

export interface Editing {
  sheet: string;
  place: Place;
  text: string;
  /** Where the caret is. */
  source: "cell" | "bar";
  /** Typed over: arrow keys finish it, as they move through the sheet. */
  typedOver: boolean;
  /** What the cell held when its editing began; null where that is not known yet, undefined where it was typed over. */
  before: string | null | undefined;
}

export interface Notice {
  id: number;
  text: string;
  level: "info" | "warning" | "error";
  cell?: string | null;
  remedy?: string | null;
}

export interface History {
  run: number;
  points: HistoryPoint[];
}

export type Theme = "system" | "light" | "dark";

export interface State {
  link: LinkState;
  book: BookMessage | null;
  sheet: string;
  selections: Record<string, Selection>;
  editing: Editing | null;
  /** Of the active cell. */
  detail: (CellDetail & { sheet: string; place: Place }) | null;
  status: StatusMessage;
  histories: Record<string, History>;
  gradients: Record<string, Map<number, number>>;
  showGradients: boolean;
  charts: Record<string, Chart[]>;
  findings: Record<string, Finding[]>;
  path: PathMessage | null;
  notices: Notice[];
  fileChanged: boolean;
  theme: Theme;
  panelOpen: boolean;
}

const START: Place = [1, 1];
export const FIRST_SELECTION: Selection = { active: START, anchor: START, head: START, more: [] };

let state: State = {
  link: "connecting",
  book: null,
  sheet: "",
  selections: {},
  editing: null,
  detail: null,
  status: { type: "status", state: "idle" },
  histories: {},
  gradients: {},
  showGradients: true,
  charts: {},
  findings: {},
  path: null,
  notices: [],
  fileChanged: false,
  theme: "system",
  panelOpen: true,
};
const listeners = new Set<() => void>();

export function getState(): State {
  return state;
}

export function update(change: Partial<State> | ((state: State) => Partial<State>)): void {
  state = { ...state, ...(typeof change === "function" ? change(state) : change) };
  if (together) return;
  for (const listener of listeners) listener();
}

let together = false;

/** Several changes, of which the components hear as of one. */
export function inOneGo(changes: () => void): void {
  together = true;
  try {
    changes();
  } finally {
    together = false;
  }
  for (const listener of listeners) listener();
}

/** Have a function called whenever something in the state has changed. Returns what ends that. */
export function onUpdates(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A part of the state, in a component; it is drawn again when that part is another object or value. */
export function useStore<T>(part: (state: State) => T): T {
  return useSyncExternalStore(onUpdates, () => part(state));
}

export function sheetInfo(state: State): SheetInfo | undefined {
  return state.book?.sheets.find((sheet) => sheet.name === state.sheet);
}

export function selectionOf(state: State): Selection {
  return state.selections[state.sheet] ?? FIRST_SELECTION;
}

export function modelOf(state: State): Model | undefined {
  return state.book?.models[state.sheet];
}

/** The gradients of the sheet in view by the keys of their cells, if they are to be shown. */
export function gradientsOf(state: State): Map<number, number> | undefined {
  return state.showGradients ? state.gradients[state.sheet] : undefined;
}

// --- the cells, which change too often to be part of the state ---------------------------------------------

export interface CellChange {
  sheet: string;
  keys: number[];
  /** The cells were sent because the view moved; nothing happened to them. */
  full: boolean;
}

const cells = new Map<string, ShownCells>();
const cellListeners = new Set<(change: CellChange) => void>();

export function cellsOf(sheet: string): ShownCells {
  let found = cells.get(sheet);
  if (!found) {
    found = new ShownCells();
    cells.set(sheet, found);
  }
  return found;
}

export function onCells(listener: (change: CellChange) => void): () => void {
  cellListeners.add(listener);
  return () => cellListeners.delete(listener);
}

export function cellsChanged(change: CellChange): void {
  for (const listener of cellListeners) listener(change);
}

let lastNotice = 0;

/** Tell a person something, in a corner of the page. */
export function notify(notice: Omit<Notice, "id">): void {
  const id = ++lastNotice;
  update((state) => ({ notices: [...state.notices.filter((each) => each.text !== notice.text).slice(-2), { ...notice, id }] }));
  if (notice.level !== "error") window.setTimeout(() => dismiss(id), notice.level === "warning" ? 12000 : 6000);
}

export function dismiss(id: number): void {
  update((state) => ({ notices: state.notices.filter((notice) => notice.id !== id) }));
}
