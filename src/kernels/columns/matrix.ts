import { halfScale } from "./half.ts";
import { halved, type Packed, packed, type WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";
import type { Variant } from "./variants.ts";

/** Sides of the matrices in half precision that a subgroup multiplies at a time, with sums in f32: m x k by k x n. */
export interface MatrixUnit {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Threads of the subgroup. */
  readonly subgroup: number;
}

/**
 * The units that variants exist for: 8 x 8 x 8 is Metal's, and lavapipe's from Mesa 26 on; the others are what Vulkan drivers list
 * (VkCooperativeMatrixPropertiesKHR). Only lavapipe's has been run.
 */
const units: readonly MatrixUnit[] = [
  { m: 8, n: 8, k: 8, subgroup: 8 },
  { m: 8, n: 8, k: 8, subgroup: 32 },
  { m: 8, n: 16, k: 16, subgroup: 16 },
  { m: 16, n: 16, k: 16, subgroup: 32 },
  { m: 16, n: 16, k: 16, subgroup: 64 },
];

/** Matrices of a subgroup down and along, and subgroups of a workgroup down and along. */
const tiles = [
  [1, 2, 2, 2],
  [2, 2, 2, 2],
  [4, 4, 2, 2],
] as const;

/** Entries of K per step. */
const step = 32;

/** Dense in half precision on the units, named by the tile of a workgroup: "matrix/r64c64m16n16k16s32". */
export const matrixVariants: readonly Variant[] = units.flatMap(({ m, n, k, subgroup }) =>
  tiles.flatMap(([down, along, groupsDown, groupsAlong]) =>
    (["quad", "word"] as const).map((load): Variant => {
      const rows = m * down * groupsDown;
      const across = n * along * groupsAlong;
      const kernel = load === "quad" ? "conv/matrix" : "conv/matrix-scalar";
      return {
        name: `${kernel.slice(5)}/r${rows}c${across}m${m}n${n}k${k}s${subgroup}`,
        format: "dense-f16",
        loop: "matrix",
        kernel,
        load,
        rows,
        columns: across / (load === "quad" ? 4 : 1),
        workgroup: subgroup * groupsDown * groupsAlong,
        spec: {
          SM: m,
          SN: n,
          SK: k,
          SUBGROUP: subgroup,
          TM: down,
          TN: along,
          GM: groupsDown,
          GN: groupsAlong,
          BK: step,
        },
        constants: {},
        winograd: 0,
        parts: 1,
      };
    }),
  ),
);

/** The unit that a variant of loop "matrix" needs. */
export const unitOf = ({ spec }: Variant): MatrixUnit => ({
  m: spec["SM"]!,
  n: spec["SN"]!,
  k: spec["SK"]!,
  subgroup: spec["SUBGROUP"]!,
});

/** W [groups, panels of m rows, matrices of m x k], rows rounded up to the tile and K to the step with zeros, in half precision. */
export function packMatrices(
  p: ColumnsProblem,
  w: WeightMatrix,
  variant: Variant,
  offsets: Uint32Array,
): Packed {
  const { m, k } = unitOf(variant);
  const width = Math.ceil(p.k / step) * step;
  const height = Math.ceil(p.rowsPerGroup / variant.rows) * variant.rows;
  const weights = new Float32Array(p.groups * height * width);
  for (let row = 0; row < w.rows; row++) {
    const group = Math.floor(row / p.rowsPerGroup);
    const within = row - group * p.rowsPerGroup;
    const panel = (group * height + within - (within % m)) * width;
    for (let i = 0; i < p.k; i++) {
      const matrix = panel + Math.floor(i / k) * m * k;
      weights[matrix + (within % m) * k + (i % k)] = w.values[row * p.k + i]!;
    }
  }
  // Past K a weight is zero, and x any value that may be multiplied by it.
  const padded = Uint32Array.from({ length: width }, (_, i) => offsets[Math.min(i, p.k - 1)]!);
  return halved(packed({ offsets: padded, weights }, 1), halfScale(w)!);
}
