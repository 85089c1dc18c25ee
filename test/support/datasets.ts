/** An IDX file of unsigned bytes, as MNIST's are. */
export function idx(dims: readonly number[], values: readonly number[]): Uint8Array {
  const head = new Uint8Array(4 + 4 * dims.length);
  head.set([0, 0, 8, dims.length]);
  const view = new DataView(head.buffer);
  for (const [i, d] of dims.entries()) view.setUint32(4 + 4 * i, d);
  return Uint8Array.from([...head, ...values]);
}

/** One CIFAR-10 record: the label, then 3072 bytes that depend on it. */
export const cifarRecord = (label: number): Uint8Array =>
  Uint8Array.from({ length: 3073 }, (_, i) => (i === 0 ? label : (i * 7 + label) % 256));

/** A line of the UCI digits with 64 equal pixels. */
export const digitsLine = (pixel: number | string, label: number | string): string =>
  [...Array(64).fill(pixel), label].join(",");
