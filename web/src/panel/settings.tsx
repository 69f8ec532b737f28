// The settings of a run that are changed most: with what the server says is allowed, and what it chooses by itself.

import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ask } from "../live";
import type { BookMessage, Choice, Model } from "../protocol";
import { getState } from "../store";
import { Speed } from "./speed";

const NUMBERS = ["learning rate", "batch size", "steps", "seed"] as const;
const EMPTY: Record<(typeof NUMBERS)[number], string> = {
  "learning rate": "auto",
  "batch size": "all rows",
  steps: "auto",
  seed: "any",
};
const RATES = [1, 2, 5]; // the digits that arrow keys walk through: 0.01, 0.02, 0.05, 0.1 …

interface Props {
  model: Model | undefined;
  choices: BookMessage["choices"];
  /** The button that finds a learning rate. */
  children: ReactNode;
}

export function SettingsSection({ model, choices, children }: Props): JSX.Element {
  const helps = new Map((choices.settings ?? []).map((each) => [each.name, each]));
  const optimizers = choices.optimizer ?? [];
  const chosen = textOf(model, "optimizer").toLowerCase() || "auto";
  const row = optimizers.find((each) => each.name === chosen);
  return (
    <section className="settings" aria-label="Settings">
      <div className="field optimizer">
        <label htmlFor="optimizer">Optimizer</label>
        <select
          id="optimizer"
          value={chosen}
          disabled={!model?.loss}
          aria-describedby="optimizer-help"
          onChange={(event) => write("optimizer", event.target.value === "auto" ? "" : event.target.value)}
        >
          {!row && <option value={chosen}>{chosen}</option>}
          {optimizers.map((each) => (
            <option key={each.name} value={each.name}>
              {each.name}
            </option>
          ))}
        </select>
        <p className="field-help" id="optimizer-help">
          {row?.help ?? ""}
        </p>
      </div>
      <div className="fields">
        {NUMBERS.map((name) => (
          <NumberField
            key={name}
            name={name}
            value={textOf(model, name)}
            empty={name === "learning rate" ? rateOf(row) : EMPTY[name]}
            help={helps.get(name)}
            disabled={!model?.loss}
            step={name === "learning rate" ? nextRate : nextWhole}
          />
        ))}
      </div>
      {children}
      <Speed />
    </section>
  );
}

function textOf(model: Model | undefined, name: string): string {
  const value = model?.settings[name];
  return value === null || value === undefined ? "" : String(value);
}

function rateOf(row: Choice | undefined): string {
  return row?.learning_rate ? `${row.learning_rate}` : EMPTY["learning rate"];
}

function write(name: string, value: string): Promise<boolean> {
  return ask({ type: "settings", sheet: getState().sheet, values: { [name]: value } }).then(
    () => true,
    () => false,
  );
}

interface FieldProps {
  name: string;
  value: string;
  empty: string;
  help: Choice | undefined;
  disabled: boolean;
  step: (value: number, up: boolean) => number;
}

function NumberField({ name, value, empty, help, disabled, step }: FieldProps): JSX.Element {
  const id = useId();
  const [text, setText] = useState(value);
  const [wrong, setWrong] = useState(false);
  const typing = useRef(false); // what comes from the sheet meanwhile does not take the text away
  useEffect(() => {
    if (typing.current) return;
    setText(value);
    setWrong(false);
  }, [value]);

  const finish = (next: string): void => {
    typing.current = false;
    const wanted = next.trim();
    setText(wanted);
    if (wanted === value) return;
    void write(name, wanted).then((done) => setWrong(!done));
  };
  const onKey = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (event.key === "Enter") finish(text);
    else if (event.key === "Escape") {
      typing.current = false;
      setText(value);
      setWrong(false);
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const number = Number(text === "" ? empty : text);
      if (!Number.isFinite(number)) return;
      event.preventDefault();
      finish(String(step(number, event.key === "ArrowUp")));
    }
  };
  return (
    <div className="field">
      <label htmlFor={id}>{name[0]?.toUpperCase() + name.slice(1)}</label>
      <input
        id={id}
        type="text"
        inputMode="decimal"
        autoComplete="off"
        spellCheck={false}
        value={text}
        placeholder={empty}
        disabled={disabled}
        aria-invalid={wrong}
        title={help ? `${help.help}: ${help.allowed ?? ""}. Arrow keys change it` : undefined}
        onChange={(event) => {
          typing.current = true;
          setText(event.target.value);
        }}
        onBlur={() => finish(text)}
        onKeyDown={onKey}
      />
    </div>
  );
}

/** The next of 0.01, 0.02, 0.05, 0.1 … */
export function nextRate(value: number, up: boolean): number {
  if (!(value > 0)) return 0.001;
  const power = Math.floor(Math.log10(value) + 1e-9);
  const steps = [...RATES.map((digit) => digit * 10 ** (power - 1)), ...RATES.map((digit) => digit * 10 ** power), 10 ** (power + 1)];
  const found = up ? steps.find((each) => each > value * 1.001) : steps.reverse().find((each) => each < value * 0.999);
  return Number((found ?? value).toPrecision(3));
}

function nextWhole(value: number, up: boolean): number {
  return Math.max(0, Math.round(value) + (up ? 1 : -1));
}
