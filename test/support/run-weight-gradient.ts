import type { Gpu } from "../../src/gpu/gpu.ts";
import { weightGradientGeometry } from "../../src/graph/ops/weight-gradient.ts";
import { noActivation } from "../../src/kernels/activation.ts";
import { type Layout, middleAxes, place, rowsLayout, viewOf } from "../../src/kernels/layout.ts";
import type { Dispatch, LowerContext, View } from "../../src/kernels/lowering.ts";
import { imageQuads } from "../../src/kernels/ops/vectors.ts";
import {
  chooseWeightGradient,
  emitWeightGradient,
  type WeightGradientVariant,
} from "../../src/kernels/ops/weight-gradient.ts";
import { toWords } from "../../src/kernels/words.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { type Attributes, contextOf, inferOp } from "./evaluate-op.ts";
import { keyOf, runDispatches } from "./run-dispatches.ts";
import { gathered, laidBy, laidOut, SENTINEL } from "./run-lowering.ts";

/**
 * WeightGradient by one variant, or by the one that is chosen: x lies in columns with a halo of zeros as wide as its pads, dy
 * in columns with a halo that must not be read. Words beside the last image of a pixel are NaN.
 */
export async function runWeightGradient(
  gpu: Gpu,
  x: HostTensor,
  dy: HostTensor,
  attributes: Attributes,
  wanted: WeightGradientVariant | undefined,
  software: boolean,
): Promise<{ readonly dw: HostTensor; readonly dispatches: readonly Dispatch[] }> {
  const { node } = contextOf("WeightGradient", [x, dy], attributes);
  const geometry = weightGradientGeometry({ node, inputs: [x, dy] });
  const [type] = inferOp("WeightGradient", [x, dy], attributes);
  const { shape } = type!;
  const layouts: readonly Layout[] = [
    {
      kind: "columns",
      planar: false,
      channelAxis: 1,
      halo: middleAxes(x.shape.length, 1).map((_, i) => [geometry.padsBegin[i]!, geometry.padsEnd[i]!]),
    },
    laidBy("columns", dy.shape, [1, 2]),
  ];
  const contents = new Map([
    ["value x", zeroHalo(laidOut(x, layouts[0]!), x, layouts[0]!)],
    ["value dy", laidOut(dy, layouts[1]!)],
    ["value dw", new Uint32Array(sizeOf(shape)).fill(SENTINEL)],
  ]);
  const view = (name: string, of: HostTensor["shape"], layout: Layout): View =>
    viewOf({ kind: "value", name }, "f32", of, layout);
  const views = [view("x", x.shape, layouts[0]!), view("dy", dy.shape, layouts[1]!)] as const;
  const dw = view("dw", shape, rowsLayout);
  const dispatches: Dispatch[] = [];
  let ids = 0;
  const context: LowerContext = {
    node,
    inputs: views,
    outputs: [dw],
    activation: noActivation,
    software,
    constant: () => undefined,
    upload(_, data) {
      const words = toWords(data, "a constant");
      const operand = { kind: "constant", id: ids++ } as const;
      contents.set(keyOf(operand), new Uint32Array(words.buffer, words.byteOffset, words.length));
      return operand;
    },
    scratch(_, words) {
      const operand = { kind: "scratch", id: ids++ } as const;
      contents.set(keyOf(operand), new Uint32Array(words).fill(SENTINEL));
      return operand;
    },
    emit: (dispatch) => dispatches.push(dispatch),
  };
  const variant =
    wanted ??
    chooseWeightGradient({
      rows: shape[0]! / geometry.groups,
      taps: sizeOf(shape.slice(1)),
      unit: imageQuads(views) ? 4 : 1,
      software,
      subgroup: gpu.adapter.subgroups?.min ?? 0,
    });
  emitWeightGradient(context, ...views, dw, variant);
  const after = await runDispatches(gpu, dispatches, contents);
  return { dw: gathered(after.get("value dw")!, "f32", shape, rowsLayout), dispatches };
}

/** Zeros in the halo, as the runtime keeps them; what lies beside the batch stays as it is. */
function zeroHalo(words: Uint32Array, x: HostTensor, layout: Layout): Uint32Array {
  const { strides } = place(x.shape, layout);
  const pixel = strides.at(-1)!;
  const images = x.shape[0]!;
  return words.map((word, at) => (word === SENTINEL && at % pixel < images ? 0 : word));
}
