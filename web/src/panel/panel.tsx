// The panel beside the sheet: the run, its loss, its settings, what is around a parameter, charts, findings, the model.

import "../styles/panel.css";
import { LossChart } from "../charts/loss_chart";
import { SheetChart } from "../charts/sheet_chart";
import { bookId, command, showSheet } from "../live";
import type { Chart, Command, Finding } from "../protocol";
import { getState, modelOf, update, useStore } from "../store";
import { CommandButton } from "./command_button";
import type { Situation } from "./commands";
import { Findings } from "./findings";
import { ParameterSection } from "./parameter";
import { RunControls } from "./run_controls";
import { Section } from "./section";
import { SettingsSection } from "./settings";
import { Setup } from "./setup";

const TOOLS = ["check", "gradients", "report", "log", "export", "goal-seek"];
const NO_CHARTS: Chart[] = [];
const NO_FINDINGS: Finding[] = [];
const NO_COMMANDS: Command[] = [];

export function Panel(): JSX.Element | null {
  const open = useStore((state) => state.panelOpen);
  return open ? (
    <aside className="panel" aria-label="Training">
      <Parts />
    </aside>
  ) : null;
}

function Parts(): JSX.Element {
  const book = useStore((state) => state.book);
  const sheet = useStore((state) => state.sheet);
  const running = useStore((state) => state.status.state);
  const canUndo = useStore((state) => state.status.can_undo ?? true);
  const model = useStore(modelOf);
  const connected = useStore((state) => state.link);
  const findings = useStore((state) => state.findings[state.sheet] ?? NO_FINDINGS);
  const commands = book?.commands ?? NO_COMMANDS;
  const situation: Situation = {
    connected: connected === "open",
    state: running,
    canUndo,
    model,
  };
  const setup = book && <Setup sheet={sheet} model={model} commands={commands} situation={situation} />;
  const run = <RunControls commands={commands} situation={situation} />;
  const tools = (
    <Section name="More">
      <div className="tools-list">
        <Commands names={TOOLS} commands={commands} situation={situation} />
      </div>
    </Section>
  );
  if (!model?.loss) {
    return (
      <>
        {run}
        {book && <Elsewhere sheets={Object.keys(book.models).filter((name) => book.models[name]?.loss)} />}
        <Section name="Set up a model">{setup}</Section>
        <SheetCharts sheet={sheet} />
        {tools}
      </>
    );
  }
  return (
    <>
      {run}
      <Section name="Loss">
        <LossChart />
      </Section>
      <Section name="Findings" note={findings.length ? String(findings.length) : "none"}>
        {findings.length > 0 ? (
          <Findings findings={findings} />
        ) : (
          <p className="quiet">Nothing that hinders training has been noticed.</p>
        )}
      </Section>
      <Section name="Settings">
        <SettingsSection model={model} choices={book?.choices ?? {}}>
          <div className="find-rate">
            <Commands names={["find-lr"]} commands={commands} situation={situation} />
          </div>
        </SettingsSection>
      </Section>
      <Section name="Around a parameter">
        <ParameterSection sheet={sheet} model={model} />
        <GradientSwitch />
      </Section>
      <SheetCharts sheet={sheet} />
      <Section name="Model">{setup}</Section>
      {tools}
    </>
  );
}

/** The sheets that can be trained, where the one in view can't. */
function Elsewhere({ sheets }: { sheets: string[] }): JSX.Element | null {
  if (sheets.length === 0) return null;
  return (
    <Section name="Models of this workbook">
      <ul className="elsewhere">
        {sheets.map((name) => (
          <li key={name}>
            <button type="button" className="button" onClick={() => showSheet(name)}>
              {name}
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function SheetCharts({ sheet }: { sheet: string }): JSX.Element | null {
  const charts = useStore((state) => state.charts[sheet] ?? NO_CHARTS);
  if (charts.length === 0) return null;
  return (
    <Section name="Charts" note={String(charts.length)}>
      {charts.map((chart, place) => (
        <SheetChart key={`${sheet} ${place}`} chart={chart} />
      ))}
    </Section>
  );
}

function Commands(props: { names: string[]; commands: Command[]; situation: Situation }): JSX.Element {
  const named = props.names.flatMap((name) => props.commands.filter((each) => each.name === name));
  return (
    <>
      {named.map((each) => (
        <CommandButton key={each.name} command={each} situation={props.situation} onPress={press} size="small" />
      ))}
    </>
  );
}

function GradientSwitch(): JSX.Element {
  const on = useStore((state) => state.showGradients);
  return (
    <label className="switch" title="On each parameter an arrow: which way it would go to make the loss smaller, and how strongly">
      <input type="checkbox" role="switch" checked={on} onChange={(event) => update({ showGradients: event.target.checked })} />
      <span>Gradients on the parameter cells</span>
    </label>
  );
}

function press(each: Command): void {
  if (each.name === "export") download();
  else command(each.name).catch(() => undefined);
}

/** The model as Python, as a download: a page has no folder to write to. */
function download(): void {
  const id = bookId();
  if (!id) return;
  const link = document.createElement("a");
  link.href = `/api/book/${id}/export?sheet=${encodeURIComponent(getState().sheet)}`;
  link.download = "";
  link.click();
}
