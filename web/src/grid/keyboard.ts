// The keys of the sheet, as in any spreadsheet.

import type { Rectangle } from "@glideapps/glide-data-grid";
import { useCallback, useEffect, useRef } from "react";
import { spanned } from "../address";
import { clearSelected, fillSelected, followLink, select, showSheet, tell } from "../live";
import type { Area, Place } from "../protocol";
import type { ShownCells } from "../shown_cells";
import { getState, type Selection, selectionOf } from "../store";
import { copySelected, paste } from "./clipboard";
import { cancelEditing, finishEditing, returnToField, startEditing } from "./editing";
import { focusSheet } from "./focus";
import { expanded, type Geometry } from "./geometry";
import { anchored, ARROWS, edge, type Step, stepped } from "./moves";

interface Surroundings {
  geometry: Geometry;
  cells: ShownCells;
  visible: React.MutableRefObject<Rectangle>;
  frozenRows: number;
  reveal: (place: Place) => void;
  focus: () => void;
  frame: React.RefObject<HTMLDivElement>;
}

type Handler = (event: React.KeyboardEvent) => void;

export function useKeyboard(around: Surroundings): Handler {
  const { geometry, cells, visible, frozenRows, reveal, focus, frame } = around;

  const moveTo = useCallback(
    (place: Place): void => {
      select({ active: place, anchor: place, head: place, more: [] });
      reveal(place);
    },
    [reveal],
  );

  const extendTo = useCallback(
    (head: Place): void => {
      select({ ...selectionOf(getState()), head });
      reveal(head);
    },
    [reveal],
  );

  /** Where Tab has led to, and the column where that began: Enter goes back there, in the next row. */
  const tabbed = useRef<{ to: Place; column: number } | null>(null);

  /** Enter and Tab: to the next cell, within the range where one is selected. */
  const advance = useCallback(
    (step: Step): void => {
      const selection = selectionOf(getState());
      const area = expanded(geometry.sheet, spanned(selection.anchor, selection.head));
      const merged = geometry.mergedAt(area[0], area[1]);
      const one = merged ? merged[2] === area[2] && merged[3] === area[3] : area[0] === area[2] && area[1] === area[3];
      if (one) {
        const { active } = selection;
        const { to, column } = tabbed.current ?? { to: null, column: active[1] };
        const began = to?.[0] === active[0] && to[1] === active[1] ? column : active[1];
        const next = stepped(geometry, step[0] ? [active[0], began] : active, step);
        tabbed.current = step[1] > 0 ? { to: next, column: began } : null;
        moveTo(next);
      } else {
        const active = nextInside(selection, area, step);
        select({ ...selection, active: anchored(geometry, active) });
        reveal(active);
      }
    },
    [geometry, moveTo, reveal],
  );

  const onKeyDown = useCallback<Handler>(
    (event) => {
      const done = (): void => {
        event.preventDefault();
        event.stopPropagation();
      };
      if (event.target instanceof HTMLTextAreaElement || returnToField()) {
        if (editorKey(event, advance, focus)) done();
        else event.stopPropagation();
        return;
      }
      if (event.nativeEvent.isComposing) return;
      const control = event.ctrlKey || event.metaKey;
      const { active, head, anchor } = selectionOf(getState());
      const arrow = ARROWS[event.key];
      const page = Math.max(1, visible.current.height - 2);
      const { rows, columns } = geometry.sheet;
      const pages: Record<string, () => Place> = {
        PageDown: () => [Math.min(geometry.rows, (event.shiftKey ? head : active)[0] + page), active[1]],
        PageUp: () => [Math.max(1, (event.shiftKey ? head : active)[0] - page), active[1]],
        Home: () => (control ? [frozenRows + 1, geometry.frozen[1] + 1] : [active[0], geometry.frozen[1] + 1]),
        End: () => (control ? [Math.max(1, rows), Math.max(1, columns)] : edge(geometry, cells, active, [0, 1])),
      };
      const target = pages[event.key];
      if (event.altKey && event.key === "Enter" && followLink(active)) {
        done();
        return;
      }
      if (event.altKey && !arrow) return;
      if (arrow) {
        const from = event.shiftKey ? head : active;
        const to = control ? edge(geometry, cells, from, arrow) : stepped(geometry, from, arrow);
        if (event.shiftKey) extendTo(to);
        else moveTo(to);
      } else if (control && (event.key === "PageDown" || event.key === "PageUp")) {
        nextSheet(event.key === "PageDown" ? 1 : -1);
      } else if (target) {
        if (event.shiftKey) extendTo(target());
        else moveTo(target());
      } else if (event.key === "Tab") advance([0, event.shiftKey ? -1 : 1]);
      else if (event.key === "Enter") advance([event.shiftKey ? -1 : 1, 0]);
      else if (event.key === "F2") startEditing("cell");
      else if (event.key === "F6") document.querySelector<HTMLElement>(".panel button, .header button")?.focus();
      else if (event.key === "Delete") clearSelected();
      else if (event.key === "Backspace") startEditing("cell", "");
      else if (event.key === "Escape") select({ active, anchor: active, head: active, more: [] });
      else if (control) {
        if (!controlKey(event.key.toLowerCase(), event.shiftKey, geometry, anchor)) return;
      } else if (event.key.length === 1) startEditing("cell", event.key);
      else if (event.key === "Process" || event.key === "Unidentified") {
        startEditing("cell", "");
        return;
      } else return;
      done();
    },
    [geometry, cells, visible, frozenRows, moveTo, extendTo, advance, focus],
  );

  useEffect(() => {
    const onPaste = (event: ClipboardEvent): void => {
      const target = event.target;
      if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || !event.clipboardData) return;
      if (target instanceof Node && target !== document.body && !frame.current?.contains(target)) return;
      event.preventDefault();
      paste(event.clipboardData);
    };
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, [frame]);

  return onKeyDown;
}

