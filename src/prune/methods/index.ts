import { InputError, printable } from "../../errors.ts";
import { grasp } from "./grasp.ts";
import { han } from "./han.ts";
import { karnin } from "./karnin.ts";
import { magnitude } from "./magnitude.ts";
import type { Method } from "./method.ts";
import { nOfM } from "./n-of-m.ts";
import { obd } from "./obd.ts";
import { obs } from "./obs.ts";
import { random } from "./random.ts";
import { snip } from "./snip.ts";
import { sparsegpt } from "./sparsegpt.ts";
import { structuredMethods } from "./structured.ts";
import { synflow } from "./synflow.ts";
import { wanda } from "./wanda.ts";

/** Every method that only scores, one file each; `secateur methods`, the tests and the bench read this list. */
export const methods: readonly Method[] = [
  magnitude,
  random,
  nOfM,
  han,
  obd,
  obs,
  karnin,
  snip,
  grasp,
  synflow,
  wanda,
  sparsegpt,
  ...structuredMethods,
];

/** The method of that name; E_INPUT for any other. */
export function findMethod(name: string): Method {
  const method = methods.find((m) => m.name === name);
  if (method) return method;
  const names = methods.map((m) => m.name).join(", ");
  throw new InputError(`method is "${printable(String(name))}"; it is one of ${names}.`);
}
