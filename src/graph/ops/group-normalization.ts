import { showShape } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { forEachGroup } from "./support/normalising.ts";
import { groupGradient } from "./support/normalising-gradients.ts";
import { refuse, typed } from "./support/operands.ts";

/**
 * (x - mean) / sqrt(variance + epsilon) · scale + bias over groups of neighbouring channels and the spatial axes, scale and
 * bias per channel (Wu and He 2018; ONNX opset 21). A group's statistics mix its channels, so none can be removed exactly.
 */
export const groupNormalization: OpDefinition = {
  name: "GroupNormalization",
  inputs: [3, 3],
  outputs: [1, 1],
  attributes: { epsilon: "float", num_groups: "int", stash_type: "int" },
  infer(c) {
    const { dtype, shape } = floatOperands(c, 3);
    const a = attributesOf(c.node);
    const groups = a.int("num_groups");
    if (shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, ...] is needed.`);
    if (groups < 1 || shape[1]! % groups !== 0)
      a.fail(`${shape[1]} channels do not divide into ${groups} groups.`);
    checkVector(c, 1, shape[1]!, "scale");
    checkVector(c, 2, shape[1]!, "bias");
    return [typed(c, dtype, shape)];
  },
  reference(c, [x, scale, bias], outputs) {
    const a = attributesOf(c.node);
    const epsilon = a.float("epsilon", 1e-5);
    const groups = a.int("num_groups");
    const { shape } = outputs[0]!;
    const [batch, channels, ...spatial] = shape as [number, number, ...number[]];
    const [data, gamma, beta] = [doubles(x!), doubles(scale!), doubles(bias!)];
    const y = new Float64Array(data.length);
    const split = { ...x!, shape: [batch, groups, channels / groups, ...spatial] };
    const plane = spatial.reduce((n, d) => n * d, 1);
    const inner = split.shape.map((_, i) => i).slice(2);
    forEachGroup(split, inner, (_, { mean, variance }, offsets) => {
      const inverse = 1 / Math.sqrt(variance + epsilon);
      for (const o of offsets) {
        const k = Math.floor(o / plane) % channels;
        y[o] = (data[o]! - mean) * inverse * gamma[k]! + beta[k]!;
      }
    });
    return [doubleTensor(shape, y)];
  },
  channels: frozen,
  gradient(g) {
    const a = attributesOf(g.node);
    return groupGradient(g, a.int("num_groups"), a.float("epsilon", 1e-5));
  },
};
