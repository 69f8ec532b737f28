// Buttons at hidden rows and columns, which show them, and at groups, which fold them: beside the row numbers, and in
// the column letters. What is folded is a matter of looking; the file stays as it is.

import type { Rectangle } from "@glideapps/glide-data-grid";
import { type RefObject, useEffect, useMemo, useRef } from "react";
import { columnName } from "../address";
import type { Group, SheetInfo, Span } from "../protocol";
import { type Geometry, within } from "./geometry";

const BUTTON = 14; // pixels
const MOST = 200; // buttons

export interface Hidden {
  rows: Span[];
  columns: Span[];
}

interface Props {
  geometry: Geometry;
  hidden: Hidden;
  onChange: (hidden: Hidden) => void;
  frozen: [rows: number, columns: number];
  /** The height of the letters, and the width of the numbers. */
  header: number;
  markers: number;
  visible: RefObject<Rectangle>;
  frame: RefObject<HTMLDivElement>;
  scrolled: number;
}

interface Fold {
  axis: "rows" | "columns";
  span: Span;
  open: boolean;
  /** Pixels from the first row or column of its part, frozen or not. */
  at: number;
  still: boolean;
}

export function Folds({ geometry, hidden, onChange, frozen, header, markers, visible, frame, scrolled }: Props): JSX.Element | null {
  const folds = useMemo(() => {
    const rows = foldsOf("rows", geometry, geometry.sheet.row_groups, hidden.rows, frozen[0]);
    return [...rows, ...foldsOf("columns", geometry, geometry.sheet.column_groups, hidden.columns, frozen[1])];
  }, [geometry, hidden, frozen]);
  const layers = { rows: useRef<HTMLDivElement>(null), columns: useRef<HTMLDivElement>(null) };
  useEffect(() => {
    const scroller = frame.current?.querySelector<HTMLElement>(".grid-body .dvn-scroller");
    if (!scroller) return undefined;
    const follow = (): void => {
      if (layers.rows.current) layers.rows.current.style.transform = `translateY(${-scroller.scrollTop}px)`;
      if (layers.columns.current) layers.columns.current.style.transform = `translateX(${-scroller.scrollLeft}px)`;
    };
    follow();
    scroller.addEventListener("scroll", follow, { passive: true });
    return () => scroller.removeEventListener("scroll", follow);
  }, [geometry, folds, frame]);
  const seen = useMemo(() => folds.filter((fold) => isNear(fold, visible.current, frozen)).slice(0, MOST), [folds, scrolled, frozen]);
  if (!folds.length) return null;

  const press = (fold: Fold): void => {
    const before = hidden[fold.axis];
    const after = fold.open ? joined(before, fold.span) : without(before, fold.span);
    onChange({ ...hidden, [fold.axis]: after });
  };
  const top = header + geometry.down(1, frozen[0] + 1);
  const left = markers + geometry.across(1, frozen[1] + 1);
  const part = (axis: "rows" | "columns", still: boolean): JSX.Element[] =>
    seen
      .filter((fold) => fold.axis === axis && fold.still === still)
      .map((fold) => <Button key={`${fold.axis}${fold.span.join("-")}${fold.open}`} fold={fold} onPress={() => press(fold)} />);
  return (
    <div className="folds" role="group" aria-label="Hidden and grouped rows and columns">
      <div className="folds-part" style={{ top: header, left: 0, width: markers, height: top - header + BUTTON / 2 }}>
        {part("rows", true)}
      </div>
      <div className="folds-part" style={{ top, left: 0, width: markers, bottom: 0 }}>
        <div ref={layers.rows}>{part("rows", false)}</div>
      </div>
      <div className="folds-part" style={{ top: 0, left: markers, width: left - markers + BUTTON / 2, height: header }}>
        {part("columns", true)}
      </div>
      <div className="folds-part" style={{ top: 0, left, right: 0, height: header }}>
        <div ref={layers.columns}>{part("columns", false)}</div>
      </div>
    </div>
  );
}

function Button({ fold, onPress }: { fold: Fold; onPress: () => void }): JSX.Element {
  const { axis, span, open, at } = fold;
  const place = axis === "rows" ? { top: at - BUTTON / 2, left: 2 } : { left: at - BUTTON / 2, top: 6 };
  const label = `${open ? "Hide" : "Show"} ${spanName(axis, span)}`;
  return (
    <button type="button" className="fold" style={place} aria-label={label} title={label} aria-expanded={open} onClick={onPress}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" focusable="false">
        <path d={open ? "M2 5h6" : "M2 5h6M5 2v6"} fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" />
      </svg>
    </button>
  );
}

function spanName(axis: "rows" | "columns", [first, last]: Span): string {
  const name = (place: number): string => (axis === "rows" ? String(place) : columnName(place));
  if (first === last) return `${axis === "rows" ? "row" : "column"} ${name(first)}`;
  return `${axis} ${name(first)} to ${name(last)}`;
}

/** A button for each run of hidden rows or columns, and for each group that is open. */
function foldsOf(axis: "rows" | "columns", geometry: Geometry, groups: Group[], hidden: Span[], frozen: number): Fold[] {
  const distance = (place: number): number =>
    axis === "rows" ? geometry.down(place > frozen ? frozen + 1 : 1, place) : geometry.across(place > frozen ? frozen + 1 : 1, place);
  const end = axis === "rows" ? geometry.rows : geometry.columns;
  const size = (place: number): number => (axis === "rows" ? geometry.heightOf(place) : geometry.widthOf(place));
  const behind = geometry.sheet.summary[axis === "rows" ? 0 : 1];
  const found: Fold[] = hidden
    .filter(([first]) => first <= end)
    .map((span) => ({ axis, span, open: false, at: distance(span[0]), still: span[0] <= frozen }));
  for (const [first, last] of groups) {
    if (first > end || within(hidden, first) || within(hidden, last)) continue;
    const beside = behind ? last + 1 : Math.max(1, first - 1);
    found.push({ axis, span: [first, last], open: true, at: distance(beside) + size(beside) / 2, still: beside <= frozen });
  }
  return found;
}

/** Whether a button is in sight, or nearly. */
function isNear({ axis, span, still }: Fold, visible: Rectangle | null, frozen: [number, number]): boolean {
  if (still || !visible) return true;
  const [from, count] = axis === "rows" ? [visible.y + frozen[0], visible.height] : [visible.x, visible.width];
  return span[1] >= from - 20 && span[0] <= from + count + 20;
}

function without(spans: Span[], [first, last]: Span): Span[] {
  return spans.filter((span) => span[1] < first || span[0] > last);
}

function joined(spans: Span[], added: Span): Span[] {
  const all = [...spans, added].sort((a, b) => a[0] - b[0]);
  const found: Span[] = [];
  for (const [first, last] of all) {
    const before = found.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else found.push([first, last]);
  }
  return found;
}

/** What is hidden as the file has it. */
export function hiddenIn(sheet: SheetInfo): Hidden {
  return { rows: sheet.hidden_rows, columns: sheet.hidden_columns };
}
