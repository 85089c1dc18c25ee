import { normaliseAxis } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { meanOver } from "./reduce-gradients.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { formula } from "./support/formula.ts";
import { forEachGroup } from "./support/normalising.ts";
import { throughStatistics } from "./support/normalising-gradients.ts";
import { operandOf, typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";

const axesOf = (c: OpContext): number[] =>
  (attributesOf(c.node).ints("axes") ?? [0, 2, 3]).map((axis) =>
    normaliseAxis(axis, c.inputs[0]!.shape.length, `${c.node.op} "${c.node.name}"`),
  );

/** Keeps a constant group from dividing by zero (ONNX operator specification, function body). */
const leastDeviation = 1e-9;

/** (x - mean) / (deviation + 1e-9) over the given axes. */
export const meanVarianceNormalization: OpDefinition = {
  name: "MeanVarianceNormalization",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { axes: "ints" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    axesOf(c);
    return [typed(c, dtype, shape)];
  },
  reference(c, [x], outputs) {
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    forEachGroup(x!, axesOf(c), (_, { mean, variance }, offsets) => {
      for (const o of offsets) y[o] = (data[o]! - mean) / (Math.sqrt(variance) + leastDeviation);
    });
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  channels: mixingFlow(axesOf),
  gradient(g) {
    const { sub, sqrt, square, add, reciprocal } = formula(g);
    const axes = axesOf(g);
    const variance = meanOver(g, square(sub(g.in(0), meanOver(g, g.in(0), axes))), axes);
    const inverse = reciprocal(add(sqrt(variance), leastDeviation));
    return [throughStatistics(g, g.dy, { hat: g.out(0), inverse, axes })];
  },
};
