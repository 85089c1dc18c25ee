import { threeAxes } from "../../graph/ops/support/taps.ts";
import { mostGroups } from "../limits.ts";
import type { Dispatch } from "../lowering.ts";
import type { DirectConv } from "./conv-direct.ts";

/** One way to run a depthwise convolution. */
export interface DepthwiseVariant {
  readonly name: string;
  applicable(problem: DirectConv): boolean;
  dispatch(problem: DirectConv): Dispatch;
}

/** Lanes of a workgroup: no more than a plane has work for, since those past its end cost as much as the others. */
const lanes = (count: number): number => [8, 32].find((n) => count <= n) ?? 64;
const widestKernel = 9;

/** One input channel per group, at most two spatial axes, and a weight that lies as its file wrote it. */
function fits({ kernel, geometry: g, weight, bias }: DirectConv): boolean {
  const [depth, , width] = threeAxes(g);
  const shallow = depth.kernel === 1 && depth.size === 1 && depth.out === 1 && depth.begin === 0;
  const window = width.dilation === 1 && width.stride <= 2 && width.kernel <= widestKernel;
  const plain = weight.rows && (bias?.rows ?? true);
  const grid = g.outChannels <= mostGroups && g.batch <= mostGroups;
  return kernel === "conv/direct-generic" && g.groups === g.inChannels && shallow && window && plain && grid;
}

/** Outputs of a row per thread. */
const outputs = [1, 2, 4, 8] as const;

function params(
  problem: DirectConv,
  count: number,
  strips: number,
  unit: number,
): NonNullable<Dispatch["params"]> {
  const { geometry: g, x, y, activation } = problem;
  const [, h, w] = threeAxes(g);
  const steps = (strides: readonly number[]): [number, number] =>
    strides.length === 3 ? [0, strides[2]! / unit] : [strides.at(-2)! / unit, strides.at(-1)! / unit];
  const [x_h, x_w] = steps(x.strides);
  const [y_h, y_w] = steps(y.strides);
  const residual = problem.residual ?? y;
  const [r_h, r_w] = steps(residual.strides);
  return {
    count,
    strips,
    multiplier: g.outChannels / g.groups,
    out_w: w.out,
    size_h: h.size,
    size_w: w.size,
    kernel_h: h.kernel,
    stride_h: h.stride,
    dilation_h: h.dilation,
    before_h: h.begin,
    before_w: w.begin,
    x_base: x.offset / unit,
    x_channel: x.strides[1]! / unit,
    x_h,
    x_w,
    y_base: y.offset / unit,
    y_channel: y.strides[1]! / unit,
    y_h,
    y_w,
    r_base: residual.offset / unit,
    r_channel: residual.strides[1]! / unit,
    r_h,
    r_w,
    act_a: activation.a,
    act_b: activation.b,
  };
}

const common = (
  { geometry, x, weight, bias, residual, y, activation }: DirectConv,
  P: number,
  count: number,
) => {
  const [, , w] = threeAxes(geometry);
  return {
    spec: { P, S: w.stride, KW: w.kernel },
    constants: {
      ACT: activation.code,
      HAS_BIAS: bias ? 1 : 0,
      HAS_RESIDUAL: residual ? 1 : 0,
      WG_SIZE: lanes(count),
    },
    bindings: {
      x: x.operand,
      weight: weight.operand,
      bias: (bias ?? weight).operand,
      residual: (residual ?? x).operand,
      y: y.operand,
    },
  };
};

const planar = (P: (typeof outputs)[number]): DepthwiseVariant => ({
  name: `planar ${P}`,
  applicable: fits,
  dispatch(problem) {
    const { geometry: g, x, y } = problem;
    const residual = problem.residual ?? y;
    const [, h, w] = threeAxes(g);
    const strips = Math.ceil(w.out / P);
    const count = strips * h.out;
    return {
      kernel: "depthwise/planar",
      ...common(problem, P, count),
      params: {
        ...params(problem, count, strips, 1),
        x_image: x.strides[0]!,
        y_image: y.strides[0]!,
        r_image: residual.strides[0]!,
      },
      groups: [Math.ceil(count / lanes(count)), g.outChannels, g.batch],
    };
  },
});

const fourths = (n: number): boolean => n % 4 === 0;

const columns = (P: (typeof outputs)[number]): DepthwiseVariant => ({
  name: `columns ${P}`,
  applicable: (problem) =>
    fits(problem) &&
    problem.geometry.batch > 1 &&
    [problem.x, problem.y, ...(problem.residual ? [problem.residual] : [])].every(
      (v) => v.strides[0] === 1 && fourths(v.offset) && v.strides.slice(1).every(fourths),
    ),
  dispatch(problem) {
    const { geometry: g } = problem;
    const [, h, w] = threeAxes(g);
    const strips = Math.ceil(w.out / P);
    const quads = Math.ceil(g.batch / 4);
    const count = strips * h.out * quads;
    return {
      kernel: "depthwise/columns",
      ...common(problem, P, count),
      params: { ...params(problem, count, strips, 4), quads },
      groups: [Math.ceil(count / lanes(count)), g.outChannels, 1],
    };
  },
});

/** Every depthwise kernel and tile. */
export const depthwiseVariants: readonly DepthwiseVariant[] = [
  ...outputs.map(columns),
  ...outputs.map(planar),
];

/**
 * The kernel for a convolution, or undefined where it is not depthwise or too odd. Wider strips reuse more of a window; eight
 * of single words pay only where a lane is one of a CPU's.
 */
export function chooseDepthwise(problem: DirectConv, software: boolean): DepthwiseVariant | undefined {
  const able = depthwiseVariants.filter((v) => v.applicable(problem) && within(v.dispatch(problem)));
  const [, , w] = threeAxes(problem.geometry);
  const strip = w.out >= 4 ? 4 : w.out >= 2 ? 2 : 1;
  const wanted = [`columns ${strip}`, software && w.out >= 7 ? "planar 8" : "", `planar ${strip}`];
  return wanted.map((name) => able.find((v) => v.name === name)).find((v) => v !== undefined);
}

/** Is every count of workgroups one that any adapter takes? */
const within = ({ groups }: Dispatch): boolean =>
  typeof groups !== "number" && groups.every((n) => n <= mostGroups);
