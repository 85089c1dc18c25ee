import { getNumber } from "../../tensor/host-tensor.ts";
import { sizeOf } from "../../tensor/shape.ts";
import { noGradient } from "../gradient-rule.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubleTensor } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { operandOf, refuse, typed } from "./support/operands.ts";

/** A 32-bit mixing function: every bit of x changes half of the result's (constants found by Wellons' hash prospector). */
export function mix(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Dropout's factors (Srivastava et al. 2014, inverted): of input 0's shape, 0 with probability `ratio`, else 1 / (1 - ratio).
 * Element i at step t is decided by mix(i ^ mix(t ^ mix(seed))), i counted row-major: the same on every adapter, and a run
 * that goes on from step t draws what an unbroken one would. Input 1 is the step, i32 [1].
 */
export const randomMask: OpDefinition = {
  name: "RandomMask",
  internal: true,
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: { seed: "int", ratio: "float" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    operandOf(c, 1, "index");
    const ratio = attributesOf(c.node).float("ratio", 0.5);
    if (!(ratio >= 0 && ratio < 1))
      refuse(c, "E_ATTRIBUTE", `ratio is ${ratio}; from 0 to below 1 is needed.`);
    return [typed(c, dtype, shape)];
  },
  reference(c, inputs, outputs) {
    const a = attributesOf(c.node);
    const { threshold, factor } = dropoutTerms(a.float("ratio", 0.5));
    const stream = mix(getNumber(inputs[1]!.data, 0) ^ mix(a.int("seed", 0)));
    const { shape } = outputs[0]!;
    const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
      mix(i ^ stream) >= threshold ? factor : 0,
    );
    return [doubleTensor(shape, data)];
  },
  gradient: noGradient,
  channels: frozen,
};

/** Hashes from `threshold` on are kept and multiplied by `factor`. */
export const dropoutTerms = (ratio: number): { threshold: number; factor: number } => ({
  threshold: Math.floor(ratio * 2 ** 32),
  factor: 1 / (1 - ratio),
});
