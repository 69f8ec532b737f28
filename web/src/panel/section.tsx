// A part of the panel under a heading that folds it away; the browser remembers which are folded.

import { type ReactNode, useState } from "react";
import { Icon } from "../frame/icons";

interface Props {
  name: string;
  note?: string;
  folded?: boolean;
  children: ReactNode;
}

export function Section({ name, note, folded = false, children }: Props): JSX.Element {
  const kept = `sgdsheet.folded.${name}`;
  const [open, setOpen] = useState(() => {
    const found = localStorage.getItem(kept);
    return found === null ? !folded : found === "no";
  });
  const toggle = (): void => {
    setOpen(!open);
    localStorage.setItem(kept, open ? "yes" : "no");
  };
  return (
    <section className={`part ${open ? "open" : ""}`} aria-label={name}>
      <h2>
        <button type="button" aria-expanded={open} onClick={toggle}>
          <Icon name="down" />
          {name}
          {note && <small>{note}</small>}
        </button>
      </h2>
      {open && <div className="part-body">{children}</div>}
    </section>
  );
}
