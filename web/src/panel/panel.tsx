// The panel beside the sheet: the commands of a run.

import { command } from "../live";
import { useStore } from "../store";

export function Panel(): JSX.Element | null {
  const commands = useStore((state) => state.book?.commands);
  const open = useStore((state) => state.panelOpen);
  if (!open) return null;
  return (
    <aside className="panel" aria-label="Training">
      <div className="panel-commands">
        {(commands ?? []).map((each) => (
          <button
            key={each.name}
            type="button"
            className="button"
            title={each.tip}
            onClick={() => void command(each.name).catch(() => undefined)}
          >
            {each.label}
          </button>
        ))}
      </div>
    </aside>
  );
}
