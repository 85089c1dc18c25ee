/** Mean and variance of every channel of x [batch, channels, inner]. */
export function batchMoments(
  x: Float64Array,
  batch: number,
  channels: number,
  inner: number,
): [Float64Array, Float64Array] {
  const fold = (f: (value: number, k: number) => number): Float64Array => {
    const sums = new Float64Array(channels);
    for (let i = 0; i < x.length; i++) {
      const k = Math.floor(i / inner) % channels;
      sums[k]! += f(x[i]!, k) / (batch * inner);
    }
    return sums;
  };
  const mean = fold((v) => v);
  return [mean, fold((v, k) => (v - mean[k]!) ** 2)];
}

/** A running statistic after one more batch: old · momentum + new · (1 - momentum). */
export const moved = (old: Float64Array, now: Float64Array, momentum: number): Float64Array =>
  old.map((v, k) => v * momentum + now[k]! * (1 - momentum));
