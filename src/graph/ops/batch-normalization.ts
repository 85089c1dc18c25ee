import { showShape, sizeOf } from "../../tensor/shape.ts";
import type { GradientContext } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { channelSum } from "./support/gradients.ts";
import { batchMoments, moved } from "./support/moments.ts";
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
    const results = [
      doubleTensor(shape, y),
      doubleTensor([channels], moved(oldMean!, mean, momentum)),
      doubleTensor([channels], moved(oldVariance!, variance, momentum)),
    ];
    return results.slice(0, outputs.length);
  },
  gradient: (g) => (trains(g) ? trainedGradient(g) : fixedGradient(g)),
  channels: (c) => (trains(c) ? frozen(c) : perChannelFlow([1, 2, 3, 4])(c)),
};

/** With fixed statistics it is an affine map per channel. */
function fixedGradient(g: GradientContext): (string | undefined)[] {
  if (g.wants(3) || g.wants(4)) return g.refuse("its running statistics are not learned");
  const channels = g.inputs[1]!.shape[0]!;
  const filled = (value: number): string =>
    g.constant({ dtype: "f32", shape: [channels], data: new Float32Array(channels).fill(value) });
  const attributes = { epsilon: attributesOf(g.node).float("epsilon", 1e-5) };
  const dx = () => g.emit("BatchNormalization", [g.dy, g.in(1), filled(0), filled(0), g.in(4)], attributes);
  const dscale = () => {
    const operands = [g.in(0), filled(1), filled(0), g.in(3), g.in(4)];
    const standard = g.emit("BatchNormalization", operands, attributes);
    const axes = g.outputs[0]!.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
    return g.emit("ReduceSum", [g.emit("Mul", [g.dy, standard]), g.constant(axes)], { keepdims: 0 });
  };
  return [
    g.wants(0) ? dx() : undefined,
    g.wants(1) ? dscale() : undefined,
    g.wants(2) ? channelSum(g) : undefined,
  ];
}

/** In training mode the statistics are worked out again: the trainer's own op keeps them. */
function trainedGradient(g: GradientContext): readonly string[] {
  const axes = g.constant(g.outputs[0]!.shape.flatMap((_, i) => (i === 1 ? [] : [i])));
  const channels = g.constant([g.inputs[1]!.shape[0]!]);
  const mean = g.emit("ReduceMean", [g.in(0), axes], { keepdims: 1 });
  const centred = g.emit("Sub", [g.in(0), mean]);
  const variance = g.emit("ReduceMean", [g.emit("Mul", [centred, centred]), axes], { keepdims: 0 });
  const operands = [g.in(0), g.in(1), g.emit("Reshape", [mean, channels]), variance, g.dy];
  return g.emitMany("BatchNormTrainingGrad", operands, 3, {
    epsilon: attributesOf(g.node).float("epsilon", 1e-5),
  });
}
