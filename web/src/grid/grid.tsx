// The sheet: a canvas for its frozen rows, under the column letters, and one for the rows that scroll below them.

import {
  type CellClickedEventArgs,
  CompactSelection,
  DataEditor,
  type DataEditorRef,
  type DrawHeaderCallback,
  GridCellKind,
  type GridCell,
  type GridColumn,
  type GridSelection,
  type Item,
  type Rectangle,
  type Theme as GridTheme,
} from "@glideapps/glide-data-grid";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { areaName, cellName, columnName, contains, spanned } from "../address";
import { ChartsOnSheet } from "../charts/charts_on_sheet";
import { followLink, linkAt, look, select, selectedAreas, setWidths } from "../live";
import type { Area, CellStyle, Place } from "../protocol";
import { columnOf, key, rowOf } from "../shown_cells";
import {
  cellsOf,
  type CellChange,
  getState,
  gradientsOf,
  modelOf,
  onCells,
  onUpdates,
  selectionOf,
  sheetInfo,
  useStore,
} from "../store";
import { usePalette } from "../theme";
import { CellEditor } from "./cell_editor";
import type { Palette } from "./colours";
import { pointed, startEditing } from "./editing";
import { FOCUS_SHEET } from "./focus";
import { Folds, type Hidden, hiddenIn } from "./folds";
import { expanded, Geometry, NO_SIZES, type Sizes } from "./geometry";
import { Glow } from "./glow";
import { useKeyboard } from "./keyboard";
import { anchored } from "./moves";
import { Painter } from "./painter";
import { referenceColors } from "./references";
import { neededHeights } from "./text_measure";

const HEADER = 26; // pixels
const MARKERS = 52;
const FROZEN_SHARE = 0.62; // of the height or width: frozen rows and columns that need more are not frozen
const MARGIN_ROWS = 40; // cells beyond the screen that are asked for
const MARGIN_COLUMNS = 10;
const DRAWN_ONE_BY_ONE = 4000; // cells; where more change at once, everything is drawn
const WHOLE_ROWS = 60; // changed cells of which whole rows are drawn, for texts that run over them
const GLOW_FRAME = 40; // milliseconds
const GLOW_PATIENCE = 150; // milliseconds that a fading glow waits for the next cells, to be drawn in their frame
const REVEALED_WITHIN = 60; // frames
const READER_PAUSE = 400; // milliseconds until screen readers are told of changed cells, in the table in the canvas

type Part = "top" | "body";

const NO_STYLES: CellStyle[] = [];

export function Grid(): JSX.Element | null {
  const info = useStore(sheetInfo);
  const ready = useStore((state) => state.book !== null);
  const palette = usePalette();
  const frame = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<[number, number]>([0, 0]);
  const [own, setOwn] = useState<Record<string, Sizes>>({});

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setSize([element.clientWidth, element.clientHeight]));
    observer.observe(element);
    setSize([element.clientWidth, element.clientHeight]);
    return () => observer.disconnect();
  }, []);

  const name = info?.name ?? "";
  const sizes = own[name];
  const geometry = useMemo(() => (info ? new Geometry(info, sizes) : null), [info, sizes]);
  const change = useCallback(
    (changed: (sizes: Sizes) => Partial<Sizes>) => {
      setOwn((all) => {
        const before = all[name] ?? NO_SIZES;
        return { ...all, [name]: { ...before, ...changed(before) } };
      });
    },
    [name],
  );
  return (
    <div className="grid" ref={frame} data-testid="grid">
      {geometry && size[0] > 0 && palette && ready && (
        <Sheet key={geometry.sheet.name} geometry={geometry} size={size} palette={palette} sizes={sizes ?? NO_SIZES} change={change} />
      )}
    </div>
  );
}

interface SheetProps {
  geometry: Geometry;
  size: [width: number, height: number];
  palette: Palette;
  sizes: Sizes;
  /** Change what is not in the file: widths while they are dragged, folded rows, heights of texts. */
  change: (changed: (sizes: Sizes) => Partial<Sizes>) => void;
}

