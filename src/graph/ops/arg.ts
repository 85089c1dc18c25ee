import { getNumber } from "../../tensor/host-tensor.ts";
import { normaliseAxis, rowStrides, showShape } from "../../tensor/shape.ts";
import { noGradient } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { operandOf, refuse, typed } from "./support/operands.ts";
import { forEachOffset } from "./support/strided.ts";

const argAxis = (c: OpContext): number =>
  normaliseAxis(attributesOf(c.node).int("axis", 0), c.inputs[0]!.shape.length, c.node.op);

const arg = (name: string, better: (a: number, b: number) => boolean): OpDefinition => ({
  name,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { axis: "int", keepdims: "int", select_last_index: "int" },
  infer(c) {
    const x = operandOf(c, 0, "number");
    const axis = argAxis(c);
    const keep = attributesOf(c.node).int("keepdims", 1) !== 0;
    if (x.shape[axis] === 0) refuse(c, "E_SHAPE", `axis ${axis} of ${showShape(x.shape)} is empty.`);
    return [
      typed(
        c,
        "i64",
        x.shape.flatMap((d, i) => (i === axis ? (keep ? [1] : []) : [d])),
      ),
    ];
  },
  reference(c, [x], [type]) {
    const axis = argAxis(c);
    const last = attributesOf(c.node).int("select_last_index", 0) !== 0;
    const size = x!.shape[axis]!;
    const strides = rowStrides(x!.shape);
    const step = strides[axis]!;
    const others = <T>(list: readonly T[]): T[] => list.filter((_, i) => i !== axis);
    const data = new BigInt64Array(others(x!.shape).reduce((a, b) => a * b, 1));
    forEachOffset(others(x!.shape), [0], [others(strides)], (i, [start]) => {
      let best = 0;
      let value = getNumber(x!.data, start!);
      for (let k = 1; k < size; k++) {
        const v = getNumber(x!.data, start! + k * step);
        if (better(v, value) || (last && v === value)) {
          best = k;
          value = v;
        }
      }
      data[i] = BigInt(best);
    });
    return [{ dtype: "i64", shape: type!.shape, data }];
  },
  gradient: noGradient,
});

/** Where the greatest (least) element along an axis lies; of equal ones the first, or the last on request. */
export const argOps: readonly OpDefinition[] = [
  arg("ArgMax", (a, b) => a > b),
  arg("ArgMin", (a, b) => a < b),
];
