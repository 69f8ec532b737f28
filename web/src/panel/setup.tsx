// The model of a sheet: what it is, or how to point at it. Where nobody has named anything, candidates are offered.

import { useEffect, useState } from "react";
import { areaName, readAddress } from "../address";
import { command, edit, goTo, inquire } from "../live";
import type { Area, Command, Model } from "../protocol";
import { useStore } from "../store";
import { CommandButton } from "./command_button";
import type { Situation } from "./commands";

/** A model that the workbook seems to hold; its cells with their sheets, as in `'my sheet'!B2:C9`. */
interface Candidate {
  sheet: string;
  loss: string;
  params: string[];
  data: string[];
  label: string;
  formula: string;
  maximize: boolean;
}

interface Found {
  candidates: Candidate[];
  /** Models whose loss nobody has written yet: `formula` belongs into the empty cell `loss`. */
  missing: Candidate[];
}

const NOTHING: Found = { candidates: [], missing: [] };

interface Props {
  sheet: string;
  model: Model | undefined;
  commands: Command[];
  situation: Situation;
}

const PARTS = [
  { command: "set-loss", role: "loss", name: "Loss", missing: "the cell that measures how wrong the model is" },
  { command: "set-params", role: "parameter", name: "Parameters", missing: "the numbers that training may change" },
  { command: "set-data", role: "data", name: "Data rows", missing: "the rows of samples, for batches (optional)" },
] as const;

export function Setup({ sheet, model, commands, situation }: Props): JSX.Element {
  const press = (each: Command): void => void command(each.name).catch(() => undefined);
  return (
    <div className="setup">
      {model?.error && <p className="setup-error">{model.error}</p>}
      {!model?.loss && <Candidates sheet={sheet} />}
      <ul className="parts">
        {PARTS.map((part) => {
          const declared = commands.find((each) => each.name === part.command);
          const areas = areasOf(model, part.role);
          return (
            <li key={part.role}>
              <span className={`part-name role-${part.role}`}>{part.name}</span>
              <span className="part-areas">
                {areas.map((area) => (
                  <button key={area.join()} type="button" className="link" onClick={() => goTo(null, area)}>
                    {areaName(area)}
                  </button>
                ))}
                {areas.length === 0 && <small>{part.missing}</small>}
              </span>
              {declared && (
                <CommandButton command={declared} situation={situation} onPress={press} size="small" label="Set" />
              )}
            </li>
          );
        })}
      </ul>
      <p className="setup-how">Select cells in the sheet, then press Set. The choice is kept as names of the workbook.</p>
    </div>
  );
}

function areasOf(model: Model | undefined, role: "loss" | "parameter" | "data"): Area[] {
  if (!model) return [];
  if (role === "loss") return model.loss ? [[model.loss[0], model.loss[1], model.loss[0], model.loss[1]]] : [];
  return (role === "parameter" ? model.params : model.data) ?? [];
}

/** What looks like a loss and its parameters; asked for once per sheet, as finding them takes a moment. */
function Candidates({ sheet }: { sheet: string }): JSX.Element {
  const [found, setFound] = useState<Found | null>(null);
  const [busy, setBusy] = useState(false);
  const connected = useStore((state) => state.link === "open");
  useEffect(() => {
    if (!connected) return;
    let gone = false;
    setFound(null);
    inquire({ type: "candidates", sheet })
      .then((reply) => {
        if (!gone) setFound({ ...NOTHING, ...(reply as Partial<Found>) });
      })
      .catch(() => !gone && setFound(NOTHING));
    return () => {
      gone = true;
    };
  }, [sheet, connected]);

  const choose = async (candidate: Candidate, written: boolean): Promise<void> => {
    setBusy(true);
    try {
      if (!written) await write(candidate);
      await adopt(candidate);
    } finally {
      setBusy(false);
    }
  };
  const written = (found?.candidates.length ?? 0) > 0;
  const offered = (written ? found?.candidates : found?.missing) ?? [];
  return (
    <div className="candidates" aria-live="polite">
      {found === null && <p className="quiet">Looking for what could be trained here …</p>}
      {found && offered.length === 0 && (
        <p className="quiet">Nobody has said yet what training shall make small on this sheet.</p>
      )}
      {offered.length > 0 && (
        <>
          <p>{written ? "This could be trained:" : "No cell says yet how wrong this sheet is. One could:"}</p>
          <ul>
            {offered.slice(0, 4).map((each) => (
              <li key={each.loss}>
                <div>
                  {each.label && <b>{each.label}: </b>}
                  {each.maximize ? "the largest" : "the smallest"} <Cells text={each.loss} /> by changing{" "}
                  {each.params.map((text, place) => (
                    <span key={text}>
                      {place > 0 && ", "}
                      <Cells text={text} />
                    </span>
                  ))}
                  <small>={each.formula}</small>
                </div>
                <button
                  type="button"
                  className="button"
                  disabled={busy}
                  onClick={() => void choose(each, written).catch(() => undefined)}
                >
                  {written ? "Use this" : "Write this"}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Cells({ text }: { text: string }): JSX.Element {
  const found = readAddress(text);
  if (!found) return <>{text}</>;
  return (
    <button type="button" className="link" onClick={() => goTo(found.sheet, found.area)}>
      {areaName(found.area)}
    </button>
  );
}

/** Write the loss of a candidate into its empty cell. */
async function write({ loss, formula }: Candidate): Promise<void> {
  const found = readAddress(loss);
  if (found) await edit(found.sheet ?? "", found.area[0], found.area[1], [[`=${formula}`]]);
}

/** Name the cells of a candidate: the parameters first, so that the loss is tried with them. */
async function adopt({ loss, params, data }: Candidate): Promise<void> {
  await command("set-params", { areas: params });
  await command("set-loss", { areas: [loss] });
  if (data.length > 0) await command("set-data", { areas: data });
  const found = readAddress(loss);
  if (found) goTo(found.sheet, found.area);
}