function Sheet({ geometry, size, palette, sizes, change }: SheetProps): JSX.Element {
  const sheet = geometry.sheet;
  const styles = useStore((state) => state.book?.styles ?? NO_STYLES);
  const model = useStore(modelOf);
  const selection = useStore(selectionOf);
  const references = useStore(referenceColors);
  const editing = useStore((state) => (state.editing?.sheet === sheet.name ? state.editing : null));
  const glow = useMemo(() => new Glow(), []);
  const cells = cellsOf(sheet.name);
  const [everything, setEverything] = useState(0);
  const [hovered, setHovered] = useState<{ row: number; column: number; x: number; y: number } | null>(null);
  const [scrolled, setScrolled] = useState(0);
  const top = useRef<DataEditorRef>(null);
  const body = useRef<DataEditorRef>(null);
  const frame = useRef<HTMLDivElement>(null);
  const visible = useRef<Rectangle>({ x: 0, y: 0, width: 30, height: 60 });

  const frozen = useMemo<[number, number]>(() => {
    const rows = geometry.down(1, geometry.frozen[0] + 1) + HEADER;
    const columns = geometry.across(1, geometry.frozen[1] + 1) + MARKERS;
    return [
      rows <= size[1] * FROZEN_SHARE ? geometry.frozen[0] : 0,
      columns <= size[0] * FROZEN_SHARE ? geometry.frozen[1] : 0,
    ];
  }, [geometry, size]);
  const frozenRows = frozen[0];
  const topHeight = frozenRows ? HEADER + geometry.down(1, frozenRows + 1) + 1 : 0;

  const painter = useMemo(
    () => new Painter({ palette, geometry, cells, styles, model, glow }),
    [palette, geometry, cells, styles, model, glow],
  );
  const areas = useMemo(() => selectedAreas(), [selection, geometry]);
  const columns = useMemo<GridColumn[]>(
    () =>
      Array.from({ length: geometry.columns }, (_, index) => ({
        id: String(index + 1),
        title: columnName(index + 1),
        width: geometry.widthOf(index + 1),
      })),
    [geometry],
  );

  const offset = (part: Part): number => (part === "body" ? frozenRows : 0);

  // --- drawing ---------------------------------------------------------------------------------------------

  const drawCell = (part: Part) =>
    // eslint-disable-next-line react-hooks/rules-of-hooks
    useCallback(
      (args: { ctx: CanvasRenderingContext2D; rect: Rectangle; row: number; col: number }) => {
        const [row, column] = [args.row + offset(part) + 1, args.col + 1];
        const merged = geometry.mergedAt(row, column);
        const [atRow, atColumn] = merged ?? [row, column];
        const active = selection.active[0] === atRow && selection.active[1] === atColumn;
        const inside = areas.some((area) => contains(area, row, column));
        painter.draw(args.ctx, args.rect, row, column, { selected: inside && !active, active });
      },
      [painter, areas, selection.active, frozenRows, everything],
    );
  const drawTopCell = drawCell("top");
  const drawBodyCell = drawCell("body");

  const content = useCallback(
    (row: number, column: number): GridCell => {
      const merged = geometry.mergedAt(row, column);
      const text = merged && (merged[0] !== row || merged[1] !== column) ? "" : (cells.get(row, column)?.text ?? "");
      return { kind: GridCellKind.Text, data: text, displayData: text, allowOverlay: false };
    },
    [geometry, cells, everything],
  );
  const topContent = useCallback(([column, row]: Item) => content(row + 1, column + 1), [content]);
  const bodyContent = useCallback(
    ([column, row]: Item) => content(row + frozenRows + 1, column + 1),
    [content, frozenRows],
  );

  const redraw = useCallback(
    (keys: Iterable<number>) => {
      const upper: { cell: Item }[] = [];
      const lower: { cell: Item }[] = [];
      for (const at of keys) {
        const [row, column] = [rowOf(at), columnOf(at)];
        const merged = geometry.mergedAt(row, column) ?? [row, column, row, column];
        for (let r = merged[0]; r <= Math.min(merged[2], merged[0] + 50); r++) {
          for (let c = merged[1]; c <= merged[3]; c++) {
            if (r <= frozenRows) upper.push({ cell: [c - 1, r - 1] });
            else lower.push({ cell: [c - 1, r - frozenRows - 1] });
          }
        }
      }
      if (upper.length) top.current?.updateCells(upper);
      if (lower.length) body.current?.updateCells(lower);
    },
    [geometry, frozenRows],
  );

  /** Gradients change as it trains: only their cells are drawn again, not all that this component shows. */
  useLayoutEffect(() => {
    let shown: Map<number, number> | undefined;
    const show = (): void => {
      const now = gradientsOf(getState());
      if (now !== shown) redraw(painter.show(now));
      shown = now;
    };
    show();
    return onUpdates(show);
  }, [painter, redraw]);

  const withRows = useCallback(
    (keys: number[]): number[] => {
      if (keys.length > WHOLE_ROWS) return keys;
      const { x, width } = visible.current;
      const all = new Set(keys);
      for (const row of new Set(keys.map(rowOf))) {
        for (let column = x + 1; column <= x + width; column++) all.add(key(row, column));
        for (let column = 1; column <= frozen[1]; column++) all.add(key(row, column));
      }
      return [...all];
    },
    [frozen],
  );

  useEffect(() => {
    let timer = 0;
    let reader = 0;
    const tellReaders = (): void => {
      window.clearTimeout(reader);
      reader = 0;
      setEverything((count) => count + 1);
    };
    const fade = (): void => {
      timer = 0;
      const keys = glow.fading();
      if (keys.length) requestAnimationFrame(() => redraw(keys));
      if (glow.any) timer = window.setTimeout(fade, GLOW_FRAME);
    };
    const forget = onCells(({ sheet: changed, keys, full }: CellChange) => {
      if (changed !== sheet.name || !keys.length) return;
      if (!full) glow.start(keys.filter((at) => !cells.get(rowOf(at), columnOf(at))?.extra?.fill));
      if (full || keys.length > DRAWN_ONE_BY_ONE) setEverything((count) => count + 1);
      else {
        redraw(new Set([...withRows(keys), ...glow.fading()]));
        const often = keys.length > WHOLE_ROWS || getState().status.state === "training";
        reader ||= window.setTimeout(tellReaders, often ? 4 * READER_PAUSE : READER_PAUSE);
      }
      window.clearTimeout(timer);
      timer = window.setTimeout(fade, GLOW_PATIENCE);
    });
    let trained = false;
    const unfollow = onUpdates(() => {
      const trains = getState().status.state === "training";
      if (trained && !trains && reader) tellReaders(); // what training has come to does not wait
      trained = trains;
    });
    return () => {
      forget();
      unfollow();
      window.clearTimeout(timer);
      window.clearTimeout(reader);
    };
  }, [sheet.name, cells, glow, redraw, withRows]);

  const drawHeader = useCallback<DrawHeaderCallback>(
    ({ ctx, rect, columnIndex, isHovered }) => {
      const column = columnIndex + 1;
      const on = areas.some((area) => area[1] <= column && column <= area[3]);
      ctx.fillStyle = on ? palette.headerSelected : palette.header;
      ctx.fillRect(rect.x, rect.y, rect.width, rect.height);
      ctx.fillStyle = palette.line;
      ctx.fillRect(rect.x, rect.y + 5, 1, rect.height - 10);
      if (rect.width < 14) return;
      ctx.font = `${on ? "600 " : ""}11.5px ${palette.font}`;
      ctx.fillStyle = on || isHovered ? palette.text : palette.headerText;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      const name = columnName(column);
      if (ctx.measureText(name).width < rect.width) ctx.fillText(name, rect.x + rect.width / 2, rect.y + rect.height / 2 + 1);
      ctx.textAlign = "left";
    },
    [areas, palette],
  );

  const theme = useMemo<Partial<GridTheme>>(() => gridTheme(palette), [palette]);

  // --- what is on screen -----------------------------------------------------------------------------------

  const pending = useRef(0);
  const report = useCallback(() => {
    window.clearTimeout(pending.current);
    pending.current = window.setTimeout(() => {
      const { x, y, width, height } = visible.current;
      const down = (value: number, by: number): number => Math.floor(value / by) * by;
      const up = (value: number, by: number): number => Math.ceil(value / by) * by;
      const first = Math.max(1, down(y + frozenRows + 1 - MARGIN_ROWS / 2, 20) + 1);
      const left = Math.max(1, down(x + 1 - MARGIN_COLUMNS / 2, 5) + 1);
      const last = Math.min(geometry.rows, up(y + frozenRows + height + MARGIN_ROWS, 20));
      const right = Math.min(geometry.columns, up(x + width + MARGIN_COLUMNS, 5));
      look(sheet.name, [first, left, last, right]);
    }, 30);
  }, [sheet.name, geometry, frozenRows]);
  useEffect(() => report(), [report]);

  const seen = useCallback(
    (region: Rectangle) => {
      visible.current = region;
      report();
      setScrolled((count) => count + 1);
    },
    [report],
  );

  /** The canvas of the frozen rows follows the other one sideways; a wheel over it moves the other. */
  useEffect(() => {
    const parts = frame.current;
    if (!parts || !frozenRows) return undefined;
    // Asked for at every turn: a canvas makes its scroller when it has something to show, and sometimes a new one.
    const scroller = (part: Part): HTMLElement | null => parts.querySelector(`.grid-${part} .dvn-scroller`);
    const follow = (event?: Event): void => {
      const [upper, lower] = [scroller("top"), scroller("body")];
      if (event && event.target !== lower) return;
      if (upper && lower && upper.scrollLeft !== lower.scrollLeft) upper.scrollLeft = lower.scrollLeft;
    };
    const wheel = (event: WheelEvent): void => {
      const lower = scroller("body");
      if (!lower || !(event.target as Element).closest(".grid-top")) return;
      lower.scrollTop += event.shiftKey ? 0 : event.deltaY;
      lower.scrollLeft += event.shiftKey ? event.deltaY : event.deltaX;
      event.preventDefault();
    };
    follow();
    parts.addEventListener("scroll", follow, { passive: true, capture: true }); // scroll events do not bubble
    parts.addEventListener("wheel", wheel, { passive: false });
    return () => {
      parts.removeEventListener("scroll", follow, { capture: true });
      parts.removeEventListener("wheel", wheel);
    };
  }, [frozenRows, size, geometry]);

  // --- selection -------------------------------------------------------------------------------------------

  const shown = (part: Part): GridSelection => {
    const range = spanned(selection.anchor, selection.head);
    const area = expanded(sheet, range);
    const clipped = clip(part, area, frozenRows);
    const none = { columns: CompactSelection.empty(), rows: CompactSelection.empty() };
    if (!clipped) return none;
    const inside = clip(part, [...selection.active, ...selection.active], frozenRows);
    const cell: Item = inside ? [inside.x, inside.y] : [clipped.x, clipped.y];
    const rangeStack = selection.more.map((each) => clip(part, each, frozenRows)).filter((each) => each !== null);
    return { ...none, current: { cell, range: clipped, rangeStack } };
  };

  const touched = useRef(-Infinity);
  const touch = (event: React.PointerEvent): void => {
    if (event.type !== "pointermove" || event.buttons) touched.current = performance.now();
  };

  const selected = (part: Part) => (change: GridSelection) => {
    // A canvas that gets the focus selects its first cell by itself; nobody asked for that.
    const clicked = performance.now() - touched.current < 700;
    const read = document.activeElement instanceof HTMLTableCellElement && !getState().editing;
    if (!clicked && !read) return;
    const from = offset(part) + 1;
    if (change.current) {
      const { cell, range, rangeStack } = change.current;
      const first: Place = [cell[1] + from, cell[0] + 1];
      const [x2, y2] = [range.x + range.width - 1, range.y + range.height - 1];
      const head: Place = [(cell[1] === range.y ? y2 : range.y) + from, (cell[0] === range.x ? x2 : range.x) + 1];
      const place = anchored(geometry, first);
      if (pointed(spanned(first, head))) return;
      const more = rangeStack.map((each): Area => toArea(each, from));
      const before = part === "top" ? below(selection.more, frozenRows) : above(selection.more, frozenRows);
      select({ active: place, anchor: place, head, more: rangeStack.length ? [...before, ...more] : more });
      return;
    }
    const chosenColumns = [change.columns.first(), change.columns.last()];
    const chosenRows = [change.rows.first(), change.rows.last()];
    if (chosenColumns[0] !== undefined && chosenColumns[1] !== undefined) {
      const anchor: Place = [1, chosenColumns[0] + 1];
      select({ active: anchor, anchor, head: [Math.max(sheet.rows, 1), chosenColumns[1] + 1], more: [] });
    } else if (chosenRows[0] !== undefined && chosenRows[1] !== undefined) {
      const anchor: Place = [chosenRows[0] + from, 1];
      select({ active: anchor, anchor, head: [chosenRows[1] + from, Math.max(sheet.columns, 1)], more: [] });
    }
  };

  /** Scroll until the cell is on screen. The grid does so itself for the active cell, by this frame. */
  const reveal = useCallback(
    ([row, column]: Place) => {
      const scroll = (attempts: number): void => {
        const scroller = frame.current?.querySelector(".grid-body .dvn-scroller");
        if (!scroller) return;
        let { scrollLeft: x, scrollTop: y } = scroller;
        const left = geometry.across(frozen[1] + 1, column);
        const width = scroller.clientWidth - MARKERS - geometry.across(1, frozen[1] + 1);
        if (column > frozen[1]) x = within(x, left, geometry.widthOf(column), width);
        const height = scroller.clientHeight - (frozenRows ? 0 : HEADER);
        const top = geometry.down(frozenRows + 1, row);
        if (row > frozenRows) y = within(y, top, geometry.heightOf(row), height);
        scroller.scrollTo(x, y);
        // A sheet that has just been opened is not laid out as a whole yet, and does not scroll so far.
        const { scrollLeft, scrollTop } = scroller;
        if (attempts === 0 || (x - scrollLeft <= 1 && y - scrollTop <= 1)) return;
        requestAnimationFrame(() => {
          if (scroller.scrollLeft === scrollLeft && scroller.scrollTop === scrollTop) scroll(attempts - 1);
        });
      };
      requestAnimationFrame(() => scroll(REVEALED_WITHIN));
    },
    [geometry, frozen, frozenRows],
  );

  const focus = useCallback(() => {
    const place = selectionOf(getState()).active;
    (place[0] <= frozenRows ? top : body).current?.focus();
  }, [frozenRows]);

  /** The canvas with the active cell has the focus, so that a screen reader tells of that cell. */
  const inTop = selection.active[0] <= frozenRows;
  useEffect(() => {
    const other = frame.current?.querySelector(inTop ? ".grid-body" : ".grid-top");
    if (other?.contains(document.activeElement)) focus();
  }, [inTop, focus]);

  const bounds = useCallback(
    ([row, column]: Place): Rectangle | undefined => {
      const part = row <= frozenRows ? top.current : body.current;
      return part?.getBounds(column - 1, row - 1 - (row <= frozenRows ? 0 : frozenRows));
    },
    [frozenRows],
  );

  const onKeyDown = useKeyboard({ geometry, cells, visible, frozenRows, reveal, focus, frame });

  useEffect(() => {
    const onReveal = (): void => reveal(selectionOf(getState()).active);
    window.addEventListener("reveal", onReveal);
    window.addEventListener(FOCUS_SHEET, focus);
    return () => {
      window.removeEventListener("reveal", onReveal);
      window.removeEventListener(FOCUS_SHEET, focus);
    };
  }, [reveal, focus]);

  // --- sizes -----------------------------------------------------------------------------------------------

  const resize = (column: number, width: number): void =>
    change(({ widths }) => ({ widths: { ...widths, [column]: width } }));

  /** A width that was dragged is an edit of the book: all pages get it, and Undo takes it back. */
  const resized = (column: number, width: number): void => {
    const forget = (): void =>
      change(({ widths }) => ({ widths: Object.fromEntries(Object.entries(widths).filter(([at]) => Number(at) !== column)) }));
    setWidths(sheet.name, chosenColumns(areas, column, sheet.rows), width).then(forget, forget);
  };

  const hidden = useMemo<Hidden>(() => {
    const file = hiddenIn(sheet);
    return { rows: sizes.hiddenRows ?? file.rows, columns: sizes.hiddenColumns ?? file.columns };
  }, [sheet, sizes]);

  /** Rows without a height of their own are as high as their texts ask for. */
  useEffect(() => {
    const fit = (keys: Iterable<number>): void => {
      const needed = neededHeights(keys, cells, styles, geometry, palette.font);
      if (Object.keys(needed).length) change(({ heights }) => ({ heights: { ...heights, ...needed } }));
    };
    fit(cells.keys());
    return onCells(({ sheet: changed, keys }) => {
      if (changed === sheet.name) fit(keys);
    });
  }, [cells, styles, geometry, palette.font, change, sheet.name]);

  // --- what the mouse is over ------------------------------------------------------------------------------

  const hover = (part: Part) => (args: { kind: string; location: readonly [number, number]; bounds?: Rectangle }) => {
    if (args.kind !== "cell" || !args.bounds) {
      frame.current?.classList.remove("on-link");
      setHovered(null);
      return;
    }
    const [row, column] = [args.location[1] + offset(part) + 1, args.location[0] + 1];
    frame.current?.classList.toggle("on-link", linkAt([row, column]) !== undefined);
    const has = gradientsOf(getState())?.has(key(row, column)) || cells.get(row, column)?.extra?.uncalculated;
    if (!has) setHovered(null);
    else setHovered({ row, column, x: args.bounds.x + args.bounds.width / 2, y: args.bounds.y });
  };

  /** A click on a cell with a link goes where it leads; with a key held down, it selects. */
  const follow = (part: Part) => (cell: Item, event: CellClickedEventArgs) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) followLink([cell[1] + offset(part) + 1, cell[0] + 1]);
  };

  const highlights = (part: Part): { color: string; range: Rectangle; style: "solid-outline" | "dashed" }[] =>
    references
      .filter((reference) => reference.sheet === sheet.name)
      .flatMap(({ area, number }) => {
        const range = clip(part, area, frozenRows);
        const color = palette.references[number % palette.references.length] ?? palette.accent;
        return range ? [{ color, range, style: "solid-outline" as const }] : [];
      });

  const shared = {
    columns,
    theme,
    drawHeader,
    width: size[0],
    freezeColumns: frozen[1],
    smoothScrollX: true,
    smoothScrollY: true,
    minColumnWidth: 1,
    maxColumnWidth: 2000,
    rangeSelect: "multi-rect",
    columnSelect: "multi",
    rowSelect: "multi",
    columnSelectionBlending: "exclusive",
    rowSelectionBlending: "exclusive",
    rangeSelectionBlending: "exclusive",
    verticalBorder: false,
    drawFocusRing: false,
    editOnType: false,
    keybindings: NO_KEYS,
    experimental: { disableMinimumCellWidth: true },
    cellActivationBehavior: "double-click",
    onCellActivated: () => startEditing("cell"),
    onColumnResize: (_: GridColumn, width: number, index: number) => resize(index + 1, Math.max(4, Math.round(width))),
    onColumnResizeEnd: (_: GridColumn, width: number, index: number) => resized(index + 1, Math.max(4, Math.round(width))),
  } as const;
  const markers = (part: Part) =>
    ({ kind: "clickable-number", width: MARKERS, startIndex: offset(part) + 1 }) as const;
  /** The numbers of rows: plain where the row is selected, and none where there is no room. */
  const rowTheme = (part: Part) => (row: number): Partial<GridTheme> | undefined => {
    const at = row + offset(part) + 1;
    if (geometry.heightOf(at) < 11) return { textLight: "rgba(0, 0, 0, 0)", textDark: "rgba(0, 0, 0, 0)" };
    return areas.some((area) => area[0] <= at && at <= area[2]) ? { textLight: palette.text } : undefined;
  };
  const common = geometry.commonHeight(frozenRows + 1);
  const rowHeight = common ?? ((row: number) => geometry.heightOf(row + frozenRows + 1));
  const name = `${sheet.name}, ${areaName(areas.at(-1) ?? [1, 1, 1, 1])}`;

  return (
    <div
      ref={frame}
      className="grid-parts"
      onKeyDownCapture={(event) => {
        touched.current = -Infinity; // what a canvas selects after this, the pointer has not chosen
        onKeyDown(event);
      }}
      onPointerDownCapture={touch}
      onPointerMoveCapture={touch}
      onPointerUpCapture={touch}
      onMouseLeave={() => setHovered(null)}
      aria-label={name}
      role="group"
    >
      {frozenRows > 0 && (
        <div className="grid-top" style={{ height: topHeight }}>
          <DataEditor
            {...shared}
            ref={top}
            height={topHeight}
            headerHeight={HEADER}
            rows={frozenRows}
            rowHeight={(row: number) => geometry.heightOf(row + 1)}
            rowMarkers={markers("top")}
            getRowThemeOverride={rowTheme("top")}
            getCellContent={topContent}
            drawCell={drawTopCell}
            gridSelection={shown("top")}
            onGridSelectionChange={selected("top")}
            onItemHovered={hover("top")}
            onCellClicked={follow("top")}
            highlightRegions={highlights("top")}
          />
        </div>
      )}
      <div className="grid-body">
        <DataEditor
          {...shared}
          ref={body}
          height={size[1] - topHeight}
          headerHeight={frozenRows ? 0 : HEADER}
          rows={geometry.rows - frozenRows}
          rowHeight={rowHeight}
          rowMarkers={markers("body")}
          getRowThemeOverride={rowTheme("body")}
          getCellContent={bodyContent}
          drawCell={drawBodyCell}
          gridSelection={shown("body")}
          onGridSelectionChange={selected("body")}
          onVisibleRegionChanged={seen}
          onItemHovered={hover("body")}
          onCellClicked={follow("body")}
          highlightRegions={highlights("body")}
        />
      </div>
      <ChartsOnSheet
        geometry={geometry}
        frozen={frozen}
        top={topHeight || HEADER}
        left={MARKERS + geometry.across(1, frozen[1] + 1)}
        frame={frame}
      />
      <Folds
        geometry={geometry}
        hidden={hidden}
        onChange={(now) => change(() => ({ hiddenRows: now.rows, hiddenColumns: now.columns }))}
        frozen={frozen}
        header={HEADER}
        markers={MARKERS}
        visible={visible}
        frame={frame}
        scrolled={scrolled}
      />
      {editing?.source === "cell" && (
        <CellEditor editing={editing} geometry={geometry} bounds={bounds} frame={frame} scrolled={scrolled} />
      )}
      {hovered && <Hint {...hovered} frame={frame} />}
    </div>
  );
}

