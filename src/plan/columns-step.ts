import type { Node } from "../graph/graph.ts";
import { attributesOf, type OpContext, type TensorType } from "../graph/op.ts";
import { convGeometry } from "../graph/ops/support/window.ts";
import { noActivation } from "../kernels/activation.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { ColumnsStep, StepBias, StepWeight } from "./program.ts";

/** What the builder may ask about values while it decides whether a node can be a columns step. */
export interface Values {
  type(name: string): TensorType;
  constant(name: string): HostTensor | undefined;
  context(node: Node): OpContext;
}

const floats = (t: HostTensor): Float32Array =>
  t.data instanceof Float32Array
    ? t.data
    : Float32Array.from({ length: t.data.length }, (_, i) => getNumber(t.data, i));

const ones = (n: number): Float32Array => new Float32Array(n).fill(1);

/** Groups narrower than this run faster, and simpler, in the depthwise and generic kernels. */
const leastRowsPerGroup = 4;

/** The columns step a node grows from, before anything is fused into it; undefined where its op or operands do not fit. */
export function columnsStep(node: Node, values: Values): ColumnsStep | undefined {
  if (node.op === "Conv") return convStep(node, values);
  if (node.op === "Gemm") return gemmStep(node, values);
  if (node.op === "MatMul") return matmulStep(node, values);
  return undefined;
}

function convStep(node: Node, values: Values): ColumnsStep | undefined {
  const x = values.type(node.inputs[0]!);
  const w = values.type(node.inputs[1]!);
  if (!isFloat(x.dtype) || !isFloat(w.dtype) || sizeOf(x.shape) === 0 || values.constant(node.inputs[0]!))
    return undefined;
  const g = convGeometry(values.context(node));
  const rows = w.shape[0]!;
  if (g.groups > 1 && rows / g.groups < leastRowsPerGroup) return undefined;
  const k = sizeOf(w.shape.slice(1));
  if (rows === 0 || k === 0) return undefined;
  return {
    ...base(node, rows),
    channelAxis: 1,
    groups: g.groups,
    channels: w.shape[1]!,
    window: {
      kernel: g.kernel,
      strides: g.strides,
      dilations: g.dilations,
      pads: g.kernel.map((_, i) => [g.padsBegin[i]!, g.padsEnd[i]!] as const),
    },
    weight: weightOf(node.inputs[1]!, rows, k, k, 1, 1, values),
    bias: biasOf(node.inputs[2], rows, 1, values)!,
  };
}

function gemmStep(node: Node, values: Values): ColumnsStep | undefined {
  const attributes = attributesOf(node);
  const a = values.type(node.inputs[0]!);
  const b = values.type(node.inputs[1]!);
  if (attributes.int("transA", 0) !== 0 || !isFloat(a.dtype) || !isFloat(b.dtype)) return undefined;
  if (sizeOf(a.shape) === 0 || sizeOf(b.shape) === 0 || values.constant(node.inputs[0]!)) return undefined;
  const transB = attributes.int("transB", 0) !== 0;
  const rows = b.shape[transB ? 0 : 1]!;
  const k = b.shape[transB ? 1 : 0]!;
  const alpha = attributes.float("alpha", 1);
  const bias = biasOf(node.inputs[2], rows, attributes.float("beta", 1), values);
  if (!bias) return undefined;
  return {
    ...base(node, rows),
    channelAxis: 1,
    groups: 1,
    channels: k,
    window: noWindow,
    weight: weightOf(node.inputs[1]!, rows, k, transB ? k : 1, transB ? 1 : rows, alpha, values),
    bias,
  };
}

function matmulStep(node: Node, values: Values): ColumnsStep | undefined {
  const a = values.type(node.inputs[0]!);
  const b = values.type(node.inputs[1]!);
  const rank = a.shape.length;
  if (!isFloat(a.dtype) || !isFloat(b.dtype) || b.shape.length !== 2 || rank < 2 || rank > 5)
    return undefined;
  // A run-time right operand of a batched product changes with every run, so packing it would not pay.
  if (!values.constant(node.inputs[1]!)) return undefined;
  if (sizeOf(a.shape) === 0 || sizeOf(b.shape) === 0 || values.constant(node.inputs[0]!)) return undefined;
  const [k, rows] = b.shape as [number, number];
  return {
    ...base(node, rows),
    channelAxis: rank - 1,
    groups: 1,
    channels: k,
    window: {
      kernel: a.shape.slice(1, -1).map(() => 1),
      strides: a.shape.slice(1, -1).map(() => 1),
      dilations: a.shape.slice(1, -1).map(() => 1),
      pads: a.shape.slice(1, -1).map(() => [0, 0] as const),
    },
    weight: weightOf(node.inputs[1]!, rows, k, 1, rows, 1, values),
    bias: { kind: "constant", values: new Float32Array(rows) },
  };
}

const noWindow = { kernel: [], strides: [], dilations: [], pads: [] } as const;

const base = (node: Node, rows: number) => ({
  kind: "columns" as const,
  name: node.name,
  node,
  input: node.inputs[0]!,
  output: node.outputs[0]!,
  residual: undefined,
  rows,
  activation: noActivation,
  fused: [node.name],
});

function weightOf(
  name: string,
  rows: number,
  k: number,
  rowStride: number,
  kStride: number,
  factor: number,
  values: Values,
): StepWeight {
  const constant = values.constant(name);
  if (!constant) return { kind: "variable", name, rowStride, kStride, scale: ones(rows).fill(factor) };
  const data = floats(constant);
  const matrix = new Float32Array(rows * k);
  for (let m = 0; m < rows; m++) {
    for (let i = 0; i < k; i++) matrix[m * k + i] = factor * data[m * rowStride + i * kStride]!;
  }
  return { kind: "constant", name, matrix: { rows, k, values: matrix } };
}

/** A bias of one value per row, from an operand that is constant along everything else; undefined where it is not. */
function biasOf(
  name: string | undefined,
  rows: number,
  factor: number,
  values: Values,
): StepBias | undefined {
  if (!name) return { kind: "constant", values: new Float32Array(rows) };
  const constant = values.constant(name);
  if (!constant) {
    const { shape, dtype } = values.type(name);
    const fits = shape.length === 1 && shape[0] === rows && factor === 1 && dtype !== "f64";
    return fits ? { kind: "value", name } : undefined;
  }
  const spread = perRow(constant, rows, -1);
  return spread && { kind: "constant", values: spread.map((v) => v * factor) };
}

/**
 * The values of a constant that varies along one axis only, as one per row; undefined where it varies elsewhere. `fromEnd`
 * is the axis counted from the end (-1 is the last).
 */
export function perRow(t: HostTensor, rows: number, fromEnd: number): Float32Array | undefined {
  const data = floats(t);
  if (data.length === 1) return new Float32Array(rows).fill(data[0]!);
  if (data.length !== rows || t.shape.at(fromEnd) !== rows) return undefined;
  return data;
}
