// The buttons of a run and how far it is: Step, Train or Pause, Stop, and what brings parameters back or anew.

import { counted, short } from "../charts/looks";
import { command as ask } from "../live";
import type { Command } from "../protocol";
import { useStore } from "../store";
import { CommandButton } from "./command_button";
import type { Situation } from "./commands";
import { trainOptions } from "./speed";

const BACK = ["undo", "reset", "randomize"];

/** The command `pause` has no button of its own in other programs, where Stop and Train are enough. */
const PAUSE: Command = {
  name: "pause",
  label: "Pause",
  title: "Pause",
  tip: "the run waits where it is",
  help: "The run waits where it is. Look around, change a number or a setting, and press Train to go on.",
  group: "train",
  needs: "model",
  when: "training",
  drawing: [
    '<rect x="6" y="5" width="4" height="14" rx="1" fill="currentColor" stroke="none"/>',
    '<rect x="14" y="5" width="4" height="14" rx="1" fill="currentColor" stroke="none"/>',
  ],
};

interface Props {
  commands: Command[];
  situation: Situation;
}

export function RunControls({ commands, situation }: Props): JSX.Element {
  const named = (name: string): Command[] => commands.filter((each) => each.name === name);
  const press = (each: Command): void => run(each, situation);
  const runs = situation.state === "training" || situation.state === "starting";
  return (
    <section className="run" aria-label="Run">
      <div className="run-main">
        {named("step").map((each) => (
          <CommandButton key="step" command={each} situation={situation} onPress={press} size="large" />
        ))}
        {runs ? (
          <CommandButton key="go" command={PAUSE} situation={situation} onPress={press} size="large" primary />
        ) : (
          named("train").map((each) => (
            <CommandButton
              key="go"
              command={each}
              situation={situation}
              onPress={press}
              size="large"
              label={situation.state === "paused" ? "Go on" : each.label}
              primary
            />
          ))
        )}
        {named("stop").map((each) => (
          <CommandButton key="stop" command={each} situation={situation} onPress={press} size="large" />
        ))}
      </div>
      <div className="run-back">
        {BACK.flatMap(named).map((each) => (
          <CommandButton key={each.name} command={each} situation={situation} onPress={press} size="small" />
        ))}
      </div>
      <Progress />
    </section>
  );
}

function run(command: Command, situation: Situation): void {
  const options = command.name === "train" && situation.state === "idle" ? trainOptions() : {};
  if (command.name === "pause") options.on = true;
  ask(command.name, options).catch(() => undefined);
}

function Progress(): JSX.Element {
  const status = useStore((state) => state.status);
  const { step, steps, loss, steps_per_second: speed } = status;
  const share = step && steps ? Math.min(1, step / steps) : 0;
  return (
    <div className="progress">
      <dl>
        <div>
          <dt>Step</dt>
          <dd>
            {step != null ? counted(step) : "–"}
            {steps ? <small> of {counted(steps)}</small> : null}
          </dd>
        </div>
        <div>
          <dt>Loss</dt>
          <dd data-testid="panel-loss">{short(loss)}</dd>
        </div>
        <div>
          <dt>Steps/s</dt>
          <dd>{speed != null && status.state === "training" ? short(Number(speed.toPrecision(3))) : "–"}</dd>
        </div>
      </dl>
      <div
        className="progress-bar"
        role="progressbar"
        aria-label="Steps taken"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
      >
        <i style={{ transform: `scaleX(${share})` }} />
      </div>
    </div>
  );
}
