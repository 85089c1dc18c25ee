import { padding } from "../../graph/ops/pad.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering, View } from "../lowering.ts";
import { opContext } from "./movement-context.ts";
import { wordBits } from "./movement-fill.ts";
import { eight, type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";

interface PadLoop extends Loop {
  /** Neither padded nor cropped. Only such loops may run on as one. */
  readonly plain: boolean;
  /** Position i is input position i - before; the input stands between low and high. */
  readonly before: number;
  readonly low: number;
  readonly high: number;
}

const modes = ["constant", "edge", "reflect", "wrap"] as const;

/** Pad: one thread per output element, in any layout. */
export const padLowering: Lowering = {
  ops: ["Pad"],
  layout: "any",
  lower(context) {
    const [x] = context.inputs as readonly View[];
    const [y] = context.outputs as readonly View[];
    if (sizeOf(y!.shape) === 0) return;
    const p = padding(opContext(context));
    const loops = y!.shape.map((size, d): PadLoop => {
      const before = p.before[d]!;
      const low = Math.max(0, -before);
      const high = x!.shape[d]! - Math.max(0, -p.after[d]!);
      const plain = before === 0 && p.after[d] === 0;
      return { size, steps: [x!.strides[d]!, y!.strides[d]!], plain, before, low, high };
    });
    const simple = simplifyLoops(loops, (l) => l.plain).map((l) => (l.plain ? { ...l, high: l.size } : l));
    const count = visits(simple);
    context.emit({
      kernel: "layout/pad",
      spec: rankSpec(simple),
      constants: { MODE: modes.indexOf(p.mode) },
      bindings: { source: x!.operand, dest: y!.operand },
      params: {
        count,
        from_base: x!.offset,
        to_base: y!.offset,
        value: wordBits(p.value, y!.word),
        shape: eight(simple, (l) => l.size, 1),
        from_steps: eight(simple, (l) => wrapped(l.steps[0]!), 0),
        to_steps: eight(simple, (l) => wrapped(l.steps[1]!), 0),
        before: eight(simple, (l) => l.before, 0),
        low: eight(simple, (l) => l.low, 0),
        high: eight(simple, (l) => l.high, 1),
      },
      groups: Math.ceil(count / 64),
    });
  },
};
