// A tip that teaches: it appears beside what the pointer rests on, or what has the keyboard's focus; Escape hides it.

import { type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";

const DELAY = 350; // milliseconds that the pointer rests before a tip appears
const GAP = 8;

interface Handlers {
  onPointerEnter: (event: React.PointerEvent<HTMLElement>) => void;
  onPointerLeave: () => void;
  onPointerDown: () => void;
  onFocus: (event: React.FocusEvent<HTMLElement>) => void;
  onBlur: () => void;
  "aria-describedby": string;
}

/** What a tip needs of the element that it belongs to, and the tip itself. */
export function useTip(title: string, text: ReactNode): { handlers: Handlers; tip: JSX.Element } {
  const id = useId();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const timer = useRef(0);
  const hide = (): void => {
    window.clearTimeout(timer.current);
    setAnchor(null);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useEffect(() => {
    if (!anchor) return;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") hide();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [anchor]);
  const handlers: Handlers = {
    onPointerEnter: (event) => {
      if (event.pointerType !== "mouse") return;
      const target = event.currentTarget;
      window.clearTimeout(timer.current);
      timer.current = window.setTimeout(() => setAnchor(target), DELAY);
    },
    onPointerLeave: hide,
    onPointerDown: hide,
    onFocus: (event) => {
      if (event.currentTarget.matches(":focus-visible")) setAnchor(event.currentTarget);
    },
    onBlur: hide,
    "aria-describedby": id,
  };
  const tip = anchor ? (
    <Tip id={id} anchor={anchor} title={title} text={text} />
  ) : (
    <span id={id} hidden>
      {text}
    </span>
  );
  return { handlers, tip };
}

function Tip(props: { id: string; anchor: HTMLElement; title: string; text: ReactNode }): JSX.Element {
  const own = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = own.current;
    if (!element) return;
    const anchor = props.anchor.getBoundingClientRect();
    const { width, height } = element.getBoundingClientRect();
    const left = Math.min(Math.max(GAP, anchor.left + anchor.width / 2 - width / 2), window.innerWidth - width - GAP);
    const below = anchor.bottom + GAP;
    element.style.left = `${left}px`;
    element.style.top = `${below + height > window.innerHeight ? anchor.top - height - GAP : below}px`;
  }, [props.anchor]);
  return (
    <div className="tip" id={props.id} role="tooltip" ref={own}>
      <b>{props.title}</b>
      <p>{props.text}</p>
    </div>
  );
}
