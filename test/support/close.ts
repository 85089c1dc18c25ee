import * as assert from "uvu/assert";

export interface Tolerance {
  /** Relative to the expected value's magnitude; 0 unless said. */
  readonly rel?: number;
  /** 0 unless said. */
  readonly abs?: number;
}

const SHOWN = 5;

/**
 * Every |actual - expected| must be within abs + rel·|expected|. NaN equals only NaN, an infinity only itself. The message
 * shows the first five that are not, with index and both values, how many there are and the worst of them.
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rel = 0, abs = 0 }: Tolerance,
  what = "values",
): void {
  assert.is(
    actual.length,
    expected.length,
    `${what}: there are ${actual.length}, expected ${expected.length}`,
  );
  const rows: string[] = [];
  let bad = 0;
  let worst = 0;
  let worstAt = -1;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    if (Object.is(a, e) || a === e) continue;
    const error = Math.abs(a - e);
    if (Number.isFinite(a) && Number.isFinite(e) && error <= abs + rel * Math.abs(e)) continue;
    if (bad++ < SHOWN) rows.push(`  [${i}] ${a}, expected ${e} (off by ${error})`);
    if (!(error <= worst)) [worst, worstAt] = [error, i];
  }
  if (bad === 0) return;
  const limits = `rel ${rel}, abs ${abs}`;
  assert.unreachable(
    `${what}: ${bad} of ${expected.length} differ (${limits}; worst at [${worstAt}]):\n${rows.join("\n")}`,
  );
}
