import type { WeightMatrix } from "./pack.ts";

/**
 * Weights in half precision lie times a power of two per matrix that brings the largest to the top of what f16 holds: then
 * all down to 2^-28 of it are normal numbers, which no adapter flushes, and 11 significant bits are the only loss.
 */
const topExponent = 14;
const bias = 127;
/** Exponents of a largest magnitude whose power of two, and its inverse, are normal f32. */
const mostExponent = 90;
/** Bits of an f32 significand that f16 lacks. */
const lost = 13;
const lostMask = (1 << lost) - 1;
/** Biased f32 exponent of the smallest normal f16. */
const leastNormal = bias - 14;

const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

const exponentOf = (bits: number): number => ((bits >>> 23) & 255) - bias;

/** To nearest, ties to even. */
const rounded = (b: number): number => (b + (lostMask >>> 1) + ((b >>> lost) & 1)) & ~lostMask;

/**
 * Exponent of the largest magnitude, rounded, which may lift it to the next power of two; undefined where there is none that a power of
 * two could bring to the top.
 */
function largestExponent(bits: Uint32Array): number | undefined {
  let most = 0;
  for (const b of bits) most = Math.max(most, b & 0x7fffffff);
  const exponent = exponentOf(rounded(most));
  return Math.abs(exponent) <= mostExponent ? exponent : undefined;
}

/**
 * The values in f16's 11 significant bits, to nearest, ties to even; below 2^-28 of the largest magnitude they become zero. Values
 * that f16 cannot hold under any power of two (an infinity, a NaN, nothing but zeros) stay as they are.
 */
export function roundedToHalf(values: Float32Array): Float32Array {
  const result = values.slice();
  const bits = bitsOf(result);
  const most = largestExponent(bits);
  if (most === undefined) return result;
  const least = leastNormal - topExponent + most;
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    bits[i] = ((b >>> 23) & 255) < least ? 0 : rounded(b);
  }
  return result;
}

const scales = new WeakMap<WeightMatrix, { readonly scale: number | undefined }>();

/** The power of two by which f16 holds every value of the matrix exactly; undefined where none does. */
export function halfScale(w: WeightMatrix): number | undefined {
  let known = scales.get(w);
  if (!known) {
    known = { scale: findScale(bitsOf(w.values)) };
    scales.set(w, known);
  }
  return known.scale;
}

function findScale(bits: Uint32Array): number | undefined {
  for (const b of bits) if ((b & lostMask) !== 0) return undefined;
  const most = largestExponent(bits);
  if (most === undefined) return undefined;
  const least = leastNormal - topExponent + most;
  for (const b of bits) if ((b & 0x7fffffff) !== 0 && ((b >>> 23) & 255) < least) return undefined;
  return 2 ** (topExponent - most);
}

const one = new Float32Array(1);
const oneBits = bitsOf(one);

/** The f16 bits of a value of a matrix times its `halfScale`. */
export function halfBits(value: number, scale: number): number {
  one[0] = value * scale;
  const b = oneBits[0]!;
  if ((b & 0x7fffffff) === 0) return 0;
  return ((b >>> 16) & 0x8000) | ((((b >>> 23) & 255) - leastNormal + 1) << 10) | ((b >>> lost) & 0x3ff);
}
