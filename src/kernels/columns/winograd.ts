import { noActivation } from "../activation.ts";
import { batchPitch } from "../layout.ts";
import { mostBytes } from "../limits.ts";
import type { WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";

/** Side of the tiles of outputs: F(2x2, 3x3) or F(4x4, 3x3). */
export type TileSide = 2 | 4;

/**
 * The finite points at which the polynomials of a tile are multiplied, in the order of the rows of shaders/lib/winograd.wgsl;
 * infinity is the last. That points decide the error, and which are good: Barabasz et al. 2018, arXiv 1803.10986; those of F(4x4, 3x3)
 * are the better of many tried in f32 (bench/NOTES.md).
 */
const points: Readonly<Record<TileSide, readonly number[]>> = {
  2: [0, 1, -1],
  4: [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2],
};

/** G of Y = A^T [(G g G^T) * (B^T d B)] A: a kernel's values at the points, over what the i-th row of B^T is there. */
export function kernelTransform(side: TileSide): readonly (readonly [number, number, number])[] {
  const finite = points[side].map((a, i): [number, number, number] => {
    const scale = points[side].reduce((product, b, l) => (l === i ? product : product * (a - b)), 1);
    return [1 / scale, a / scale, a ** 2 / scale];
  });
  return [...finite, [0, 0, 1]];
}

/** A 3x3 convolution of stride 1 as Winograd's minimal filtering sees it. */
export interface Tiling {
  readonly side: TileSide;
  /** Products per tile and channel: one matrix each. */
  readonly matrices: number;
  /** Planes of pixels that are tiled by themselves: planar images. */
  readonly planes: number;
  readonly rows: number;
  readonly columns: number;
  /** Words of one channel's tiles: all tiles of all planes and images, in whole vec4s. */
  readonly pitch: number;
  readonly channels: number;
}

/**
 * The tiling of a problem that Winograd's algorithm can do: 3x3, stride 1, no dilation, one group; of a third pixel axis every plane is by itself. Where the
 * tiles stick out so far that it would multiply as often as the direct product, there is none.
 */
export function tilingOf(p: ColumnsProblem, side: TileSide): Tiling | undefined {
  const [depth, height, width] = p.out;
  const [, h, w] = p.xSteps;
  if (p.groups !== 1 || p.k % 9 !== 0) return undefined;
  const fits = p.taps.every((tap, i) => {
    const within = i % 9;
    return tap === Math.floor(i / 9) * p.xChannel + Math.floor(within / 3) * h + (within % 3) * w;
  });
  if (!fits) return undefined;
  const rows = Math.ceil(height / side);
  const columns = Math.ceil(width / side);
  const matrices = (side + 2) ** 2;
  if (rows * columns * matrices >= height * width * 9) return undefined;
  const pitch = Math.ceil((depth * rows * columns * batchPitch(p.batch)) / 4) * 4;
  const channels = p.k / 9;
  const bytes = matrices * Math.max(channels, p.rowsPerGroup) * pitch * 4;
  return bytes > mostBytes ? undefined : { side, matrices, planes: depth, rows, columns, pitch, channels };
}

/** The products of a tiling as one problem of as many groups as matrices: x the transformed input, y the products. */
export const productsOf = (p: ColumnsProblem, t: Tiling): ColumnsProblem => ({
  label: p.label,
  groups: t.matrices,
  rowsPerGroup: p.rowsPerGroup,
  k: t.channels,
  taps: Uint32Array.from({ length: t.channels }, (_, c) => c * t.pitch),
  out: [1, 1, t.pitch],
  batch: 1,
  xBase: 0,
  xSteps: [0, 0, 1],
  xChannel: t.pitch,
  xGroup: t.channels * t.pitch,
  y: { base: 0, channel: t.pitch, steps: [0, 0, 1] },
  activation: noActivation,
});

/** G g G^T of every 3x3 kernel, in double precision until it is stored, as the weight of `productsOf`. */
export function transformWeight(w: WeightMatrix, side: TileSide): WeightMatrix {
  const channels = w.k / 9;
  const g = kernelTransform(side);
  const tile = g.length;
  const values = new Float32Array(tile ** 2 * w.rows * channels);
  const half = new Float64Array(tile * 3);
  for (let m = 0; m < w.rows; m++) {
    for (let c = 0; c < channels; c++) {
      const at = m * w.k + c * 9;
      for (let i = 0; i < tile; i++) {
        const [a, b, d] = g[i]!;
        for (let j = 0; j < 3; j++)
          half[i * 3 + j] = a * w.values[at + j]! + b * w.values[at + 3 + j]! + d * w.values[at + 6 + j]!;
      }
      for (let i = 0; i < tile; i++) {
        for (let j = 0; j < tile; j++) {
          const [a, b, d] = g[j]!;
          values[((i * tile + j) * w.rows + m) * channels + c] =
            a * half[i * 3]! + b * half[i * 3 + 1]! + d * half[i * 3 + 2]!;
        }
      }
    }
  }
  return { rows: tile ** 2 * w.rows, k: channels, values };
}
