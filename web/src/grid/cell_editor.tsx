// The field over the cell that is typed into.

import { useEffect, useLayoutEffect, useRef } from "react";
import type { Rectangle } from "@glideapps/glide-data-grid";
import type { Place } from "../protocol";
import type { Editing } from "../store";
import { changeText, useField } from "./editing";
import type { Geometry } from "./geometry";

interface Props {
  editing: Editing;
  geometry: Geometry;
  bounds: (place: Place) => Rectangle | undefined;
  frame: React.RefObject<HTMLDivElement>;
  /** Changes as the sheet is scrolled: the field moves with its cell. */
  scrolled: number;
}

export function CellEditor({ editing, geometry, bounds, frame, scrolled }: Props): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    const element = field.current;
    useField(element);
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
    return () => useField(null);
  }, []);

  useLayoutEffect(() => {
    const element = field.current;
    const box = frame.current?.getBoundingClientRect();
    const cell = bounds(editing.place);
    if (!element || !box || !cell) return;
    const merged = geometry.mergedAt(editing.place[0], editing.place[1]);
    const width = merged ? geometry.across(merged[1], merged[3] + 1) : cell.width;
    const height = merged ? geometry.down(merged[0], merged[2] + 1) : cell.height;
    element.style.left = `${cell.x - box.left}px`;
    element.style.top = `${cell.y - box.top}px`;
    element.style.minWidth = `${Math.max(width + 1, 60)}px`;
    element.style.minHeight = `${height + 1}px`;
    element.style.width = "0px";
    element.style.height = "0px";
    element.style.width = `${Math.min(element.scrollWidth + 16, box.right - cell.x - 12)}px`;
    element.style.height = `${Math.min(element.scrollHeight, box.bottom - cell.y - 8)}px`;
  }, [editing.text, editing.place, geometry, bounds, frame, scrolled]);

  return (
    <textarea
      ref={field}
      className="cell-editor"
      value={editing.text}
      rows={1}
      spellCheck={false}
      autoComplete="off"
      autoCapitalize="off"
      aria-label="Cell"
      data-testid="cell-editor"
      onChange={(event) => changeText(event.target.value)}
    />
  );
}
