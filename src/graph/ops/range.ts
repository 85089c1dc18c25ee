import { noGradient } from "../gradient-rule.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import {
  operandsOf,
  optionalScalar,
  refuse,
  resultArray,
  resultTensor,
  store,
  typed,
} from "./support/operands.ts";

interface Steps {
  readonly start: number;
  readonly delta: number;
  readonly count: number;
}

function steps(c: OpContext): Steps {
  const [start, limit, delta] = [0, 1, 2].map((i) => optionalScalar(c, i, ["start", "limit", "delta"][i]!)!);
  if (![start, limit, delta].every(Number.isFinite)) {
    refuse(c, "E_ATTRIBUTE", `start ${start}, limit ${limit} and delta ${delta} must be finite.`);
  }
  if (delta === 0) refuse(c, "E_ATTRIBUTE", "delta is 0.");
  return { start: start!, delta: delta!, count: Math.max(0, Math.ceil((limit! - start!) / delta!)) };
}

/**
 * start, start + delta, … below limit (above it where delta is negative). The host reads the operands, so nothing that is
 * trained can be among them.
 */
export const range: OpDefinition = {
  name: "Range",
  inputs: [3, 3],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [0, 1, 2],
  infer(c) {
    const types = operandsOf(c, "number");
    return [typed(c, types[0]!.dtype, [steps(c).count])];
  },
  reference(c, _inputs, [type]) {
    const { start, delta } = steps(c);
    const out = resultArray(type!);
    for (let i = 0; i < out.length; i++) store(type!.dtype, out, i, start + i * delta);
    return [resultTensor(type!, out)];
  },
  gradient: noGradient,
};
