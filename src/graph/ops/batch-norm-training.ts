import { type Shape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { checkVector, doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { batchMoments, moved } from "./support/moments.ts";
import { typed } from "./support/operands.ts";

/**
 * BatchNormalization with the batch's own statistics (Ioffe and Szegedy 2015, algorithm 1): outputs y, the running mean and
 * variance moved towards the batch's (in place: old · momentum + new · (1 - momentum)), and the batch's mean and variance,
 * which the backward pass reads. Inputs as BatchNormalization's.
 */
export const batchNormTraining: OpDefinition = {
  name: "BatchNormTraining",
  internal: true,
  inputs: [5, 5],
  outputs: [5, 5],
  attributes: { epsilon: "float", momentum: "float" },
  inPlace: [
    [1, 3],
    [2, 4],
  ],
  infer(c) {
    const x = floatOperands(c, 5);
    const channels = x.shape[1]!;
    for (const [k, what] of ["scale", "bias", "mean", "variance"].entries())
      checkVector(c, k + 1, channels, what);
    return c.node.outputs.map((_, i) => typed(c, x.dtype, i === 0 ? x.shape : [channels], i));
  },
  reference(c, inputs, outputs) {
    const a = attributesOf(c.node);
    const [x, scale, bias, oldMean, oldVariance] = inputs.map((t) => doubles(t!)) as Float64Array[];
    const { shape } = outputs[0]!;
    const { channels, inner } = planes(shape);
    const [mean, variance] = batchMoments(x!, shape[0]!, channels, inner);
    const inverse = variance.map((v) => 1 / Math.sqrt(v + a.float("epsilon", 1e-5)));
    const y = x!.map((v, i) => {
      const k = Math.floor(i / inner) % channels;
      return (v - mean[k]!) * inverse[k]! * scale![k]! + bias![k]!;
    });
    const momentum = a.float("momentum", 0.9);
    const running = [moved(oldMean!, mean, momentum), moved(oldVariance!, variance, momentum)];
    return [doubleTensor(shape, y), ...[...running, mean, variance].map((v) => doubleTensor([channels], v))];
  },
  gradient: (g) => {
    const operands = [g.in(0), g.in(1), g.out(3), g.out(4), g.dy];
    return g.emitMany("BatchNormTrainingGrad", operands, 3, {
      epsilon: attributesOf(g.node).float("epsilon", 1e-5),
    });
  },
  channels: frozen,
};

const planes = (shape: Shape): { channels: number; inner: number } => ({
  channels: shape[1]!,
  inner: sizeOf(shape.slice(2)),
});

/** dx, dscale and dbias of BatchNormTraining from x, scale, the batch's mean and variance, and dy (section 3 of the same paper). */
export const batchNormTrainingGradient: OpDefinition = {
  name: "BatchNormTrainingGrad",
  internal: true,
  inputs: [5, 5],
  outputs: [3, 3],
  attributes: { epsilon: "float" },
  infer(c) {
    const x = floatOperands(c, 5);
    return c.node.outputs.map((_, i) => typed(c, x.dtype, i === 0 ? x.shape : [x.shape[1]!], i));
  },
  reference(c, inputs, outputs) {
    const [x, scale, mean, variance, dy] = inputs.map((t) => doubles(t!)) as Float64Array[];
    const { shape } = outputs[0]!;
    const { channels, inner } = planes(shape);
    const count = shape[0]! * inner;
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const inverse = variance!.map((v) => 1 / Math.sqrt(v + epsilon));
    const channel = (i: number): number => Math.floor(i / inner) % channels;
    const standard = x!.map((v, i) => (v - mean![channel(i)]!) * inverse[channel(i)]!);
    const dscale = new Float64Array(channels);
    const dbias = new Float64Array(channels);
    for (const [i, v] of dy!.entries()) {
      dscale[channel(i)]! += v * standard[i]!;
      dbias[channel(i)]! += v;
    }
    const dx = dy!.map((v, i) => {
      const k = channel(i);
      return scale![k]! * inverse[k]! * (v - dbias[k]! / count - (standard[i]! * dscale[k]!) / count);
    });
    return [doubleTensor(shape, dx), doubleTensor([channels], dscale), doubleTensor([channels], dbias)];
  },
  channels: frozen,
};
