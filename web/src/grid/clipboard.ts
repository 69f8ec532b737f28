// Copy and paste, with other spreadsheets and within the page.

import { sameArea } from "../address";
import { ask, edit, fill, selectedAreas } from "../live";
import type { Area } from "../protocol";
import { getState, notify } from "../store";

/** What was copied last in this page: pasted again, its formulas move as in any spreadsheet. */
let copied: { sheet: string; area: Area; text: string } | null = null;

/** Put the selected area on the clipboard: values as they are shown, for any spreadsheet. */
export async function copySelected(): Promise<boolean> {
  const { sheet } = getState();
  const area = selectedAreas().at(-1);
  if (!area) return false;
  const reply = ask({ type: "copy", sheet, area });
  const part = (name: "tsv" | "html", type: string): Promise<Blob> =>
    reply.then((answer) => new Blob([String(answer[name])], { type }));
  try {
    const parts = { "text/plain": part("tsv", "text/plain"), "text/html": part("html", "text/html") };
    await navigator.clipboard.write([new ClipboardItem(parts)]);
    copied = { sheet, area, text: String((await reply).tsv) };
    return true;
  } catch (error) {
    if (error instanceof DOMException) notify({ text: "The browser did not let the page copy.", level: "error" });
    return false;
  }
}

/** Write what another spreadsheet, or this page, has put on the clipboard. */
export function paste(data: DataTransfer): void {
  const text = data.getData("text/plain");
  const target = selectedAreas().at(-1);
  const { sheet } = getState();
  if (!target || !text) return;
  if (copied?.sheet === sheet && sameText(copied.text, text)) {
    pasteCopied(sheet, copied.area, target);
    return;
  }
  const texts = readTable(text);
  const [rows, columns] = [texts.length, texts[0]?.length ?? 0];
  const [height, width] = [target[2] - target[0] + 1, target[3] - target[1] + 1];
  const whole = height % rows === 0 && width % columns === 0;
  const repeated = whole ? repeat(texts, height, width) : texts;
  edit(sheet, target[0], target[1], repeated).catch(() => undefined);
}

function pasteCopied(sheet: string, from: Area, target: Area): void {
  const [rows, columns] = [from[2] - from[0] + 1, from[3] - from[1] + 1];
  const [height, width] = [target[2] - target[0] + 1, target[3] - target[1] + 1];
  const whole = height % rows === 0 && width % columns === 0;
  const bottom = target[0] + (whole ? height : rows) - 1;
  const right = target[1] + (whole ? width : columns) - 1;
  const to: Area = [target[0], target[1], bottom, right];
  if (!sameArea(from, to)) fill(sheet, from, to);
}

function sameText(a: string, b: string): boolean {
  return a.replaceAll("\r", "").trimEnd() === b.replaceAll("\r", "").trimEnd();
}

function repeat(texts: string[][], height: number, width: number): string[][] {
  return Array.from({ length: height }, (_, row) => {
    const line = texts[row % texts.length] ?? [];
    return Array.from({ length: width }, (_, column) => line[column % line.length] ?? "");
  });
}

const QUOTED = /"((?:[^"]|"")*)"(?=[\t\n]|$)/y;
const PLAIN = /[^\t\n]*/y;

/** Rows of texts, from lines of texts with tabs between them; a text in quotes may hold both. */
export function readTable(text: string): string[][] {
  const rows: string[][] = [[]];
  let at = 0;
  const source = text.replaceAll("\r\n", "\n").replace(/\n$/, "");
  while (at <= source.length) {
    QUOTED.lastIndex = PLAIN.lastIndex = at;
    const quoted = QUOTED.exec(source);
    const found = quoted ?? PLAIN.exec(source);
    rows.at(-1)?.push(quoted ? (quoted[1] ?? "").replaceAll('""', '"') : (found?.[0] ?? ""));
    at += found?.[0].length ?? 0;
    if (source[at] === "\n") rows.push([]);
    at += 1;
  }
  const width = Math.max(...rows.map((row) => row.length));
  return rows.map((row) => [...row, ...Array<string>(width - row.length).fill("")]);
}
