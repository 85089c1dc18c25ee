import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Activation, noActivation } from "../../src/kernels/activation.ts";
import { type Layout, middleAxes, place, rowsLayout, viewOf } from "../../src/kernels/layout.ts";
import type { Dispatch, Lowering, View } from "../../src/kernels/lowering.ts";
import { fromWords, toWords, wordOf } from "../../src/kernels/words.ts";
import { cast, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { rowStrides, type Shape, sizeOf } from "../../src/tensor/shape.ts";
import { type Attributes, contextOf, inferOp } from "./evaluate-op.ts";
import { keyOf, runDispatches } from "./run-dispatches.ts";

/** Fills every word that is no element: a quiet NaN, should a kernel take it for data. */
export const SENTINEL = 0x7fc0dead;

/** One op, alone, by a lowering. */
export interface LoweringCase {
  readonly op: string;
  readonly inputs: readonly (HostTensor | undefined)[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
  /** Inputs whose values are not known when the op is lowered. All are known unless said. */
  readonly runTime?: readonly number[];
  readonly activation?: Activation;
  /** Added to the output, for a lowering that fuses that. */
  readonly residual?: HostTensor;
  readonly software?: boolean;
}

/** Where the operands of an op lie; "columns" is batch-innermost. */
export type TestLayout = "rows" | "columns" | "planar";

/** The layouts that a lowering has to work in. */
export const layoutsOf = ({ layout }: Lowering): readonly TestLayout[] =>
  layout === "any" ? ["rows", "columns", "planar"] : ["rows"];

/** A layout with a halo, for tensors of at least two dimensions; rows for others. */
export function laidBy(layout: TestLayout, shape: Shape, halo: readonly [number, number]): Layout {
  if (layout === "rows" || shape.length < 2 || sizeOf(shape) === 0) return rowsLayout;
  return {
    kind: "columns",
    planar: layout === "planar",
    channelAxis: 1,
    halo: middleAxes(shape.length, 1).map(() => halo),
  };
}

/** The words of a tensor as they lie under a layout, sentinels between them. */
export function laidOut(t: HostTensor, layout: Layout): Uint32Array {
  const { strides, offset, words } = place(t.shape, layout);
  const out = new Uint32Array(words).fill(SENTINEL);
  const data = toWords(t.data, "a test's tensor");
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  forEachPlace(t.shape, strides, offset, (i, at) => {
    out[at] = bits[i]!;
  });
  return out;
}

function forEachPlace(
  shape: Shape,
  strides: readonly number[],
  offset: number,
  visit: (i: number, at: number) => void,
): void {
  const row = rowStrides(shape);
  for (let i = 0; i < sizeOf(shape); i++) {
    visit(
      i,
      shape.reduce((at, size, d) => at + (Math.floor(i / row[d]!) % size) * strides[d]!, offset),
    );
  }
}

/** The elements of a view in row-major order. Fails where a word of its halo has been written. */
export function gathered(
  words: Uint32Array,
  dtype: HostTensor["dtype"],
  shape: Shape,
  layout: Layout,
): HostTensor {
  const { strides, offset } = place(shape, layout);
  const out = new Uint32Array(sizeOf(shape));
  const used = new Uint8Array(words.length);
  forEachPlace(shape, strides, offset, (i, at) => {
    out[i] = words[at]!;
    used[at] = 1;
  });
  // Up to three images that the batch is rounded up by are the kernels' to write.
  const lanes =
    layout.kind === "columns" && strides[0] === 1 && shape[0]! > 1 ? Math.ceil(shape[0]! / 4) * 4 : 1;
  for (let at = 0; at < words.length; at++) {
    const beside = lanes > 1 && used[at - (at % lanes)] === 1;
    if (used[at] === 0 && !beside && words[at] !== SENTINEL) {
      throw new Error(`word ${at} of ${words.length} is no element, but was overwritten with ${words[at]}`);
    }
  }
  return fromWords(out.buffer as ArrayBuffer, dtype, shape);
}

/** What a lowering computes, its operands in rows or in another layout (inputs and outputs with different halos). */
export async function runLowering(
  gpu: Gpu,
  lowering: Lowering,
  test: LoweringCase,
  layout: TestLayout = "rows",
): Promise<HostTensor[]> {
  const { op, inputs, attributes = {}, outputs = 1, runTime = [] } = test;
  const { node } = contextOf(op, inputs, attributes, outputs);
  const known = inputs.map((t, i) => (t && runTime.includes(i) ? { dtype: t.dtype, shape: t.shape } : t));
  const types = inferOp(op, known, attributes, outputs);
  const layoutOf = (shape: Shape, halo: readonly [number, number]): Layout => laidBy(layout, shape, halo);
  const contents = new Map<string, Uint32Array>();
  const view = (name: string, dtype: HostTensor["dtype"], shape: Shape, at: Layout): View =>
    viewOf({ kind: "value", name }, wordOf(dtype), shape, at);
  const inputViews = inputs.map((t, i) => {
    if (!t) return undefined;
    // A constant is read where its file put it.
    const at = runTime.includes(i) || i === 0 ? layoutOf(t.shape, [1, 2]) : rowsLayout;
    contents.set(`value in${i}`, laidOut(t, at));
    return view(`in${i}`, t.dtype, t.shape, at);
  });
  const outputViews = types.map(({ dtype, shape }, i) => {
    const at = layoutOf(shape, [2, 1]);
    contents.set(`value out${i}`, new Uint32Array(place(shape, at).words).fill(SENTINEL));
    return view(`out${i}`, dtype, shape, at);
  });
  const { residual } = test;
  const added = residual && layoutOf(residual.shape, [0, 3]);
  if (residual && added) contents.set("value residual", laidOut(residual, added));
  const dispatches: Dispatch[] = [];
  let constants = 0;
  lowering.lower({
    node,
    inputs: inputViews,
    outputs: outputViews,
    residual: residual && added && view("residual", residual.dtype, residual.shape, added),
    activation: test.activation ?? noActivation,
    software: test.software ?? false,
    subgroup: gpu.adapter.subgroups?.min ?? 0,
    constant: (i) => (runTime.includes(i) ? undefined : inputs[i]),
    upload(_, data) {
      const words = toWords(data, "a constant");
      const operand = { kind: "constant", id: constants++ } as const;
      contents.set(keyOf(operand), new Uint32Array(words.buffer, words.byteOffset, words.length));
      return operand;
    },
    scratch(_, words) {
      const operand = { kind: "scratch", id: constants++ } as const;
      contents.set(keyOf(operand), new Uint32Array(words).fill(SENTINEL));
      return operand;
    },
    emit: (dispatch) => dispatches.push(dispatch),
  });
  const after = await runDispatches(gpu, dispatches, contents);
  return types.map(({ dtype, shape }, i) =>
    gathered(after.get(`value out${i}`)!, dtype, shape, layoutOf(shape, [2, 1])),
  );
}

/** All elements as numbers, i64 and bool too. */
export const numbersOf = (t: HostTensor): Float64Array => cast(t, "f64").data as Float64Array;
