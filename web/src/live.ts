// What the page asks of the server, and what it does with the answers.

import { areaName, cellName, onSheet, sameArea, spanned } from "./address";
import { Connection, Refused } from "./connection";
import { expanded } from "./grid/geometry";
import type { Area, CellDetail, FromServer, Place, Reply, SheetInfo, ToServer } from "./protocol";
import { key } from "./shown_cells";
import {
  cellsChanged,
  cellsOf,
  type Editing,
  getState,
  inOneGo,
  notify,
  selectionOf,
  type Selection,
  sheetInfo,
  update,
} from "./store";

let connection: Connection | null = null;
let view: { sheet: string; area: Area } | null = null;

/** The book of this page's address, or null on the start page. */
export function bookId(): string | null {
  return /^\/book\/([^/]+)/.exec(location.pathname)?.[1] ?? null;
}

export function connect(book: string): void {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  connection = new Connection(`${scheme}://${location.host}/api/book/${book}/live`, take, () => {
    update((state) => ({ link: "lost", status: { ...state.status, state: "idle" } }));
  });
}

const CALM = 250; // milliseconds that what only follows a training may wait for the next cells
const FOLLOWS = 120; // milliseconds, at least, between two frames in which it is shown

let waiting: FromServer[] = [];
let planned = false;
let calm = 0;
let shownAt = 0;

/**
 * Components hear of messages once per frame, however many come; cells, and the book they belong to, go ahead. What
 * follows a training is shown in the same frame as its cells, though not with all of them: drawing a frame costs more
 * than what changes in it. That something else is being done now is never shown later than what it does to the cells.
 */
function take(message: FromServer): void {
  if (message.type === "cells" || message.type === "book") {
    apply(message);
    if (waiting.length && performance.now() - shownAt >= FOLLOWS) plan();
    return;
  }
  if (message.type === "status" && (getState().link !== "open" || message.state !== getState().status.state)) {
    applyWaiting();
    apply(message);
    return;
  }
  waiting.push(message);
  if (!isCalm(message)) plan();
  else if (!planned) calm ||= window.setTimeout(plan, CALM);
}

function isCalm(message: FromServer): boolean {
  if (message.type === "status") return message.state === "training" && getState().status.state === "training";
  return ["history", "charts", "gradients", "path"].includes(message.type) && getState().status.state === "training";
}

function plan(): void {
  window.clearTimeout(calm);
  calm = 0;
  if (!planned) afterDrawing(applyPlanned);
  planned = true;
}

function applyPlanned(): void {
  planned = false;
  shownAt = performance.now();
  applyWaiting();
}

function applyWaiting(): void {
  const messages = waiting;
  waiting = [];
  inOneGo(() => messages.forEach(apply));
}

function apply(message: FromServer): void {
  switch (message.type) {
    case "book":
      takeBook(message);
      break;
    case "cells": {
      const keys = cellsOf(message.sheet).take(message);
      cellsChanged({ sheet: message.sheet, keys, full: message.full });
      afterDrawing(() => send({ type: "ack", version: message.version }));
      if (!message.full) refreshDetail(message.sheet, keys);
      break;
    }
    case "state": {
      const { saved, can_undo, can_redo } = message;
      update(({ book }) => ({ book: book && { ...book, saved, can_undo, can_redo } }));
      break;
    }
    case "status":
      update({ link: "open", status: message }); // before the first one, nobody can say that nothing is being trained
      break;
    case "history":
      update((state) => {
        const before = state.histories[message.sheet];
        const keep = before && !message.reset && before.run === message.run ? before.points : [];
        const history = { run: message.run, points: [...keep, ...message.points] };
        return { histories: { ...state.histories, [message.sheet]: history } };
      });
      break;
    case "gradients":
      update((state) => {
        const gradients = new Map(message.cells.map(([row, column, gradient]) => [key(row, column), gradient]));
        return { gradients: { ...state.gradients, [message.sheet]: gradients } };
      });
      break;
    case "charts":
      update((state) => ({ charts: { ...state.charts, [message.sheet]: message.charts } }));
      break;
    case "findings":
      update((state) => ({ findings: { ...state.findings, [message.sheet]: message.findings } }));
      break;
    case "path":
      update({ path: message });
      break;
    case "message":
      notify({ text: message.text, level: message.level, cell: message.cell });
      break;
    case "file":
      update({ fileChanged: message.changed });
      break;
  }
}

