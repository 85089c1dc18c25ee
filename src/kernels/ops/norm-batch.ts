import { attributesOf } from "../../graph/op.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering, View } from "../lowering.ts";
import { type Loop, rankSpec, simplifyLoops, visits } from "./movement-loops.ts";
import { quadLoops } from "./quads.ts";
import { imageQuads, sizes, stepVectors } from "./vectors.ts";

const workgroup = 64;

/** Loops over x, its channel's number and y, and how many words each thread takes along the innermost. */
function batchLoops(x: View, y: View): { readonly loops: readonly Loop[]; readonly unit: 1 | 4 } {
  const along = x.shape.map((size, d): Loop => ({ size, steps: [x.strides[d]!, d === 1 ? 1 : 0, y.strides[d]!] }));
  const quads = quadLoops(along, [x, y], [0, 2], imageQuads([x, y]));
  return quads ? { loops: quads, unit: 4 } : { loops: simplifyLoops(along), unit: 1 };
}

/** Inference only, as the op itself: whatever was not merged into a neighbouring layer. */
export const batchNormalization: Lowering = {
  ops: ["BatchNormalization"],
  layout: "any",
  fusesActivation: true,
  lower(context) {
    const [x, scale, bias, mean, variance] = context.inputs as readonly View[];
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
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
