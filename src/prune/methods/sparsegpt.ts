import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { PruneError } from "../../errors.ts";
import { evidenceOf } from "../evidence.ts";
import type { Granularity } from "../granularity.ts";
import { unitCount } from "../layers.ts";
import { cellPlaces, fromMatrix, toMatrix } from "../matrix.ts";
import type { Method, Solution, SolveContext, Solved, SolveLayer } from "./method.ts";

/** Columns whose masks are chosen together. */
const blockColumns = 128;
/** Added to the diagonal, as a share of its mean. */
const dampening = 0.01;

/**
 * Optimal Brain Surgeon for one layer at a time: the error of a layer's output is a quadratic in its weights with the Hessian
 * X·Xᵀ of its inputs. Goes through the columns from left to right; each block of them loses its cheapest weights, and what a
 * column loses is made up for by the columns to its right. `pruneInRounds` and the command line go through the layers in order and
 * gather each one's inputs on the net that is pruned up to it; in a call of `prune` all layers have the inputs that they are given.
 */
export const sparsegpt: Method = {
  name: "sparsegpt",
  kind: "data",
  granularities: ["element", "n:m"],
  reference: "Frantar and Alistarh 2023 (SparseGPT), arXiv 2301.00774, algorithm 1",
  needs: ["inputMoments"],
  layerByLayer: true,
  defaults: { scope: "layer", images: 128 },
  score() {
    throw new PruneError("sparsegpt chooses and updates in one go; it has no scores of its own.");
  },
  solve(context): Solved {
    if (context.scope !== "layer") {
      throw new PruneError(
        `sparsegpt rebuilds one layer at a time, so scope ${context.scope} has no meaning for it. Leave scope out, or spread the sparsity with allocation erk.`,
      );
    }
    return { layers: context.layers.map((layer) => solveLayer(layer, context)) };
  },
};

function solveLayer({ layer, weight, mask, remove }: SolveLayer, context: SolveContext): Solution {
  const { rows, cols } = layer;
  const { granularity: g, evidence } = context;
  const groups = (evidence.inputMoments?.get(layer.weight)?.data.length ?? 0) / cols ** 2 || 1;
  const moments = evidenceOf(evidence, "inputMoments", layer.weight, groups * cols * cols);
  const w = toMatrix(layer, weight);
  const masked = mask && toMatrix(layer, mask);
  const gone = new Uint8Array(rows * cols);
  const perGroup = rows / groups;
  for (let group = 0; group < groups; group++) {
    const h = moments.subarray(group * cols * cols, (group + 1) * cols * cols);
    const cells = { from: group * perGroup, to: (group + 1) * perGroup, cols };
    // Groups share the budget evenly, to the unit.
    const budget = share(remove ?? 0, groups, group);
    rebuild(w, gone, masked, cells, factorOf(h, cols), { g, budget });
  }
  return { removed: unitsOf(layer, g, gone), weight: fromMatrix(layer, w, weight) };
}

/** The part of a whole number that falls to one of `parts`. */
const share = (whole: number, parts: number, i: number): number =>
  Math.round((whole * (i + 1)) / parts) - Math.round((whole * i) / parts);

/** Rows of the matrix that see the same inputs. */
interface Cells {
  readonly from: number;
  readonly to: number;
  readonly cols: number;
}

/** What the columns' inputs are: the upper Cholesky factor of the inverse Hessian, and which inputs are always zero. */
interface Factor {
  readonly u: Float64Array;
  readonly dead: Uint8Array;
}

function factorOf(h: Float32Array | Float64Array, cols: number): Factor {
  const matrix = new Matrix(cols, cols);
  const dead = new Uint8Array(cols);
  let mean = 0;
  for (let i = 0; i < cols; i++) mean += h[i * cols + i]! / cols;
  for (let i = 0; i < cols; i++) {
    // Both halves, since sums on the device may differ in the last bit.
    for (let j = 0; j < cols; j++) matrix.set(i, j, (h[i * cols + j]! + h[j * cols + i]!) / 2);
    if (h[i * cols + i] === 0) dead[i] = 1;
    matrix.set(i, i, h[i * cols + i]! + (dampening * mean || 1));
  }
  const inverse = choleskyOf(matrix).solve(Matrix.eye(cols));
  for (let i = 0; i < cols; i++) for (let j = 0; j < i; j++) inverse.set(i, j, inverse.get(j, i));
  const lower = choleskyOf(inverse).lowerTriangularMatrix;
  const u = new Float64Array(cols * cols);
  for (let i = 0; i < cols; i++) for (let j = i; j < cols; j++) u[i * cols + j] = lower.get(j, i);
  return { u, dead };
}

