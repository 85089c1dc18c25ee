import { showShape, sizeOf } from "../../../tensor/shape.ts";
import type { OpDefinition } from "../../op.ts";
import type { Slope } from "../reduce-gradients.ts";
import { doubles } from "./doubles.ts";
import { doubleTensor } from "./floats.ts";
import { operandOf, refuse, typed } from "./operands.ts";
import { spatialFlow } from "./param-flow.ts";

/** An op that folds all spatial positions of each channel into one: [N, C, ...] to [N, C, 1, ...]. */
export const globalPool = (
  name: string,
  fold: (x: Float64Array, from: number, to: number) => number,
  slope: Slope,
): OpDefinition => ({
  name,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    if (shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, ...] is needed.`);
    return [typed(c, dtype, [...shape.slice(0, 2), ...shape.slice(2).map(() => 1)])];
  },
  reference(_, [x], outputs) {
    const data = doubles(x!);
    const size = sizeOf(x!.shape.slice(2));
    const y = new Float64Array(sizeOf(outputs[0]!.shape));
    for (let i = 0; i < y.length; i++) y[i] = fold(data, i * size, (i + 1) * size);
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  channels: spatialFlow,
  gradient: (g) => [
    slope(g, { dy: g.dy, y: () => g.out(0), axes: g.inputs[0]!.shape.map((_, i) => i).slice(2) }),
  ],
});