function controlKey(letter: string, shift: boolean, geometry: Geometry, anchor: Place): boolean {
  const { rows, columns } = geometry.sheet;
  switch (letter) {
    case "c":
      void copySelected();
      return true;
    case "x":
      void copySelected().then((copied) => copied && clearSelected());
      return true;
    case "z":
      tell({ type: shift ? "redo" : "undo" });
      return true;
    case "y":
      tell({ type: "redo" });
      return true;
    case "d":
      fillSelected("down");
      return true;
    case "r":
      fillSelected("right");
      return true;
    case "a":
      select({ active: anchor, anchor: [1, 1], head: [Math.max(1, rows), Math.max(1, columns)], more: [] });
      return true;
    default:
      return false;
  }
}

/** The keys while a cell is typed into; returns whether the key is used up. */
function editorKey(event: React.KeyboardEvent, advance: (step: Step) => void, focus: () => void): boolean {
  const { editing } = getState();
  if (!editing || event.nativeEvent.isComposing) return false;
  const arrow = ARROWS[event.key];
  const finish = (step: Step): true => {
    finishEditing();
    focus();
    advance(step);
    return true;
  };
  if (event.key === "Escape") {
    cancelEditing();
    focus();
    return true;
  }
  if (event.key === "Enter" && !event.altKey) return finish([event.shiftKey ? -1 : 1, 0]);
  if (event.key === "Tab") return finish([0, event.shiftKey ? -1 : 1]);
  if (arrow && editing.typedOver && !editing.text.startsWith("=")) return finish(arrow);
  return false;
}

function nextInside(selection: Selection, [top, left, bottom, right]: Area, step: Step): Place {
  let [row, column] = selection.active;
  row += step[0];
  column += step[1];
  if (column > right) [row, column] = [row + 1, left];
  if (column < left) [row, column] = [row - 1, right];
  if (row > bottom) [row, column] = step[0] ? [top, column + 1] : [top, column];
  if (row < top) [row, column] = step[0] ? [bottom, column - 1] : [bottom, column];
  if (column > right) column = left;
  if (column < left) column = right;
  return [row, column];
}

function nextSheet(step: number): void {
  const state = getState();
  const sheets = (state.book?.sheets ?? []).filter((sheet) => !sheet.hidden);
  const at = sheets.findIndex((sheet) => sheet.name === state.sheet);
  const next = sheets[at + step];
  if (!next) return;
  showSheet(next.name);
  focusSheet();
}
