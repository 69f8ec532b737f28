// The messages between page and server. Rows and columns count from 1; an area is [top, left, bottom, right].

export type Area = [top: number, left: number, bottom: number, right: number];
export type Place = [row: number, column: number];
/** The first and the last of rows or columns side by side. */
export type Span = [first: number, last: number];
export type Group = [first: number, last: number, depth: number];
export type Kind = "n" | "t" | "b" | "e" | "";

export interface Failure {
  message: string;
  cell?: string | null;
  cause?: string | null;
  remedy?: string | null;
}

export type Border = [width: number, color: string];

export interface CellStyle {
  bold?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  /** Points. */
  size?: number;
  font?: string;
  color?: string;
  fill?: string;
  align?: string;
  valign?: string;
  wrap?: boolean;
  indent?: number;
  /** The number format is General: a number that is too wide is rounded, as Excel does. */
  general?: boolean;
  border?: { top?: Border; right?: Border; bottom?: Border; left?: Border };
}

export interface SheetInfo {
  name: string;
  /** The used size. */
  rows: number;
  columns: number;
  default_width?: number;
  default_height?: number;
  widths: Record<string, number>;
  heights: Record<string, number>;
  /** Rows whose height stands in the file; others are as high as their texts ask for. */
  sized_rows: Span[];
  hidden_columns: Span[];
  hidden_rows: Span[];
  column_groups: Group[];
  row_groups: Group[];
  /** Whether what sums a group up stands below its rows, and to the right of its columns. */
  summary: [below: boolean, right: boolean];
  frozen: [rows: number, columns: number];
  merged: Area[];
  /** Cells that lead to another place of the workbook. */
  links: [row: number, column: number, sheet: string, area: Area][];
  gridlines: boolean;
  tab: string | null;
  hidden: boolean;
}

export interface Model {
  /** The names of the sheet make no model: why. Nothing else is there then. */
  error?: string;
  loss: Place | null;
  params: Area[];
  data: Area[];
  predictions: Area[];
  metric: Place | null;
  settings: Record<string, string | number | boolean | null>;
  settings_area: Area | null;
}

/** A live command, as its declaration says. */
export interface Command {
  name: string;
  label: string;
  title?: string;
  tip: string;
  help: string;
  group: string;
  place?: string | null;
  needs?: string[] | string | null;
  when?: string | null;
  writes?: boolean;
  /** The shapes of a picture of 24 by 24. */
  drawing?: string[];
  key?: string | null;
}

export interface Choice {
  name: string;
  help: string;
  /** Of an optimizer: where it starts if nobody says. */
  learning_rate?: number | null;
  /** Of a setting: what may stand there, in words. */
  allowed?: string;
}

export interface BookMessage {
  type: "book";
  id: string;
  name: string;
  path: string | null;
  sheets: SheetInfo[];
  active: string;
  styles: CellStyle[];
  models: Record<string, Model>;
  commands: Command[];
  choices: Record<string, Choice[]>;
  saved: boolean;
  can_undo: boolean;
  can_redo: boolean;
  recovery: { when: string } | null;
}

/** What conditional formats give a cell beside its style. */
export interface CellExtra {
  fill?: string;
  color?: string;
  bold?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  border?: CellStyle["border"];
  /** The length of a data bar and where it begins, 0 to 1. */
  bar?: number;
  bar_from?: number;
  bar_color?: string;
  /** The name of a set of icons, and the number of the icon in it, from 0. */
  icon?: [set: string, at: number];
  /** The fill is made for white paper, as those of styles; those of scales are the picture itself. */
  paper?: 1;
  /** The value itself is not shown, only its bar or icon. */
  bare?: 1;
  uncalculated?: 1;
}

export type SentCell = [row: number, column: number, text: string, kind: Kind, style: number, extra?: CellExtra];

export interface CellsMessage {
  type: "cells";
  version: number;
  sheet: string;
  area: Area;
  /** Cells of the area that are not in the list are empty. */
  full: boolean;
  cells: SentCell[];
  /** Numbers that show nothing but a colour: row, column, style, and red, green and blue in one, of each in turn. */
  pixels?: number[];
}

