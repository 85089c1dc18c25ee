import { attributesOf } from "../../graph/op.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { addCode, emitBinary, multiplyCode, subtractCode } from "./binary.ts";
import { type Loop, rankSpec, simplifyLoops, visits } from "./movement-loops.ts";
import { quadLoops } from "./quads.ts";
import { emitReduce, foldCodes, scratchView } from "./reduce.ts";
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

/** Whatever was not merged into a neighbouring layer; in training mode with the statistics of the batch itself. */
export const batchNormalization: Lowering = {
  ops: ["BatchNormalization"],
  layout: "any",
  fusesActivation: true,
  lower(context) {
    const [x, scale, bias] = context.inputs as readonly View[];
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const training = attributesOf(context.node).int("training_mode", 0) !== 0;
    const [mean, variance] = training ? batchStatistics(context) : (context.inputs.slice(3) as View[]);
    const { loops, unit } = batchLoops(x!, y);
    const count = visits(loops);
    const { activation } = context;
    context.emit({
      kernel: "norm/batch",
      entry: unit === 4 ? "main_vec4" : "main",
      spec: rankSpec(loops),
      constants: { ACT: activation.code },
      bindings: {
        ...(unit === 4 ? { x4: x!.operand, y4: y.operand } : { x: x!.operand, y: y.operand }),
        scale: scale!.operand,
        bias: bias!.operand,
        mean: mean!.operand,
        variance: variance!.operand,
      },
      params: {
        count,
        epsilon: attributesOf(context.node).float("epsilon", 1e-5),
        act_a: activation.a,
        act_b: activation.b,
        base: [x!.offset / unit, 0, y.offset / unit, 0],
        shape: sizes(loops),
        steps: stepVectors(loops),
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};

/**
 * Mean and variance of every channel over the batch (Ioffe and Szegedy 2015, algorithm 1), the variance around the mean
 * itself; running statistics, where they are outputs, move towards them: old · momentum + new · (1 - momentum).
 */
function batchStatistics(context: LowerContext): [View, View] {
  const x = context.inputs[0]!;
  const channels = x.shape[1]!;
  const axes = x.shape.map((_, i) => i).filter((i) => i !== 1);
  const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
  const vector = (label: string): View => scratchView(context, label, [channels]);
  const constant = (label: string, value: number): View => ({
    ...vector(label),
    operand: context.upload(`${context.node.name} ${label}`, new Float32Array(channels).fill(value)),
  });
  const mean = vector("batch mean");
  emitReduce(context, foldCodes.ReduceMean, x, axes, mean);
  const centred = scratchView(context, "centred", x.shape);
  const along = {
    ...mean,
    shape: [channels, ...x.shape.slice(2).fill(1)],
    strides: [1, ...x.shape.slice(2).fill(0)],
  };
  emitBinary(context, subtractCode, x, along, centred);
  const squares = vector("squares");
  emitReduce(context, foldCodes.ReduceSumSquare, centred, axes, squares);
  const variance = vector("batch variance");
  emitBinary(context, multiplyCode, squares, constant("share", 1 / count), variance);
  const momentum = attributesOf(context.node).float("momentum", 0.9);
  for (const [i, now] of [mean, variance].entries()) {
    const output = context.outputs[1 + i];
    if (!output) continue;
    const [kept, moved] = [vector("kept"), vector("moved")];
    emitBinary(context, multiplyCode, context.inputs[3 + i]!, constant("momentum", momentum), kept);
    emitBinary(context, multiplyCode, now, constant("rest", 1 - momentum), moved);
    emitBinary(context, addCode, kept, moved, output);
  }
  return [mean, variance];
}
