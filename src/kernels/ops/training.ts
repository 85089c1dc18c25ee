import { attributesOf } from "../../graph/op.ts";
import { dropoutTerms, mix } from "../../graph/ops/random-mask.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { rankSpec } from "./movement-loops.ts";
import { sizes, stepsOf } from "./vectors.ts";

const workgroup = 64;

const crossEntropy: Lowering = {
  ops: ["SoftmaxCrossEntropy"],
  layout: "rows",
  lower(context) {
    const [logits, targets] = context.inputs as readonly [View, View];
    const [loss, gradient] = context.outputs as readonly [View, View];
    const [rows, classes] = logits.shape as [number, number];
    if (rows * classes === 0) return;
    context.emit({
      kernel: "train/softmax-cross-entropy",
      bindings: {
        logits: logits.operand,
        targets: targets.operand,
        loss: loss.operand,
        gradient: gradient.operand,
      },
      params: { rows, classes },
      groups: Math.ceil(rows / workgroup),
    });
  },
};

/** Weight and state are bound once, as what they become: a buffer may not be read and written under two names. */
function emitUpdate(
  context: LowerContext,
  entry: "sgd" | "adam",
  hyperAt: number,
  attributes: Readonly<Record<string, number>>,
): void {
  const [weight, first, second] = context.outputs;
  const gradient = context.inputs[1]!;
  const hyper = context.inputs[hyperAt]!;
  const mask = context.inputs[hyperAt + 1];
  const scale = context.inputs[hyperAt + 2];
  const count = sizeOf(weight!.shape);
  context.emit({
    kernel: "train/update",
    entry,
    constants: {
      ...attributes,
      PENALISE: attributesOf(context.node).int("penalise", 1),
      MASKED: mask ? 1 : 0,
      SCALED: scale ? 1 : 0,
    },
    bindings: {
      weight: weight!.operand,
      first: first!.operand,
      ...(second && { second: second.operand }),
      gradient: gradient.operand,
      hyper: hyper.operand,
      mask: (mask ?? gradient).operand,
      scale: (scale ?? hyper).operand,
    },
    params: { count },
    groups: Math.ceil(count / workgroup),
  });
}

const sgd: Lowering = {
  ops: ["SgdUpdate"],
  layout: "rows",
  lower: (context) =>
    emitUpdate(context, "sgd", 3, { NESTEROV: attributesOf(context.node).int("nesterov", 0) }),
};

const adam: Lowering = {
  ops: ["AdamUpdate"],
  layout: "rows",
  lower: (context) =>
    emitUpdate(context, "adam", 4, { DECOUPLED: attributesOf(context.node).int("decoupled", 0) }),
};

const accumulate: Lowering = {
  ops: ["Accumulate"],
  layout: "rows",
  lower(context) {
    const total = context.outputs[0]!;
    const count = sizeOf(total.shape);
    context.emit({
      kernel: "train/update",
      entry: "accumulate",
      bindings: { weight: total.operand, gradient: context.inputs[1]!.operand },
      params: { count },
      groups: Math.ceil(count / workgroup),
    });
  },
};

const randomMask: Lowering = {
  ops: ["RandomMask"],
  layout: "any",
  lower(context) {
    const y = context.outputs[0]!;
    const a = attributesOf(context.node);
    const { threshold, factor } = dropoutTerms(a.float("ratio", 0.5));
    // In the order of the dimensions, none merged: an element's number is its row-major index.
    const loops = y.shape.map((size, d) => ({ size, steps: [y.strides[d]!] }));
    const count = sizeOf(y.shape);
    context.emit({
      kernel: "train/random-mask",
      spec: rankSpec(loops),
      bindings: { step: context.inputs[1]!.operand, y: y.operand },
      params: {
        count,
        seed: mix(a.int("seed", 0)),
        threshold,
        factor,
        base: y.offset,
        shape: sizes(loops),
        steps: stepsOf(loops, 0),
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};

export const trainingLowerings: readonly Lowering[] = [crossEntropy, sgd, adam, accumulate, randomMask];
