import { FileError, InputError, printable } from "../errors.ts";
import { type Graph, withWeights } from "../graph/graph.ts";
import { metadataKeys } from "../graph/metadata.ts";
import { buildNet } from "../nets/build-net.ts";
import { applyRecord, parseRecord } from "../prune/record.ts";
import { isFloat } from "../tensor/dtype.ts";
import { cast, type HostTensor } from "../tensor/host-tensor.ts";
import { sameShape, showShape } from "../tensor/shape.ts";
import { checkShapes } from "./check.ts";
import { guarded } from "./fault.ts";
import { readOnnx } from "./onnx/read.ts";
import type { ExternalData } from "./onnx/tensor.ts";
import { writeOnnx } from "./onnx/write.ts";
import { graphOfPruned, knowsItsGraph, writePruned } from "./pruned-file.ts";
import { readSafetensors, type SafetensorsFile } from "./safetensors.ts";

/** File formats of models. */
export type ModelFormat = "onnx" | "safetensors";

export interface ModelOptions {
  /** Name of the file, for its extension and for messages. */
  readonly name?: string;
  /** The built-in net whose plain weights the bytes are. */
  readonly arch?: string;
  /** Largest accepted header of a .safetensors file in bytes (default 16 MiB). */
  readonly headerLimit?: number;
}

/** The format that a file name stands for, undefined where its extension is neither. */
export function formatOf(name: string): ModelFormat | undefined {
  const extension = /\.([a-z]+)$/i.exec(name)?.[1]?.toLowerCase();
  return extension === "onnx" || extension === "safetensors" ? extension : undefined;
}

/**
 * What bytes without a telling name are. A .safetensors file starts with the length of its header, as eight bytes of which
 * the last are zero; ONNX has no place for those. One with a damaged length still has "{" after it, where ONNX files,
 * which start with byte 8, seldom do.
 */
function sniff(bytes: Uint8Array): ModelFormat {
  if (bytes.length < 9) return "onnx";
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  const damaged = bytes[8] === 0x7b && bytes[0] !== 8;
  return length <= BigInt(bytes.length - 8) || damaged ? "safetensors" : "onnx";
}

/**
 * The graph a model file holds: ONNX, a .safetensors file of ours, or the plain weights of built-in net `arch`. Constants
 * and shape arithmetic are folded. `external` gives access to external tensor data. Throws what the readers throw, and
 * E_FORMAT where `arch` does not fit the file.
 */
export function modelFromBytes(
  bytes: Uint8Array,
  options: ModelOptions = {},
  external?: ExternalData,
): Graph {
  return guarded(options.name, () => {
    const graph = parsed(bytes, options, external);
    checkShapes(graph);
    return graph;
  });
}

function parsed(bytes: Uint8Array, options: ModelOptions, external: ExternalData | undefined): Graph {
  const unnamed = options.arch === undefined ? sniff(bytes) : "safetensors";
  const format = formatOf(options.name ?? "") ?? unnamed;
  if (format === "safetensors") return fromSafetensors(readSafetensors(bytes, options), options.arch);
  const graph = readOnnx(bytes, external ? { external } : {});
  checkArch(graph, options.arch);
  return graph;
}

function fromSafetensors(file: SafetensorsFile, arch: string | undefined): Graph {
  if (knowsItsGraph(file)) {
    const graph = graphOfPruned(file);
    checkArch(graph, arch);
    return graph;
  }
  if (arch === undefined) {
    throw new FileError(
      "E_FORMAT",
      "the file holds weights but no graph. Name the net they belong to (ARCH:file.safetensors, or the arch option).",
    );
  }
  const record = file.metadata.get(metadataKeys.record);
  const graph =
    record === undefined
      ? buildNet(arch, { weights: file.tensors })
      : fillWeights(applyRecord(buildNet(arch, { init: "zeros" }), parseRecord(record)), file.tensors);
  return { ...graph, metadata: new Map([...file.metadata, ...graph.metadata]) };
}

/** The graph with its parameters taken from a file; constants of the net (shapes, bounds) are not in such files. */
function fillWeights(graph: Graph, tensors: ReadonlyMap<string, HostTensor>): Graph {
  const weights = new Map<string, HostTensor>();
  for (const [name, own] of graph.weights) {
    const given = tensors.get(name);
    const fits = given && isFloat(given.dtype) && sameShape(given.shape, own.shape);
    if (fits) weights.set(name, cast(given, own.dtype));
    else if (given || (isFloat(own.dtype) && own.shape.length > 0)) {
      const is = given ? `${given.dtype} ${showShape(given.shape)}` : "missing";
      throw new FileError(
        "E_FORMAT",
        `weight "${printable(name)}" is ${is}; the net and the file's record need ${own.dtype} ${showShape(own.shape)}.`,
        { tensor: printable(name) },
      );
    }
  }
  for (const name of tensors.keys()) {
    const companion = /\.num_batches_tracked$|_mask$/.test(name);
    if (graph.weights.has(name) || companion) continue;
    throw new FileError(
      "E_FORMAT",
      `tensor "${printable(name)}" is no weight of the net. Name the net it was made for.`,
    );
  }
  return withWeights(graph, weights);
}

function checkArch(graph: Graph, arch: string | undefined): void {
  if (arch === undefined) return;
  const own = graph.metadata.get(metadataKeys.arch);
  if (own === arch) return;
  const is = own === undefined ? "carries a graph of its own" : `holds a ${printable(own)}`;
  throw new FileError(
    "E_FORMAT",
    `the file ${is}, but was opened as ${printable(arch)}. Open it without naming a net.`,
  );
}

/** Bytes of a model file with the graph, its masks and its metadata. Deterministic. */
export const modelToBytes = (graph: Graph, format: ModelFormat): Uint8Array =>
  format === "onnx" ? writeOnnx(graph) : writePruned(graph);

/** {@link formatOf}, or E_INPUT. */
export function neededFormat(name: string): ModelFormat {
  const format = formatOf(name);
  if (format) return format;
  throw new InputError(`"${printable(name)}" names no model format: it must end in .onnx or .safetensors.`);
}
