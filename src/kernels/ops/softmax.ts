import { attributesOf } from "../../graph/op.ts";
import { normaliseAxis, sizeOf } from "../../tensor/shape.ts";
import type { Lowering } from "../lowering.ts";
import { type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";
import { lanesPerFold } from "./norm-groups.ts";
import { sizes, stepsOf } from "./vectors.ts";

const workgroup = 64;

const softmax: Lowering = {
  ops: ["Softmax", "LogSoftmax"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    // A scalar is a row of one.
    const axis =
      x.shape.length === 0
        ? 0
        : normaliseAxis(attributesOf(context.node).int("axis", -1), x.shape.length, context.node.op);
    const others = x.shape.flatMap((size, d): Loop[] =>
      d === axis ? [] : [{ size, steps: [x.strides[d]!, y.strides[d]!] }],
    );
    const loops = simplifyLoops(others);
    const rows = visits(loops);
    const length = x.shape[axis] ?? 1;
    const lanes = lanesPerFold(rows, length, context.software ?? false);
    context.emit({
      kernel: "softmax/softmax",
      entry: lanes ? "main_group" : "main",
      spec: rankSpec(loops),
      constants: { WG_SIZE: lanes ?? workgroup, LOG: context.node.op === "LogSoftmax" ? 1 : 0 },
      bindings: { x: x.operand, y: y.operand },
      params: {
        rows,
        length,
        x_step: wrapped(x.strides[axis] ?? 0),
        y_step: wrapped(y.strides[axis] ?? 0),
        x_base: x.offset,
        y_base: y.offset,
        shape: sizes(loops),
        x_steps: stepsOf(loops, 0),
        y_steps: stepsOf(loops, 1),
      },
      groups: lanes ? rows : Math.ceil(rows / workgroup),
    });
  },
};

export const softmaxLowerings: readonly Lowering[] = [softmax];
