import { FileError, printable } from "../errors.ts";
import { scanJson } from "../graph/json-scan.ts";
import { byteWidth, type DType, viewBytes } from "../tensor/dtype.ts";
import { bytesOf, type HostTensor } from "../tensor/host-tensor.ts";
import { checkedMul, checkShape, sizeOf } from "../tensor/shape.ts";
import { asBool } from "./as-bool.ts";
import { guarded, type ReadOptions } from "./fault.ts";

/** What a .safetensors file holds. Tensors view the given bytes where alignment allows. */
export interface SafetensorsFile {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Map<string, string>;
}

export interface SafetensorsOptions extends ReadOptions {
  /** Largest accepted header in bytes; 16 MiB unless said, at most 100 MB. */
  readonly headerLimit?: number;
}

const defaultHeaderLimit = 16 * 2 ** 20;
const highestHeaderLimit = 100_000_000;
const maxTensors = 100_000;

const dtypeNames: Record<DType, string> = {
  f32: "F32",
  f16: "F16",
  f64: "F64",
  i32: "I32",
  u32: "U32",
  i64: "I64",
  u8: "U8",
  i8: "I8",
  bool: "BOOL",
};
const dtypeByName = new Map(Object.entries(dtypeNames).map(([dtype, name]) => [name, dtype as DType]));

/**
 * Reads a .safetensors file: u64 header length, JSON header, tensor bytes. Strict where the format leaves room for abuse:
 * no duplicate names, no holes, no overlap, sizes with checked arithmetic. BF16 is widened to f32, exactly. Throws
 * E_TRUNCATED, E_HEADER_SIZE, E_HEADER_SYNTAX, E_LIMIT, E_DUPLICATE, E_DTYPE, E_SHAPE, E_OVERFLOW, E_OFFSETS, E_OVERLAP,
 * E_HOLE, E_SIZE, E_METADATA.
 */
export function readSafetensors(bytes: Uint8Array, options: SafetensorsOptions = {}): SafetensorsFile {
  return guarded(options.file, () => {
    const { header, dataStart } = readHeader(bytes, options.headerLimit ?? defaultHeaderLimit);
    const metadata = readMetadata(header.get("__metadata__"));
    header.delete("__metadata__");
    if (header.size > maxTensors) {
      throw new FileError(
        "E_LIMIT",
        `the file lists ${header.size} tensors; at most ${maxTensors} are supported.`,
      );
    }
    const data = bytes.subarray(dataStart);
    const entries = [...header].map(([name, value]) => readEntry(name, value, data.length));
    checkCoverage(entries, data.length);
    return { tensors: new Map(entries.map((e) => [e.name, load(e, data)])), metadata };
  });
}

function readHeader(bytes: Uint8Array, limit: number): { header: Map<string, unknown>; dataStart: number } {
  if (bytes.length < 8) {
    throw new FileError(
      "E_TRUNCATED",
      `the file has ${bytes.length} bytes; a .safetensors file has at least 8.`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length === 0n || length > BigInt(bytes.length - 8)) {
    throw new FileError(
      "E_HEADER_SIZE",
      `the header claims ${length} bytes, but ${bytes.length - 8} follow. This is no .safetensors file, or it is truncated.`,
      { offset: 0 },
    );
  }
  const size = Number(length);
  const cap = Math.min(limit, highestHeaderLimit);
  if (size > cap) {
    throw new FileError(
      "E_LIMIT",
      `the header has ${size} bytes; the limit is ${cap}. Raise headerLimit if it is meant.`,
    );
  }
  const syntax = (why: string, cause?: unknown): never => {
    throw new FileError("E_HEADER_SYNTAX", `the header ${why}.`, { offset: 8 }, { cause });
  };
  if (bytes[8] !== 0x7b) syntax("does not start with {");
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, 8 + size));
  } catch (cause) {
    syntax("is not UTF-8", cause);
  }
  scanJson(text, { depth: 4, keys: maxTensors + 1 });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    syntax("is not JSON", cause);
  }
  if (/[^ }]$/.test(text.slice(-1))) syntax("is followed by something else than spaces");
  return { header: new Map(Object.entries(parsed as object)), dataStart: 8 + size };
}

