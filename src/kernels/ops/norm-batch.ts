import { attributesOf } from "../../graph/op.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { addCode, emitBinary, multiplyCode } from "./binary.ts";
import { emitMoments, filled } from "./moments.ts";
import { type Loop, rankSpec, simplifyLoops, visits } from "./movement-loops.ts";
import { quadLoops } from "./quads.ts";
import { scratchView } from "./scratch.ts";
import { imageQuads, sizes, stepVectors } from "./vectors.ts";

const workgroup = 64;

/** Loops over x, its channel's number and y, and how many words each thread takes along the innermost. */
function batchLoops(x: View, y: View): { readonly loops: readonly Loop[]; readonly unit: 1 | 4 } {
  const along = x.shape.map(
    (size, d): Loop => ({ size, steps: [x.strides[d]!, d === 1 ? 1 : 0, y.strides[d]!] }),
  );
  const quads = quadLoops(along, [x, y], [0, 2], imageQuads([x, y]));
  return quads ? { loops: quads, unit: 4 } : { loops: simplifyLoops(along), unit: 1 };
}

/** y = act((x - mean) / sqrt(variance + epsilon) · scale + bias); statistics, scale and bias are vectors of channels. */
export function emitBatchNormalization(
  context: Pick<LowerContext, "emit" | "activation">,
  x: View,
  y: View,
  [scale, bias, mean, variance]: readonly [View, View, View, View],
  epsilon: number,
): void {
  const { loops, unit } = batchLoops(x, y);
  const count = visits(loops);
  const { activation } = context;
  context.emit({
    kernel: "norm/batch",
    entry: unit === 4 ? "main_vec4" : "main",
    spec: rankSpec(loops),
    constants: { ACT: activation.code },
    bindings: {
      ...(unit === 4 ? { x4: x.operand, y4: y.operand } : { x: x.operand, y: y.operand }),
      scale: scale.operand,
      bias: bias.operand,
      mean: mean.operand,
      variance: variance.operand,
    },
    params: {
      count,
      epsilon,
      act_a: activation.a,
      act_b: activation.b,
      base: [x.offset / unit, 0, y.offset / unit, 0],
      shape: sizes(loops),
      steps: stepVectors(loops),
    },
    groups: Math.ceil(count / workgroup),
  });
}

/** Whatever was not merged into a neighbouring layer; in training mode with the statistics of the batch itself. */
export const batchNormalization: Lowering = {
  ops: ["BatchNormalization"],
  layout: "any",
  fusesActivation: true,
  lower(context) {
    const [x, scale, bias] = context.inputs as readonly [View, View, View];
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const training = attributesOf(context.node).int("training_mode", 0) !== 0;
    const [mean, variance] = training ? batchStatistics(context) : (context.inputs.slice(3) as [View, View]);
    const epsilon = attributesOf(context.node).float("epsilon", 1e-5);
    emitBatchNormalization(context, x, y, [scale, bias, mean, variance], epsilon);
  },
};

/**
 * Statistics of the batch; running ones, where they are outputs, move towards them: old · momentum + new · (1 - momentum).
 */
function batchStatistics(context: LowerContext): [View, View] {
  const x = context.inputs[0]!;
  const channels = x.shape[1]!;
  const vector = (label: string): View => scratchView(context, label, [channels]);
  const [mean, variance] = [vector("batch mean"), vector("batch variance")];
  emitMoments(context, x, mean, variance);
  const momentum = attributesOf(context.node).float("momentum", 0.9);
  for (const [i, now] of [mean, variance].entries()) {
    const output = context.outputs[1 + i];
    if (!output) continue;
    const [kept, moved] = [vector("kept"), vector("moved")];
    const weight = (label: string, value: number): View => filled(context, label, channels, value);
    emitBinary(context, multiplyCode, context.inputs[3 + i]!, weight("momentum", momentum), kept);
    emitBinary(context, multiplyCode, now, weight("rest", 1 - momentum), moved);
    emitBinary(context, addCode, kept, moved, output);
  }
  return [mean, variance];
}