interface HintProps {
  row: number;
  column: number;
  x: number;
  y: number;
  frame: React.RefObject<HTMLDivElement>;
}

function Hint({ row, column, x, y, frame }: HintProps): JSX.Element {
  const gradient = useStore((state) => gradientsOf(state)?.get(key(row, column)));
  const box = frame.current?.getBoundingClientRect();
  const text =
    gradient === undefined
      ? "Not calculated here: the saved value is shown"
      : `gradient ${gradient.toPrecision(4)}: the loss ${gradient > 0 ? "grows" : "falls"} as ${cellName(row, column)} grows`;
  return (
    <div className="hint" role="tooltip" style={{ left: x - (box?.left ?? 0), top: y - (box?.top ?? 0) }}>
      {text}
    </div>
  );
}

/** How far to scroll, from where it is, until what starts at `start` is within the room. */
function within(now: number, start: number, size: number, room: number): number {
  if (start < now) return start;
  return start + size > now + room ? Math.min(start, start + size - room + 1) : now;
}

/** The part of an area that a canvas shows, in its own rows and columns, from 0. */
function clip(part: Part, [top, left, bottom, right]: Area, frozenRows: number): Rectangle | null {
  const first = part === "top" ? top : Math.max(top, frozenRows + 1);
  const last = part === "top" ? Math.min(bottom, frozenRows) : bottom;
  if (first > last) return null;
  const from = part === "top" ? 1 : frozenRows + 1;
  return { x: left - 1, y: first - from, width: right - left + 1, height: last - first + 1 };
}

