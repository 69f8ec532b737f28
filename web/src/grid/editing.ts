// Typing into a cell: in the cell itself or in the formula bar, which show one text.

import { areaName, onSheet } from "../address";
import { askDetail, edit } from "../live";
import type { Area } from "../protocol";
import { getState, selectionOf, update } from "../store";

/** The field that is typed into, to know where its caret is. */
let field: HTMLTextAreaElement | null = null;
/** The part of the text that pointing put there, replaced as the mouse is dragged on. */
let pointing: { from: number; to: number } | null = null;
/** The frame in which the field gets the focus back after pointing; 0 if it has it. */
let awaited = 0;

const BEFORE_REFERENCE = /(^=|[+\-*/^&,;(<>={:%])\s*$/;

export function useField(element: HTMLTextAreaElement | null): void {
  field = element;
}

/** Start with what is in the active cell, or with what was typed over it. */
export function startEditing(source: "cell" | "bar", typed?: string): void {
  const state = getState();
  const place = selectionOf(state).active;
  const { detail, sheet } = state;
  pointing = null;
  const known = detail?.sheet === sheet && detail.place[0] === place[0] && detail.place[1] === place[1];
  const before = typed !== undefined ? undefined : known ? detail.input : null;
  update({ editing: { sheet, place, text: typed ?? before ?? "", source, typedOver: typed !== undefined, before } });
  if (before === null) askDetail();
}

export function changeText(text: string): void {
  pointing = null;
  update(({ editing }) => ({ editing: editing && { ...editing, text } }));
}

/** The caret goes to the cell or to the formula bar; arrow keys then move it there. */
export function moveCaretTo(source: "cell" | "bar"): void {
  update(({ editing }) => ({ editing: editing && { ...editing, source, typedOver: false } }));
}

export function cancelEditing(): void {
  pointing = null;
  update({ editing: null });
}

/** Send what was typed. What the server refuses stays to be mended, unless something else is typed by then. */
export function finishEditing(): void {
  const { editing } = getState();
  if (!editing) return;
  cancelEditing();
  const { sheet, place, text, before } = editing;
  if (before !== undefined && text === (before ?? "")) return;
  edit(sheet, place[0], place[1], [[text]]).catch(() => {
    const now = getState();
    if (now.editing || now.sheet !== sheet) return;
    update({
      editing: { ...editing, typedOver: false },
      selections: { ...now.selections, [sheet]: { active: place, anchor: place, head: place, more: [] } },
    });
    askDetail();
  });
}

/**
 * Cells were chosen with the mouse. In a formula, where a reference may stand, they become one.
 *
 * Returns whether they did; else what was typed is finished, and the cells are selected.
 */
export function pointed(area: Area): boolean {
  const { editing, sheet } = getState();
  if (!editing) return false;
  const { text } = editing;
  const caret = (awaited && pointing?.to) || (field?.selectionStart ?? text.length);
  const again = pointing !== null && caret === pointing.to;
  if (!text.startsWith("=") || !(again || BEFORE_REFERENCE.test(text.slice(0, caret)))) {
    finishEditing();
    return false;
  }
  const from = again && pointing ? pointing.from : caret;
  const name = sheet === editing.sheet ? areaName(area) : onSheet(sheet, areaName(area));
  const next = text.slice(0, from) + name + text.slice(caret);
  pointing = { from, to: from + name.length };
  update({ editing: { ...editing, text: next, typedOver: false } });
  awaited = requestAnimationFrame(returnToField); // the click that this is part of gives the sheet the focus
  return true;
}

/** Give the field that is typed into the focus; false if there is none. Keys that come before it has it are its own. */
export function returnToField(): boolean {
  awaited = 0;
  if (!field || !getState().editing) return false;
  field.focus();
  if (pointing) field.setSelectionRange(pointing.to, pointing.to);
  return true;
}

