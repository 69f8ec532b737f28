// The loss around the selected parameters: of one a slice with its tangent, of two a contour with the path of training.

import { useEffect, useMemo, useRef, useState } from "react";
import { cellName, contains, spanned } from "../address";
import { ContourChart, type Contour } from "../charts/contour_chart";
import { SliceChart, type Slice } from "../charts/slice_chart";
import { inquire, tell } from "../live";
import type { Area, Model, Place } from "../protocol";
import { onCells, selectionOf, type State, useStore } from "../store";

const PATIENCE = 250; // milliseconds that a selection stands before the loss around it is asked for
const AGAIN = 700; // milliseconds, at least, between two pictures of a run

const NO_PATH: Place[] = [];

type Around = { slice: Slice } | { contour: Contour } | { failure: string };

export function ParameterSection({ sheet, model }: { sheet: string; model: Model }): JSX.Element {
  const wanted = useStore((state) => chosenParameters(state, model).join(";"));
  const cells = useMemo(() => wanted.split(";").filter(Boolean).map((text) => text.split(",").map(Number) as Place), [wanted]);
  const path = useStore(({ path: traced }) =>
    traced?.sheet === sheet && traced.cells.join(";") === wanted ? traced.points : NO_PATH,
  );
  const key = `${sheet} ${wanted}`;
  const around = useAround(key, sheet, cells);

  const pair = cells.length === 2;
  useEffect(() => {
    if (!pair) return;
    tell({ type: "trace", sheet, cells });
    return () => tell({ type: "trace", sheet, cells: [] });
  }, [key, pair]);

  const shown = cells.length > 0 && around?.key === key ? around.found : null;
  const names = cells.map((cell) => cellName(...cell));
  return (
    <div className="parameter">
      {shown && "slice" in shown && names[0] && <SliceChart slice={shown.slice} name={names[0]} />}
      {shown && "contour" in shown && names[0] && names[1] && (
        <ContourChart contour={shown.contour} path={path} names={[names[0], names[1]]} />
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

/** The loss around the cells, calculated anew as the numbers of the sheet change, but at most a quarter of the time. */
function useAround(key: string, sheet: string, cells: Place[]): { key: string; found: Around } | null {
  const [around, setAround] = useState<{ key: string; found: Around } | null>(null);
  const step = useStore((state) => state.status.step ?? 0);
  const stale = useRef(true);
  useEffect(() => onCells((change) => void (stale.current ||= !change.full)), []);
  useEffect(() => {
    stale.current = true;
  }, [step]);
  useEffect(() => {
    if (cells.length === 0) return;
    let timer = 0;
    let gone = false;
    stale.current = true;
    const look = async (): Promise<void> => {
      const began = performance.now();
      if (stale.current && !document.hidden) {
        stale.current = false;
        const found = await askAround(sheet, cells);
        if (gone) return;
        setAround({ key, found });
      }
      timer = window.setTimeout(() => void look(), Math.max(AGAIN, 3 * (performance.now() - began)));
    };
    timer = window.setTimeout(() => void look(), PATIENCE);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [key]);
  return around;
}

function askAround(sheet: string, cells: Place[]): Promise<Around> {
  return inquire({ type: "slice", sheet, cells }).then(
    (reply) => (cells.length === 1 ? { slice: reply as unknown as Slice } : { contour: reply as unknown as Contour }),
    (error: Error) => ({ failure: error.message }),
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
