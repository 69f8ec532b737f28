// The workbook's charts over the cells that they cover, as in other spreadsheet programs. Clicks reach the cells below.

import { type RefObject, useEffect, useRef } from "react";
import type { Geometry } from "../grid/geometry";
import type { Area, Chart } from "../protocol";
import { useStore } from "../store";
import { SheetChart } from "./sheet_chart";

const CAPTION = 44; // pixels of a chart that its title and its legend take
const SMALLEST = 60;

interface Props {
  geometry: Geometry;
  /** Rows and columns that stand still: charts move with the others. */
  frozen: [rows: number, columns: number];
  /** From the frame's edges to the first cell that scrolls, in pixels. */
  top: number;
  left: number;
  frame: RefObject<HTMLDivElement>;
}

const NONE: Chart[] = [];

export function ChartsOnSheet({ geometry, frozen, top, left, frame }: Props): JSX.Element | null {
  const charts = useStore((state) => state.charts[geometry.sheet.name] ?? NONE);
  const layer = useRef<HTMLDivElement>(null);
  const anchored = charts.filter((chart) => chart.anchor !== null);
  useEffect(() => {
    const scroller = frame.current?.querySelector<HTMLElement>(".grid-body .dvn-scroller");
    if (!scroller) return undefined;
    const follow = (): void => {
      if (layer.current) layer.current.style.transform = `translate(${-scroller.scrollLeft}px, ${-scroller.scrollTop}px)`;
    };
    follow();
    scroller.addEventListener("scroll", follow, { passive: true });
    return () => scroller.removeEventListener("scroll", follow);
  }, [geometry, anchored.length, top, left]);
  if (anchored.length === 0) return null;
  return (
    <div className="charts-on-sheet" style={{ top, left }}>
      <div ref={layer}>
        {anchored.map((chart, place) => {
          const box = boxOf(geometry, frozen, chart.anchor as Area);
          return (
            <div key={place} className="chart-on-sheet" style={box}>
              <SheetChart chart={chart} height={Math.max(SMALLEST, box.height - CAPTION)} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Where a chart is, from the first cell that scrolls; what begins above or left of that cell is cut off there. */
function boxOf(geometry: Geometry, [rows, columns]: [number, number], [top, left, bottom, right]: Area): Box {
  const above = top <= rows ? -geometry.down(top, rows + 1) : geometry.down(rows + 1, top);
  return {
    left: geometry.across(columns + 1, left),
    top: above,
    width: geometry.across(left, right + 1),
    height: geometry.down(top, bottom + 1),
  };
}
