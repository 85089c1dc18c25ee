import { sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";
import { type Axis, outputsOfTap, threeAxes } from "./support/taps.ts";
import {
  type ConvGeometry,
  groupsOf,
  listAttribute,
  type ShapedNode,
  slidingWindow,
} from "./support/window.ts";

/** Geometry of the convolution whose weight is differentiated; x [N, C, ...] and dy [N, M, ...]. Without pixels for Gemm. */
export function weightGradientGeometry(context: ShapedNode): ConvGeometry {
  const [x, dy] = context.inputs.map((t) => t!.shape) as [readonly number[], readonly number[]];
  const a = attributesOf(context.node);
  const spatial = x.slice(2);
  const kernel = spatial.length === 0 ? [] : listAttribute(a, "kernel_shape", spatial.length, 1, 1);
  return {
    ...slidingWindow(context, spatial, kernel, false),
    batch: x[0]!,
    groups: groupsOf(a),
    inChannels: x[1]!,
    outChannels: dy[1]!,
  };
}

/**
 * dw [M, C/group, ...kernel] = sum over images and pixels of dy [N, M, ...] times the x [N, C, ...] under each tap: the
 * gradient of Conv, and (with two axes, no kernel) of Gemm, with respect to the weight. Attributes are the convolution's.
 */
export const weightGradient: OpDefinition = {
  name: "WeightGradient",
  internal: true,
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: { kernel_shape: "ints", strides: "ints", dilations: "ints", pads: "ints", group: "int" },
  infer(c) {
    const { dtype } = floatOperands(c, 2);
    const [x, dy] = c.inputs.map((t) => t!.shape) as [readonly number[], readonly number[]];
    if (x.length < 2 || dy.length !== x.length || x[0] !== dy[0])
      refuse(c, "E_SHAPE", `x [${x}] and dy [${dy}] do not belong to one batch.`);
    const g = weightGradientGeometry(c);
    if (g.outSpatial.some((d, i) => d !== dy[i + 2]) || x[1]! % g.groups !== 0 || dy[1]! % g.groups !== 0)
      refuse(c, "E_SHAPE", `dy [${dy}] is not of the shape that x [${x}] gives under this window.`);
    return [typed(c, dtype, [g.outChannels, g.inChannels / g.groups, ...g.kernel])];
  },
  reference(c, inputs, outputs) {
    const g = weightGradientGeometry(c);
    const dw = new Float64Array(sizeOf(outputs[0]!.shape));
    correlate(g, doubles(inputs[0]!), doubles(inputs[1]!), dw);
    return [doubleTensor(outputs[0]!.shape, dw)];
  },
  macs(c, outputs) {
    return sizeOf(outputs[0]!.shape) * sizeOf(c.inputs[1]!.shape.filter((_, i) => i !== 1));
  },
  channels: frozen,
};

function correlate(g: ConvGeometry, x: Float64Array, dy: Float64Array, dw: Float64Array): void {
  const axes = threeAxes(g);
  const inSize = axes[0].size * axes[1].size * axes[2].size;
  const outSize = axes[0].out * axes[1].out * axes[2].out;
  const kernelSize = axes[0].kernel * axes[1].kernel * axes[2].kernel;
  const width = g.inChannels / g.groups;
  const perGroup = g.outChannels / g.groups;
  for (let n = 0; n < g.batch; n++) {
    for (let m = 0; m < g.outChannels; m++) {
      const from = (n * g.outChannels + m) * outSize;
      const first = Math.floor(m / perGroup) * width;
      for (let k = 0; k < width; k++) {
        const plane = (n * g.inChannels + first + k) * inSize;
        for (let t = 0; t < kernelSize; t++)
          dw[(m * width + k) * kernelSize + t]! += underTap(axes, t, x, plane, dy, from);
      }
    }
  }
}

/** Sum over the outputs of one plane of dy times the x under tap `t`. */
function underTap(
  [d, h, r]: readonly [Axis, Axis, Axis],
  t: number,
  x: Float64Array,
  plane: number,
  dy: Float64Array,
  from: number,
): number {
  const [kd, kh, kr] = [
    Math.floor(t / (h.kernel * r.kernel)),
    Math.floor(t / r.kernel) % h.kernel,
    t % r.kernel,
  ];
  const [d0, d1] = outputsOfTap(d, kd);
  const [h0, h1] = outputsOfTap(h, kh);
  const [r0, r1] = outputsOfTap(r, kr);
  let sum = 0;
  for (let od = d0; od < d1; od++) {
    const z = od * d.stride + kd * d.dilation - d.begin;
    for (let oh = h0; oh < h1; oh++) {
      const row =
        plane + (z * h.size + oh * h.stride + kh * h.dilation - h.begin) * r.size + kr * r.dilation - r.begin;
      const out = from + (od * h.out + oh) * r.out;
      for (let o = r0; o < r1; o++) sum += dy[out + o]! * x[row + o * r.stride]!;
    }
  }
  return sum;
}
