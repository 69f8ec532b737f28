// The loss around the selected parameters: of one a slice with its tangent, of two a contour with the path of training.

import { useEffect, useMemo, useRef, useState } from "react";
import { cellName, contains, spanned } from "../address";
import { ContourChart, type Contour } from "../charts/contour_chart";
import { SliceChart, type Slice } from "../charts/slice_chart";
import { inquire } from "../live";
import type { Area, Model, Place } from "../protocol";
import { selectionOf, type State, useStore } from "../store";

const PATIENCE = 250; // milliseconds that a selection stands before the loss around it is asked for
const AGAIN = 700; // milliseconds, at least, between two pictures of a run

type Around = { slice: Slice } | { contour: Contour } | { failure: string };

export function ParameterSection({ sheet, model }: { sheet: string; model: Model }): JSX.Element {
  const wanted = useStore((state) => chosenParameters(state, model).join(";"));
  const cells = useMemo(() => wanted.split(";").filter(Boolean).map((text) => text.split(",").map(Number) as Place), [wanted]);
  const step = useStore((state) => `${state.status.state !== "idle"} ${state.status.step ?? 0}`);
  const [around, setAround] = useState<{ key: string; found: Around } | null>(null);
  const key = `${sheet} ${wanted}`;
  const pending = useRef(false);
  const last = useRef({ key: "", at: 0 });

  useEffect(() => {
    if (cells.length === 0) return;
    let gone = false;
    const look = (): void => {
      if (gone || pending.current) return;
      pending.current = true;
      last.current = { key, at: performance.now() };
      inquire({ type: "slice", sheet, cells })
        .then((reply) => {
          const found = cells.length === 1 ? { slice: reply as unknown as Slice } : { contour: reply as unknown as Contour };
          if (!gone) setAround({ key, found });
        })
        .catch((error: Error) => !gone && setAround({ key, found: { failure: error.message } }))
        .finally(() => {
          pending.current = false;
        });
    };
    const since = performance.now() - last.current.at;
    const wait = last.current.key === key ? Math.max(0, AGAIN - since) : PATIENCE;
    const timer = window.setTimeout(look, wait);
    return () => {
      gone = last.current.key !== key;
      window.clearTimeout(timer);
    };
  }, [key, step]);

  const shown = cells.length > 0 && around?.key === key ? around.found : null;
  const names = cells.map((cell) => cellName(...cell));
  return (
    <div className="parameter">
      {shown && "slice" in shown && names[0] && <SliceChart slice={shown.slice} name={names[0]} />}
      {shown && "contour" in shown && names[0] && names[1] && (
        <ContourChart contour={shown.contour} names={[names[0], names[1]]} />
      )}
      {shown && "failure" in shown && <p className="chart-empty parameter-empty">{shown.failure}</p>}
      {!shown && (
        <p className="chart-empty parameter-empty">
          {cells.length > 0
            ? `Calculating the loss around ${names.join(" and ")} …`
            : "Select a parameter, and see how the loss changes with it. Select two (with Ctrl) for a map."}
        </p>
      )}
    </div>
  );
}

/** The one or two parameter cells that are selected; none if it is more, or others are among them. */
function chosenParameters(state: State, model: Model): Place[] {
  const selection = selectionOf(state);
  const areas: Area[] = [...selection.more, spanned(selection.anchor, selection.head)];
  const cells: Place[] = [];
  for (const [top, left, bottom, right] of areas) {
    if ((bottom - top + 1) * (right - left + 1) > 2) return [];
    for (let row = top; row <= bottom; row++) for (let column = left; column <= right; column++) cells.push([row, column]);
  }
  const parameters = cells.every((cell) => model.params.some((area) => contains(area, ...cell)));
  return parameters && cells.length <= 2 ? cells : [];
}