export interface StatusMessage {
  type: "status";
  /** `working`: something else than training takes longer than a second; Stop ends it. */
  state: "idle" | "working" | "starting" | "training" | "paused";
  sheet?: string | null;
  step?: number | null;
  steps?: number | null;
  loss?: number | null;
  steps_per_second?: number | null;
  message?: string | null;
  can_undo?: boolean;
  stopped?: string | boolean | null;
  failed?: string | boolean | null;
}

export type HistoryPoint = [step: number, loss: number | null, valid: number | null, learningRate: number | null];

export interface HistoryMessage {
  type: "history";
  sheet: string;
  run: number;
  points: HistoryPoint[];
  reset: boolean;
}

export interface GradientsMessage {
  type: "gradients";
  sheet: string;
  cells: [row: number, column: number, gradient: number][];
}

export interface ChartSeries {
  name: string;
  x: (number | string | null)[];
  y: (number | null)[];
  color: string | null;
  lines: boolean;
  markers: boolean;
  /** In a chart of several kinds; without it, that of the chart. */
  kind?: ChartKind;
  /** Of a pie's slices, as far as the workbook has chosen them. */
  slice_colors?: (string | null)[];
}

export type ChartKind = "line" | "scatter" | "bar" | "column" | "area" | "pie" | "doughnut" | "undrawn";

export type Ends = [low: number | null, high: number | null];

export interface Chart {
  title: string;
  kind: ChartKind;
  /** The kind, in words, of a chart that the page does not draw. */
  what?: string;
  anchor: Area | null;
  x_title: string;
  y_title: string;
  log_x: boolean;
  log_y: boolean;
  /** Whether an axis runs the other way: to the left, or down. */
  reversed_x?: boolean;
  reversed_y?: boolean;
  /** Where an axis ends; null where nobody has said. */
  x_range?: Ends;
  y_range?: Ends;
  stacking?: "clustered" | "stacked" | "percentStacked";
  series: ChartSeries[];
}

export interface ChartsMessage {
  type: "charts";
  sheet: string;
  charts: Chart[];
}

export interface Finding {
  text: string;
  level: "info" | "warning";
  area: Area | null;
  sheet: string;
}

export interface FindingsMessage {
  type: "findings";
  sheet: string;
  findings: Finding[];
}

/** Where two parameters have gone, while that is traced. */
export interface PathMessage {
  type: "path";
  sheet: string;
  cells: Place[];
  points: Place[];
}

export interface TextMessage {
  type: "message";
  text: string;
  level: "info" | "warning" | "error";
  cell?: string | null;
}

/** Part of what `book` says, when only that changes. */
export interface StateMessage {
  type: "state";
  saved: boolean;
  can_undo: boolean;
  can_redo: boolean;
}

export interface FileMessage {
  type: "file";
  changed: boolean;
}

export type Reply = { type: "reply"; id: number; ok: boolean; error?: Failure } & Record<string, unknown>;

export type FromServer =
  | BookMessage
  | CellsMessage
  | StateMessage
  | StatusMessage
  | HistoryMessage
  | GradientsMessage
  | ChartsMessage
  | FindingsMessage
  | PathMessage
  | TextMessage
  | FileMessage
  | Reply;

/** What the server tells of one cell. */
export interface CellDetail {
  formula: string | null;
  /** What a person would have typed. */
  input: string;
  value: unknown;
  kind: Kind;
  refers: { sheet: string; area: Area }[];
  role: string | null;
  gradient: number | null;
  uncalculated: string | null;
}

export type ToServer =
  | { type: "view"; sheet: string; area: Area }
  | { type: "ack"; version: number }
  | { type: "edit"; sheet: string; top: number; left: number; texts: (string | null)[][] }
  | { type: "fill"; sheet: string; from: Area; to: Area }
  | { type: "widths"; sheet: string; columns: Span[]; width: number }
  | { type: "copy"; sheet: string; area: Area }
  | { type: "cell"; sheet: string; row: number; column: number }
  | { type: "select"; sheet: string; areas: Area[] }
  | { type: "command"; name: string; sheet: string; options: Record<string, unknown> }
  | { type: "undo" }
  | { type: "redo" }
  | { type: "save"; as: string | null; in_place: boolean }
  | { type: "settings"; sheet: string; values: Record<string, string> }
  | { type: "slice"; sheet: string; cells: Place[] }
  | { type: "candidates"; sheet: string }
  | { type: "trace"; sheet: string; cells: Place[] }
  | { type: "ping" };
