import { gatherAxis } from "../../graph/ops/gather.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering, Operand, View } from "../lowering.ts";
import { opContext } from "./movement-context.ts";
import { eight, type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";

/** Loops of the output with steps in the data, in the indices and in the output. */
function loopsOfGather(x: View, indices: View, y: View, axis: number): Loop[] {
  return y.shape.map((size, d): Loop => {
    const step = y.strides[d]!;
    const k = d - axis;
    if (k < 0) return { size, steps: [x.strides[d]!, 0, step] };
    if (k < indices.shape.length) return { size, steps: [0, indices.strides[k]!, step] };
    return { size, steps: [x.strides[d - indices.shape.length + 1]!, 0, step] };
  });
}

/** Can four words move at once: innermost loop contiguous, everything that data is addressed with a multiple of four? */
function movesQuads(loops: readonly Loop[], x: View, y: View, axisStep: number): boolean {
  const inner = loops.at(-1);
  if (!inner || inner.size % 4 !== 0 || inner.steps.join() !== "1,0,1") return false;
  const others = loops.slice(0, -1).flatMap((l) => [l.steps[0]!, l.steps[2]!]);
  return [x.offset, y.offset, axisStep, ...others].every((n) => n % 4 === 0);
}

/** Gather with indices that are known only when it runs, in any layout. */
export const gatherLowering: Lowering = {
  ops: ["Gather"],
  layout: "any",
  lower(context) {
    const [x, indices] = context.inputs as readonly [View, View];
    const [y] = context.outputs as readonly [View];
    // An axis without entries leaves nothing that an index could mean; with an output it is an error of the caller's.
    if (sizeOf(y.shape) === 0 || sizeOf(x.shape) === 0) return;
    const axis = gatherAxis(opContext(context));
    const axisStep = x.strides[axis]!;
    let loops = simplifyLoops(loopsOfGather(x, indices, y, axis));
    const unit = movesQuads(loops, x, y, axisStep) ? 4 : 1;
    if (unit === 4) {
      loops = loops.map((l, i) =>
        i === loops.length - 1
          ? { size: l.size / 4, steps: l.steps }
          : { size: l.size, steps: [l.steps[0]! / 4, l.steps[1]!, l.steps[2]! / 4] },
      );
    }
    const count = visits(loops);
    const data: Record<string, Operand> =
      unit === 4 ? { source4: x.operand, dest4: y.operand } : { source: x.operand, dest: y.operand };
    context.emit({
      kernel: "gather/gather",
      entry: unit === 4 ? "main_vec4" : "main",
      spec: rankSpec(loops),
      bindings: { ...data, indices: indices.operand },
      params: {
        count,
        from_base: x.offset / unit,
        index_base: indices.offset,
        to_base: y.offset / unit,
        axis_size: x.shape[axis]!,
        axis_step: axisStep / unit,
        shape: eight(loops, (l) => l.size, 1),
        from_steps: eight(loops, (l) => wrapped(l.steps[0]!), 0),
        index_steps: eight(loops, (l) => wrapped(l.steps[1]!), 0),
        to_steps: eight(loops, (l) => wrapped(l.steps[2]!), 0),
      },
      groups: Math.ceil(count / 64),
    });
  },
};
