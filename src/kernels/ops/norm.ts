import { attributesOf } from "../../graph/op.ts";
import { broadcastStrides, normaliseAxis, sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { batchNormalization } from "./norm-batch.ts";
import { emitNormalisation, type NormAxis } from "./norm-groups.ts";
import { localResponse } from "./norm-lrn.ts";

const x = (context: LowerContext): View => context.inputs[0]!;

/** Strides of an operand as if it had been broadcast to x; zeros where there is none. */
const spread = (v: View | undefined, to: View): readonly number[] =>
  v ? broadcastStrides(v.shape, v.strides, to.shape) : to.shape.map(() => 0);

/** Every axis of x, with per-element scale and bias that broadcast to it. */
function axesOf(
  context: LowerContext,
  inner: (axis: number) => boolean,
  scale?: View,
  bias?: View,
): NormAxis[] {
  const from = x(context);
  const y = context.outputs[0]!;
  const [s, b] = [spread(scale, from), spread(bias, from)];
  return from.shape.map((size, d) => ({
    size,
    steps: [from.strides[d]!, s[d]!, b[d]!, y.strides[d]!],
    inner: inner(d),
  }));
}

/** LayerNormalization and RMSNormalization: over the axes from `axis` on. */
const layer: Lowering = {
  ops: ["LayerNormalization", "RMSNormalization"],
  layout: "any",
  lower(context) {
    const a = attributesOf(context.node);
    const from = x(context);
    const axis = normaliseAxis(a.int("axis", -1), from.shape.length, context.node.op);
    const [, scale, bias] = context.inputs;
    const [y, mean, inverse] = context.outputs;
    emitNormalisation(context, {
      axes: axesOf(context, (d) => d >= axis, scale, bias),
      x: from,
      scale,
      bias,
      y: y!,
      measure: "variance",
      centre: context.node.op === "LayerNormalization",
      epsilon: a.float("epsilon", 1e-5),
      mean,
      inverse,
    });
  },
};

/** A vector of channels as it lies along the axes of x behind the batch. */
function perChannel(v: View | undefined, rank: number): View | undefined {
  const spatial = new Array<number>(rank - 2);
  return (
    v && { ...v, shape: [v.shape[0]!, ...spatial.fill(1)], strides: [v.strides[0]!, ...spatial.fill(0)] }
  );
}

/** InstanceNormalization: over the spatial axes of every channel. */
const instance: Lowering = {
  ops: ["InstanceNormalization"],
  layout: "any",
  lower(context) {
    const from = x(context);
    const [, scale, bias] = context.inputs;
    const rank = from.shape.length;
    emitNormalisation(context, {
      axes: axesOf(context, (d) => d >= 2, perChannel(scale, rank), perChannel(bias, rank)),
      x: from,
      scale,
      bias,
      y: context.outputs[0]!,
      measure: "variance",
      centre: true,
      epsilon: attributesOf(context.node).float("epsilon", 1e-5),
    });
  },
};

/** GroupNormalization: over groups of channels and the spatial axes; scale and bias per channel. */
const group: Lowering = {
  ops: ["GroupNormalization"],
  layout: "any",
  lower(context) {
    const a = attributesOf(context.node);
    const from = x(context);
    const y = context.outputs[0]!;
    const [, scale, bias] = context.inputs;
    const groups = a.int("num_groups");
    const channels = from.shape[1]! / groups;
    const axes = from.shape.flatMap((size, d): NormAxis[] => {
      const [from_, to] = [from.strides[d]!, y.strides[d]!];
      if (d !== 1) return [{ size, steps: [from_, 0, 0, to], inner: d > 1 }];
      const steps = [from_, scale!.strides[0]!, bias!.strides[0]!, to] as const;
      const across = steps.map((s) => s * channels) as [number, number, number, number];
      return [
        { size: groups, steps: across, inner: false },
        { size: channels, steps, inner: true },
      ];
    });
    emitNormalisation(context, {
      axes,
      x: from,
      scale,
      bias,
      y,
      measure: "variance",
      centre: true,
      epsilon: a.float("epsilon", 1e-5),
    });
  },
};

/** Added to the deviation by MeanVarianceNormalization (ONNX operator specification, function body). */
const leastDeviation = 1e-9;

const meanVariance: Lowering = {
  ops: ["MeanVarianceNormalization"],
  layout: "any",
  lower(context) {
    const from = x(context);
    const rank = from.shape.length;
    const axes = (attributesOf(context.node).ints("axes") ?? [0, 2, 3]).map((d) =>
      normaliseAxis(d, rank, context.node.op),
    );
    emitNormalisation(context, {
      axes: axesOf(context, (d) => axes.includes(d)),
      x: from,
      scale: undefined,
      bias: undefined,
      y: context.outputs[0]!,
      measure: "deviation",
      centre: true,
      epsilon: leastDeviation,
    });
  },
};

const lp: Lowering = {
  ops: ["LpNormalization"],
  layout: "any",
  lower(context) {
    const a = attributesOf(context.node);
    const from = x(context);
    if (sizeOf(from.shape) === 0) return;
    const axis = normaliseAxis(a.int("axis", -1), from.shape.length, context.node.op);
    emitNormalisation(context, {
      axes: axesOf(context, (d) => d === axis),
      x: from,
      scale: undefined,
      bias: undefined,
      y: context.outputs[0]!,
      measure: a.int("p", 2) === 1 ? "l1" : "l2",
      centre: false,
      epsilon: 0,
    });
  },
};

/** Every normalisation. */
export const normLowerings: readonly Lowering[] = [
  batchNormalization,
  group,
  instance,
  layer,
  localResponse,
  lp,
  meanVariance,
];