function toArea(range: Rectangle, from: number): Area {
  return [range.y + from, range.x + 1, range.y + from + range.height - 1, range.x + range.width];
}

/** The columns that get a width: all that are selected as whole columns, if the dragged one is among them. */
function chosenColumns(areas: Area[], column: number, rows: number): Area[] {
  const whole = areas.filter((area) => area[0] === 1 && area[2] >= Math.max(rows, 1));
  const own = whole.filter((area) => area[1] <= column && column <= area[3]);
  return own.length ? whole : [[1, column, 1, column]];
}

const below = (areas: Area[], frozenRows: number): Area[] => areas.filter((area) => area[0] > frozenRows);
const above = (areas: Area[], frozenRows: number): Area[] => areas.filter((area) => area[0] <= frozenRows);

/** The page has keys of its own; the grid's would only get in the way. */
const NO_KEYS = {
  copy: false,
  cut: false,
  paste: false,
  clear: false,
  closeOverlay: false,
  acceptOverlayDown: false,
  acceptOverlayUp: false,
  acceptOverlayLeft: false,
  acceptOverlayRight: false,
  search: false,
  delete: false,
  downFill: false,
  rightFill: false,
  activateCell: false,
  selectAll: false,
  selectColumn: false,
  selectRow: false,
} as const;

function gridTheme(palette: Palette): Partial<GridTheme> {
  return {
    accentColor: palette.accent,
    accentFg: "#ffffff",
    accentLight: "rgba(0, 0, 0, 0)",
    textDark: palette.text,
    textMedium: palette.headerText,
    textLight: palette.headerText,
    textHeader: palette.headerText,
    textHeaderSelected: palette.text,
    bgCell: palette.background,
    bgCellMedium: palette.background,
    bgHeader: palette.header,
    bgHeaderHasFocus: palette.headerSelected,
    bgHeaderHovered: palette.headerSelected,
    borderColor: palette.line,
    horizontalBorderColor: "rgba(0, 0, 0, 0)",
    headerBottomBorderColor: palette.line,
    fontFamily: palette.font,
    baseFontStyle: "13px",
    markerFontStyle: "11.5px",
    headerFontStyle: "11.5px",
    cellHorizontalPadding: 8,
    roundingRadius: 0,
    lineHeight: 1.3,
  };
}
