// The last line: what the run does, and what the marks of the cells mean.

import { counted } from "../charts/looks";
import { markedAreas, ROLE_NAMES, type Role } from "../grid/roles";
import { modelOf, useStore } from "../store";

const STATE_NAMES = {
  idle: "Ready",
  working: "Working",
  starting: "Starting",
  training: "Training",
  paused: "Paused",
} as const;

export function Status(): JSX.Element {
  const status = useStore((state) => state.status);
  const link = useStore((state) => state.link);
  const parts = [
    status.step != null && (status.step > 0 || status.state === "training") && `step ${counted(status.step)}${status.steps ? ` of ${counted(status.steps)}` : ""}`,
    status.loss != null && `loss ${Number(status.loss.toPrecision(5))}`,
    status.state === "training" && status.steps_per_second != null && `${Math.round(status.steps_per_second)} steps/s`,
  ].filter(Boolean);
  return (
    <div className="status">
      <span className={`state ${link === "open" ? status.state : "lost"}`} data-testid="state">
        {link === "open" ? STATE_NAMES[status.state] : link === "lost" ? "Connection lost" : "Connecting"}
      </span>
      <span className="numbers" data-testid="numbers">
        {parts.join(" · ")}
      </span>
      <span className="status-text" role="status">
        {status.message ?? ""}
      </span>
      <Legend />
    </div>
  );
}

function Legend(): JSX.Element | null {
  const model = useStore(modelOf);
  const roles = new Set<Role>(markedAreas(model).map((mark) => mark.role));
  if (!roles.size) return null;
  return (
    <ul className="legend" aria-label="Marks of the cells">
      {(Object.keys(ROLE_NAMES) as Role[])
        .filter((role) => roles.has(role))
        .map((role) => (
          <li key={role} className={`role-${role}`}>
            {ROLE_NAMES[role]}
          </li>
        ))}
    </ul>
  );
}
