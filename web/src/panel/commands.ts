// When a command can be used, and why not if it can't. The declaration of each command says what it needs.

import type { Command, Model, StatusMessage } from "../protocol";

export interface Situation {
  connected: boolean;
  state: StatusMessage["state"];
  canUndo: boolean;
  model: Model | undefined;
}

/** Why a command can't be used now; an empty text if it can. */
export function hindrance(command: Command, { connected, state, canUndo, model }: Situation): string {
  if (!connected) return "There is no connection to sgdsheet.";
  if (command.needs === "model" && !model?.loss) return "This sheet has no loss yet: set one up under Model.";
  const running = state !== "idle";
  if (command.name === "train" && state === "paused") return "";
  if (command.when === "not_training" && running)
    return state === "working" ? "Something else is being done: wait, or press Stop." : "Stop the training first.";
  if (command.when === "training" && !running) return "Nothing is being trained.";
  if (command.name === "undo" && !canUndo) return "Nothing has changed the parameters yet.";
  return "";
}
