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
  const inView = useRef(true); // what nobody sees is not drawn anew
  const waits = useRef(false);
  latest.current = data;

  useLayoutEffect(() => {
    const target = place.current;
    if (!target) return undefined;
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

  useEffect(() => {
    if (inView.current) plot.current?.setData(data);
    else waits.current = true;
  }, [data]);

  useEffect(() => {
    const target = place.current;
    if (!target) return undefined;
    const observer = new IntersectionObserver(([entry]) => {
      inView.current = entry?.isIntersecting ?? true;
      if (inView.current && waits.current) {
        waits.current = false;
        plot.current?.setData(latest.current);
      }
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);

  return <div ref={place} className="plot" style={{ height }} role="img" aria-label={label} />;
}
