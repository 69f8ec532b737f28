// Where a file is dropped or chosen; the whole window takes it, too.

import { useEffect, useState } from "react";

export function Drop({ busy, onFile }: { busy: string; onFile: (file: File) => void }): JSX.Element {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0; // dragging over a child leaves its parent
    const files = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent): void => {
      if (!files(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!files(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent): void => {
      if (files(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      depth = 0;
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) onFile(file);
    };
    const handlers = { dragenter: enter, dragleave: leave, dragover: hover, drop } as const;
    for (const [name, handler] of Object.entries(handlers)) window.addEventListener(name, handler as EventListener);
    return () => {
      for (const [name, handler] of Object.entries(handlers)) window.removeEventListener(name, handler as EventListener);
    };
  });
  return (
    <label className={`drop ${over ? "over" : ""}`}>
      <input
        type="file"
        accept=".xlsx,.xlsm,.ods,.fods"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file) onFile(file);
        }}
      />
      <svg viewBox="0 0 32 32" width="32" height="32" fill="none" strokeWidth="1.6" aria-hidden="true" focusable="false">
        <path d="M7 4h13l6 6v18H7Z" strokeLinejoin="round" />
        <path d="M12 15h9M12 19.5h9M12 24h9M16.5 15v9" />
      </svg>
      {busy ? (
        <span role="status">Opening {busy} …</span>
      ) : (
        <span>
          Drop a workbook here, or <u>choose a file</u>
        </span>
      )}
      <small>Excel (.xlsx, .xlsm) or LibreOffice (.ods). From Google Sheets: File → Download → Microsoft Excel.</small>
    </label>
  );
}
