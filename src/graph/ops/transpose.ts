import { rowStrides } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { frozen } from "./support/flow.ts";
import { operand, typed } from "./support/operands.ts";
import { stridedCopy } from "./support/strided.ts";

/** Input axis of each output axis; reversed where `perm` is left out. */
export function permutation(c: OpContext): readonly number[] {
  const rank = operand(c, 0).shape.length;
  const a = attributesOf(c.node);
  const perm = a.ints("perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const used = new Set(perm);
  if (perm.length !== rank || used.size !== rank || perm.some((p) => p < 0 || p >= rank)) {
    a.fail(`perm [${perm}] is no permutation of the ${rank} axes of its input.`);
  }
  return perm;
}

export const transpose: OpDefinition = {
  name: "Transpose",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { perm: "ints" },
  infer(c) {
    const x = operand(c, 0);
    return [
      typed(
        c,
        x.dtype,
        permutation(c).map((p) => x.shape[p]!),
      ),
    ];
  },
  reference(c, [x], [type]) {
    const strides = rowStrides(x!.shape);
    return [
      stridedCopy(
        x!,
        type!.shape,
        0,
        permutation(c).map((p) => strides[p]!),
      ),
    ];
  },
  channels(c) {
    const flow = c.in(0);
    return flow ? [{ axis: permutation(c).indexOf(flow.axis), ids: flow.ids }] : frozen(c);
  },
  gradient(g) {
    const perm = permutation(g);
    return [g.emit("Transpose", [g.dy], { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
};