function readMetadata(value: unknown): Map<string, string> {
  if (value === undefined) return new Map();
  const bad = (why: string): never => {
    throw new FileError("E_METADATA", `__metadata__ ${why}; it must map strings to strings.`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return bad("is not an object");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      bad(`holds a ${text === null ? "null" : typeof text} under "${printable(key)}"`);
  }
  return new Map(Object.entries(value as Record<string, string>));
}

interface Entry {
  readonly name: string;
  /** undefined stands for BF16, which is widened. */
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function readEntry(name: string, value: unknown, dataLength: number): Entry {
  const label = `tensor "${printable(name)}"`;
  const details = { tensor: printable(name) };
  const fields = new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
  for (const key of fields.keys()) {
    if (key !== "dtype" && key !== "shape" && key !== "data_offsets") {
      throw new FileError("E_HEADER_SYNTAX", `${label} has an unknown field "${printable(key)}".`, details);
    }
  }
  const given = fields.get("dtype");
  const dtype = dtypeByName.get(String(given));
  if (typeof given !== "string" || (!dtype && given !== "BF16")) {
    throw new FileError(
      "E_DTYPE",
      `${label} has dtype ${printable(String(given))}; supported are ${[...dtypeByName.keys()].join(", ")} and BF16.`,
      details,
    );
  }
  const shape: unknown = fields.get("shape");
  if (!Array.isArray(shape) || !shape.every((d) => typeof d === "number")) {
    throw new FileError("E_SHAPE", `${label}: its shape is not a list of numbers.`, details);
  }
  checkShape(shape, label);
  const [begin, end] = readOffsets(fields.get("data_offsets"), dataLength, label, details);
  const size = checkedMul(sizeOf(shape), dtype ? byteWidth(dtype) : 2);
  if (size !== end - begin) {
    throw new FileError(
      "E_SIZE",
      `${label} of dtype ${given} and shape [${shape}] needs ${size} bytes; its offsets span ${end - begin}.`,
      details,
    );
  }
  return { name, dtype, shape: shape.map((d: number) => d + 0), begin, end };
}

function readOffsets(
  value: unknown,
  dataLength: number,
  label: string,
  details: { tensor: string },
): readonly [number, number] {
  const ok =
    Array.isArray(value) && value.length === 2 && value.every((o) => Number.isSafeInteger(o) && o >= 0);
  const [begin, end] = ok ? (value as [number, number]) : [0, -1];
  if (end < begin || end > dataLength) {
    throw new FileError(
      "E_OFFSETS",
      `${label} has data_offsets ${printable(JSON.stringify(value) ?? "missing")}; two rising byte offsets within ${dataLength} are needed.`,
      details,
    );
  }
  return [begin, end];
}

/** Tensors must cover the data exactly: every byte belongs to one tensor. Empty tensors may share an offset. */
function checkCoverage(entries: readonly Entry[], dataLength: number): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let cursor = 0;
  for (const entry of sorted) {
    const details = { tensor: printable(entry.name), offset: entry.begin };
    if (entry.begin < cursor) {
      throw new FileError(
        "E_OVERLAP",
        `tensor "${printable(entry.name)}" starts at data byte ${entry.begin}, inside the one before it (ends at ${cursor}).`,
        details,
      );
    }
    if (entry.begin > cursor) {
      throw new FileError("E_HOLE", `data bytes ${cursor} to ${entry.begin} belong to no tensor.`, details);
    }
    cursor = entry.end;
  }
  if (cursor !== dataLength) {
    throw new FileError("E_HOLE", `data bytes ${cursor} to ${dataLength} belong to no tensor.`, {
      offset: cursor,
    });
  }
}

function load(entry: Entry, data: Uint8Array): HostTensor {
  const length = sizeOf(entry.shape);
  if (entry.dtype === undefined) {
    return { dtype: "f32", shape: entry.shape, data: widenBfloat16(data.subarray(entry.begin, entry.end)) };
  }
  const values = viewBytes(entry.dtype, data, entry.begin, length);
  return { dtype: entry.dtype, shape: entry.shape, data: entry.dtype === "bool" ? asBool(values) : values };
}

/** A bfloat16 is the upper half of a float32. */
function widenBfloat16(bytes: Uint8Array): Float32Array {
  const bits = new Uint32Array(bytes.length / 2);
  for (let i = 0; i < bits.length; i++) bits[i] = ((bytes[2 * i + 1]! << 24) | (bytes[2 * i]! << 16)) >>> 0;
  return new Float32Array(bits.buffer);
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Bytes of a .safetensors file; the same input gives the same bytes whatever the order of the maps. Wide types come
 * first, so that every tensor is aligned. Throws E_FORMAT for a tensor named "__metadata__", E_LIMIT for a header that no
 * reader would accept.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  if (tensors.has("__metadata__")) {
    throw new FileError(
      "E_FORMAT",
      'a tensor cannot be called "__metadata__" in a .safetensors file. Rename it.',
    );
  }
  const ordered = [...tensors].sort(
    ([a, x], [b, y]) => byteWidth(y.dtype) - byteWidth(x.dtype) || byCodeUnit(a, b),
  );
  const text = [...metadata].sort(([a], [b]) => byCodeUnit(a, b));
  const members: string[] = [];
  if (text.length > 0) {
    members.push(
      `"__metadata__":{${text.map(([k, s]) => `${JSON.stringify(k)}:${JSON.stringify(s)}`).join(",")}}`,
    );
  }
  let end = 0;
  const placed = ordered.map(([name, tensor]) => {
    const begin = end;
    const bytes = bytesOf(tensor);
    end += bytes.length;
    const shape = `[${tensor.shape.join(",")}]`;
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtypeNames[tensor.dtype]}","shape":${shape},"data_offsets":[${begin},${end}]}`,
    );
    return { begin, bytes };
  });
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const headerSize = Math.ceil(json.length / 8) * 8;
  if (headerSize > highestHeaderLimit || tensors.size > maxTensors) {
    throw new FileError(
      "E_LIMIT",
      `a header of ${headerSize} bytes for ${tensors.size} tensors is beyond the format's limit.`,
    );
  }
  const out = new Uint8Array(8 + headerSize + end);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerSize), true);
  out.fill(0x20, 8, 8 + headerSize);
  out.set(json, 8);
  for (const { begin, bytes } of placed) out.set(bytes, 8 + headerSize + begin);
  return out;
}
