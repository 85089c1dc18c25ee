import { broadcastShapes } from "../../tensor/shape.ts";
import { elementwiseFlow } from "../channels.ts";
import type { OpDefinition } from "../op.ts";
import { mapMany } from "./support/elementwise.ts";
import { formula, toOperand } from "./support/formula.ts";
import { operand, operandOf, refuse, typed } from "./support/operands.ts";

/** y = condition ? a : b, all three broadcast together. */
export const where: OpDefinition = {
  name: "Where",
  inputs: [3, 3],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const condition = operandOf(c, 0, "bool");
    const a = operand(c, 1);
    const b = operand(c, 2);
    if (a.dtype !== b.dtype) {
      refuse(
        c,
        "E_GRAPH",
        `the alternatives are ${a.dtype} and ${b.dtype}; they must have one dtype. Add a Cast.`,
      );
    }
    return [typed(c, a.dtype, broadcastShapes(condition.shape, a.shape, b.shape))];
  },
  reference: (_c, inputs, [type]) => [
    mapMany(
      inputs.map((t) => t!),
      type!,
      ([condition, a, b]) => (condition !== 0 ? a! : b!),
    ),
  ],
  channels: elementwiseFlow,
  gradient(g) {
    const { where } = formula(g);
    return [
      undefined,
      toOperand(g, 1, () => where(g.in(0), g.dy, 0)),
      toOperand(g, 2, () => where(g.in(0), 0, g.dy)),
    ];
  },
};
