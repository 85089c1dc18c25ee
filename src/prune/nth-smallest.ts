/**
 * The element that would stand at `index` if `values` were sorted ascending, and how many of the elements up to and
 * including `index` equal it. Radix selection over the bits of the doubles, 16 at a time: four passes whatever the values
 * are, so millions of scores cost no sort. No NaN; −0 and 0 are one value.
 */
export function nthSmallest(
  values: Float64Array,
  index: number,
): { readonly value: number; readonly ties: number } {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const counts = new Uint32Array(1 << 16);
  let rank = index;
  // Order-preserving bits of the answer found so far: high and low word, and the masks of what is decided.
  let [high, low, highMask, lowMask] = [0, 0, 0, 0];
  for (const shift of [48, 32, 16, 0]) {
    counts.fill(0);
    const inHigh = shift >= 32;
    for (let i = 0; i < values.length; i++) {
      let h = words[2 * i + 1]!;
      let l = words[2 * i]!;
      if (h === 0x80000000 && l === 0) h = 0;
      if (h >>> 31) {
        h = ~h >>> 0;
        l = ~l >>> 0;
      } else h = (h | 0x80000000) >>> 0;
      if ((h & highMask) >>> 0 !== high || (l & lowMask) >>> 0 !== low) continue;
      counts[inHigh ? (h >>> (shift - 32)) & 0xffff : (l >>> shift) & 0xffff]!++;
    }
    let digit = 0;
    while (rank >= counts[digit]!) rank -= counts[digit++]!;
    if (inHigh) {
      high = (high | (digit << (shift - 32))) >>> 0;
      highMask = (highMask | (0xffff << (shift - 32))) >>> 0;
    } else {
      low = (low | (digit << shift)) >>> 0;
      lowMask = (lowMask | (0xffff << shift)) >>> 0;
    }
  }
  const negative = high >>> 31 === 0;
  const bits = new Uint32Array(negative ? [~low >>> 0, ~high >>> 0] : [low, high & 0x7fffffff]);
  return { value: new Float64Array(bits.buffer)[0]!, ties: rank + 1 };
}
