import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { type ColumnCut, type ColumnsProblem, problemMacs } from "../kernels/columns/problem.ts";
import {
  cutFor,
  type Format,
  groupsOf,
  storedDensity,
  type Variant,
  variants,
} from "../kernels/columns/variants.ts";

/** What the cost model needs to know of an adapter. */
export interface AdapterKind {
  readonly software: boolean;
  readonly maxInvocations: number;
}

/**
 * Cost of a candidate relative to one dense multiply-add at full rate: it ranks candidates, it does not predict time.
 * Per stored entry a thread issues one offset load, `rows` weights and `columns` loads of x for rows x columns
 * multiply-adds; loads are what both a software adapter and a GPU's first-level cache run out of
 * (Gale et al., "Sparse GPU Kernels for Deep Learning", SC 2020, section 5). The constants are fitted to the relative
 * rates that the kernels measure on lavapipe.
 */
export function estimate(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
  density: number,
  kind: AdapterKind,
): number {
  const lanes = kind.software ? 8 : 32;
  const { rows, columns, workgroup, unit } = variant;
  const [across] = groupsOf(p, variant, cut);
  const macs = problemMacs(p) * density;
  if (variant.vector)
    return macs * (variant.format === "csr" ? 6 : 3) * (workgroup > p.rowsPerGroup * 2 ? 1.5 : 1);
  // Lanes past the end of the plane, and rows past the end of a group, are paid for.
  const usedColumns = cut.columns / (across * workgroup * columns);
  const blockRows = variant.format === "csr" ? 1 : rows;
  const usedRows = p.rowsPerGroup / (Math.ceil(p.rowsPerGroup / blockRows) * blockRows);
  const loads = 1 / blockRows + 0.22 / columns;
  const perMac = (0.55 + 3 * loads) * (unit === 4 ? 1 : 2.6);
  const pressure = blockRows * columns * (unit === 4 ? 1 : 0.25) > 32 ? 1.4 : 1;
  const narrow = !kind.software && workgroup < 64 ? 64 / workgroup : 1;
  const wide = kind.software ? 1 + 0.05 * Math.max(0, Math.log2(workgroup / lanes) - 1) : 1;
  const start = cut.columns * unit * (p.groups * p.rowsPerGroup) * 4;
  return (macs * perMac * pressure * narrow * wide) / (usedColumns * usedRows) + start;
}

export interface Ranked {
  readonly variant: Variant;
  readonly cut: ColumnCut;
  readonly density: number;
  readonly cost: number;
}

/** All variants of a format that apply to a problem, cheapest first by the cost model. */
export function rank(
  p: ColumnsProblem,
  format: Format,
  weight: WeightMatrix | undefined,
  kind: AdapterKind,
): Ranked[] {
  const density = weight ? storedDensity(p, format, weight) : 1;
  return variants
    .filter((v) => v.format === format && v.workgroup <= kind.maxInvocations)
    .flatMap((variant) => {
      const cut = cutFor(p, variant);
      return cut ? [{ variant, cut, density, cost: estimate(p, variant, cut, density, kind) }] : [];
    })
    .sort((a, b) => a.cost - b.cost);
}
