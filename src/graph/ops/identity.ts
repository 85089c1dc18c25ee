import { passFlow } from "../channels.ts";
import type { OpDefinition } from "../op.ts";
import { operand } from "./support/operands.ts";

/** The input itself. */
export const identity: OpDefinition = {
  name: "Identity",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {},
  infer: (c) => [operand(c, 0)],
  reference: (_, inputs) => [inputs[0]!],
  channels: passFlow,
  gradient: (g) => [g.dy],
};
