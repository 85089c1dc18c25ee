import { attributesOf } from "../../graph/op.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering } from "../lowering.ts";
import { type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";
import { sizes, stepVectors } from "./vectors.ts";

const workgroup = 64;

/** Local response normalisation across neighbouring channels. */
export const localResponse: Lowering = {
  ops: ["LRN"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const a = attributesOf(context.node);
    const size = a.int("size");
    const loops = simplifyLoops(
      x.shape.map((n, d): Loop => ({ size: n, steps: [x.strides[d]!, d === 1 ? 1 : 0, y.strides[d]!] })),
    );
    const count = visits(loops);
    const channels = x.shape[1]!;
    context.emit({
      kernel: "norm/lrn",
      spec: rankSpec(loops),
      bindings: { x: x.operand, y: y.operand },
      params: {
        count,
        channels,
        x_channel: wrapped(x.strides[1]!),
        before: Math.min(channels, Math.floor((size - 1) / 2)),
        after: Math.min(channels, Math.ceil((size - 1) / 2)),
        factor: a.float("alpha", 1e-4) / size,
        k: a.float("bias", 1),
        beta: a.float("beta", 0.75),
        base: [x.offset, 0, y.offset, 0],
        shape: sizes(loops),
        steps: stepVectors(loops),
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};
