const scale = 2 / Math.sqrt(Math.PI);

/**
 * The error function to about 1e-15, from erf x = 2/√π · exp(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)) (Abramowitz and Stegun,
 * 7.1.6). All terms have one sign, so nothing cancels; from |x| = 6 on the result is ±1 in double precision.
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) >= 6) return Math.sign(x);
  const square = x * x;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * square) / (2 * n + 1);
    sum += term;
  }
  return scale * Math.exp(-square) * sum;
}
