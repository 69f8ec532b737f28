// The tabs of the sheets.

import { useEffect, useRef } from "react";
import { focusSheet } from "../grid/focus";
import { showSheet } from "../live";
import { useStore } from "../store";

export function Tabs(): JSX.Element {
  const sheets = useStore((state) => state.book?.sheets);
  const models = useStore((state) => state.book?.models);
  const active = useStore((state) => state.sheet);
  const list = useRef<HTMLDivElement>(null);
  const shown = (sheets ?? []).filter((sheet) => !sheet.hidden);

  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [active]);

  const onKey = (event: React.KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = shown.findIndex((sheet) => sheet.name === active);
    const next = shown[(at + step + shown.length) % shown.length];
    if (!next) return;
    event.preventDefault();
    showSheet(next.name);
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>("[aria-selected=true]")?.focus());
  };
  return (
    <div className="tabs" role="tablist" aria-label="Sheets" ref={list} onKeyDown={onKey}>
      {shown.map((sheet) => (
        <button
          key={sheet.name}
          type="button"
          role="tab"
          className="tab"
          aria-selected={sheet.name === active}
          tabIndex={sheet.name === active ? 0 : -1}
          onClick={(event) => {
            showSheet(sheet.name);
            if (event.detail > 0) focusSheet(); // by the mouse: what is typed next is for the sheet
          }}
        >
          <span className="tab-mark" ref={(mark) => mark?.style.setProperty("background", sheet.tab ?? "transparent")} />
          {sheet.name}
          {models?.[sheet.name]?.loss && <span className="tab-model" title="has a model to train" />}
        </button>
      ))}
    </div>
  );
}
