import { reducedAxes } from "../../graph/ops/reduce.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { emitChannelResult, emitChannelSums, hasChannelSums } from "./channel-sums.ts";
import { opContext } from "./movement-context.ts";
import { eight, type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";

const workgroup = 64;
/** Folds from this length on are worth a workgroup each, unless there are outputs enough to fill the device. */
const longFold = 512;
const manyOutputs = 1024;

/** FN codes of shaders/reduce/reduce.wgsl. */
export const foldCodes = {
  ReduceSum: 0,
  ReduceMean: 1,
  ReduceMax: 2,
  ReduceMin: 3,
  ReduceProd: 4,
  ReduceL1: 5,
  ReduceL2: 6,
  ReduceLogSum: 7,
  ReduceLogSumExp: 8,
  ReduceSumSquare: 9,
} as const satisfies Readonly<Record<string, number>>;

/**
 * Folds `x` over `axes` into `y`, whose dimensions are those that remain, in order, with or without ones for the folded.
 */
export function emitReduce(
  context: Pick<LowerContext, "emit">,
  code: number,
  x: View,
  axes: readonly number[],
  y: View,
): void {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const yAxes = y.shape.length === x.shape.length ? kept : kept.map((_, i) => i);
  const outer = simplifyLoops(
    kept.map((axis, i): Loop => ({ size: x.shape[axis]!, steps: [x.strides[axis]!, y.strides[yAxes[i]!]!] })),
  );
  // The written view comes last in a loop's steps; a fold writes nothing, so its own step stands in for it.
  const inner = simplifyLoops(
    axes.map((axis): Loop => ({ size: x.shape[axis]!, steps: [x.strides[axis]!, x.strides[axis]!] })),
  );
  const outputs = visits(outer);
  const folded = visits(inner);
  if (outputs === 0) return;
  const floats = x.word === "f32";
  const group = floats && folded >= longFold && outputs < manyOutputs;
  context.emit({
    kernel: "reduce/reduce",
    entry: floats ? (group ? "main_group" : "main") : "main_int",
    spec: { ...rankSpec(outer), INNER: rankSpec(inner).RANK },
    constants: { FN: code },
    bindings: floats ? { x: x.operand, y: y.operand } : { x_int: x.operand, y_int: y.operand },
    params: {
      outputs,
      folded,
      x_base: x.offset,
      y_base: y.offset,
      shape: eight(outer, (l) => l.size, 1),
      x_steps: eight(outer, (l) => wrapped(l.steps[0]!), 0),
      y_steps: eight(outer, (l) => wrapped(l.steps[1]!), 0),
      inner_shape: eight(inner, (l) => Math.max(1, l.size), 1),
      inner_steps: eight(inner, (l) => wrapped(l.steps[0]!), 0),
    },
    groups: group ? outputs : Math.ceil(outputs / workgroup),
  });
}

const reduce: Lowering = {
  ops: Object.keys(foldCodes),
  layout: "any",
  lower(context) {
    const { axes } = reducedAxes(opContext(context));
    const code = foldCodes[context.node.op as keyof typeof foldCodes];
    if (sumsChannels(context, axes)) {
      const sums = emitChannelSums(context, "values", context.inputs[0]!);
      const mean = context.node.op === "ReduceMean";
      emitChannelResult(context, sums, mean ? 1 / sums.count : 1, context.outputs[0]!);
      return;
    }
    emitReduce(context, code, context.inputs[0]!, axes, context.outputs[0]!);
  },
};

/** Is it the sum or mean of every channel, on a layout where that has a kernel of its own? (What biases' gradients are.) */
function sumsChannels(context: LowerContext, axes: readonly number[]): boolean {
  const [x] = context.inputs;
  const { op } = context.node;
  return (
    (op === "ReduceSum" || op === "ReduceMean") &&
    !axes.includes(1) &&
    axes.length === x!.shape.length - 1 &&
    context.outputs[0]!.shape.length === 1 &&
    hasChannelSums([x!])
  );
}

const globalPool: Lowering = {
  ops: ["GlobalAveragePool", "GlobalMaxPool"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const axes = x.shape.map((_, i) => i).slice(2);
    emitReduce(
      context,
      context.node.op === "GlobalMaxPool" ? foldCodes.ReduceMax : foldCodes.ReduceMean,
      x,
      axes,
      context.outputs[0]!,
    );
  },
};

export const reduceLowerings: readonly Lowering[] = [reduce, globalPool];
