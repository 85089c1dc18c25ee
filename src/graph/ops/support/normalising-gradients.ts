import { sizeOf } from "../../../tensor/shape.ts";
import type { GradientContext } from "../../gradient-rule.ts";
import { meanOver } from "../reduce-gradients.ts";
import { formula } from "./formula.ts";
import { reshapedTo } from "./reshaping.ts";

/** A normalised value: (x - mean) · inverse, or x · inverse where nothing is subtracted. All are names of values. */
export interface Normalised {
  readonly hat: string;
  /** 1 / deviation, or 1 / root mean square: 1 along the axes it was taken over. */
  readonly inverse: string;
  readonly axes: readonly number[];
}

/**
 * From the gradient of `hat` to that of x, whose mean and deviation move with it: what hat cannot express any more, a shift
 * and a stretch of all of x, is taken out.
 */
export function throughStatistics(
  g: GradientContext,
  gradient: string,
  { hat, inverse, axes }: Normalised,
  centred = true,
): string {
  const { mul, sub } = formula(g);
  const stretch = mul(hat, meanOver(g, mul(gradient, hat), axes));
  const shifted = centred ? sub(gradient, meanOver(g, gradient, axes)) : gradient;
  return mul(inverse, sub(shifted, stretch));
}

/** x normalised over the axes from `axis` on, by the kernel that does it in the forward pass. */
export function layerNormalised(
  g: GradientContext,
  x: string,
  rank: number,
  axis: number,
  epsilon: number,
): Normalised {
  const one = formula(g).constant(1);
  const [hat, , inverse] = g.emitMany("LayerNormalization", [x, one], 3, { axis, epsilon });
  return { hat: hat!, inverse: inverse!, axes: Array.from({ length: rank - axis }, (_, i) => axis + i) };
}

/** Rule of InstanceNormalization and GroupNormalization: x [N, C, ...] in `groups` groups, scale and bias per channel. */
export function groupGradient(
  g: GradientContext,
  groups: number,
  epsilon: number,
): readonly (string | undefined)[] {
  const { mul } = formula(g);
  const { shape } = g.outputs[0]!;
  const [batch, channels] = shape as [number, number];
  // A channel that is a group of its own needs no other shape, which keeps the layout of images.
  const grouped = groups === channels ? shape : [batch, groups, sizeOf(shape) / Math.max(1, batch * groups)];
  const toGroups = (name: string): string => reshapedTo(g, name, shape, grouped);
  const fromGroups = (name: string): string => reshapedTo(g, name, grouped, shape);
  const n = layerNormalised(g, toGroups(g.in(0)), grouped.length, 2, epsilon);
  const dx = (): string => {
    const scale = reshapedTo(g, g.in(1), [channels], [channels, ...shape.slice(2).map(() => 1)]);
    return fromGroups(throughStatistics(g, toGroups(mul(g.dy, scale)), n));
  };
  const perChannel = (name: string): string =>
    g.emit("ReduceSum", [name, g.constant(shape.flatMap((_, i) => (i === 1 ? [] : [i])))], { keepdims: 0 });
  return [
    g.wants(0) ? dx() : undefined,
    g.wants(1) ? perChannel(mul(g.dy, fromGroups(n.hat))) : undefined,
    g.wants(2) ? perChannel(g.dy) : undefined,
  ];
}
