import { threeAxes } from "../../graph/ops/support/taps.ts";
import type { ConvGeometry } from "../../graph/ops/support/window.ts";
import type { Activation } from "../activation.ts";
import type { Dispatch, View } from "../lowering.ts";

/** A convolution, or its transpose, over strided views; the weight in the layout of its op. */
export interface DirectConv {
  readonly kernel: "conv/direct-generic" | "conv-transpose/gather";
  readonly geometry: ConvGeometry;
  readonly x: View;
  readonly weight: View;
  readonly bias: View | undefined;
  readonly residual: View | undefined;
  readonly y: View;
  readonly activation: Activation;
}

/** Output channels per thread. */
export const directRows = [1, 2, 4, 8] as const;
export type DirectRows = (typeof directRows)[number];

const workgroup = 64;

/** Strides of the spatial axes as depth, height, width; 0 for an axis that is not there. */
function spatialSteps(view: View): [number, number, number, number] {
  const steps = view.strides.slice(2);
  return [...new Array<number>(3 - steps.length).fill(0), ...steps, 0] as [number, number, number, number];
}

/** The dispatch of a direct convolution; it has no groups where the output is empty. */
export function directConv(problem: DirectConv, rows: DirectRows): Dispatch {
  const { kernel, geometry: g, x, weight, bias, y, activation } = problem;
  const residual = problem.residual ?? y;
  const axes = threeAxes(g);
  const four = (of: (axis: (typeof axes)[number]) => number): number[] => [...axes.map(of), 1];
  const perGroup = g.outChannels / g.groups;
  const blocks = Math.ceil(perGroup / rows);
  const pixels = axes[0].out * axes[1].out * axes[2].out;
  const count = g.batch * pixels * blocks * g.groups;
  const [rowAxis, channelAxis] = kernel === "conv/direct-generic" ? [0, 1] : [1, 0];
  return {
    kernel,
    spec: { R: rows },
    constants: {
      ACT: activation.code,
      HAS_BIAS: bias ? 1 : 0,
      HAS_RESIDUAL: problem.residual ? 1 : 0,
      IMAGES_INNER: y.strides[0]! < y.strides.at(-1)! ? 1 : 0,
    },
    bindings: {
      x: x.operand,
      weight: weight.operand,
      bias: (bias ?? weight).operand,
      residual: (problem.residual ?? x).operand,
      y: y.operand,
    },
    params: {
      count,
      images: g.batch,
      blocks_per_group: blocks,
      rows_per_group: perGroup,
      channels: g.inChannels / g.groups,
      x_base: x.offset,
      x_image: x.strides[0]!,
      x_channel: x.strides[1]!,
      w_base: weight.offset,
      w_row: weight.strides[rowAxis]!,
      w_channel: weight.strides[channelAxis]!,
      bias_base: bias?.offset ?? 0,
      bias_row: bias?.strides[0] ?? 0,
      y_base: y.offset,
      y_image: y.strides[0]!,
      y_channel: y.strides[1]!,
      r_base: residual.offset,
      r_image: residual.strides[0]!,
      r_channel: residual.strides[1]!,
      act_a: activation.a,
      act_b: activation.b,
      size: four((a) => a.size),
      out: four((a) => a.out),
      kernel: four((a) => a.kernel),
      stride: four((a) => a.stride),
      dilation: four((a) => a.dilation),
      before: four((a) => a.begin),
      x_step: spatialSteps(x),
      w_step: spatialSteps(weight),
      y_step: spatialSteps(y),
      r_step: spatialSteps(residual),
    },
    groups: Math.ceil(count / workgroup),
  };
}

/** Rows per thread for groups of `perGroup` output channels: as many as there are, four at most. */
export const chooseRows = (perGroup: number): DirectRows => (perGroup >= 3 ? 4 : perGroup === 2 ? 2 : 1);
