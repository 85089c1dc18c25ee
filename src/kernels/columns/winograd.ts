import { noActivation } from "../activation.ts";
import { batchPitch } from "../layout.ts";
import type { WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";

/** A 3x3 convolution of stride 1 as Winograd's F(2x2, 3x3) sees it. */
export interface Tiling {
  readonly rows: number;
  readonly columns: number;
  /** Words of one channel's tiles: all tiles of all images, in whole vec4s. */
  readonly pitch: number;
  readonly channels: number;
}

/** What WebGPU lets one binding span on every device. */
const mostBytes = 128 * 2 ** 20;

const matrices = 16;

/** The tiling of a problem that Winograd's algorithm can do: 3x3, stride 1, no dilation, one group, two pixel axes. */
export function tilingOf(p: ColumnsProblem): Tiling | undefined {
  const [depth, height, width] = p.out;
  const [, h, w] = p.xSteps;
  if (p.groups !== 1 || depth !== 1 || height * width < 4 || p.k % 9 !== 0) return undefined;
  const fits = p.taps.every((tap, i) => {
    const within = i % 9;
    return tap === Math.floor(i / 9) * p.xChannel + Math.floor(within / 3) * h + (within % 3) * w;
  });
  if (!fits) return undefined;
  const rows = Math.ceil(height / 2);
  const columns = Math.ceil(width / 2);
  const pitch = Math.ceil((rows * columns * batchPitch(p.batch)) / 4) * 4;
  const channels = p.k / 9;
  const bytes = matrices * Math.max(channels, p.rowsPerGroup) * pitch * 4;
  return bytes > mostBytes ? undefined : { rows, columns, pitch, channels };
}

/** The 16 products of a tiling as one problem of 16 groups: x the transformed input, y the products. */
export const productsOf = (p: ColumnsProblem, t: Tiling): ColumnsProblem => ({
  label: p.label,
  groups: matrices,
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

/** U = G g G^T of every 3x3 kernel, as the weight of `productsOf` (Lavin and Gray 2016, arXiv 1509.09308, section 4.1). */
export function transformWeight(w: WeightMatrix): WeightMatrix {
  const channels = w.k / 9;
  const values = new Float32Array(matrices * w.rows * channels);
  const lines = (a: number, b: number, c: number): number[] => [a, (a + b + c) / 2, (a - b + c) / 2, c];
  for (let m = 0; m < w.rows; m++) {
    for (let c = 0; c < channels; c++) {
      const at = m * w.k + c * 9;
      const g = (i: number, j: number): number => w.values[at + i * 3 + j]!;
      const half = [0, 1, 2].map((j) => lines(g(0, j), g(1, j), g(2, j)));
      for (let i = 0; i < 4; i++) {
        for (const [j, u] of lines(half[0]![i]!, half[1]![i]!, half[2]![i]!).entries())
          values[((i * 4 + j) * w.rows + m) * channels + c] = u;
      }
    }
  }
  return { rows: matrices * w.rows, k: channels, values };
}
