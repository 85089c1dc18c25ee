import { attributesOf } from "../../graph/op.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { emitBinary, multiplyCode, subtractCode } from "./binary.ts";
import { emitChannelSums, finishGroups, finishParams, hasChannelSums } from "./channel-sums.ts";
import { alongChannels, emitMoments, foldedAxes } from "./moments.ts";
import { type Loop, rankSpec, simplifyLoops, visits } from "./movement-loops.ts";
import { emitBatchNormalization } from "./norm-batch.ts";
import { quadLoops } from "./quads.ts";
import { emitReduce, foldCodes } from "./reduce.ts";
import { scratchView } from "./scratch.ts";
import { imageQuads, sizes, stepVectors } from "./vectors.ts";

const workgroup = 64;
const epsilonOf = (context: LowerContext): number => attributesOf(context.node).float("epsilon", 1e-5);

const forward: Lowering = {
  ops: ["BatchNormTraining"],
  layout: "any",
  fusesActivation: true,
  lower(context) {
    const [x, scale, bias] = context.inputs as readonly [View, View, View];
    const [y, runningMean, runningVariance, mean, variance] = context.outputs as readonly View[];
    if (sizeOf(y!.shape) === 0) return;
    emitMoments(context, x, mean!, variance!);
    context.emit({
      kernel: "norm/channel-finish",
      entry: "running",
      bindings: {
        mean: mean!.operand,
        variance: variance!.operand,
        running_mean: runningMean!.operand,
        running_variance: runningVariance!.operand,
      },
      params: {
        channels: x.shape[1]!,
        slices: 0,
        stride: 0,
        factor: 0,
        epsilon: 0,
        momentum: attributesOf(context.node).float("momentum", 0.9),
      },
      groups: finishGroups(x.shape[1]!),
    });
    emitBatchNormalization(context, x, y!, [scale, bias, mean!, variance!], epsilonOf(context));
  },
};

const backward: Lowering = {
  ops: ["BatchNormTrainingGrad"],
  layout: "any",
  lower(context) {
    const [x, scale, mean, variance, dy] = context.inputs as readonly [View, View, View, View, View];
    const [dx, dscale, dbias] = context.outputs as readonly [View, View, View];
    if (sizeOf(x.shape) === 0) return;
    emitParameterGradients(context, [x, mean, variance, dy], dscale, dbias);
    const along = x.shape.map(
      (size, d): Loop => ({
        size,
        steps: [x.strides[d]!, dy.strides[d]!, d === 1 ? 1 : 0, dx.strides[d]!],
      }),
    );
    const views = [x, dy, dx];
    const quads = quadLoops(along, views, [0, 1, 3], imageQuads(views));
    const loops = quads ?? simplifyLoops(along);
    const unit = quads ? 4 : 1;
    const count = visits(loops);
    const names = quads ? (["x4", "dy4", "dx4"] as const) : (["x", "dy", "dx"] as const);
    context.emit({
      kernel: "norm/batch-gradient",
      entry: quads ? "main_vec4" : "main",
      spec: rankSpec(loops),
      bindings: {
        [names[0]]: x.operand,
        [names[1]]: dy.operand,
        [names[2]]: dx.operand,
        scale: scale.operand,
        mean: mean.operand,
        variance: variance.operand,
        dscale: dscale.operand,
        dbias: dbias.operand,
      },
      params: {
        count,
        epsilon: epsilonOf(context),
        share: x.shape[1]! / sizeOf(x.shape),
        base: [x.offset / unit, dy.offset / unit, 0, dx.offset / unit],
        shape: sizes(loops),
        steps: stepVectors(loops),
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};

/** dbias = sum of dy; dscale = sum of dy · (x - mean), over the deviation. */
function emitParameterGradients(
  context: LowerContext,
  [x, mean, variance, dy]: readonly [View, View, View, View],
  dscale: View,
  dbias: View,
): void {
  const finish = (sums: Parameters<typeof finishParams>[0]): void =>
    context.emit({
      kernel: "norm/channel-finish",
      entry: "gradients",
      bindings: {
        sums: sums.operand,
        variance: variance.operand,
        dscale: dscale.operand,
        dbias: dbias.operand,
      },
      params: finishParams(sums, 1, epsilonOf(context)),
      groups: finishGroups(sums.channels),
    });
  if (hasChannelSums([dy, x])) {
    finish(emitChannelSums(context, "products", dy, x, mean));
    return;
  }
  const channels = x.shape[1]!;
  const centred = scratchView(context, "centred", x.shape);
  const products = scratchView(context, "products", x.shape);
  emitBinary(context, subtractCode, x, alongChannels(mean, x), centred);
  emitBinary(context, multiplyCode, centred, dy, products);
  const both = scratchView(context, "sums", [2, channels]);
  const half = (offset: number): View => ({ ...both, shape: [channels], strides: [1], offset });
  emitReduce(context, foldCodes.ReduceSum, dy, foldedAxes(x), half(0));
  emitReduce(context, foldCodes.ReduceSum, products, foldedAxes(x), half(channels));
  finish({ operand: both.operand, channels, slices: 1, stride: channels, count: 0 });
}

export const batchTrainingLowerings: readonly Lowering[] = [forward, backward];
