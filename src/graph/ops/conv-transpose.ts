import { sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { channelSum } from "./support/gradients.ts";
import { typed } from "./support/operands.ts";
import { paramSlices } from "./support/param-flow.ts";
import { threeAxes } from "./support/taps.ts";
import {
  autoPadOf,
  type ConvGeometry,
  checkBias,
  convWeight,
  extent,
  groupsOf,
  listAttribute,
  type ShapedNode,
  shapeFail,
  spatialInput,
} from "./support/window.ts";

/**
 * Geometry of a ConvTranspose: weight [C, M/group, K1, ...]. Output size per axis: stride · (size - 1) + output_padding +
 * extent - pads; with output_shape the pads follow from it, shared as auto_pad says (ONNX operator specification).
 */
export function convTransposeGeometry(context: ShapedNode): ConvGeometry {
  const { batch, channels, spatial } = spatialInput(context);
  const a = attributesOf(context.node);
  const weight = convWeight(context, a, spatial.length);
  const groups = groupsOf(a);
  if (weight[0] !== channels) {
    shapeFail(context, `the weight is for ${weight[0]} input channels; the input has ${channels}.`);
  }
  if (channels % groups !== 0)
    shapeFail(context, `${channels} input channels do not divide into ${groups} groups.`);
  const rank = spatial.length;
  const kernel = weight.slice(2);
  const strides = listAttribute(a, "strides", rank, 1, 1);
  const dilations = listAttribute(a, "dilations", rank, 1, 1);
  const extra = listAttribute(a, "output_padding", rank, 0, 0);
  const auto = autoPadOf(a);
  const given = listAttribute(a, "pads", 2 * rank, 0, 0);
  const wanted = outputShape(a.ints("output_shape"), rank, (message) => a.fail(message));
  const padsBegin: number[] = [];
  const padsEnd: number[] = [];
  const outSpatial: number[] = [];
  for (let i = 0; i < rank; i++) {
    const full = strides[i]! * (spatial[i]! - 1) + extra[i]! + extent(kernel[i]!, dilations[i]!);
    const same = auto === "SAME_UPPER" || auto === "SAME_LOWER";
    let out = wanted?.[i];
    if (out === undefined && same) out = spatial[i]! * strides[i]!;
    if (out === undefined) {
      const pads = auto === "NOTSET" ? given[i]! + given[i + rank]! : 0;
      padsBegin.push(auto === "NOTSET" ? given[i]! : 0);
      padsEnd.push(pads - padsBegin[i]!);
      out = full - pads;
    } else {
      const total = full - out;
      const half = Math.floor(total / 2);
      // More than the kernels reach (total below 0): zeros follow behind the data, as in ONNX Runtime.
      const begin = total < 0 ? 0 : auto === "SAME_UPPER" ? half : total - half;
      padsBegin.push(begin);
      padsEnd.push(total - begin);
    }
    if (spatial[i] !== 0 && out < 1) shapeFail(context, `axis ${i + 2} would have ${out} elements.`);
    outSpatial.push(Math.max(0, out));
  }
  const outChannels = weight[1]! * groups;
  checkBias(context, outChannels);
  return {
    batch,
    groups,
    inChannels: channels,
    outChannels,
    spatial,
    kernel,
    strides,
    dilations,
    padsBegin,
    padsEnd,
    outSpatial,
  };
}

function outputShape(
  list: readonly number[] | undefined,
  rank: number,
  fail: (message: string) => never,
): readonly number[] | undefined {
  if (!list) return undefined;
  const spatial = list.length === rank + 2 ? list.slice(2) : list;
  if (spatial.length !== rank || spatial.some((d) => d < 1 || d >= 2 ** 31)) {
    fail(`attribute output_shape is [${list}]; ${rank} sizes from 1 are needed.`);
  }
  return spatial;
}

/** The transpose (gradient) of a convolution: every input adds its kernel, scaled, to the output. */
export const convTranspose: OpDefinition = {
  name: "ConvTranspose",
  inputs: [2, 3],
  outputs: [1, 1],
  attributes: {
    auto_pad: "string",
    dilations: "ints",
    group: "int",
    kernel_shape: "ints",
    output_padding: "ints",
    output_shape: "ints",
    pads: "ints",
    strides: "ints",
  },
  infer(c) {
    const { dtype } = floatOperands(c, 2);
    const g = convTransposeGeometry(c);
    return [typed(c, dtype, [g.batch, g.outChannels, ...g.outSpatial])];
  },
  reference(c, inputs, outputs) {
    const g = convTransposeGeometry(c);
    const y = new Float64Array(sizeOf(outputs[0]!.shape));
    transposed(g, doubles(inputs[0]!), doubles(inputs[1]!), inputs[2] && doubles(inputs[2]), y);
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  macs(c) {
    return sizeOf(c.inputs[0]!.shape) * sizeOf(c.inputs[1]!.shape.slice(1));
  },
  gradient(g) {
    const geometry = convTransposeGeometry(g);
    const { strides, dilations, padsBegin, padsEnd, groups: group, kernel } = geometry;
    if (padsEnd.some((p) => p < 0)) return g.refuse("its output reaches beyond what its kernels do");
    const shared = { strides, dilations, pads: [...padsBegin, ...padsEnd], group };
    return [
      g.wants(0) ? g.emit("Conv", [g.dy, g.in(1)], shared) : undefined,
      g.wants(1) ? g.emit("WeightGradient", [g.dy, g.in(0)], { ...shared, kernel_shape: kernel }) : undefined,
      g.wants(2) ? channelSum(g) : undefined,
    ];
  },
  channels(c) {
    if (!c.isWeight(1)) return frozen(c);
    const x = c.in(0);
    const g = convTransposeGeometry(c);
    if (g.groups > 1 || (x && x.axis !== 1)) return frozen(c);
    const out = c.fresh(g.outChannels);
    c.slices(1, 1, out, "out");
    if (x) c.slices(1, 0, x.ids, "in");
    paramSlices(c, 2, out);
    return [{ axis: 1, ids: out }];
  },
};

function transposed(
  g: ConvGeometry,
  x: Float64Array,
  w: Float64Array,
  bias: Float64Array | undefined,
  y: Float64Array,
): void {
  const [d, h, r] = threeAxes(g);
  const inSize = d.size * h.size * r.size;
  const outSize = d.out * h.out * r.out;
  const kernelSize = d.kernel * h.kernel * r.kernel;
  const perGroup = g.outChannels / g.groups;
  const width = g.inChannels / g.groups;
  if (bias) for (let i = 0; i < y.length; i++) y[i] = bias[Math.floor(i / outSize) % g.outChannels]!;
  for (let n = 0; n < g.batch; n++) {
    for (let c = 0; c < g.inChannels; c++) {
      const from = (n * g.inChannels + c) * inSize;
      for (let k = 0; k < perGroup; k++) {
        const m = Math.floor(c / width) * perGroup + k;
        const to = (n * g.outChannels + m) * outSize;
        const weight = (c * perGroup + k) * kernelSize;
        for (let i = 0; i < inSize; i++) {
          const id = Math.floor(i / (h.size * r.size));
          const ih = Math.floor(i / r.size) % h.size;
          const ir = i % r.size;
          for (let t = 0; t < kernelSize; t++) {
            const od = id * d.stride + Math.floor(t / (h.kernel * r.kernel)) * d.dilation - d.begin;
            const oh = ih * h.stride + (Math.floor(t / r.kernel) % h.kernel) * h.dilation - h.begin;
            const or = ir * r.stride + (t % r.kernel) * r.dilation - r.begin;
            if (od < 0 || od >= d.out || oh < 0 || oh >= h.out || or < 0 || or >= r.out) continue;
            y[to + (od * h.out + oh) * r.out + or]! += x[from + i]! * w[weight + t]!;
          }
        }
      }
    }
  }
}
