import { FileError, printable, SparseError } from "../errors.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Prefix of the metadata entries of an .onnx file, and of the tensors of a .safetensors file, that hold masks. */
export const maskPrefix = "secateur.mask.";

/** A mask as bits, least significant first: element i is bit i % 8 of byte i / 8. The last byte is padded with zeros. */
export function packBits(mask: ArrayLike<number | bigint>): Uint8Array {
  const bits = new Uint8Array(Math.ceil(mask.length / 8));
  for (let i = 0; i < mask.length; i++) if (mask[i]) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** The inverse of {@link packBits} for `length` elements. Throws E_SPARSE for a wrong length or stray bits. */
export function unpackBits(bits: Uint8Array, length: number, what: string): Uint8Array {
  if (bits.length !== Math.ceil(length / 8)) {
    throw new SparseError(
      `${what} has ${bits.length} bytes; ${length} elements need ${Math.ceil(length / 8)}.`,
    );
  }
  const mask = new Uint8Array(length);
  for (let i = 0; i < length; i++) mask[i] = (bits[i >> 3]! >> (i & 7)) & 1;
  const spare = length & 7;
  if (spare !== 0 && bits.at(-1)! >> spare !== 0)
    throw new SparseError(`${what} has bits beyond its ${length} elements.`);
  return mask;
}

/** Throws E_SPARSE unless the weight is zero wherever its mask is. */
export function checkMasked(weight: HostTensor, mask: Uint8Array, name: string): void {
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] === 0 && Number(weight.data[i]) !== 0) {
      throw new SparseError(
        `weight "${printable(name)}" is ${weight.data[i]} at element ${i}, where its mask says that it is pruned. ` +
          "The weights were changed after pruning; prune them again.",
        { tensor: printable(name) },
      );
    }
  }
}

const chunk = 0x6000;

/** Base64 of bytes, with what browsers and Node both have. */
export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += chunk) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(i, i + chunk))));
  }
  return parts.join("");
}

/** Bytes from base64. Throws E_METADATA. */
export function fromBase64(text: string, what: string): Uint8Array {
  try {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch (cause) {
    throw new FileError("E_METADATA", `${what} is not base64.`, {}, { cause });
  }
}

/**
 * Takes the masks out of the metadata of an .onnx file. An entry whose weight is gone (another tool renamed or merged it)
 * stays metadata. Throws E_METADATA and E_SPARSE for entries that do not fit their weight.
 */
export function unpackMasks(
  metadata: Map<string, string>,
  weights: ReadonlyMap<string, HostTensor>,
): Map<string, HostTensor> {
  const masks = new Map<string, HostTensor>();
  for (const [key, text] of [...metadata]) {
    if (!key.startsWith(maskPrefix)) continue;
    const name = key.slice(maskPrefix.length);
    const weight = weights.get(name);
    if (!weight) continue;
    const what = `mask of "${printable(name)}"`;
    const mask = unpackBits(fromBase64(text, what), weight.data.length, what);
    checkMasked(weight, mask, name);
    masks.set(name, { dtype: "bool", shape: weight.shape, data: mask });
    metadata.delete(key);
  }
  return masks;
}
