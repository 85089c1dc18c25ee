import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { InputError, printable } from "../../src/errors.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { seeded, shuffle } from "../../src/tensor/random.ts";

/** The matrix with a random share of its R x 1 blocks set to zero, exactly so many of them (R = 1: elements). */
export function randomPattern(w: WeightMatrix, sparsity: number, r: number, seed: number): WeightMatrix {
  const blocks = Math.ceil(w.rows / r);
  const order = Uint32Array.from({ length: blocks * w.k }, (_, i) => i);
  shuffle(order, seeded(seed));
  const values = w.values.slice();
  for (const unit of order.subarray(0, Math.round(sparsity * order.length))) {
    const block = Math.floor(unit / w.k);
    const column = unit % w.k;
    for (let row = block * r; row < Math.min(w.rows, (block + 1) * r); row++) values[row * w.k + column] = 0;
  }
  return { ...w, values };
}

/** N:M: `rows` consecutive rows keep the same `n` of every `m` columns; of fewer left at the end of a row as many. */
export interface NmMask {
  readonly n: number;
  readonly m: number;
  readonly rows: number;
}

/** The name that pruning has for it: "2:4", "2:4x8". */
export const maskName = ({ n, m, rows }: NmMask): string => `${n}:${m}${rows > 1 ? `x${rows}` : ""}`;

/** The matrix with a random mask of N:M. */
export function nmPattern(w: WeightMatrix, { n, m, rows }: NmMask, seed: number): WeightMatrix {
  const random = seeded(seed);
  const values = w.values.slice();
  for (let first = 0; first < w.rows; first += rows) {
    for (let group = 0; group < w.k; group += m) {
      const order = Uint32Array.from({ length: Math.min(m, w.k - group) }, (_, i) => group + i);
      shuffle(order, random);
      for (const column of order.subarray(n))
        for (let row = first; row < Math.min(w.rows, first + rows); row++) values[row * w.k + column] = 0;
    }
  }
  return { ...w, values };
}

/** A matrix of the Deep Learning Matrix Collection: where a really pruned layer keeps weights (Gale et al. 2020, arXiv 2006.10901). */
export interface RealPattern {
  /** Layer and file, e.g. "bottleneck_1_block_group3_2_1". */
  readonly layer: string;
  readonly sparsity: number;
  readonly rows: number;
  readonly k: number;
  readonly nonzeros: number;
  readonly rowPtr: Uint32Array;
  readonly columns: Uint32Array;
}

/** All `.smtx` and `.smtx.gz` files below a folder. Throws E_INPUT naming the file and what is wrong with it. */
export function readPatterns(folder: string): RealPattern[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true })
      .map(String)
      .filter((name) => /\.smtx(\.gz)?$/.test(name))
      .sort();
  } catch (cause) {
    throw new InputError(`${printable(folder)} cannot be read: ${(cause as Error).message}.`);
  }
  if (names.length === 0)
    throw new InputError(`there is no .smtx or .smtx.gz file below ${printable(folder)}.`);
  return names.map((name) => parsePattern(name, readFileSync(join(folder, name))));
}

/** Text: "rows, cols, nonzeros", the row pointers, the column indices; one line each. */
export function parsePattern(name: string, file: Buffer): RealPattern {
  const bad = (why: string): InputError => new InputError(`${printable(name)} is no smtx matrix: ${why}.`);
  let text: string;
  try {
    text = (name.endsWith(".gz") ? gunzipSync(file, { maxOutputLength: 2 ** 28 }) : file).toString("latin1");
  } catch (cause) {
    throw bad((cause as Error).message);
  }
  const lines = text.split("\n").map((line) =>
    line
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(Number),
  );
  const [rows, k, nonzeros] = lines[0] ?? [];
  const whole = (v: number | undefined): v is number => Number.isSafeInteger(v) && v! > 0;
  if (!whole(rows) || !whole(k) || !whole(nonzeros) || rows * k > 2 ** 28) throw bad("its first line");
  const [, pointers = [], indices = []] = lines;
  if (pointers.length !== rows + 1 || pointers[0] !== 0 || pointers.at(-1) !== nonzeros)
    throw bad("its row pointers");
  if (pointers.some((v, i) => i > 0 && !(v >= pointers[i - 1]!))) throw bad("its row pointers");
  if (indices.length !== nonzeros || indices.some((c) => !(Number.isSafeInteger(c) && c >= 0 && c < k)))
    throw bad("its column indices");
  return {
    layer: name.replace(/^.*\//, "").replace(/\.smtx(\.gz)?$/, ""),
    sparsity: 1 - nonzeros / (rows * k),
    rows,
    k,
    nonzeros,
    rowPtr: Uint32Array.from(pointers),
    columns: Uint32Array.from(indices),
  };
}

/** The pattern with seeded values, as the weight of a layer of the same size. */
export function weightOf({ rows, k, rowPtr, columns }: RealPattern): WeightMatrix {
  const random = seeded(5);
  const values = new Float32Array(rows * k);
  for (let m = 0; m < rows; m++) {
    for (let e = rowPtr[m]!; e < rowPtr[m + 1]!; e++)
      values[m * k + columns[e]!] = random.uniform() * 2 - 1 || 1;
  }
  return { rows, k, values };
}
