import { SecateurError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type InputShapes, staticTypes } from "../prune/types.ts";
import { isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber, zeros } from "../tensor/host-tensor.ts";
import { seeded } from "../tensor/random.ts";
import { runReference } from "./reference.ts";

/** How far apart two graphs' outputs are. */
export interface Difference {
  /** Largest |a - b| over all outputs. */
  readonly difference: number;
  /** Largest |a|, to judge it by. */
  readonly largest: number;
  readonly images: number;
}

export interface EquivalenceOptions {
  /** Size of a first dimension that the graph leaves open (default 2). */
  readonly images?: number;
  readonly seed?: number;
  readonly inputShapes?: InputShapes;
}

/** Most that two graphs that compute the same may differ by, as a share of the largest output (or of 1). */
const tolerance = 1e-5;

/**
 * Runs two graphs with the same inputs and outputs on seeded normally distributed inputs, in double precision on the CPU.
 * Throws E_VERIFY where they differ by more than 1e-5 of the largest output.
 */
export function checkEquivalent(a: Graph, b: Graph, options: EquivalenceOptions = {}): Difference {
  const images = options.images ?? 2;
  const random = seeded(options.seed ?? 1);
  const { types } = staticTypes(a, options.inputShapes);
  const inputs: Record<string, HostTensor> = Object.create(null);
  for (const { name, dtype, shape } of a.inputs) {
    const sized = types.get(name)!.shape.map((d, axis) => (axis === 0 && shape[0] === null ? images : d));
    const t = zeros(sized, dtype);
    if (isFloat(dtype)) for (let i = 0; i < t.data.length; i++) setNumber(t.data, i, random.normal());
    inputs[name] = t;
  }
  const [x, y] = [runReference(a, inputs), runReference(b, inputs)];
  let difference = 0;
  let largest = 0;
  for (const { name } of a.outputs) {
    const [p, q] = [x[name]!.data, y[name]!.data];
    for (let i = 0; i < p.length; i++) {
      const [v, w] = [getNumber(p, i), getNumber(q, i)];
      if (Object.is(v, w)) continue;
      difference = Math.max(difference, Math.abs(v - w));
      largest = Math.max(largest, Math.abs(v));
    }
  }
  if (!(difference <= tolerance * Math.max(1, largest))) {
    throw new SecateurError(
      "E_VERIFY",
      `the outputs differ by ${difference} where the largest is ${largest}; ${tolerance} of it is the most that rounding explains.`,
    );
  }
  return { difference, largest, images };
}
