// What the page tells a person: short notices in a corner, and lines under the header for what lasts.

import { readAddress } from "../address";
import { goTo } from "../live";
import { dismiss, type Notice, useStore } from "../store";
import { Icon } from "./icons";

export function Notices(): JSX.Element {
  const notices = useStore((state) => state.notices);
  return (
    <div className="notices" role="log" aria-live="polite" aria-label="Messages" data-testid="notices">
      {notices.map((notice) => (
        <Card key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function Card({ notice }: { notice: Notice }): JSX.Element {
  const found = notice.cell ? readAddress(notice.cell) : null;
  return (
    <div className={`notice ${notice.level}`}>
      <p>{notice.text}</p>
      {found && (
        <button type="button" className="link" onClick={() => goTo(found.sheet, found.area)}>
          Go to {notice.cell}
        </button>
      )}
      <button type="button" className="tool" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
        <Icon name="close" />
      </button>
    </div>
  );
}

export function Banner(): JSX.Element | null {
  const link = useStore((state) => state.link);
  const fileChanged = useStore((state) => state.fileChanged);
  const recovery = useStore((state) => state.book?.recovery ?? null);
  if (link === "lost") {
    return (
      <div className="banner error" role="alert">
        The connection to sgdsheet is lost. It is tried again; if the program has ended, start <code>sgdsheet open</code>{" "}
        again: what was changed is kept.
      </div>
    );
  }
  if (fileChanged) {
    return (
      <div className="banner" role="alert">
        Another program has changed the file. What you see is the state before; save a copy to keep it.
      </div>
    );
  }
  if (recovery) {
    return (
      <div className="banner" role="status">
        These are changes of {recovery.when} that were not saved.
      </div>
    );
  }
  return null;
}
