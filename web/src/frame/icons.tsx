// Line drawings of 16 by 16 units, in the colour of the text beside them.

const PATHS = {
  undo: "M6 3 2.5 6.5 6 10M3 6.5h6.5a4 4 0 0 1 0 8H7",
  redo: "M10 3l3.5 3.5L10 10M13 6.5H6.5a4 4 0 0 0 0 8H9",
  download: "M8 2v8m0 0 3-3m-3 3L5 7M2.5 12.5v1h11v-1",
  save: "M3 2.5h8l2.5 2.5v8.5h-11V3a.5.5 0 0 1 .5-.5ZM5 2.5v3.5h5V2.5M5 13.5V9h6v4.5",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13",
  moon: "M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z",
  system: "M2.5 3h11v7.5h-11ZM6 13.5h4M8 10.5v3",
  down: "M4 6.5 8 10l4-3.5",
  close: "M4 4l8 8M12 4l-8 8",
  panel: "M2.5 3h11v10h-11ZM9.5 3v10",
  home: "M2.5 7.5 8 3l5.5 4.5M4 6.8V13h8V6.8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
