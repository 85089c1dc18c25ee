import type { TileSide } from "../kernels/columns/winograd.ts";

/**
 * Cycles of one core for a step of as many threads as it runs at once, by what the step does. A load counts per vec4 or
 * float of every thread; `uniform` ones are the same for all threads of a group.
 */
export interface Rates {
  readonly lanes: number;
  /** Threads that keep all its cores busy. */
  readonly threads: number;
  readonly quad: number;
  /** Of a vec4 in half precision, and its unpacking. */
  readonly half: number;
  /** Of a vec4 from a texture, and of copying one there, which all threads together wait for. */
  readonly texel: number;
  readonly texelCopy: number;
  readonly word: number;
  readonly uniformQuad: number;
  readonly uniformWord: number;
  /** Multiply-add of floats. */
  readonly fma: number;
  /** And of a matrix unit. */
  readonly unit: number;
  readonly shuffle: number;
  readonly store: number;
  /** Bytes that stay near a core, and what a load costs besides where it finds nothing there. */
  readonly cache: number;
  readonly miss: number;
  /** The same of the first-level cache. */
  readonly firstCache: number;
  readonly firstMiss: number;
  /** What Winograd's transforms take over the loads and stores that they do, by the side of their tiles; and out of textures. */
  readonly transform: Readonly<Record<TileSide, number>>;
  readonly texelTransform: Readonly<Record<TileSide, number>>;
}

/**
 * lavapipe, measured with one loop per kind of load (bench/NOTES.md): every load in a loop is a gather of 8 lanes, also where all
 * lanes ask for the same word, and multiply-adds with many accumulators spill to the first-level cache. A transform is no loop:
 * its code exceeds the instruction cache, that of F(4x4, 3x3) by far, less so where its loads are texels. `half` and `unit` are
 * estimates; `texelTransform` is fitted to single runs of one layer (3x3 16 -> 16 @32, batch 32), `miss` to one too (CSR, 1x1 256 -> 64
 * @56, batch 8: what columns first took over rows first); another, 3x3 64 -> 64 @56, took four times that. `firstMiss` is fitted to dense tiles of
 * 16 x 2 and 32 x 1 in both orders on twelve layers of ResNet-50, batch 8.
 */
const software: Rates = {
  lanes: 8,
  threads: 8,
  quad: 36,
  half: 26,
  texel: 16,
  texelCopy: 4,
  word: 15,
  uniformQuad: 36,
  uniformWord: 15,
  fma: 1.15,
  unit: 5,
  shuffle: 1,
  store: 16,
  cache: 2 ** 19,
  miss: 60,
  firstCache: 2 ** 15,
  firstMiss: 30,
  transform: { 2: 1.6, 4: 3 },
  texelTransform: { 2: 1.3, 4: 2.2 },
};

/**
 * A GPU with 128 bytes of first-level cache per cycle and one multiply-add per lane and cycle for four groups of 32 at a time
 * (Gale et al., "Sparse GPU Kernels for Deep Learning", SC 2020, section 5, and Hopper's figures); a model, not measured.
 */
const hardware: Rates = {
  lanes: 32,
  threads: 16384,
  quad: 4,
  half: 2.5,
  texel: 4,
  texelCopy: 0.2,
  word: 1,
  uniformQuad: 1,
  uniformWord: 1,
  fma: 0.25,
  unit: 0.05,
  shuffle: 1,
  store: 1,
  cache: 2 ** 25,
  miss: 4,
  firstCache: 2 ** 17,
  firstMiss: 0,
  transform: { 2: 1, 4: 1 },
  texelTransform: { 2: 1, 4: 1 },
};

/** Of a software adapter, or of a GPU. */
export const ratesOf = (kind: { readonly software: boolean }): Rates => (kind.software ? software : hardware);
