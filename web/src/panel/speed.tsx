// How fast a run goes: from a step a second, to watch, to as fast as it can.

import { useEffect, useId, useState } from "react";
import { command } from "../live";
import { getState, modelOf, useStore } from "../store";

/** Steps a second; null is as fast as it can. */
const SPEEDS: (number | null)[] = [1, 2, 5, 10, 25, 100, null];
const FASTEST = SPEEDS.length - 1;

/** What a person has chosen here; undefined as long as the sheet's own setting counts. */
let chosen: number | undefined;

function sheetSpeed(): number {
  const own = Number(modelOf(getState())?.settings["steps per second"] ?? NaN);
  if (!(own > 0)) return FASTEST;
  const found = SPEEDS.findIndex((speed) => speed !== null && speed >= own);
  return found < 0 ? FASTEST - 1 : found;
}

/** The options of Train that the chosen speed stands for. */
export function trainOptions(): Record<string, unknown> {
  const speed = chosen === undefined ? null : SPEEDS[chosen];
  return speed ? { steps_per_second: speed } : {};
}

export function Speed(): JSX.Element {
  const id = useId();
  const state = useStore((each) => each.status.state);
  const own = useStore((each) => modelOf(each)?.settings["steps per second"] ?? null);
  const [place, setPlace] = useState(chosen ?? sheetSpeed());
  useEffect(() => {
    if (chosen === undefined) setPlace(sheetSpeed());
  }, [own]);
  useEffect(() => {
    // A run begins with the sheet's own speed, where the slider says that it goes as fast as it can.
    if (state === "training" && chosen === FASTEST && own !== null) hold(null);
  }, [state === "training"]);

  const change = (next: number): void => {
    chosen = next;
    setPlace(next);
    if (state !== "idle") hold(SPEEDS[next] ?? null);
  };
  const speed = SPEEDS[place];
  const said = speed == null ? "as fast as it can" : speed === 1 ? "1 step a second" : `${speed} steps a second`;
  return (
    <div className="field speed">
      <label htmlFor={id}>Speed</label>
      <input
        id={id}
        type="range"
        min={0}
        max={FASTEST}
        step={1}
        value={place}
        aria-valuetext={said}
        title="Slow motion on the left, to watch each step; on the right as fast as it can"
        onChange={(event) => change(Number(event.target.value))}
      />
      <output htmlFor={id}>{said}</output>
    </div>
  );
}

function hold(speed: number | null): void {
  command("speed", { steps_per_second: speed }).catch(() => undefined);
}
