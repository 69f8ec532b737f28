// The start page: a place to drop a file, recent books, and the examples with their pictures.

import { useEffect, useState } from "react";
import { ThemeTool } from "../frame/header";
import "../styles/start.css";
import { Drop } from "./drop";
import { type Example, Examples } from "./examples";
import { Recent, type RecentBook } from "./recent";
import { openBook, upload } from "./requests";

interface StartData {
  version: string;
  examples: Example[];
  recent: RecentBook[];
}

export function Start(): JSX.Element {
  const [data, setData] = useState<StartData | null>(null);
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState("");

  useEffect(() => {
    document.title = "sgdsheet";
    fetch("/api/start")
      .then((response) => response.json())
      .then((answer) => setData(answer as StartData))
      .catch(() => setFailure("sgdsheet does not answer any more. Start it again: sgdsheet open"));
    // Who comes back with the browser's Back button finds the page as it was, and not still opening.
    const shown = (): void => setBusy("");
    window.addEventListener("pageshow", shown);
    return () => window.removeEventListener("pageshow", shown);
  }, []);

  const run = (name: string, request: () => Promise<void>): void => {
    if (busy) return;
    setFailure("");
    setBusy(name);
    request().catch((error: Error) => {
      setFailure(error.message);
      setBusy("");
    });
  };
  return (
    <div className="start" aria-busy={busy !== ""}>
      <header className="header">
        <img src="/assets/icon.svg" width="22" height="22" alt="" />
        <span className="book-name">sgdsheet</span>
        <span className="start-version">{data?.version}</span>
        <span className="spring" />
        <ThemeTool />
      </header>
      <main>
        <div className="start-head">
          <h1>Watch a spreadsheet learn</h1>
          <p>
            A workbook's ordinary formulas are the model, its cells the parameters. Press Train, and see them move. All of it
            stays on this machine.
          </p>
        </div>
        <div className="start-message" role="alert">
          {failure && <p className="banner error">{failure}</p>}
        </div>
        <div className={`start-open ${data?.recent.length ? "with-recent" : ""}`}>
          <Drop busy={busy} onFile={(file) => run(file.name, () => upload(file))} />
          {data && data.recent.length > 0 && (
            <Recent books={data.recent} onOpen={(book) => run(book.name, () => openBook({ recent: book.index }))} />
          )}
        </div>
        <Examples
          examples={data?.examples ?? null}
          busy={busy}
          onOpen={(example) => run(example.name, () => openBook({ example: example.name }))}
        />
      </main>
    </div>
  );
}
