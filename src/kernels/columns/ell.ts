import { type Packed, packed, type WeightMatrix } from "./pack.ts";
import { type ColumnsProblem, channelsPerChunk, interleavedOf, type Load } from "./problem.ts";

/** Rows of a slice: lanes that step together. */
const lanes = 8;
const none = 0xffffffff;

/** A chunk of columns of W: one tap of up to 8 channels. */
interface Chunk {
  /** In loads, before the channels that lie side by side. */
  readonly offset: number;
  /** Columns of W, by channel of the chunk. */
  readonly columns: readonly number[];
}

/** The chunks of a row of W, all taps of 8 channels before those of the next 8. */
function chunksOf(p: ColumnsProblem, load: Load): Chunk[] {
  const { channels, chunks, words, within } = interleavedOf(p, load);
  const taps = p.k / channels;
  return Array.from({ length: chunks * taps }, (_, i): Chunk => {
    const chunk = Math.floor(i / taps);
    const tap = i % taps;
    const count = Math.min(channelsPerChunk, channels - chunk * channelsPerChunk);
    const columns = Array.from({ length: count }, (_, c) => (chunk * channelsPerChunk + c) * taps + tap);
    return { offset: chunk * words + within[tap]!, columns };
  });
}

/** Rows of each slice: those of like length together, so that few lanes idle; whole groups of `slices` slices. */
function rowsOfSlices(p: ColumnsProblem, w: WeightMatrix, slices: number): Uint32Array {
  const counts = new Uint32Array(w.rows);
  for (let i = 0; i < w.values.length; i++) if (w.values[i] !== 0) counts[Math.floor(i / w.k)]!++;
  const each = Math.ceil(p.rowsPerGroup / (lanes * slices)) * lanes * slices;
  const rows = new Uint32Array(each * p.groups).fill(none);
  for (let group = 0; group < p.groups; group++) {
    const first = group * p.rowsPerGroup;
    const own = Array.from({ length: p.rowsPerGroup }, (_, i) => first + i);
    rows.set(
      own.sort((a, b) => counts[b]! - counts[a]! || a - b),
      group * each,
    );
  }
  return rows;
}

/**
 * Unstructured weights in slices of 8 rows and chunks of 8 channels, for lib/ell: per group of `slices` slices, per chunk and
 * slice, as many steps as its fullest row has weights there. Taps must be the same for every channel.
 */
export function packEll(p: ColumnsProblem, w: WeightMatrix, slices: number, load: Load): Packed {
  const chunks = chunksOf(p, load);
  const rows = rowsOfSlices(p, w, slices);
  const steps: number[] = [0];
  const bits: number[] = [];
  const value = new Float32Array(1);
  const word = new Uint32Array(value.buffer);
  let total = 0;
  for (let first = 0; first < rows.length; first += lanes * slices) {
    for (const { columns } of chunks) {
      for (let s = 0; s < slices; s++) {
        const lists = Array.from({ length: lanes }, (_, lane) => {
          const row = rows[first + s * lanes + lane]!;
          if (row === none) return [];
          return columns.flatMap((k, c) => (w.values[row * w.k + k] === 0 ? [] : [c]));
        });
        const most = Math.max(...lists.map((l) => l.length));
        for (let step = 0; step < most; step++) {
          for (const [lane, list] of lists.entries()) {
            const c = list[step];
            value[0] = c === undefined ? 0 : w.values[rows[first + s * lanes + lane]! * w.k + columns[c]!]!;
            bits.push(word[0]!, c ?? 0);
          }
        }
        total += most;
        steps.push(total);
      }
    }
  }
  const arrays = {
    steps: Uint32Array.from(steps),
    offsets: Uint32Array.from(chunks, (c) => c.offset),
    entries: Uint32Array.from(bits),
    rows,
  };
  return packed(arrays, (total * lanes) / Math.max(1, w.rows * w.k));
}

/** Steps over those that full rows would need: what decides how long the kernel takes. */
export function ellDensity(p: ColumnsProblem, w: WeightMatrix): number {
  const { channels } = interleavedOf(p, "word");
  const taps = p.k / channels;
  const rows = rowsOfSlices(p, w, 1);
  let total = 0;
  for (let first = 0; first < rows.length; first += lanes) {
    for (let chunk = 0; chunk < channels; chunk += channelsPerChunk) {
      for (let tap = 0; tap < taps; tap++) {
        let most = 0;
        for (let lane = 0; lane < lanes; lane++) {
          const row = rows[first + lane]!;
          if (row === none) continue;
          let count = 0;
          const end = Math.min(chunk + channelsPerChunk, channels);
          for (let c = chunk; c < end; c++) if (w.values[row * w.k + c * taps + tap] !== 0) count++;
          most = Math.max(most, count);
        }
        total += most;
      }
    }
  }
  return (total * lanes) / Math.max(1, w.rows * w.k);
}

/** Does every channel have the same taps, a whole number of channels apart, so that channels can lie side by side? */
export function interleaves(p: ColumnsProblem): boolean {
  if (p.xChannel === 0 || p.xGroup % p.xChannel !== 0) return false;
  const channels = p.xGroup / p.xChannel;
  if (channels === 0 || p.k % channels !== 0) return false;
  const taps = p.k / channels;
  return p.taps.every((t, i) => t === Math.floor(i / taps) * p.xChannel + p.taps[i % taps]!);
}
