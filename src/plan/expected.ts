import { activationValue } from "../kernels/activation.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import type { ColumnsProblem } from "../kernels/columns/problem.ts";
import { seeded } from "../tensor/random.ts";

/** Outputs that every candidate is checked on, at least. */
const checkedOutputs = 4096;

/** One output in double precision. */
export interface Expected {
  /** Word of y. */
  readonly at: number;
  readonly value: number;
  /** Sum of magnitudes: what rounding errors are proportional to. */
  readonly scale: number;
}

/** Outputs of the problem in double precision: the corners of the row and column ranges, and a seeded sample. */
export function expectedOutputs(
  p: ColumnsProblem,
  weight: WeightMatrix,
  x: Float32Array,
  bias: Float32Array,
  residual: Float32Array | undefined,
): Expected[] {
  const random = seeded(2);
  const rows = p.groups * p.rowsPerGroup;
  const [depth, height, width] = p.out;
  const pixels = depth * height * width;
  const columns = pixels * p.batch;
  const one = (m: number, column: number): Expected => {
    const n = column % p.batch;
    const pixel = Math.floor(column / p.batch);
    const at: [number, number, number] = [
      Math.floor(pixel / (height * width)),
      Math.floor(pixel / width) % height,
      pixel % width,
    ];
    const along = (steps: readonly [number, number, number]): number =>
      at[0] * steps[0] + at[1] * steps[1] + at[2] * steps[2] + n;
    const base = p.xBase + along(p.xSteps) + Math.floor(m / p.rowsPerGroup) * p.xGroup;
    let sum = bias[m]!;
    let scale = 1e-3 + Math.abs(sum);
    for (let k = 0; k < p.k; k++) {
      const term = weight.values[m * p.k + k]! * x[base + p.taps[k]!]!;
      sum += term;
      scale += Math.abs(term);
    }
    if (residual) {
      const r = residual[p.residual!.base + m * p.residual!.channel + along(p.residual!.steps)]!;
      sum += r;
      scale += Math.abs(r);
    }
    return {
      at: p.y.base + m * p.y.channel + along(p.y.steps),
      value: activationValue(p.activation, sum),
      scale,
    };
  };
  const list: Expected[] = [];
  if (rows * columns <= checkedOutputs) {
    for (let m = 0; m < rows; m++) for (let c = 0; c < columns; c++) list.push(one(m, c));
    return list;
  }
  for (const m of [0, Math.min(1, rows - 1), rows - 1])
    for (const c of [0, 1 % columns, columns - 1]) list.push(one(m, c));
  while (list.length < checkedOutputs) list.push(one(random.below(rows), random.below(columns)));
  return list;
}
