// A uPlot chart as a component: as wide as its place, of a fixed height, so that nothing around it ever moves.

import { useEffect, useLayoutEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export type PlotOptions = Omit<uPlot.Options, "width" | "height">;
export type PlotData = uPlot.AlignedData;

interface Props {
  /** A new object makes a new chart; data that change do not. */
  options: PlotOptions;
  data: PlotData;
  height: number;
  /** What a screen reader says of the picture. */
  label: string;
}

export function Plot({ options, data, height, label }: Props): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;

  useLayoutEffect(() => {
    const target = place.current;
    if (!target) return;
    const made = new uPlot({ ...options, width: Math.max(1, target.clientWidth), height }, latest.current, target);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = target.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    observer.observe(target);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [options, height]);

  useEffect(() => plot.current?.setData(data), [data]);

  return <div ref={place} className="plot" style={{ height }} role="img" aria-label={label} />;
}
