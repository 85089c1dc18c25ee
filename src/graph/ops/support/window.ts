import { GraphError, printable, UnsupportedError } from "../../../errors.ts";
import { checkedAdd, checkedMul, type Shape, showShape } from "../../../tensor/shape.ts";
import type { Node } from "../../graph.ts";
import { type Attributes, attributesOf } from "../../op.ts";

/** A node with known operand shapes: what both an op's context and a lowering's context offer. */
export interface ShapedNode {
  readonly node: Node;
  readonly inputs: readonly ({ readonly shape: Shape } | undefined)[];
}

/** Where a sliding window stands, resolved from attributes and shapes; one entry per spatial axis (1 to 3) in each list. */
export interface WindowGeometry {
  /** Spatial size of the input. */
  readonly spatial: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before and after the data; padsEnd of a transposed convolution may be negative (rows of zeros are appended). */
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
  readonly outSpatial: readonly number[];
}

/** Input [batch, channels, ...spatial]. */
export interface PoolGeometry extends WindowGeometry {
  readonly batch: number;
  readonly channels: number;
}

/** Convolutions: input [batch, inChannels, ...spatial], output [batch, outChannels, ...outSpatial]. */
export interface ConvGeometry extends WindowGeometry {
  readonly batch: number;
  readonly groups: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

const maxSpatial = 3;
const maxExtent = 2 ** 31 - 1;

/** Extent of a dilated kernel along one axis. */
export const extent = (kernel: number, dilation: number): number =>
  checkedAdd(checkedMul(kernel - 1, dilation), 1);

export function shapeFail(context: ShapedNode, message: string): never {
  const op = printable(context.node.op);
  const node = printable(context.node.name);
  throw new GraphError("E_SHAPE", `${op} "${node}": ${message}`, { op, node });
}

/** Batch, channels and spatial dimensions of input 0; 1 to 3 spatial axes are supported. */
export function spatialInput(context: ShapedNode): { batch: number; channels: number; spatial: number[] } {
  const shape = context.inputs[0]?.shape;
  if (!shape || shape.length < 3) {
    shapeFail(context, `the input has shape ${showShape(shape ?? [])}; [N, C, D1, ...] is needed.`);
  }
  const [batch, channels, ...spatial] = shape as readonly number[];
  if (spatial.length > maxSpatial) {
    throw new UnsupportedError(
      `${printable(context.node.op)} "${printable(context.node.name)}" has ${spatial.length} spatial axes; at most ${maxSpatial} are supported.`,
      { op: printable(context.node.op), node: printable(context.node.name) },
    );
  }
  return { batch: batch!, channels: channels!, spatial };
}

/** A list attribute with `count` entries from `min`, or the fallback repeated. */
export function listAttribute(
  a: Attributes,
  name: string,
  count: number,
  min: number,
  fallback: number,
): readonly number[] {
  const list = a.ints(name);
  if (list === undefined) return new Array<number>(count).fill(fallback);
  if (list.length !== count) a.fail(`attribute ${name} is [${list}]; ${count} entries are needed.`);
  for (const v of list) {
    if (v < min || v > maxExtent)
      a.fail(`attribute ${name} is [${list}]; entries from ${min} to ${maxExtent} are needed.`);
  }
  return list;
}

export const autoPads = ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"] as const;
export type AutoPad = (typeof autoPads)[number];

export function autoPadOf(a: Attributes): AutoPad {
  const given = a.string("auto_pad", "NOTSET");
  const known = autoPads.find((name) => name === given);
  return (
    known ?? a.fail(`attribute auto_pad is ${printable(given)}; one of ${autoPads.join(", ")} is needed.`)
  );
}

/**
 * Pads and output size of a window that slides over `spatial`. With `auto_pad` other than NOTSET, `pads` is ignored as
 * ONNX Runtime does. In ceil mode a last window that would start wholly in the padding behind the data is dropped (ONNX
 * operator specification, MaxPool); with auto_pad the sizes are those of the specification, where ceil mode changes nothing.
 */
export function slidingWindow(
  context: ShapedNode,
  spatial: readonly number[],
  kernel: readonly number[],
  ceilMode: boolean,
): WindowGeometry {
  const a = attributesOf(context.node);
  const rank = spatial.length;
  const strides = listAttribute(a, "strides", rank, 1, 1);
  const dilations = listAttribute(a, "dilations", rank, 1, 1);
  const auto = autoPadOf(a);
  const pads =
    auto === "NOTSET" ? listAttribute(a, "pads", 2 * rank, 0, 0) : new Array<number>(2 * rank).fill(0);
  const padsBegin: number[] = [];
  const padsEnd: number[] = [];
  const outSpatial: number[] = [];
  for (let i = 0; i < rank; i++) {
    const size = spatial[i]!;
    const stride = strides[i]!;
    const reach = extent(kernel[i]!, dilations[i]!);
    if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
      const out = Math.ceil(size / stride);
      const total = Math.max(0, (out - 1) * stride + reach - size);
      const less = Math.floor(total / 2);
      padsBegin.push(auto === "SAME_UPPER" ? less : total - less);
      padsEnd.push(auto === "SAME_UPPER" ? total - less : less);
      outSpatial.push(out);
      continue;
    }
    const begin = pads[i]!;
    const end = pads[i + rank]!;
    const padded = size + begin + end;
    padsBegin.push(begin);
    padsEnd.push(end);
    if (padded < reach) {
      if (size === 0) {
        outSpatial.push(0);
        continue;
      }
      shapeFail(
        context,
        `the window reaches over ${reach} elements, but axis ${i + 2} has ${padded} with its padding.`,
      );
    }
    let out = Math.floor((padded - reach) / stride) + 1;
    if (ceilMode && auto === "NOTSET") {
      out = Math.ceil((padded - reach) / stride) + 1;
      if ((out - 1) * stride >= size + begin) out--;
    }
    outSpatial.push(out);
  }
  return { spatial, kernel, strides, dilations, padsBegin, padsEnd, outSpatial };
}

