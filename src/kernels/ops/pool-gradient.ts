import { attributesOf } from "../../graph/op.ts";
import { averagePoolGradientGeometry } from "../../graph/ops/pool-gradients.ts";
import { type PoolGeometry, poolGeometry } from "../../graph/ops/support/window.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { fillView } from "./movement-fill.ts";
import { three } from "./pixel-rows.ts";
import { imageQuads } from "./vectors.ts";

const workgroup = 64;

function emitGradient(
  context: LowerContext,
  g: PoolGeometry,
  mode: number,
  [x, y, dy]: readonly [View, View, View],
): void {
  const dx = context.outputs[0]!;
  if (sizeOf(dx.shape) === 0) return;
  const unit = imageQuads([x, y, dy, dx]) ? 4 : 1;
  const batch = Math.ceil(g.batch / unit);
  const apart = g.kernel.every((k, i) => k === 1 || (g.strides[i]! >= k && g.dilations[i] === 1));
  const covered = apart && g.kernel.every((_, i) => covers(g, i));
  if (apart && !covered) fillView(context.emit, dx, 0);
  const count = batch * g.channels * sizeOf(apart ? g.outSpatial : g.spatial);
  const spatial = (values: readonly number[], fill: number): number[] => [...three(values, fill), 0];
  const steps = (v: View): number[] => [
    ...three(
      v.strides.slice(2).map((s) => s / unit),
      0,
    ),
    v.strides[1]! / unit,
  ];
  const views = [x, y, dy, dx];
  context.emit({
    kernel: unit === 4 ? "pool/gradient" : "pool/gradient-scalar",
    entry: apart ? "main_apart" : "main",
    constants: { MODE: mode },
    bindings: { x: x.operand, y: y.operand, dy: dy.operand, dx: dx.operand },
    params: {
      count,
      batch,
      size: spatial(g.spatial, 1),
      out: spatial(g.outSpatial, 1),
      kernel: spatial(g.kernel, 1),
      stride: spatial(g.strides, 1),
      dilation: spatial(g.dilations, 1),
      before: spatial(g.padsBegin, 0),
      after: spatial(g.padsEnd, 0),
      x_steps: steps(x),
      y_steps: steps(y),
      dy_steps: steps(dy),
      dx_steps: steps(dx),
      image_steps: views.map((v) => (unit === 4 ? 1 : v.strides[0]!)),
      base: views.map((v) => v.offset / unit),
    },
    groups: Math.ceil(count / workgroup),
  });
}

/** Does every element along an axis lie in a window? */
function covers(g: PoolGeometry, i: number): boolean {
  const [kernel, stride, out] = [g.kernel[i]!, g.strides[i]!, g.outSpatial[i]!];
  return kernel === stride && (out - 1) * stride + kernel - g.padsBegin[i]! >= g.spatial[i]!;
}

const maximum: Lowering = {
  ops: ["MaxPoolGrad"],
  layout: "any",
  lower(context) {
    const [x, y, dy] = context.inputs as readonly [View, View, View];
    emitGradient(context, poolGeometry(context), 0, [x, y, dy]);
  },
};

const average: Lowering = {
  ops: ["AveragePoolGrad"],
  layout: "any",
  lower(context) {
    const dy = context.inputs[0]!;
    const padded = attributesOf(context.node).int("count_include_pad", 0) !== 0;
    emitGradient(context, averagePoolGradientGeometry(context), padded ? 2 : 1, [dy, dy, dy]);
  },
};

export const poolGradientLowerings: readonly Lowering[] = [maximum, average];
