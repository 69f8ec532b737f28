// The name box, and the formula of the active cell with its references in the colours that they have in the sheet.

import { useEffect, useRef, useState } from "react";
import { areaName, cellName, readAddress } from "../address";
import { cancelEditing, changeText, finishEditing, moveCaretTo, startEditing, useField } from "../grid/editing";
import { focusSheet } from "../grid/focus";
import { pieces } from "../grid/references";
import { key } from "../shown_cells";
import { goTo, selectedAreas } from "../live";
import { notify, selectionOf, useStore } from "../store";

export function FormulaBar(): JSX.Element {
  return (
    <div className="formula-bar" role="group" aria-label="Formula bar">
      <NameBox />
      <span className="fx" aria-hidden="true">
        fx
      </span>
      <Formula />
      <RoleChip />
    </div>
  );
}

function NameBox(): JSX.Element {
  const selection = useStore(selectionOf);
  const book = useStore((state) => state.book);
  const [typed, setTyped] = useState<string | null>(null);
  const areas = selectedAreas();
  const area = areas.at(-1);
  const shown = area && areas.length === 1 ? areaName(area) : cellName(...selection.active);
  const go = (): void => {
    const found = readAddress(typed ?? "");
    const sheet = found?.sheet ? book?.sheets.find((each) => each.name.toLowerCase() === found.sheet?.toLowerCase()) : null;
    if (!found || (found.sheet && !sheet)) notify({ text: `${typed} is no cell of this book`, level: "warning" });
    else {
      goTo(sheet?.name ?? null, found.area);
      focusSheet();
    }
    setTyped(null);
  };
  return (
    <input
      className="name-box"
      aria-label="Cell: type an address to go there"
      data-testid="name-box"
      spellCheck={false}
      autoComplete="off"
      value={typed ?? shown}
      onFocus={(event) => event.target.select()}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={() => setTyped(null)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && typed !== null) go();
        else if (event.key === "Escape" || event.key === "Enter") {
          setTyped(null);
          focusSheet();
        }
      }}
    />
  );
}

function Formula(): JSX.Element {
  const editing = useStore((state) => state.editing);
  const detail = useStore((state) => state.detail);
  const sheet = useStore((state) => state.sheet);
  const field = useRef<HTMLTextAreaElement>(null);
  const backdrop = useRef<HTMLDivElement>(null);
  const text = editing ? editing.text : (detail?.input ?? "");
  const inBar = editing?.source === "bar";
  useEffect(() => {
    if (inBar) useField(field.current);
  }, [inBar]);
  const coloured = pieces(text, editing?.sheet ?? sheet).pieces;

  const finish = (): void => {
    finishEditing();
    focusSheet();
  };
  return (
    <div className="formula">
      <div className="formula-backdrop" ref={backdrop} aria-hidden="true">
        {coloured.map((piece, index) => (
          <span key={index} className={piece.number === null ? undefined : `reference-${(piece.number % 5) + 1}`}>
            {piece.text}
          </span>
        ))}
      </div>
      <textarea
        ref={field}
        className="formula-field"
        rows={1}
        value={text}
        aria-label="Formula or value of the cell"
        data-testid="formula"
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        onFocus={() => (editing ? moveCaretTo("bar") : startEditing("bar"))}
        onChange={(event) => changeText(event.target.value)}
        onScroll={(event) => {
          if (!backdrop.current) return;
          backdrop.current.scrollLeft = event.currentTarget.scrollLeft;
          backdrop.current.scrollTop = event.currentTarget.scrollTop;
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Enter" && !event.altKey) finish();
          else if (event.key === "Tab") finish();
          else if (event.key === "Escape") {
            cancelEditing();
            focusSheet();
          } else return;
          event.preventDefault();
        }}
      />
    </div>
  );
}

/** What the active cell is for, and its gradient. */
function RoleChip(): JSX.Element | null {
  const detail = useStore((state) => state.detail);
  const gradient = useStore((state) => {
    const [row, column] = selectionOf(state).active;
    return state.gradients[state.sheet]?.get(key(row, column)) ?? state.detail?.gradient ?? null;
  });
  if (!detail) return null;
  if (detail.uncalculated) {
    return (
      <span className="chip uncalculated" title={detail.uncalculated}>
        saved value
      </span>
    );
  }
  if (!detail.role) return null;
  return (
    <span className={`chip role-${detail.role}`} data-testid="role">
      {detail.role}
      {gradient !== null && <b> gradient {Number(gradient.toPrecision(3))}</b>}
    </span>
  );
}
