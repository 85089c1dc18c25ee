import { broadcastShapes, sameShape, showShape } from "../../tensor/shape.ts";
import { elementwiseFlow } from "../channels.ts";
import type { GradientRule } from "../gradient-rule.ts";
import type { OpDefinition } from "../op.ts";
import { mapTwo } from "./support/elementwise.ts";
import { formula, toOperand } from "./support/formula.ts";
import { operandsOf, refuse, typed } from "./support/operands.ts";

const gradient: GradientRule = (g) => {
  const { mul, min, less, where } = formula(g);
  return [
    toOperand(g, 0, () => where(less(g.in(0), 0), mul(g.dy, g.in(1)), g.dy)),
    toOperand(g, 1, () => mul(g.dy, min(g.in(0), 0))),
  ];
};

/** y = x where x >= 0, slope·x elsewhere; the slope broadcasts to the data, never the other way round. */
export const prelu: OpDefinition = {
  name: "PRelu",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const [x, slope] = operandsOf(c, "number");
    if (!sameShape(broadcastShapes(x!.shape, slope!.shape), x!.shape)) {
      refuse(
        c,
        "E_SHAPE",
        `slope ${showShape(slope!.shape)} does not broadcast to the data ${showShape(x!.shape)}.`,
      );
    }
    return [typed(c, x!.dtype, x!.shape)];
  },
  reference: (_c, [x, slope], [type]) => [mapTwo(x!, slope!, type!, (v, s) => (v < 0 ? s * v : v))],
  channels: elementwiseFlow,
  gradient,
};
