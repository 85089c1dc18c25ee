import type { Node } from "../graph/graph.ts";
import { attributesOf, type OpContext, type TensorType } from "../graph/op.ts";
import { convTransposeGeometry } from "../graph/ops/conv-transpose.ts";
import { type ConvGeometry, convGeometry } from "../graph/ops/support/window.ts";
import { noActivation } from "../kernels/activation.ts";
import type { WeightPlace } from "../kernels/columns/realise.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { ColumnsStep, StepBias, StepWeight, WindowAxis } from "./program.ts";

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

/**
 * The columns steps a node grows from, before anything is fused into them; none where its op or operands do not fit. It is one
 * step, but for a strided ConvTranspose, which is one for each phase of the stride.
 */
export function columnsSteps(node: Node, values: Values): readonly ColumnsStep[] {
  if (node.op === "ConvTranspose") return transposedSteps(node, values);
  const step =
    node.op === "Conv"
      ? convStep(node, values)
      : node.op === "Gemm"
        ? gemmStep(node, values)
        : node.op === "MatMul"
          ? matmulStep(node, values)
          : undefined;
  return step ? [step] : [];
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
    window: g.kernel.map((kernel, i) => ({
      taps: range(kernel).map((t) => t * g.dilations[i]! - g.padsBegin[i]!),
      stride: g.strides[i]!,
      out: g.outSpatial[i]!,
      start: 0,
      every: 1,
    })),
    weight: weightOf(node.inputs[1]!, rows, rowsOf(rows / g.groups, k), g.groups, 1, values),
    bias: biasOf(node.inputs[2], rows, 1, values)!,
  };
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Rows one after the other, each contiguous. */
const rowsOf = (perGroup: number, k: number): WeightPlace => ({
  groupStride: perGroup * k,
  rowStride: k,
  entries: Uint32Array.from(range(k)),
});

/**
 * ConvTranspose: output o takes tap t of input i where i · stride + t · dilation - begin = o. The outputs whose o + begin leave
 * the same rest by the stride take the same taps, so they are a convolution of stride 1 (Shi et al. 2016, "Is the
 * deconvolution layer the same as a convolutional layer?").
 */
function transposedSteps(node: Node, values: Values): readonly ColumnsStep[] {
  const x = values.type(node.inputs[0]!);
  const w = values.type(node.inputs[1]!);
  if (!isFloat(x.dtype) || !isFloat(w.dtype) || sizeOf(x.shape) === 0 || values.constant(node.inputs[0]!))
    return [];
  const g = convTransposeGeometry(values.context(node));
  const perGroup = g.outChannels / g.groups;
  const bias = biasOf(node.inputs[2], g.outChannels, 1, values);
  if (!bias || sizeOf(w.shape) === 0 || g.padsEnd.some((p) => p < 0)) return [];
  if (g.groups > 1 && perGroup < leastRowsPerGroup) return [];
  const axes = g.kernel.map((_, i) => phasesOf(g, i));
  let phases: { window: WindowAxis; kept: readonly number[] }[][] = [[]];
  for (const axis of axes) phases = phases.flatMap((before) => axis.map((phase) => [...before, phase]));
  return phases.map((phase, i) => ({
    ...base(node, g.outChannels),
    name: phases.length === 1 ? node.name : `${node.name} (phase ${i + 1} of ${phases.length})`,
    channelAxis: 1,
    groups: g.groups,
    channels: g.inChannels / g.groups,
    window: phase.map((p) => p.window),
    weight: weightOf(
      node.inputs[1]!,
      g.outChannels,
      transposedPlace(
        g,
        phase.map((p) => p.kept),
      ),
      g.groups,
      1,
      values,
    ),
    bias,
  }));
}

/** The phases of one axis: the outputs they write and the taps that reach those. */
function phasesOf(g: ConvGeometry, i: number): { window: WindowAxis; kept: readonly number[] }[] {
  const [stride, dilation, begin, out] = [g.strides[i]!, g.dilations[i]!, g.padsBegin[i]!, g.outSpatial[i]!];
  return range(Math.min(stride, out)).map((start) => {
    const kept = range(g.kernel[i]!).filter((t) => (start + begin - t * dilation) % stride === 0);
    const taps = kept.map((t) => (start + begin - t * dilation) / stride);
    return {
      window: { taps, stride: 1, out: Math.ceil((out - start) / stride), start, every: stride },
      kept,
    };
  });
}

/** Where a phase finds its entries in W [input channels, output channels per group, ...kernel]. */
function transposedPlace(g: ConvGeometry, kept: readonly (readonly number[])[]): WeightPlace {
  const perGroup = g.outChannels / g.groups;
  const kernelSize = sizeOf(g.kernel);
  let positions: number[] = [0];
  for (const [i, taps] of kept.entries())
    positions = positions.flatMap((at) => taps.map((t) => at * g.kernel[i]! + t));
  const channels = g.inChannels / g.groups;
  return {
    groupStride: channels * perGroup * kernelSize,
    rowStride: kernelSize,
    entries: Uint32Array.from(
      range(channels).flatMap((c) => positions.map((at) => c * perGroup * kernelSize + at)),
    ),
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
    window: [],
    weight: weightOf(node.inputs[1]!, rows, transB ? rowsOf(rows, k) : columnsOf(rows, k), 1, alpha, values),
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
    window: a.shape.slice(1, -1).map((out) => ({ taps: [0], stride: 1, out, start: 0, every: 1 })),
    weight: weightOf(node.inputs[1]!, rows, columnsOf(rows, k), 1, 1, values),
    bias: { kind: "constant", values: new Float32Array(rows) },
  };
}

/** A matrix [k, rows] whose columns are the rows of the weight. */
const columnsOf = (rows: number, k: number): WeightPlace => ({
  groupStride: 0,
  rowStride: 1,
  entries: Uint32Array.from(range(k), (i) => i * rows),
});

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
  place: WeightPlace,
  groups: number,
  factor: number,
  values: Values,
): StepWeight {
  const constant = values.constant(name);
  if (!constant) return { kind: "variable", name, place, scale: ones(rows).fill(factor) };
  const data = floats(constant);
  const k = place.entries.length;
  const perGroup = rows / groups;
  const matrix = new Float32Array(rows * k);
  for (let m = 0; m < rows; m++) {
    const group = Math.floor(m / perGroup);
    const at = group * place.groupStride + (m - group * perGroup) * place.rowStride;
    for (let i = 0; i < k; i++) matrix[m * k + i] = factor * data[at + place.entries[i]!]!;
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
