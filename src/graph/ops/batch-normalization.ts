import { printable, UnsupportedError } from "../../errors.ts";
import { showShape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { refuse, typed } from "./support/operands.ts";
import { perChannelFlow } from "./support/param-flow.ts";

/**
 * Inference only: y = (x - mean) / sqrt(variance + epsilon) · scale + bias, per channel of axis 1. Nodes in training mode
 * are refused, as batch statistics would make a layer's result depend on its neighbours in the batch.
 */
export const batchNormalization: OpDefinition = {
  name: "BatchNormalization",
  inputs: [5, 5],
  outputs: [1, 3],
  attributes: { epsilon: "float", momentum: "float", training_mode: "int" },
  infer(c) {
    const details = { op: "BatchNormalization", node: printable(c.node.name) };
    const training = attributesOf(c.node).int("training_mode", 0) !== 0;
    if (training || c.node.outputs.slice(1).some((name) => name !== "")) {
      throw new UnsupportedError(
        `BatchNormalization "${details.node}" is in training mode (training_mode 1, or more than one output). Export the model for inference.`,
        details,
      );
    }
    const x = floatOperands(c, 5);
    if (x.shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(x.shape)}; [N, C, ...] is needed.`);
    for (const [k, what] of ["scale", "bias", "mean", "variance"].entries()) {
      checkVector(c, k + 1, x.shape[1]!, what);
    }
    return c.node.outputs.map(() => typed(c, x.dtype, x.shape));
  },
  reference(c, inputs, outputs) {
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const [x, scale, bias, mean, variance] = inputs.map((t) => doubles(t!)) as Float64Array[];
    const shape = outputs[0]!.shape;
    const channels = shape[1]!;
    const inner = sizeOf(shape.slice(2));
    const y = new Float64Array(sizeOf(shape));
    for (let row = 0; row < shape[0]! * channels; row++) {
      const k = row % channels;
      const factor = scale![k]! / Math.sqrt(variance![k]! + epsilon);
      const shift = bias![k]! - mean![k]! * factor;
      for (let i = row * inner; i < (row + 1) * inner; i++) y[i] = x![i]! * factor + shift;
    }
    return outputs.map(() => doubleTensor(shape, y));
  },
  channels: perChannelFlow([1, 2, 3, 4]),
};
