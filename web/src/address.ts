// Addresses of cells and areas, as a person writes them.

import type { Area, Place } from "./protocol";

export const LAST_COLUMN = 16384;
export const LAST_ROW = 1048576;

export function columnName(column: number): string {
  let name = "";
  for (let rest = column; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    name = String.fromCharCode(65 + ((rest - 1) % 26)) + name;
  }
  return name;
}

export function columnNumber(name: string): number {
  return [...name.toUpperCase()].reduce((number, letter) => number * 26 + letter.charCodeAt(0) - 64, 0);
}

export function cellName(row: number, column: number): string {
  return `${columnName(column)}${row}`;
}

export function areaName([top, left, bottom, right]: Area): string {
  const first = cellName(top, left);
  return top === bottom && left === right ? first : `${first}:${cellName(bottom, right)}`;
}

/** A sheet's name and an address on it, as a formula has them: with quotes where the name needs them. */
export function onSheet(sheet: string, address: string): string {
  const plain = /^[A-Za-z_]\w*$/.test(sheet) && readAddress(sheet) === null;
  return `${plain ? sheet : `'${sheet.replaceAll("'", "''")}'`}!${address}`;
}

/** Read `B3`, `$B$3:D9` or `'my sheet'!B3`; null if it is none of these. */
export function readAddress(text: string): { sheet: string | null; area: Area } | null {
  const match = /^(?:(?:'((?:[^']|'')+)'|([^'!]+))!)?\$?([A-Za-z]{1,3})\$?(\d{1,7})(?::\$?([A-Za-z]{1,3})\$?(\d{1,7}))?$/.exec(
    text.trim(),
  );
  if (!match) return null;
  const [, quoted, plain, left, top, right, bottom] = match;
  const first: Place = [Number(top), columnNumber(left ?? "")];
  const second: Place = right && bottom ? [Number(bottom), columnNumber(right)] : first;
  const area = spanned(first, second);
  if (area[0] < 1 || area[2] > LAST_ROW || area[3] > LAST_COLUMN) return null;
  return { sheet: quoted?.replaceAll("''", "'") ?? plain ?? null, area };
}

/** The area between two cells. */
export function spanned(first: Place, second: Place): Area {
  return [
    Math.min(first[0], second[0]),
    Math.min(first[1], second[1]),
    Math.max(first[0], second[0]),
    Math.max(first[1], second[1]),
  ];
}

export function contains([top, left, bottom, right]: Area, row: number, column: number): boolean {
  return top <= row && row <= bottom && left <= column && column <= right;
}

export function meets(a: Area, b: Area): boolean {
  return a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];
}

export function sameArea(a: Area, b: Area): boolean {
  return a.every((value, index) => value === b[index]);
}

export function cellCount([top, left, bottom, right]: Area): number {
  return (bottom - top + 1) * (right - left + 1);
}
