import { sizeOf } from "../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../channels.ts";
import type { OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { countKept, frozen } from "./support/flow.ts";
import { channelSum } from "./support/gradients.ts";
import { typed } from "./support/operands.ts";
import { paramSlices } from "./support/param-flow.ts";
import { type Axis, outputsOfTap, threeAxes } from "./support/taps.ts";
import { type ConvGeometry, convGeometry, extent } from "./support/window.ts";

/** Convolution of x [N, C, D1, ...] with w [M, C/group, K1, ...] and bias [M]; 1 to 3 spatial axes. */
export const conv: OpDefinition = {
  name: "Conv",
  inputs: [2, 3],
  outputs: [1, 1],
  attributes: {
    auto_pad: "string",
    dilations: "ints",
    group: "int",
    kernel_shape: "ints",
    pads: "ints",
    strides: "ints",
  },
  infer(c) {
    const { dtype } = floatOperands(c, 2);
    const g = convGeometry(c);
    return [typed(c, dtype, [g.batch, g.outChannels, ...g.outSpatial])];
  },
  reference(c, inputs, outputs) {
    const g = convGeometry(c);
    const y = new Float64Array(sizeOf(outputs[0]!.shape));
    const bias = inputs[2] && doubles(inputs[2]);
    convolve(g, doubles(inputs[0]!), doubles(inputs[1]!), bias, y);
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  macs(c, outputs) {
    const weight = c.inputs[1]!.shape;
    return sizeOf(outputs[0]!.shape) * sizeOf(weight.slice(1));
  },
  gradient(g) {
    const geometry = convGeometry(g);
    const { strides, dilations, padsBegin, padsEnd, groups: group, kernel, spatial } = geometry;
    const shared = { strides, dilations, pads: [...padsBegin, ...padsEnd], group };
    // The transpose gives back the input's size where the stride left no rest; output_padding adds the rest.
    const output_padding = spatial.map(
      (size, i) =>
        size +
        padsBegin[i]! +
        padsEnd[i]! -
        (strides[i]! * (geometry.outSpatial[i]! - 1) + extent(kernel[i]!, dilations[i]!)),
    );
    return [
      g.wants(0) ? g.emit("ConvTranspose", [g.dy, g.in(1)], { ...shared, output_padding }) : undefined,
      g.wants(1) ? g.emit("WeightGradient", [g.in(0), g.dy], { ...shared, kernel_shape: kernel }) : undefined,
      g.wants(2) ? channelSum(g) : undefined,
    ];
  },
  prunable: (c) => (c.value(1) ? { input: 1, outAxis: 0, inAxis: 1 } : undefined),
  channels(c) {
    if (!c.isWeight(1)) return frozen(c);
    const x = c.in(0);
    if (x && x.axis !== 1) return frozen(c);
    const g = convGeometry(c);
    const out = g.groups === 1 ? denseFlow(c, x, g) : groupedFlow(c, x, g);
    if (!out) return [undefined];
    paramSlices(c, 2, out);
    return [{ axis: 1, ids: out }];
  },
};

function denseFlow(c: ChannelContext, x: ChannelIds | undefined, g: ConvGeometry): readonly number[] {
  const out = c.fresh(g.outChannels);
  c.slices(1, 0, out, "out");
  if (x) c.slices(1, 1, x.ids, "in");
  return out;
}

/**
 * Depthwise: each input channel is a group of its own and takes its filters along. Otherwise groups must stay equally
 * wide, so the k-th channels of all groups live and die together.
 */
function groupedFlow(
  c: ChannelContext,
  x: ChannelIds | undefined,
  g: ConvGeometry,
): readonly number[] | undefined {
  const perGroup = g.outChannels / g.groups;
  if (g.groups === g.inChannels) {
    if (!x) return undefined;
    const out = Array.from({ length: g.outChannels }, (_, m) => x.ids[Math.floor(m / perGroup)]!);
    c.slices(1, 0, out, "out");
    c.attribute("group", (kept) => countKept(x.ids, kept));
    return out;
  }
  const width = g.inChannels / g.groups;
  if (x) {
    for (const [i, id] of x.ids.entries()) c.unite(x.ids[i % width]!, id);
    c.slices(1, 1, x.ids.slice(0, width), "in");
  }
  const base = c.fresh(perGroup);
  const out = Array.from({ length: g.outChannels }, (_, m) => base[m % perGroup]!);
  c.slices(1, 0, out, "out");
  return out;
}

/** y = w * x + bias. The innermost loop runs along a row of outputs, so that it reads and writes in order. */
function convolve(
  g: ConvGeometry,
  x: Float64Array,
  w: Float64Array,
  bias: Float64Array | undefined,
  y: Float64Array,
): void {
  const axes = threeAxes(g);
  const inSize = axes[0].size * axes[1].size * axes[2].size;
  const outSize = axes[0].out * axes[1].out * axes[2].out;
  const kernelSize = axes[0].kernel * axes[1].kernel * axes[2].kernel;
  const width = g.inChannels / g.groups;
  const perGroup = g.outChannels / g.groups;
  for (let n = 0; n < g.batch; n++) {
    for (let m = 0; m < g.outChannels; m++) {
      const to = (n * g.outChannels + m) * outSize;
      if (bias) y.fill(bias[m]!, to, to + outSize);
      const firstChannel = Math.floor(m / perGroup) * width;
      for (let k = 0; k < width; k++) {
        const from = (n * g.inChannels + firstChannel + k) * inSize;
        addPlane(axes, x, from, w, (m * width + k) * kernelSize, y, to);
      }
    }
  }
}

/** Adds one input channel times one kernel to one output channel. */
function addPlane(
  [d, h, r]: readonly [Axis, Axis, Axis],
  x: Float64Array,
  from: number,
  w: Float64Array,
  kernelAt: number,
  y: Float64Array,
  to: number,
): void {
  let at = kernelAt;
  for (let kd = 0; kd < d.kernel; kd++) {
    const [d0, d1] = outputsOfTap(d, kd);
    for (let kh = 0; kh < h.kernel; kh++) {
      const [h0, h1] = outputsOfTap(h, kh);
      for (let kr = 0; kr < r.kernel; kr++) {
        const weight = w[at++]!;
        const [r0, r1] = outputsOfTap(r, kr);
        for (let od = d0; od < d1; od++) {
          const plane = (od * d.stride + kd * d.dilation - d.begin) * h.size;
          for (let oh = h0; oh < h1; oh++) {
            const row = from + (plane + oh * h.stride + kh * h.dilation - h.begin) * r.size;
            const shift = row + kr * r.dilation - r.begin;
            const toRow = to + (od * h.out + oh) * r.out;
            for (let o = r0; o < r1; o++) y[toRow + o]! += weight * x[shift + o * r.stride]!;
          }
        }
      }
    }
  }
}
