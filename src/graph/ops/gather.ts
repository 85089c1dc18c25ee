import { getNumber, type HostTensor, tensor, zeros } from "../../tensor/host-tensor.ts";
import { normaliseAxis, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { formula } from "./support/formula.ts";
import { operand, operandOf, refuse, typed } from "./support/operands.ts";
import { alongAxis, reshapedTo } from "./support/reshaping.ts";

export const gatherAxis = (c: OpContext): number =>
  normaliseAxis(attributesOf(c.node).int("axis", 0), operand(c, 0).shape.length, "Gather");

/** Index k counted from 0; E_INDEX where it lies outside the axis. */
function indexAt(c: OpContext, indices: HostTensor, k: number, size: number): number {
  const index = getNumber(indices.data, k);
  if (index < -size || index >= size) {
    refuse(c, "E_INDEX", `index ${index} is outside an axis of ${size} entries.`);
  }
  return index < 0 ? index + size : index;
}

/** Slices of the data along `axis`, picked by indices; negative ones count from the end. */
export const gather: OpDefinition = {
  name: "Gather",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: { axis: "int" },
  infer(c) {
    const x = operand(c, 0);
    const indices = operandOf(c, 1, "index");
    const axis = gatherAxis(c);
    const known = c.value(1);
    if (known) for (let k = 0; k < known.data.length; k++) indexAt(c, known, k, x.shape[axis]!);
    return [typed(c, x.dtype, [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)])];
  },
  reference(c, [x, indices], [type]) {
    const axis = gatherAxis(c);
    const size = x!.shape[axis]!;
    const out = zeros(type!.shape, x!.dtype);
    const inner = x!.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const outer = x!.shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const count = indices!.data.length;
    const from = x!.data as Float64Array;
    const to = out.data as Float64Array;
    for (let k = 0; k < count; k++) {
      const at = indexAt(c, indices!, k, size);
      for (let o = 0; o < outer; o++) {
        const start = (o * size + at) * inner;
        to.set(from.subarray(start, start + inner), (o * count + k) * inner);
      }
    }
    return [out];
  },
  gradient(g) {
    const axis = gatherAxis(g);
    const { shape } = g.inputs[0]!;
    const indices = g.inputs[1]!;
    const [count, size] = [sizeOf(indices.shape), shape[axis]!];
    // Indices may come twice, so their slices are added: a product with ones where a row's number is a column's index.
    const ints = (values: readonly number[], to: readonly number[]): string =>
      g.constant(tensor(values, to, indices.dtype));
    const given = reshapedTo(g, g.in(1), indices.shape, [1, count]);
    const { add, equal, less, where, indicator } = formula(g);
    const counted = where(less(given, ints([0], [])), add(given, ints([size], [])), given);
    const rows = ints([...Array(size).keys()], [size, 1]);
    const picked = [...shape.slice(0, axis), count, ...shape.slice(axis + 1)];
    const dy = reshapedTo(g, g.dy, g.outputs[0]!.shape, picked);
    return [alongAxis(g, indicator(equal(rows, counted)), size, dy, picked, axis)];
  },
};