function choleskyOf(matrix: Matrix): CholeskyDecomposition {
  const result = new CholeskyDecomposition(matrix);
  if (result.isPositiveDefinite()) return result;
  throw new PruneError(
    "the second moments of a layer's inputs are not positive definite even with dampening. Gather the evidence on more images.",
  );
}

function rebuild(
  w: Float64Array,
  gone: Uint8Array,
  masked: Float64Array | undefined,
  { from, to, cols }: Cells,
  { u, dead }: Factor,
  { g, budget }: { readonly g: Granularity; readonly budget: number },
): void {
  const chunk = g.kind === "n:m" ? g.of : blockColumns;
  const keyOf = (row: number, column: number): number => {
    const i = row * cols + column;
    if (masked && masked[i] === 0) return Number.NEGATIVE_INFINITY;
    if (dead[column] !== 0) return 0;
    return (w[i]! / u[column * cols + column]!) ** 2;
  };
  const cells = (to - from) * cols;
  let taken = 0;
  for (let first = 0; first < cols; first += chunk) {
    const end = Math.min(cols, first + chunk);
    if (g.kind === "n:m") {
      for (let row = from; row < to; row += g.rows) {
        const span = Array.from({ length: Math.min(g.rows, to - row) }, (_, k) => row + k);
        takeColumns(gone, cols, first, end, span, g.keep, keyOf);
      }
    } else {
      const target = Math.round((budget * (to - from) * end) / cells);
      taken += takeCells(gone, cols, [from, to], [first, end], target - taken, keyOf);
    }
    // What a column loses goes to all columns to its right, the rest of the chunk among them.
    for (let column = first; column < end; column++) {
      const pivot = u[column * cols + column]!;
      for (let row = from; row < to; row++) {
        const i = row * cols + column;
        if (gone[i] === 0) continue;
        const error = w[i]! / pivot;
        if (error !== 0)
          for (let k = column; k < cols; k++) w[row * cols + k]! -= error * u[column * cols + k]!;
        w[i] = 0;
      }
    }
  }
}

/** Marks the `count` cheapest cells of a block, and all that are masked; ties go by row and column. Returns how many. */
function takeCells(
  gone: Uint8Array,
  cols: number,
  [fromRow, toRow]: readonly [number, number],
  [first, end]: readonly [number, number],
  count: number,
  keyOf: (row: number, column: number) => number,
): number {
  const list: { readonly i: number; readonly key: number }[] = [];
  for (let row = fromRow; row < toRow; row++)
    for (let column = first; column < end; column++)
      list.push({ i: row * cols + column, key: keyOf(row, column) });
  list.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.i - b.i));
  let taken = 0;
  for (const { i, key } of list) {
    if (taken >= count && key !== Number.NEGATIVE_INFINITY) break;
    gone[i] = 1;
    taken++;
  }
  return taken;
}

/** Marks all but the `keep` best columns of a group for all rows that share it. */
function takeColumns(
  gone: Uint8Array,
  cols: number,
  first: number,
  end: number,
  rows: readonly number[],
  keep: number,
  keyOf: (row: number, column: number) => number,
): void {
  const list = Array.from({ length: end - first }, (_, k) => {
    const keys = rows.map((row) => keyOf(row, first + k));
    // A column that is masked in all its rows goes whatever happens; masked in some, by the rest.
    const live = keys.filter((key) => key !== Number.NEGATIVE_INFINITY);
    const key = live.length === 0 ? Number.NEGATIVE_INFINITY : live.reduce((a, b) => a + b, 0);
    return { column: first + k, key };
  });
  list.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.column - b.column));
  for (const [k, { column, key }] of list.entries()) {
    if (k >= list.length - keep && key !== Number.NEGATIVE_INFINITY) continue;
    for (const row of rows) gone[row * cols + column] = 1;
  }
}

/** Flags per cell of the matrix as flags per unit. */
function unitsOf(layer: SolveLayer["layer"], g: Granularity, gone: Uint8Array): Uint8Array {
  const removed = new Uint8Array(unitCount(layer, g));
  if (g.kind === "element") {
    for (const [cell, place] of cellPlaces(layer).entries()) removed[place] = gone[cell]!;
  } else if (g.kind === "n:m") {
    for (let unit = 0; unit < removed.length; unit++) {
      const row = Math.floor(unit / layer.cols) * g.rows;
      removed[unit] = gone[row * layer.cols + (unit % layer.cols)]!;
    }
  }
  return removed;
}
