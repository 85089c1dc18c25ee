import { FileError, printable } from "../errors.ts";
import { allocate, byteWidth, type DType, viewBytes } from "../tensor/dtype.ts";
import { bytesOf, type HostTensor } from "../tensor/host-tensor.ts";
import { checkedMul, checkShape, rowStrides, sizeOf } from "../tensor/shape.ts";
import { asBool } from "./as-bool.ts";
import { guarded, type ReadOptions } from "./fault.ts";

const descrs: Record<DType, string> = {
  f32: "f4",
  f16: "f2",
  f64: "f8",
  i32: "i4",
  u32: "u4",
  i64: "i8",
  u8: "u1",
  i8: "i1",
  bool: "b1",
};
const dtypeByDescr = new Map(Object.entries(descrs).map(([dtype, descr]) => [descr, dtype as DType]));
const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const headerLimit = 65_536;

/**
 * Reads a NumPy .npy array, versions 1 to 3. Fortran order becomes row-major, big-endian becomes little-endian. Throws
 * E_TRUNCATED, E_HEADER_SYNTAX, E_LIMIT, E_DTYPE, E_SHAPE, E_OVERFLOW, E_SIZE.
 */
export function readNpy(bytes: Uint8Array, options: ReadOptions = {}): HostTensor {
  return guarded(options.file, () => {
    const { text, start } = headerText(bytes);
    const { swap, dtype, fortran, shape } = parseHeader(text);
    checkShape(shape, "the array");
    const count = sizeOf(shape);
    const width = byteWidth(dtype);
    const need = checkedMul(count, width);
    const have = bytes.length - start;
    if (have < need)
      throw new FileError("E_TRUNCATED", `the array needs ${need} bytes of data; ${have} follow the header.`);
    if (have > need)
      throw new FileError("E_SIZE", `${have - need} bytes follow the array; one .npy file holds one array.`);
    let source = bytes;
    if (swap && width > 1) {
      source = new Uint8Array(bytes);
      for (let at = start; at < source.length; at += width) source.subarray(at, at + width).reverse();
    }
    const raw = viewBytes(dtype, source, start, count);
    const tensor: HostTensor = { dtype, shape, data: dtype === "bool" ? asBool(raw) : raw };
    return fortran ? toRowMajor(tensor) : tensor;
  });
}

function headerText(bytes: Uint8Array): { text: string; start: number } {
  if (bytes.length < 10)
    throw new FileError("E_TRUNCATED", `the file has ${bytes.length} bytes; an .npy file has more.`);
  if (!magic.every((b, i) => bytes[i] === b)) {
    throw new FileError("E_HEADER_SYNTAX", "the file does not start with \\x93NUMPY: it is no .npy file.");
  }
  const version = bytes[6]!;
  if (version < 1 || version > 3) {
    throw new FileError("E_HEADER_SYNTAX", `.npy version ${version} is unknown; 1, 2 and 3 are supported.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const long = version > 1;
  if (long && bytes.length < 12)
    throw new FileError("E_TRUNCATED", "the file ends inside its header length.");
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const from = long ? 12 : 10;
  if (length > headerLimit)
    throw new FileError("E_LIMIT", `the header has ${length} bytes; the limit is ${headerLimit}.`);
  if (from + length > bytes.length)
    throw new FileError("E_TRUNCATED", `the header claims ${length} bytes; the file ends before.`);
  const text = Array.from(bytes.subarray(from, from + length), (b) => String.fromCharCode(b)).join("");
  return { text, start: from + length };
}

interface Header {
  readonly swap: boolean;
  readonly dtype: DType;
  readonly fortran: boolean;
  readonly shape: readonly number[];
}

/** The header is a Python dict with exactly three keys; anything else NumPy itself would refuse. */
function parseHeader(text: string): Header {
  const bad = (): never => {
    throw new FileError(
      "E_HEADER_SYNTAX",
      `the header is not that of a plain array: ${printable(text.trim())}`,
    );
  };
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1] ?? bad();
  const pattern =
    /\s*(['"])(\w+)\1\s*:\s*('[^']*'|"[^"]*"|True|False|\(\s*(?:\d+\s*,\s*)*(?:\d+\s*)?\))\s*(,|$)/y;
  const fields = new Map<string, string>();
  while (pattern.lastIndex < body.trimEnd().length) {
    const m = pattern.exec(body) ?? bad();
    if (fields.has(m[2]!)) bad();
    fields.set(m[2]!, m[3]!);
  }
  const descr = fields.get("descr") ?? bad();
  const order = fields.get("fortran_order") ?? bad();
  const dims = fields.get("shape") ?? bad();
  if (fields.size !== 3 || !/^['"]/.test(descr) || !/^(True|False)$/.test(order) || !dims.startsWith("("))
    bad();
  const code = descr.slice(1, -1);
  const dtype = dtypeByDescr.get(code.replace(/^[<>|=]/, ""));
  if (!dtype) {
    const known = [...dtypeByDescr.keys()].join(", ");
    throw new FileError("E_DTYPE", `dtype ${printable(code)} is not supported; supported are ${known}.`);
  }
  return {
    swap: code.startsWith(">"),
    dtype,
    fortran: order === "True",
    shape: (dims.match(/\d+/g) ?? []).map(Number),
  };
}

function toRowMajor(t: HostTensor): HostTensor {
  const out = allocate(t.dtype, t.data.length);
  const strides = rowStrides(t.shape);
  const index = new Array<number>(t.shape.length).fill(0);
  for (let from = 0; from < out.length; from++) {
    let to = 0;
    for (let a = 0; a < index.length; a++) to += index[a]! * strides[a]!;
    out[to] = t.data[from]!;
    for (let a = 0; a < index.length && ++index[a]! === t.shape[a]; a++) index[a] = 0;
  }
  return { dtype: t.dtype, shape: t.shape, data: out };
}

/** Bytes of an .npy file, version 1, row-major, little-endian, data aligned to 64 bytes as NumPy writes it. */
export function writeNpy(tensor: HostTensor): Uint8Array {
  const order = byteWidth(tensor.dtype) === 1 ? "|" : "<";
  const dims = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(", ");
  const dict = `{'descr': '${order}${descrs[tensor.dtype]}', 'fortran_order': False, 'shape': (${dims}), }`;
  const headerSize = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const data = bytesOf(tensor);
  const out = new Uint8Array(10 + headerSize + data.length);
  out.set([...magic, 1, 0, headerSize & 255, headerSize >> 8]);
  out.fill(0x20, 10, 10 + headerSize);
  out.set(new TextEncoder().encode(dict), 10);
  out[10 + headerSize - 1] = 0x0a;
  out.set(data, 10 + headerSize);
  return out;
}