function takeBook(book: Extract<FromServer, { type: "book" }>): void {
  const state = getState();
  const first = state.book === null;
  const there = book.sheets.some((sheet) => sheet.name === state.sheet && !sheet.hidden);
  const asked = decodeURIComponent(location.hash.slice(1));
  const linked = first && book.sheets.some((sheet) => sheet.name === asked) ? asked : null;
  update({ book, sheet: linked ?? (there ? state.sheet : book.active) });
  document.title = `${book.name} – sgdsheet`;
  if (view) send({ type: "view", ...view });
  askDetail();
}

/** Acknowledge after the next frame, so that a page that draws slowly is sent less; hidden pages draw nothing. */
function afterDrawing(then: () => void): void {
  if (document.hidden) window.setTimeout(then, 200);
  else requestAnimationFrame(then);
}

function send(message: ToServer): void {
  connection?.send(message);
}

/** Ask the server; what it refuses is told to the person, with the cell, and thrown again. */
export async function ask(message: ToServer, cell: string | null = null): Promise<Reply> {
  try {
    if (!connection) throw new Refused({ message: "There is no connection to sgdsheet." });
    return await connection.request(message);
  } catch (error) {
    const failure = error instanceof Refused ? error.failure : { message: String(error) };
    notify({ text: failure.message, level: "error", cell: failure.cell ?? cell, remedy: failure.remedy });
    throw error;
  }
}

/** Ask for something that nobody has to be told of if it can't be had. */
export function inquire(message: ToServer): Promise<Reply> {
  return connection ? connection.request(message) : Promise.reject(new Refused({ message: "There is no connection." }));
}

/** As `ask`, for callers that have nothing to do with the answer. */
export function tell(message: ToServer): void {
  ask(message).catch(() => undefined);
}

// --- what is looked at -------------------------------------------------------------------------------------

export function look(sheet: string, area: Area): void {
  if (view?.sheet === sheet && sameArea(view.area, area)) return;
  view = { sheet, area };
  const info = getState().book?.sheets.find((each) => each.name === sheet);
  cellsOf(sheet).look(area, info?.frozen ?? [0, 0]);
  send({ type: "view", sheet, area });
}

export function showSheet(sheet: string): void {
  if (getState().sheet === sheet) return;
  update({ sheet, detail: null });
  history.replaceState(null, "", `#${encodeURIComponent(sheet)}`);
  askDetail();
}

let asked = 0;

/** Ask what is in the active cell. */
export function askDetail(): void {
  const state = getState();
  const [row, column] = selectionOf(state).active;
  const { sheet } = state;
  if (state.link !== "open" || !sheet) return;
  const number = ++asked;
  connection
    ?.request({ type: "cell", sheet, row, column })
    .then((reply) => {
      if (number !== asked) return;
      const detail = { ...(reply as unknown as CellDetail), sheet, place: [row, column] as Place };
      update(({ editing }) => ({ detail, editing: editing && withContent(editing, detail) }));
    })
    .catch(() => undefined);
}

/** A cell that is edited since before it was known what is in it, with that before what was typed meanwhile. */
function withContent(editing: Editing, detail: { sheet: string; place: Place; input: string }): Editing {
  const [row, column] = editing.place;
  const same = editing.sheet === detail.sheet && row === detail.place[0] && column === detail.place[1];
  if (editing.before !== null || !same) return editing;
  return { ...editing, text: detail.input + editing.text, before: detail.input };
}

let detailDue = 0;

/** A few times a second, at most: the active cell changes as it trains. */
function refreshDetail(sheet: string, keys: number[]): void {
  const state = getState();
  const [row, column] = selectionOf(state).active;
  if (sheet !== state.sheet || detailDue || !keys.includes(key(row, column))) return;
  detailDue = window.setTimeout(() => {
    detailDue = 0;
    askDetail();
  }, 120);
}

