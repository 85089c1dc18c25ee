import { showShape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";
import { perChannelFlow } from "./support/param-flow.ts";

const trains = (c: OpContext): boolean => attributesOf(c.node).int("training_mode", 0) !== 0;

/**
 * y = (x - mean) / sqrt(variance + epsilon) · scale + bias, per channel of axis 1, with given statistics. In training mode
 * the statistics are the batch's own, and outputs 1 and 2 are the given ones moved towards them:
 * old · momentum + new · (1 - momentum) (ONNX operator specification, opset 15).
 */
export const batchNormalization: OpDefinition = {
  name: "BatchNormalization",
  inputs: [5, 5],
  outputs: [1, 3],
  attributes: { epsilon: "float", momentum: "float", training_mode: "int" },
  infer(c) {
    if (!trains(c) && c.node.outputs.slice(1).some((name) => name !== "")) {
      refuse(c, "E_GRAPH", "running statistics are outputs only in training mode (training_mode 1).");
    }
    const x = floatOperands(c, 5);
    if (x.shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(x.shape)}; [N, C, ...] is needed.`);
    for (const [k, what] of ["scale", "bias", "mean", "variance"].entries()) {
      checkVector(c, k + 1, x.shape[1]!, what);
    }
    return c.node.outputs.map((_, i) => typed(c, x.dtype, i === 0 ? x.shape : [x.shape[1]!], i));
  },
  reference(c, inputs, outputs) {
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const [x, scale, bias, oldMean, oldVariance] = inputs.map((t) => doubles(t!)) as Float64Array[];
    const shape = outputs[0]!.shape;
    const channels = shape[1]!;
    const inner = sizeOf(shape.slice(2));
    const [mean, variance] = trains(c)
      ? batchMoments(x!, shape[0]!, channels, inner)
      : [oldMean!, oldVariance!];
    const y = new Float64Array(sizeOf(shape));
    for (let row = 0; row < shape[0]! * channels; row++) {
      const k = row % channels;
      const factor = scale![k]! / Math.sqrt(variance[k]! + epsilon);
      const shift = bias![k]! - mean[k]! * factor;
      for (let i = row * inner; i < (row + 1) * inner; i++) y[i] = x![i]! * factor + shift;
    }
    const momentum = attributesOf(c.node).float("momentum", 0.9);
    const moved = (old: Float64Array, now: Float64Array): Float64Array =>
      old.map((v, k) => v * momentum + now[k]! * (1 - momentum));
    const results = [
      doubleTensor(shape, y),
      doubleTensor([channels], moved(oldMean!, mean)),
      doubleTensor([channels], moved(oldVariance!, variance)),
    ];
    return results.slice(0, outputs.length);
  },
  channels: (c) => (trains(c) ? frozen(c) : perChannelFlow([1, 2, 3, 4])(c)),
};

/** Mean and variance of every channel of x [batch, channels, inner]. */
function batchMoments(
  x: Float64Array,
  batch: number,
  channels: number,
  inner: number,
): [Float64Array, Float64Array] {
  const fold = (f: (value: number, k: number) => number): Float64Array => {
    const sums = new Float64Array(channels);
    for (let i = 0; i < x.length; i++) {
      const k = Math.floor(i / inner) % channels;
      sums[k]! += f(x[i]!, k) / (batch * inner);
    }
    return sums;
  };
  const mean = fold((v) => v);
  return [mean, fold((v, k) => (v - mean[k]!) ** 2)];
}
