// What the cells of a model are for, and where the marks of each role go.

import { contains } from "../address";
import type { Area, Model } from "../protocol";
import type { Palette } from "./colours";

export type Role = "parameter" | "loss" | "data" | "prediction";

export interface Marked {
  role: Role;
  area: Area;
}

/** The marked areas of a model; what is named first is drawn on top. */
export function markedAreas(model: Model | undefined): Marked[] {
  if (!model) return [];
  const areas = (role: Role, list: Area[] | null | undefined): Marked[] => (list ?? []).map((area) => ({ role, area }));
  const loss: Area[] = model.loss ? [[model.loss[0], model.loss[1], model.loss[0], model.loss[1]]] : [];
  return [
    ...areas("loss", loss),
    ...areas("parameter", model.params),
    ...areas("prediction", model.predictions),
    ...areas("data", model.data),
  ];
}

export function markAt(marks: Marked[], row: number, column: number): Marked | undefined {
  for (const mark of marks) if (contains(mark.area, row, column)) return mark;
  return undefined;
}

export function roleColor(palette: Palette, role: Role): string {
  return palette[role];
}

export const ROLE_NAMES: Record<Role, string> = {
  loss: "Loss",
  parameter: "Parameters",
  prediction: "Predictions",
  data: "Data",
};