let selectDue = 0;

export function select(selection: Selection): void {
  const state = getState();
  const before = selectionOf(state).active;
  const moved = before[0] !== selection.active[0] || before[1] !== selection.active[1];
  update({ selections: { ...state.selections, [state.sheet]: selection } });
  if (moved || !state.detail) askDetail();
  window.clearTimeout(selectDue);
  selectDue = window.setTimeout(() => send({ type: "select", sheet: getState().sheet, areas: selectedAreas() }), 60);
}

/** Select one cell or area, on this or another sheet. */
export function goTo(sheet: string | null, area: Area): void {
  if (sheet !== null) showSheet(sheet);
  const place: Place = [area[0], area[1]];
  select({ active: place, anchor: place, head: [area[2], area[3]], more: [] });
  window.dispatchEvent(new CustomEvent("reveal"));
}

/** Go where the link of a cell leads, if it has one. */
export function followLink(place: Place): boolean {
  const link = linkAt(place);
  if (link) goTo(link[2], link[3]);
  return link !== undefined;
}

export function linkAt([row, column]: Place): SheetInfo["links"][number] | undefined {
  return sheetInfo(getState())?.links.find((link) => link[0] === row && link[1] === column);
}

/** The selected areas, the one with the active cell last. */
export function selectedAreas(): Area[] {
  const state = getState();
  const selection = selectionOf(state);
  const info = sheetInfo(state);
  const area = spanned(selection.anchor, selection.head);
  return [...selection.more, info ? expanded(info, area) : area];
}

export function selectedName(): string {
  return selectedAreas().map(areaName).join(", ");
}

// --- changes -----------------------------------------------------------------------------------------------

export function edit(sheet: string, top: number, left: number, texts: (string | null)[][]): Promise<Reply> {
  return ask({ type: "edit", sheet, top, left, texts }, onSheet(sheet, cellName(top, left))).finally(askDetail);
}

/** Give columns a width in pixels; an area stands for all of its columns. */
export function setWidths(sheet: string, areas: Area[], width: number): Promise<Reply> {
  return ask({ type: "widths", sheet, columns: areas.map((area) => [area[1], area[3]]), width });
}

export function clearSelected(): void {
  const { sheet } = getState();
  for (const [top, left, bottom, right] of selectedAreas()) {
    const row = Array<string>(right - left + 1).fill("");
    edit(sheet, top, left, Array<string[]>(bottom - top + 1).fill(row)).catch(() => undefined);
  }
}

/** Copy the first row of the selected area down, or its first column to the right, as Ctrl+D and Ctrl+R do. */
export function fillSelected(direction: "down" | "right"): void {
  const { sheet } = getState();
  let [top, left, bottom, right] = selectedAreas().at(-1) ?? [1, 1, 1, 1];
  if (direction === "down" && top === bottom) top -= 1;
  if (direction === "right" && left === right) left -= 1;
  if (top < 1 || left < 1) return;
  const from: Area = direction === "down" ? [top, left, top, right] : [top, left, bottom, left];
  const to: Area = direction === "down" ? [top + 1, left, bottom, right] : [top, left + 1, bottom, right];
  fill(sheet, from, to);
}

/** Copy an area to another one; formulas move with it. */
export function fill(sheet: string, from: Area, to: Area): void {
  ask({ type: "fill", sheet, from, to }).finally(askDetail).catch(() => undefined);
}

export function command(name: string, options: Record<string, unknown> = {}): Promise<Reply> {
  return ask({ type: "command", name, sheet: getState().sheet, options });
}

export async function save(inPlace: boolean): Promise<void> {
  const reply = await ask({ type: "save", as: null, in_place: inPlace }).catch(() => null);
  if (reply) notify({ text: `Saved as ${String(reply.path)}`, level: "info" });
}

export function download(): void {
  const id = bookId();
  if (!id) return;
  const link = document.createElement("a");
  link.href = `/api/book/${id}/download`;
  link.download = "";
  link.click();
}
