// The start page: examples, recent books, and a place to drop a file.

import { useEffect, useState } from "react";
import { ThemeTool } from "../frame/header";

interface StartData {
  version: string;
  examples: { name: string; title: string; description: string; picture: string | null }[];
  recent: { index: number; name: string; folder: string; opened: string }[];
}

async function open(request: Promise<Response>): Promise<void> {
  const response = await request;
  const answer = (await response.json()) as { book?: string; error?: { message: string } };
  if (!answer.book) throw new Error(answer.error?.message ?? "The book could not be opened.");
  location.assign(`/book/${answer.book}`);
}

export function Start(): JSX.Element {
  const [data, setData] = useState<StartData | null>(null);
  const [failure, setFailure] = useState("");
  const run = (request: Promise<Response>): void => {
    open(request).catch((error: Error) => setFailure(error.message));
  };
  const post = (body: object): void =>
    run(fetch("/api/open", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
  const upload = (file: File | undefined): void => {
    if (file) run(fetch(`/api/upload?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file }));
  };
  useEffect(() => {
    fetch("/api/start")
      .then((response) => response.json())
      .then((answer) => setData(answer as StartData))
      .catch(() => setFailure("sgdsheet does not answer. Start it again: sgdsheet open"));
  }, []);
  return (
    <div
      className="start"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        upload(event.dataTransfer.files[0]);
      }}
    >
      <header className="header">
        <img src="/assets/icon.svg" width="22" height="22" alt="" />
        <h1 className="book-name">sgdsheet</h1>
        <span className="spring" />
        <ThemeTool />
      </header>
      <main>
        {failure && (
          <p className="banner error" role="alert">
            {failure}
          </p>
        )}
        <label className="drop">
          Drop a workbook here, or <u>choose a file</u>
          <input type="file" accept=".xlsx,.xlsm,.ods" onChange={(event) => upload(event.target.files?.[0])} />
        </label>
        {data && data.recent.length > 0 && (
          <section aria-labelledby="recent">
            <h2 id="recent">Recent</h2>
            <ul className="recent">
              {data.recent.map((book) => (
                <li key={book.index}>
                  <button type="button" className="link" onClick={() => post({ recent: book.index })}>
                    {book.name}
                  </button>
                  <small>{book.folder}</small>
                </li>
              ))}
            </ul>
          </section>
        )}
        {data && (
          <section aria-labelledby="examples">
            <h2 id="examples">Examples</h2>
            <ul className="examples">
              {data.examples.map((example) => (
                <li key={example.name}>
                  <button type="button" onClick={() => post({ example: example.name })}>
                    <b>{example.title}</b>
                    <span>{example.description}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </main>
    </div>
  );
}
