import {
  blocksPerGroup,
  type Packed,
  packed,
  presentColumns,
  type RowOrder,
  rowsOfBlock,
  type WeightMatrix,
} from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";

/** Words of a texel. */
const perTexel = 4;
/** Texels that lanes load at once. */
const lanes = 8;

/** Texels of a panel of lib/panels.wgsl: the offsets and weights of `u` entries of `r` rows. */
export const panelTexels = (r: number, u: number): number => Math.ceil((u * (1 + r)) / perTexel);

/** Loads that bring a panel to the lanes. */
export const panelLoads = (r: number, u: number): number => Math.ceil(panelTexels(r, u) / lanes);

/**
 * Entries to a panel, at most: they share what a turn of the loop costs, but code grows with them. Of blocks of 8 rows 4 gained nothing
 * over 2 on lavapipe, of wider ones a fifth.
 */
export const panelEntries = (r: number): 2 | 4 => (r === 8 ? 2 : 4);

/** Share of entries that may be added to fill panels up. */
const mostPadding = 0.08;

/** As many entries to a panel as can be filled well enough, where block rows have so many. */
function entriesFor(r: number, counts: readonly number[]): number {
  const entries = counts.reduce((sum, n) => sum + n, 0);
  const filled = (u: number): number => counts.reduce((sum, n) => sum + Math.ceil(n / u) * u, 0);
  return [4, 2].find((u) => u <= panelEntries(r) && filled(u) <= entries * (1 + mostPadding)) ?? 1;
}

/** The entries of each block row in panels; all columns of W are entries where it is `dense`. */
export function packPanels(
  p: ColumnsProblem,
  w: WeightMatrix,
  r: number,
  taps: Uint32Array,
  order: RowOrder,
  dense: boolean,
): Packed {
  const blocks = blocksPerGroup(p, r) * p.groups;
  const rowPtr = new Uint32Array(blocks + 1);
  const all = Array.from(taps.keys());
  const columns = Array.from({ length: blocks }, (_, b) =>
    dense ? all : presentColumns(w, rowsOfBlock(p, b, r, order)),
  );
  const counts = columns.map((list) => list.length);
  const u = entriesFor(r, counts);
  const words = panelTexels(r, u) * perTexel;
  for (const [b, n] of counts.entries()) rowPtr[b + 1] = rowPtr[b]! + Math.ceil(n / u);
  const panels = new Uint32Array(rowPtr[blocks]! * words);
  const values = new Float32Array(panels.buffer);
  for (let b = 0; b < blocks; b++) {
    const rows = rowsOfBlock(p, b, r, order);
    for (const [e, k] of columns[b]!.entries()) {
      const at = (rowPtr[b]! + Math.floor(e / u)) * words;
      const within = e % u;
      // What follows the last entry keeps its offset, so that nothing else is read.
      panels.fill(taps[k]!, at + within, at + u);
      for (const [i, row] of rows.entries()) values[at + u + within * r + i] = w.values[row * p.k + k]!;
    }
  }
  const entries = counts.reduce((sum, n) => sum + n, 0);
  const density = dense ? 1 : (entries * r) / Math.max(1, w.rows * w.k);
  return {
    ...packed({ row_ptr: rowPtr, panels, ...(order && { rows: order }) }, density),
    launch: { spec: { U: u }, texels: { panels: panels.length / perTexel } },
  };
}
