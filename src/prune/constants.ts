import { elementwiseFlow } from "../graph/channels.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { attributesOf, type OpContext } from "../graph/op.ts";
import { findOp } from "../graph/ops/index.ts";
import { isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, tensor } from "../tensor/host-tensor.ts";
import { broadcastStrides, rowStrides, sizeOf } from "../tensor/shape.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import { contextOf, type GraphTypes } from "./context.ts";
import { readerOf } from "./readers.ts";

/**
 * Channels that hold one and the same number everywhere, whatever the input: per value, one entry per slice along its
 * channel axis; NaN where the channel is not known to be constant.
 */
export type ChannelConstants = ReadonlyMap<string, Float64Array>;

/**
 * Works out, op by op, which channels are constant because the weights behind them are zero. Sound, not complete: an op
 * that is not listed here makes its outputs unknown. Assumes that activations are finite.
 */
export function channelConstants(graph: Graph, types: GraphTypes, groups: ChannelGroups): ChannelConstants {
  const known = new Map<string, Float64Array>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) {
      const flow = output === "" ? undefined : groups.values.get(output);
      if (!flow) continue;
      const at: Site = { graph, types, groups, known, node, output, ids: flow.ids };
      known.set(output, ruleOf(node.op)?.(at) ?? unknown(flow.ids.length));
    }
  }
  return known;
}

interface Site {
  readonly graph: Graph;
  readonly types: GraphTypes;
  readonly groups: ChannelGroups;
  readonly known: ReadonlyMap<string, Float64Array>;
  readonly node: Node;
  readonly output: string;
  /** Raw channel ids of the output. */
  readonly ids: readonly number[];
}
type Rule = (at: Site) => Float64Array | undefined;

const unknown = (n: number): Float64Array => new Float64Array(n).fill(Number.NaN);

function ruleOf(op: string): Rule | undefined {
  return Object.hasOwn(rules, op)
    ? rules[op]
    : findOp(op)?.channels === elementwiseFlow
      ? elementwise
      : undefined;
}

/**
 * A row whose weights all read zeros, or constants that fold, is its bias plus what the constants add. Others would have to stay
 * for the row to keep its value.
 */
const mixed: Rule = ({ graph, types, known, node, ids }) => {
  const reader = readerOf(graph, types, node);
  if (!reader || reader.rows !== ids.length) return undefined;
  const inputs = known.get(reader.value);
  return new Float64Array(reader.rows).map((_, row) => {
    let value = reader.bias(row);
    reader.eachRead(row, (position, sum, border) => {
      const k = inputs?.[position] ?? Number.NaN;
      if (k !== 0) value += reader.foldable && !border ? k * sum : Number.NaN;
    });
    return value;
  });
};

const batchNormalised: Rule = ({ graph, known, node }) => {
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((i) => graph.weights.get(node.inputs[i] ?? ""));
  const input = known.get(node.inputs[0] ?? "");
  if (!scale || !shift || !mean || !variance || !input) return undefined;
  const epsilon = attributesOf(node).float("epsilon", 1e-5);
  return input.map((k, c) => {
    const gain = getNumber(scale.data, c) / Math.sqrt(getNumber(variance.data, c) + epsilon);
    const offset = getNumber(shift.data, c);
    return gain === 0 ? offset : (k - getNumber(mean.data, c)) * gain + offset;
  });
};

/** A constant channel is its own mean, so what is left is the shift. */
const instanceNormalised: Rule = ({ graph, known, node }) => {
  const [scale, shift] = [1, 2].map((i) => graph.weights.get(node.inputs[i] ?? ""));
  const input = known.get(node.inputs[0] ?? "");
  if (!scale || !shift || !input) return undefined;
  return input.map((k, c) => {
    return getNumber(scale.data, c) === 0 || !Number.isNaN(k) ? getNumber(shift.data, c) : Number.NaN;
  });
};

/** Positions move, values stay: follow the raw ids; an id that stands for different constants in two places is unknown. */
const moved: Rule = ({ known, groups, node, ids }) => {
  const [first] = node.inputs;
  const same = groups.values.get(first ?? "")?.ids;
  if (same?.length === ids.length && same.every((id, k) => id === ids[k])) return known.get(first!)?.slice();
  const byId = new Map<number, number>();
  for (const name of node.inputs) {
    const flow = groups.values.get(name);
    const constants = known.get(name);
    for (const [k, id] of (flow?.ids ?? []).entries()) {
      const value = constants?.[k] ?? Number.NaN;
      byId.set(id, !byId.has(id) || byId.get(id) === value ? value : Number.NaN);
    }
  }
  return Float64Array.from(ids, (id) => byId.get(id) ?? Number.NaN);
};

/** Channels put in front or behind are zeros; padding in space leaves only zero channels constant. */
const padded: Rule = (at) => {
  const source = new Set(at.groups.values.get(at.node.inputs[0] ?? "")?.ids ?? []);
  return moved(at)?.map((k, i) => (k === 0 || !source.has(at.ids[i]!) ? 0 : Number.NaN));
};

