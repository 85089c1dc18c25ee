import { type Packed, packed, type WeightMatrix } from "./pack.ts";

/** Lanes of a slice: its rows, and the columns of a load. */
export const lanes = 8;
/** Of `Schedule.rows`: no row. */
export const noRow = 0xffffffff;
/** Of `Schedule.picks`: no weight. */
export const noPick = 255;

/**
 * In which order lib/slices multiplies: for each group of `rowsPerGroup` rows its chunks, in each the columns of W of one or two loads, of
 * which every row takes at most `steps`, of two loads as many of each.
 */
export interface Schedule {
  /** A whole number of slices. */
  readonly rowsPerGroup: number;
  readonly steps: number;
  readonly loads: 1 | 2;
  /** First chunk of each group, and their number. */
  readonly starts: Uint32Array;
  /** Row of W by place; `noRow` past the last of a convolution group. */
  readonly rows: Uint32Array;
  /** `loads` x 8 columns of W for each chunk. */
  readonly columns: Uint32Array;
  /** For each chunk and place of a row, `steps` columns of the chunk, `noPick` where there are fewer. */
  readonly picks: Uint8Array;
}

/** Words of a texel. */
const perTexel = 4;
/** Positions of a word. */
const perWord = 8;

/** Weights that are multiplied, those that fill steps up included, over all. */
const scheduledDensity = ({ columns, loads, steps, rowsPerGroup }: Schedule, w: WeightMatrix): number =>
  ((columns.length / (loads * lanes)) * steps * rowsPerGroup) / Math.max(1, w.rows * w.k);

/**
 * The weights for lib/chunks, or for lib/chunks-texels where `inTexels`: chunk by chunk of every lane the offsets of its columns, the
 * positions of its rows' weights within the chunk, slice by slice and step by step, and the weights themselves.
 */
export function packSlices(
  w: WeightMatrix,
  schedule: Schedule,
  offsets: Uint32Array,
  inTexels: boolean,
): Packed {
  const { rowsPerGroup, steps, loads, starts, rows, columns, picks } = schedule;
  const perLane = (rowsPerGroup / lanes) * steps;
  const positionWords = Math.ceil(perLane / perWord);
  const perChunk = loads * lanes;
  // An array or a texture of nothing cannot be bound.
  const chunks = Math.max(1, columns.length / perChunk);
  const texels = Math.ceil((loads + positionWords + perLane) / perTexel);
  const words = new Uint32Array(chunks * lanes * (inTexels ? texels * perTexel : loads + positionWords));
  const weights = inTexels ? new Float32Array(words.buffer) : new Float32Array(chunks * perLane * lanes);
  const wordAt = inTexels
    ? (chunk: number, lane: number, i: number): number =>
        ((chunk * texels + Math.floor(i / perTexel)) * lanes + lane) * perTexel + (i % perTexel)
    : (chunk: number, lane: number, i: number): number =>
        (chunk * (loads + positionWords) + i) * lanes + lane;
  const weightAt = inTexels
    ? (chunk: number, lane: number, i: number): number => wordAt(chunk, lane, loads + positionWords + i)
    : (chunk: number, lane: number, i: number): number => (chunk * perLane + i) * lanes + lane;
  for (let group = 0; group + 1 < starts.length; group++) {
    for (let chunk = starts[group]!; chunk < starts[group + 1]!; chunk++) {
      for (let i = 0; i < perChunk; i++)
        words[wordAt(chunk, i % lanes, Math.floor(i / lanes))] = offsets[columns[chunk * perChunk + i]!]!;
      for (let place = 0; place < rowsPerGroup; place++) {
        const row = rows[group * rowsPerGroup + place]!;
        const lane = place % lanes;
        for (let step = 0; step < steps; step++) {
          const pick = picks[(chunk * rowsPerGroup + place) * steps + step]!;
          if (pick === noPick) continue;
          const i = Math.floor(place / lanes) * steps + step;
          words[wordAt(chunk, lane, loads + Math.floor(i / perWord))]! |=
            (pick % lanes) << (4 * (i % perWord));
          weights[weightAt(chunk, lane, i)] = w.values[row * w.k + columns[chunk * perChunk + pick]!]!;
        }
      }
    }
  }
  return {
    ...packed({ words, starts, rows, ...(!inTexels && { weights }) }, scheduledDensity(schedule, w)),
    launch: {
      spec: { LOADS: loads, STEPS: steps },
      ...(inTexels && { texels: { words: words.length / perTexel } }),
    },
  };
}
