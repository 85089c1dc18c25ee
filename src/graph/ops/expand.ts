import { broadcastShapes, broadcastStrides, rowStrides, showShape } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { hostInts, operand, refuse, typed } from "./support/operands.ts";
import { stridedCopy } from "./support/strided.ts";

/** The input broadcast with a shape, both ways: a 1 in the shape keeps the input's own size. */
export const expand: OpDefinition = {
  name: "Expand",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1],
  infer(c) {
    const x = operand(c, 0);
    const shape = hostInts(c, 1, "shape");
    if (shape.some((d) => d < 0)) refuse(c, "E_SHAPE", `shape ${showShape(shape)} has a negative dimension.`);
    return [typed(c, x.dtype, broadcastShapes(x.shape, shape))];
  },
  reference: (_c, [x], [type]) => [
    stridedCopy(x!, type!.shape, 0, broadcastStrides(x!.shape, rowStrides(x!.shape), type!.shape)),
  ],
  gradient: (g) => [g.sumTo(g.dy, g.outputs[0]!.shape, g.inputs[0]!.shape)],
};