/** Geometry of Conv; throws E_ATTRIBUTE and E_SHAPE for whatever does not fit together. */
export function convGeometry(context: ShapedNode): ConvGeometry {
  const { batch, channels, spatial } = spatialInput(context);
  const a = attributesOf(context.node);
  const weight = convWeight(context, a, spatial.length);
  const groups = groupsOf(a);
  const outChannels = weight[0]!;
  if (weight[1]! * groups !== channels) {
    shapeFail(
      context,
      `weight ${showShape(weight)} with group ${groups} needs ${weight[1]! * groups} input channels; the input has ${channels}.`,
    );
  }
  if (outChannels % groups !== 0) {
    shapeFail(context, `${outChannels} output channels do not divide into ${groups} groups.`);
  }
  checkBias(context, outChannels);
  const window = slidingWindow(context, spatial, weight.slice(2), false);
  return { ...window, batch, groups, inChannels: channels, outChannels };
}

/** Geometry of MaxPool, AveragePool and LpPool. */
export function poolGeometry(context: ShapedNode): PoolGeometry {
  const { batch, channels, spatial } = spatialInput(context);
  const a = attributesOf(context.node);
  if (!a.ints("kernel_shape")) a.fail("attribute kernel_shape is missing.");
  const kernel = listAttribute(a, "kernel_shape", spatial.length, 1, 1);
  const ceilMode = a.int("ceil_mode", 0) !== 0;
  return { ...slidingWindow(context, spatial, kernel, ceilMode), batch, channels };
}

export function groupsOf(a: Attributes): number {
  const groups = a.int("group", 1);
  if (groups < 1) a.fail(`attribute group is ${groups}; a number from 1 is needed.`);
  return groups;
}

/** Shape of the weight, input 1, checked against the rank of the input and against `kernel_shape`. */
export function convWeight(context: ShapedNode, a: Attributes, spatialRank: number): Shape {
  const weight = context.inputs[1]?.shape;
  if (!weight || weight.length !== spatialRank + 2) {
    shapeFail(
      context,
      `weight ${showShape(weight ?? [])} does not fit an input with ${spatialRank} spatial axes.`,
    );
  }
  const kernel = (weight as Shape).slice(2);
  if (kernel.some((k) => k < 1))
    shapeFail(context, `weight ${showShape(weight as Shape)} has an empty kernel.`);
  const said = a.ints("kernel_shape");
  if (said && (said.length !== kernel.length || said.some((k, i) => k !== kernel[i]))) {
    a.fail(`attribute kernel_shape is [${said}], but the weight has shape ${showShape(weight as Shape)}.`);
  }
  return weight as Shape;
}

export function checkBias(context: ShapedNode, outChannels: number): void {
  const bias = context.inputs[2]?.shape;
  if (bias && (bias.length !== 1 || bias[0] !== outChannels)) {
    shapeFail(context, `bias has shape ${showShape(bias)}; [${outChannels}] is needed.`);
  }
}
