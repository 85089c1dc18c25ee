import { zeros } from "../../tensor/host-tensor.ts";
import { rowStrides, showShape } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { operand, refuse, typed } from "./support/operands.ts";
import { stridedStore } from "./support/strided.ts";

/** Where an Unslice puts its input: element i along axis d goes to start + i·step. */
export interface UnsliceRange {
  readonly shape: readonly number[];
  readonly starts: readonly number[];
  readonly steps: readonly number[];
}

export function unsliceRange(c: OpContext): UnsliceRange {
  const from = operand(c, 0).shape;
  const a = attributesOf(c.node);
  const list = (name: string): readonly number[] => {
    const value = a.ints(name) ?? [];
    return value.length === from.length
      ? value
      : a.fail(`${name} has ${value.length} entries; the input has ${from.length} axes.`);
  };
  const range = { shape: list("shape"), starts: list("starts"), steps: list("steps") };
  for (const [d, size] of from.entries()) {
    const [start, step] = [range.starts[d]!, range.steps[d]!];
    const last = start + (size - 1) * step;
    const inside = (at: number): boolean => at >= 0 && at < range.shape[d]!;
    if (step === 0 || (size > 0 && !(inside(start) && inside(last)))) {
      refuse(
        c,
        "E_SHAPE",
        `${size} elements from ${start} in steps of ${step} do not fit axis ${d} of ${showShape(range.shape)}.`,
      );
    }
  }
  return range;
}

/** The gradient behind a Slice: zeros of `shape`, with the input where the slice was taken. One entry per axis in each list. */
export const unslice: OpDefinition = {
  name: "Unslice",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { shape: "ints", starts: "ints", steps: "ints" },
  internal: true,
  infer: (c) => [typed(c, operand(c, 0).dtype, unsliceRange(c).shape)],
  reference(c, [dy], [type]) {
    const { starts, steps } = unsliceRange(c);
    const out = zeros(type!.shape, dy!.dtype);
    const strides = rowStrides(type!.shape);
    const first = strides.reduce((sum, s, d) => sum + s * starts[d]!, 0);
    stridedStore(
      out,
      first,
      strides.map((s, d) => s * steps[d]!),
      dy!,
    );
    return [out];
  },
};
