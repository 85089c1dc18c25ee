/** A sparsity, and how many times as fast as direct dense a format is there. */
export type Point = readonly [sparsity: number, times: number];

/** By sparsity, how long the format takes where dense takes 1. */
const timesOfDense = (points: readonly Point[]): Point[] =>
  [...points].sort(([a], [b]) => a - b).map(([sparsity, times]) => [sparsity, 1 / times]);

/**
 * The sparsity from which the ratio stays above 1, linear in the density between the last point below it and the next: time is nearly linear
 * in the density. Null where no point is below 1, or the last one is.
 */
export function breakEven(points: readonly Point[]): number | null {
  const timed = timesOfDense(points);
  const lost = timed.map(([, time]) => time > 1).lastIndexOf(true);
  const [last, next] = [timed[lost], timed[lost + 1]];
  if (!last || !next) return null;
  const [[s0, t0], [s1, t1]] = [last, next];
  return s0 + ((t0 - 1) / (t0 - t1)) * (s1 - s0);
}

const share = (s: number): string => `${(100 * s).toFixed(0)} %`;

/** The same in words, where it lies between no two points too. */
export function winsFrom(points: readonly Point[]): string {
  const from = breakEven(points);
  if (from !== null) return share(from);
  const timed = timesOfDense(points);
  const [first, last] = [timed[0], timed.at(-1)];
  if (!first || !last) return "-";
  return last[1] <= 1 ? `${share(first[0])} or less` : `above ${share(last[0])}`;
}
