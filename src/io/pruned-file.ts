import { FileError, printable, SparseError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { metadataKeys } from "../graph/metadata.ts";
import { allocate, byteWidth, type HostArray } from "../tensor/dtype.ts";
import { bytesOf, type HostTensor } from "../tensor/host-tensor.ts";
import { type GraphStructure, graphFromStructure, graphToJson, parseGraphJson } from "./graph-json.ts";
import { checkMasked, maskPrefix, packBits, unpackBits } from "./masks.ts";
import {
  readSafetensors,
  type SafetensorsFile,
  type SafetensorsOptions,
  writeSafetensors,
} from "./safetensors.ts";

/*
 * Our own .safetensors files. `__metadata__` holds the graph without its numbers ("secateur.graph") and the graph's own
 * metadata. Each weight W of the graph is stored in one of three ways, whichever is smallest:
 *
 *   W                                           dense
 *   secateur.values.W + secateur.mask.W         the elements that its mask keeps, in order
 *   secateur.values.W + secateur.bitmap.W       no mask, but many zeros: the elements that are not +0
 *
 * A mask is always there as `secateur.mask.W`, u8, one bit per element, least significant first; so is a bitmap. A weight
 * whose own name would read as one of these is stored as `secateur.weight.W`.
 */
const valuesPrefix = "secateur.values.";
const bitmapPrefix = "secateur.bitmap.";
const escapedPrefix = "secateur.weight.";

/** Header bytes that one more tensor costs, about; below that a second tensor does not pay. */
const entryCost = 160;

const storedName = (name: string): string =>
  name.startsWith("secateur.") || name === "__metadata__" ? escapedPrefix + name : name;

/** Bytes of a .safetensors file that knows its own graph, masks and metadata. Deterministic. */
export function writePruned(graph: Graph): Uint8Array {
  const tensors = new Map<string, HostTensor>();
  for (const [name, weight] of graph.weights) {
    const mask = graph.masks.get(name);
    const keep = mask ? mask.data : nonZeroBits(weight);
    const bits = (): HostTensor => {
      const packed = packBits(keep);
      return { dtype: "u8", shape: [packed.length], data: packed };
    };
    if (mask) tensors.set(maskPrefix + name, bits());
    const kept = count(keep);
    const width = byteWidth(weight.dtype);
    const sparse = kept * width + entryCost + (mask ? 0 : Math.ceil(keep.length / 8) + entryCost);
    if (sparse < keep.length * width) {
      tensors.set(valuesPrefix + name, gather(weight, keep, kept));
      if (!mask) tensors.set(bitmapPrefix + name, bits());
    } else tensors.set(storedName(name), mask ? masked(weight, keep) : weight);
  }
  const metadata = new Map([...graph.metadata, [metadataKeys.graph, graphToJson(graph)]]);
  return writeSafetensors(tensors, metadata);
}

/** Does a file carry its own graph, or only weights? */
export const knowsItsGraph = (file: SafetensorsFile): boolean => file.metadata.has(metadataKeys.graph);

/** The graph of a file that {@link knowsItsGraph}. Throws E_METADATA, E_SPARSE, E_FORMAT and what `makeGraph` throws. */
export function graphOfPruned(file: SafetensorsFile): Graph {
  const structure = parseGraphJson(file.metadata.get(metadataKeys.graph) ?? "");
  const left = new Map(file.tensors);
  const take = (name: string): HostTensor | undefined => {
    const tensor = left.get(name);
    left.delete(name);
    return tensor;
  };
  const weights = new Map<string, HostTensor>();
  const masks = new Map<string, HostTensor>();
  for (const entry of structure.weights) {
    const { name, shape } = entry;
    const what = `"${printable(name)}"`;
    if (weights.has(name)) throw new FileError("E_METADATA", `weight ${what} is listed twice.`);
    const length = elements(entry, what);
    const maskBits = take(maskPrefix + name);
    const mask = maskBits && unpackBits(bytesOf(maskBits), length, `mask of ${what}`);
    const values = take(valuesPrefix + name);
    if (values) {
      const bitmap = mask ? undefined : take(bitmapPrefix + name);
      const keep = mask ?? (bitmap && unpackBits(bytesOf(bitmap), length, `bitmap of ${what}`));
      if (!keep) throw new SparseError(`the values of ${what} come without a mask or bitmap.`);
      weights.set(name, scatter(values, keep, entry, what));
    } else {
      const dense = take(storedName(name));
      if (!dense) throw new FileError("E_METADATA", `weight ${what} of the graph is not in the file.`);
      if (mask && dense.data.length !== mask.length) {
        throw new SparseError(
          `weight ${what} has ${dense.data.length} elements; its mask has ${mask.length}.`,
        );
      }
      if (mask) checkMasked(dense, mask, name);
      weights.set(name, dense);
    }
    if (mask) masks.set(name, { dtype: "bool", shape, data: mask });
  }
  for (const name of left.keys()) {
    throw new FileError("E_FORMAT", `tensor "${printable(name)}" belongs to no weight of the file's graph.`);
  }
  const metadata = new Map(file.metadata);
  metadata.delete(metadataKeys.graph);
  return graphFromStructure(structure, weights, masks, metadata);
}

/** {@link graphOfPruned} from bytes. */
export const readPruned = (bytes: Uint8Array, options: SafetensorsOptions = {}): Graph =>
  graphOfPruned(readSafetensors(bytes, options));

/** Element count of a listed weight, refused before anything is allocated when it is absurd. */
function elements(entry: GraphStructure["weights"][number], what: string): number {
  let size = 1;
  for (const d of entry.shape) size *= d;
  if (entry.shape.length > 8 || size > 2 ** 31 - 1) {
    throw new FileError("E_METADATA", `weight ${what} has shape [${entry.shape}], which is too large.`);
  }
  return size;
}

/** 1 where the element is anything but +0, bit by bit, so that -0 survives. */
function nonZeroBits(weight: HostTensor): Uint8Array {
  const width = byteWidth(weight.dtype);
  const bytes = bytesOf(weight);
  const out = new Uint8Array(weight.data.length);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) out[Math.floor(i / width)] = 1;
  return out;
}

