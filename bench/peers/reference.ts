import { SecateurError } from "../../src/errors.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { caseName, type OpCase, type Operands, yShape } from "./cases.ts";

/** Some elements of a result and what they should be. */
export interface Expected {
  /** Elements of the whole result. */
  readonly length: number;
  readonly indices: Uint32Array;
  /** In double precision. */
  readonly values: Float64Array;
}

/** Random elements that stand for a large result, beside all at its edges. */
const leastSample = 4096;
/** |a - b| / (1 + |b|), as everywhere in this project. */
const tolerance = 1e-3;

/** One element of the result, straight from the definition and in double precision. */
export function elementOf(c: OpCase, { x, w }: Operands, index: number): number {
  let sum = 0;
  if (c.op === "matmul") {
    const row = Math.floor(index / c.n);
    const column = index % c.n;
    for (let i = 0; i < c.k; i++) sum += x[row * c.k + i]! * w[i * c.n + column]!;
    return sum;
  }
  const column = index % c.width;
  const row = Math.floor(index / c.width) % c.height;
  const plane = Math.floor(index / (c.width * c.height));
  const out = plane % c.outChannels;
  const image = Math.floor(plane / c.outChannels);
  const reach = (c.kernel - 1) / 2;
  for (let channel = 0; channel < c.inChannels; channel++) {
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const [sy, sx] = [row + dy, column + dx];
        if (sy < 0 || sy >= c.height || sx < 0 || sx >= c.width) continue;
        const tap = ((out * c.inChannels + channel) * c.kernel + dy + reach) * c.kernel + dx + reach;
        sum += w[tap]! * x[((image * c.inChannels + channel) * c.height + sy) * c.width + sx]!;
      }
    }
  }
  return sum;
}

/**
 * What a result is checked by: all of a small one; of a large one its edges (first and last index of any axis) and a seeded
 * sample of the rest.
 */
export function expectedOf(c: OpCase, operands: Operands, seed: number): Expected {
  const shape = yShape(c);
  const length = sizeOf(shape);
  const random = seeded(seed);
  const chosen = new Set<number>();
  for (let i = 0; i < length; i++) if (length <= leastSample || atEdge(i, shape)) chosen.add(i);
  const target = Math.min(length, chosen.size + leastSample);
  while (chosen.size < target) chosen.add(random.below(length));
  const indices = Uint32Array.from(chosen).sort();
  return { length, indices, values: Float64Array.from(indices, (i) => elementOf(c, operands, i)) };
}

/** Axes of one element have no edge. */
function atEdge(index: number, shape: readonly number[]): boolean {
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    const at = rest % size;
    if (size > 1 && (at === 0 || at === size - 1)) return true;
    rest = (rest - at) / size;
  }
  return false;
}

/** The largest relative difference. Throws E_VERIFY beyond 1e-3, for a result of another length and for NaN anywhere. */
export function judge(what: string, got: Float32Array, expected: Expected): number {
  if (got.length !== expected.length) {
    throw new SecateurError(
      "E_VERIFY",
      `${what} gave ${got.length} elements where ${expected.length} belong.`,
    );
  }
  const bad = got.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) throw new SecateurError("E_VERIFY", `${what} gave ${got[bad]} at element ${bad}.`);
  let worst = 0;
  for (const [i, index] of expected.indices.entries()) {
    const [a, b] = [got[index]!, expected.values[i]!];
    const relative = Math.abs(a - b) / (1 + Math.abs(b));
    if (!(relative <= tolerance)) {
      throw new SecateurError(
        "E_VERIFY",
        `${what} gave ${a} at element ${index} where ${b} belongs (tolerance ${tolerance}).`,
      );
    }
    worst = Math.max(worst, relative);
  }
  return worst;
}

/** Throws E_VERIFY unless `got` begins with the first elements of the case's result. */
export function judgeStart(c: OpCase, operands: Operands, got: Float32Array, count: number): void {
  const indices = Uint32Array.from({ length: count }, (_, i) => i);
  const values = Float64Array.from(indices, (i) => elementOf(c, operands, i));
  judge(caseName(c), got, { length: count, indices, values });
}
