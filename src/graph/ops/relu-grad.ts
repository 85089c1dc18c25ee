import { sameShape, showShape } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { mapTwo } from "./support/elementwise.ts";
import { floatOperands } from "./support/floats.ts";
import { refuse, typed } from "./support/operands.ts";

/** The gradient behind a Relu: dy where its result y is above 0, else 0. One pass instead of a comparison and a choice. */
export const reluGrad: OpDefinition = {
  name: "ReluGrad",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  internal: true,
  infer(c) {
    const { dtype, shape } = floatOperands(c, 2);
    const y = c.inputs[1]!.shape;
    if (!sameShape(shape, y))
      refuse(c, "E_SHAPE", `dy is ${showShape(shape)} and y ${showShape(y)}; they must be of one shape.`);
    return [typed(c, dtype, shape)];
  },
  reference: (_c, [dy, y], [type]) => [mapTwo(dy!, y!, type!, (d, v) => (v > 0 ? d : 0))],
};
