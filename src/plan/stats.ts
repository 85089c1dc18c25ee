import { quantileSorted } from "simple-statistics";
import { InputError } from "../errors.ts";

/** A measurement's middle and its spread: never a bare number. */
export interface Spread {
  readonly median: number;
  /** 10th percentile. */
  readonly p10: number;
  /** 90th percentile. */
  readonly p90: number;
  readonly samples: number;
}

/** Median, 10th and 90th percentile, linear between the two nearest ranks. Throws E_INPUT for no values. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new InputError("a spread needs at least one value.");
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number): number => quantileSorted(sorted, q);
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), samples: values.length };
}

/** Geometric mean: what ratios are averaged by. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) throw new InputError("a mean needs at least one value.");
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}