/** Concat along the channels puts its operands one after the other; along another axis they meet position by position. */
const joined: Rule = ({ graph, types, known, groups, node, ids, output }) => {
  const axis = groups.values.get(output)!.axis;
  const { inputs } = contextOf(graph, types, node);
  const parts = node.inputs.map((name, i) => known.get(name) ?? unknown(inputs[i]?.shape[axis] ?? 0));
  const whole = parts.flatMap((part) => [...part]);
  if (whole.length === ids.length) return Float64Array.from(whole);
  // Joined along another axis, every operand has all the channels.
  return Float64Array.from(ids, (_, c) => {
    const first = parts[0]![c]!;
    return parts.every((part) => part[c] === first) ? first : Number.NaN;
  });
};

/** Averages and sums over space: an average keeps a constant unless padding zeros count, a sum keeps only zero. */
const zeroOnly: Rule = (at) => moved(at)?.map((k) => (k === 0 ? 0 : Number.NaN));

const averaged: Rule = (at) => {
  const a = attributesOf(at.node);
  const pads = a.ints("pads") ?? [];
  const counts = a.int("count_include_pad", 0) !== 0;
  const whole = !counts || (pads.every((p) => p === 0) && !a.string("auto_pad", "NOTSET").startsWith("SAME"));
  return whole ? moved(at) : zeroOnly(at);
};

/** One evaluation of the op's own reference on one number per channel. */
const elementwise: Rule = (at) => {
  const { graph, types, groups, known, node, output, ids } = at;
  const context = contextOf(graph, types, node);
  const op = findOp(node.op);
  const type = types.types.get(output);
  const flow = groups.values.get(output);
  if (!op || !type || !flow || !isFloat(type.dtype)) return undefined;
  const size = ids.length;
  const operands = node.inputs.map((name, i) => {
    if (name === "" || op.hostInputs?.includes(i)) return undefined;
    const weight = graph.weights.get(name);
    if (weight) return perChannel(weight, type.shape, flow.axis);
    return groups.values.get(name) ? known.get(name) : unknown(size);
  });
  const present = operands.filter((o) => o !== undefined);
  if (present.some((o) => o.length !== size)) return undefined;
  const inputs = operands.map((o, i) => {
    if (o)
      return tensor(
        o.map((k) => (Number.isNaN(k) ? 0 : k)),
        [size],
        "f64",
      );
    return context.value(i);
  });
  const inner: OpContext = {
    node,
    inputs: inputs.map((t) => t && { dtype: t.dtype, shape: t.shape }),
    value: context.value,
  };
  const [result] = op.reference(inner, inputs, [{ dtype: "f64", shape: [size] }]);
  return Float64Array.from(ids, (_, c) => {
    if (node.op === "Mul" && present.some((o) => o[c] === 0)) return 0;
    if (present.some((o) => Number.isNaN(o[c]))) return Number.NaN;
    const value = getNumber(result!.data, c);
    return Number.isFinite(value) ? value : Number.NaN;
  });
};

/** A constant operand as one number per channel, NaN where it varies inside a channel. */
function perChannel(weight: HostTensor, shape: readonly number[], axis: number): Float64Array {
  const strides = broadcastStrides(weight.shape, rowStrides(weight.shape), shape);
  const channels = shape[axis]!;
  const out = unknown(channels);
  if (!isFloat(weight.dtype)) return out;
  const own = axis - (shape.length - weight.shape.length);
  const spans = own >= 0 && weight.shape[own] !== 1;
  const inner = spans ? strides[axis]! : sizeOf(weight.shape);
  const seen = new Uint8Array(channels);
  for (let i = 0; i < weight.data.length; i++) {
    const c = spans ? Math.floor(i / inner) % channels : 0;
    const v = getNumber(weight.data, i);
    if (seen[c] === 0) out[c] = v;
    else if (out[c] !== v) out[c] = Number.NaN;
    seen[c] = 1;
  }
  return spans ? out : out.fill(out[0]!);
}

const rules: Readonly<Record<string, Rule>> = {
  Conv: mixed,
  Gemm: mixed,
  MatMul: mixed,
  BatchNormalization: batchNormalised,
  InstanceNormalization: instanceNormalised,
  Concat: joined,
  Pad: padded,
  AveragePool: averaged,
  ReduceSum: zeroOnly,
  ReduceL1: zeroOnly,
  ReduceL2: zeroOnly,
  ReduceSumSquare: zeroOnly,
  Resize: zeroOnly,
  LRN: zeroOnly,
  Dropout: moved,
  Expand: moved,
  Flatten: moved,
  GlobalAveragePool: moved,
  GlobalMaxPool: moved,
  Identity: moved,
  MaxPool: moved,
  ReduceMax: moved,
  ReduceMean: moved,
  ReduceMin: moved,
  Reshape: moved,
  Slice: moved,
  Split: moved,
  Squeeze: moved,
  Tile: moved,
  Transpose: moved,
  Unsqueeze: moved,
};
