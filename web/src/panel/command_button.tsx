// The button of a live command: its picture, label and help come from the one declaration of commands.

import type { Command } from "../protocol";
import { hindrance, type Situation } from "./commands";
import { useTip } from "./tip";

interface Props {
  command: Command;
  situation: Situation;
  onPress: (command: Command) => void;
  size: "large" | "small";
  label?: string;
  primary?: boolean;
}

/**
 * A button that can't be used now keeps the keyboard's focus and its tip, which says why: so people find out what it
 * is for.
 */
export function CommandButton({ command, situation, onPress, size, label, primary }: Props): JSX.Element {
  const reason = hindrance(command, situation);
  const { handlers, tip } = useTip(
    command.title ?? command.label,
    <>
      {command.help}
      {reason && <em> {reason}</em>}
    </>,
  );
  return (
    <>
      <button
        type="button"
        className={`command ${size} ${primary ? "primary" : ""}`}
        data-command={command.name}
        aria-disabled={reason !== ""}
        onClick={() => reason === "" && onPress(command)}
        {...handlers}
      >
        <Drawing shapes={command.drawing ?? []} />
        <span>{label ?? command.label}</span>
      </button>
      {tip}
    </>
  );
}

/** A declaration's shapes, which are part of the package: no text of a workbook gets here. */
export function Drawing({ shapes }: { shapes: readonly string[] }): JSX.Element {
  return (
    <svg
      className="drawing"
      viewBox="0 0 24 24"
      width="18"
      height="18"
      fill="none"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      dangerouslySetInnerHTML={{ __html: shapes.join("") }}
    />
  );
}
