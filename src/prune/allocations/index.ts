import { InputError, printable } from "../../errors.ts";
import { removedUnits } from "../budget.ts";
import type { Allocation } from "./allocation.ts";
import { erk } from "./erk.ts";
import { lamp } from "./lamp.ts";

export type { Allocation } from "./allocation.ts";

/** One threshold for all layers, scores as they are. */
const global: Allocation = {
  name: "global",
  scope: "global",
  reference: "one threshold over the whole net, as in SNIP and Network Slimming",
};

/** The same share from every layer; each layer is rounded by itself. */
const uniform: Allocation = {
  name: "uniform",
  scope: "layer",
  reference: "the same share of every layer, as in Zhu and Gupta 2017, arXiv 1710.01878",
  counts(layers, remove) {
    const total = layers.reduce((n, l) => n + l.units, 0);
    return layers.map((l) => removedUnits(l.units, total === 0 ? 0 : remove / total));
  },
};

/** Every way to spread a budget over layers, one file each where it takes more than a line. */
export const allocations: readonly Allocation[] = [global, uniform, erk, lamp];

/** The allocation of that name; E_INPUT for any other. */
export function findAllocation(name: string): Allocation {
  const found = allocations.find((a) => a.name === name);
  if (found) return found;
  throw new InputError(
    `allocation is "${printable(String(name))}"; it is one of ${allocations.map((a) => a.name).join(", ")}.`,
  );
}