function count(keep: HostArray): number {
  let n = 0;
  for (let i = 0; i < keep.length; i++) if (keep[i]) n++;
  return n;
}

function gather(weight: HostTensor, keep: HostArray, kept: number): HostTensor {
  const out = allocate(weight.dtype, kept);
  for (let i = 0, k = 0; i < keep.length; i++) if (keep[i]) out[k++] = weight.data[i]!;
  return { dtype: weight.dtype, shape: [kept], data: out };
}

function masked(weight: HostTensor, keep: HostArray): HostTensor {
  const out = allocate(weight.dtype, weight.data.length);
  for (let i = 0; i < keep.length; i++) if (keep[i]) out[i] = weight.data[i]!;
  return { dtype: weight.dtype, shape: weight.shape, data: out };
}

function scatter(
  values: HostTensor,
  keep: Uint8Array,
  entry: GraphStructure["weights"][number],
  what: string,
): HostTensor {
  const kept = count(keep);
  if (kept !== values.data.length) {
    throw new SparseError(`${what} has ${values.data.length} values; its bits say ${kept}.`);
  }
  if (values.dtype !== entry.dtype) {
    throw new FileError(
      "E_METADATA",
      `the values of ${what} are ${values.dtype}; the graph says ${entry.dtype}.`,
    );
  }
  const out = allocate(entry.dtype, keep.length);
  for (let i = 0, k = 0; i < keep.length; i++) if (keep[i]) out[i] = values.data[k++]!;
  return { dtype: entry.dtype, shape: entry.shape, data: out };
}
