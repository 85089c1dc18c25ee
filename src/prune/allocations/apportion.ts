/**
 * Whole numbers near `shares` (which add up to `total`) that add up to exactly `total`, none above its `most`: each share is
 * cut, then the largest remainders get one more, the first of equal ones first (Hamilton's method).
 */
export function apportion(shares: readonly number[], most: readonly number[], total: number): number[] {
  const counts = shares.map((s, i) => Math.max(0, Math.min(most[i]!, Math.floor(s))));
  const order = shares
    .map((s, i) => ({ i, rest: s - Math.floor(s) }))
    .sort((a, b) => b.rest - a.rest || a.i - b.i);
  let left = total - counts.reduce((a, b) => a + b, 0);
  while (left !== 0) {
    const step = Math.sign(left);
    let moved = false;
    for (const { i } of step > 0 ? order : [...order].reverse()) {
      const next = counts[i]! + step;
      if (left === 0 || next < 0 || next > most[i]!) continue;
      counts[i] = next;
      left -= step;
      moved = true;
    }
    if (!moved) break;
  }
  return counts;
}
