// The book's name, whether it is saved, and what one does with the whole book.

import { useEffect, useRef, useState } from "react";
import { download, save, tell } from "../live";
import { type Theme, update, useStore } from "../store";
import { setTheme } from "../theme";
import { Icon, type IconName } from "./icons";

export function Header(): JSX.Element {
  const name = useStore((state) => state.book?.name ?? "");
  const path = useStore((state) => state.book?.path ?? "");
  const saved = useStore((state) => state.book?.saved ?? true);
  const canUndo = useStore((state) => state.book?.can_undo ?? false);
  const canRedo = useStore((state) => state.book?.can_redo ?? false);
  const panelOpen = useStore((state) => state.panelOpen);
  const ready = name !== "";
  return (
    <header className="header">
      <a className="home" href="/" aria-label="Start page" title="Start page">
        <img src="/assets/icon.svg" width="22" height="22" alt="" />
      </a>
      <h1 className="book-name" title={path ?? undefined}>
        {name || "\u00a0"}
      </h1>
      <span className={`saved ${saved ? "" : "unsaved"}`} data-testid="saved" aria-live="polite">
        {ready && (saved ? "Saved" : "Not saved")}
      </span>
      <span className="spring" />
      <div className="tools" role="toolbar" aria-label="Book">
        <Tool icon="undo" label="Undo" keys="Ctrl+Z" disabled={!canUndo} run={() => tell({ type: "undo" })} />
        <Tool icon="redo" label="Redo" keys="Ctrl+Y" disabled={!canRedo} run={() => tell({ type: "redo" })} />
        <SaveMenu ready={ready} />
        <ThemeTool />
        <button
          type="button"
          className="tool panel-switch"
          aria-label="Panel"
          title="Panel"
          aria-pressed={panelOpen}
          onClick={() => update({ panelOpen: !panelOpen })}
        >
          <Icon name="panel" />
        </button>
      </div>
    </header>
  );
}

interface ToolProps {
  icon: IconName;
  label: string;
  keys?: string;
  disabled?: boolean;
  run: () => void;
}

function Tool({ icon, label, keys, disabled, run }: ToolProps): JSX.Element {
  const title = keys ? `${label} (${keys})` : label;
  return (
    <button type="button" className="tool" aria-label={label} title={title} disabled={disabled} onClick={run}>
      <Icon name={icon} />
    </button>
  );
}

function SaveMenu({ ready }: { ready: boolean }): JSX.Element {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    frame.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const close = (event: Event): void => {
      if (!(event.target instanceof Node) || !frame.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [open]);
  const choose = (run: () => void) => () => {
    setOpen(false);
    run();
  };
  const onKey = (event: React.KeyboardEvent): void => {
    const items = [...(frame.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") {
      setOpen(false);
      frame.current?.querySelector<HTMLElement>(".save-more")?.focus();
    } else if (event.key === "ArrowDown") items[(at + 1) % items.length]?.focus();
    else if (event.key === "ArrowUp") items[(at - 1 + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <div className="save" ref={frame} onKeyDown={onKey}>
      <button type="button" className="button" disabled={!ready} title="Save a copy beside the file (Ctrl+S)" onClick={() => void save(false)}>
        Save
      </button>
      <button
        type="button"
        className="button save-more"
        disabled={!ready}
        aria-label="More ways to save"
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="down" />
      </button>
      {open && (
        <div className="menu" role="menu" aria-label="Save">
          <button type="button" role="menuitem" onClick={choose(() => void save(false))}>
            Save a copy<small>beside the file; the file stays as it is</small>
          </button>
          <button type="button" role="menuitem" onClick={choose(() => void save(true))}>
            Save in the file itself<small>what else is in the file stays as it is</small>
          </button>
          <button type="button" role="menuitem" onClick={choose(download)}>
            Download<small>the book in its present state</small>
          </button>
        </div>
      )}
    </div>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_ICON: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };
const THEME_NAME: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };

export function ThemeTool(): JSX.Element {
  const theme = useStore((state) => state.theme);
  return <Tool icon={THEME_ICON[theme]} label={`Colours: ${THEME_NAME[theme]}`} run={() => setTheme(NEXT[theme])} />;
}
