import { showShape } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { forEachGroup } from "./support/normalising.ts";
import { groupGradient } from "./support/normalising-gradients.ts";
import { refuse, typed } from "./support/operands.ts";
import { perChannelFlow } from "./support/param-flow.ts";

/** (x - mean) / sqrt(variance + epsilon) · scale + bias over the spatial axes of every channel (Ulyanov et al. 2016). */
export const instanceNormalization: OpDefinition = {
  name: "InstanceNormalization",
  inputs: [3, 3],
  outputs: [1, 1],
  attributes: { epsilon: "float" },
  infer(c) {
    const { dtype, shape } = floatOperands(c, 3);
    if (shape.length < 3)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, D1, ...] is needed.`);
    checkVector(c, 1, shape[1]!, "scale");
    checkVector(c, 2, shape[1]!, "bias");
    return [typed(c, dtype, shape)];
  },
  reference(c, [x, scale, bias], outputs) {
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const { shape } = outputs[0]!;
    const [data, gamma, beta] = [doubles(x!), doubles(scale!), doubles(bias!)];
    const y = new Float64Array(data.length);
    const spatial = shape.map((_, i) => i).slice(2);
    forEachGroup(x!, spatial, (group, { mean, variance }, offsets) => {
      const k = group % shape[1]!;
      const inverse = 1 / Math.sqrt(variance + epsilon);
      for (const o of offsets) y[o] = (data[o]! - mean) * inverse * gamma[k]! + beta[k]!;
    });
    return [doubleTensor(shape, y)];
  },
  channels: perChannelFlow([1, 2]),
  gradient: (g) => groupGradient(g, g.outputs[0]!.shape[1]!, attributesOf(g.node).float("epsilon", 1e-5)),
};
