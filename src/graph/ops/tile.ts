import { zeros } from "../../tensor/host-tensor.ts";
import { checkedMul, rowStrides } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { hostInts, operand, refuse, typed } from "./support/operands.ts";
import { aroundAxis, reshapedTo } from "./support/reshaping.ts";
import { forEachOffset, stridedStore } from "./support/strided.ts";

/** The input repeated `repeats[d]` times along every axis d. */
export const tile: OpDefinition = {
  name: "Tile",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1],
  infer(c) {
    const x = operand(c, 0);
    const repeats = hostInts(c, 1, "repeats");
    if (repeats.length !== x.shape.length || repeats.some((r) => r < 0)) {
      refuse(
        c,
        "E_SHAPE",
        `repeats [${repeats}] do not fit a tensor of rank ${x.shape.length}; one count from 0 per axis is needed.`,
      );
    }
    return [
      typed(
        c,
        x.dtype,
        x.shape.map((d, i) => checkedMul(d, repeats[i]!)),
      ),
    ];
  },
  reference(c, [x], [type]) {
    const out = zeros(type!.shape, x!.dtype);
    const strides = rowStrides(type!.shape);
    const perTile = strides.map((s, d) => s * x!.shape[d]!);
    if (out.data.length === 0) return [out];
    forEachOffset(hostInts(c, 1, "repeats"), [0], [perTile], (_, [start]) =>
      stridedStore(out, start!, strides, x!),
    );
    return [out];
  },
  gradient(g) {
    const shape = [...g.outputs[0]!.shape];
    let dx = g.dy;
    for (const [axis, repeats] of hostInts(g, 1, "repeats").entries()) {
      if (repeats === 1) continue;
      const size = g.inputs[0]!.shape[axis]!;
      // Copies of an axis lie one behind the other: outside it, once the axis is split.
      const [outer, , inner] = aroundAxis(shape, axis);
      const split = reshapedTo(g, dx, shape, [outer, repeats, size * inner]);
      const sum = g.emit("ReduceSum", [split, g.constant([1])]);
      shape[axis] = size;
      dx = reshapedTo(g, sum, [outer, 1, size * inner], shape);
    }
    return [dx];
  },
};
