import { attributesOf } from "../../graph/op.ts";
import { normaliseAxis, sizeOf } from "../../tensor/shape.ts";
import type { Lowering, Word } from "../lowering.ts";
import { type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";
import { lanesPerFold } from "./norm-groups.ts";
import { sizes, stepsOf } from "./vectors.ts";

const workgroup = 64;
const words: readonly Word[] = ["f32", "i32", "u32"];

const arg: Lowering = {
  ops: ["ArgMax", "ArgMin"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const a = attributesOf(context.node);
    const axis = normaliseAxis(a.int("axis", 0), x.shape.length, context.node.op);
    const keep = y.shape.length === x.shape.length;
    const others = x.shape.flatMap((size, d): Loop[] => {
      if (d === axis) return [];
      return [{ size, steps: [x.strides[d]!, y.strides[keep || d < axis ? d : d - 1]!] }];
    });
    const loops = simplifyLoops(others);
    const outputs = visits(loops);
    const length = x.shape[axis]!;
    const lanes = lanesPerFold(outputs, length, context.software ?? false);
    context.emit({
      kernel: "reduce/arg",
      entry: lanes ? "main_group" : "main",
      spec: rankSpec(loops),
      constants: {
        WG_SIZE: lanes ?? workgroup,
        WORD: words.indexOf(x.word),
        LEAST: context.node.op === "ArgMin" ? 1 : 0,
        LAST: a.int("select_last_index", 0) !== 0 ? 1 : 0,
      },
      bindings: { x: x.operand, y: y.operand },
      params: {
        outputs,
        length,
        step: wrapped(x.strides[axis]!),
        x_base: x.offset,
        y_base: y.offset,
        shape: sizes(loops),
        x_steps: stepsOf(loops, 0),
        y_steps: stepsOf(loops, 1),
      },
      groups: lanes ? outputs : Math.ceil(outputs / workgroup),
    });
  },
};

export const argLowerings: readonly Lowering[] = [arg];
