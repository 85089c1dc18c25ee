import { FileError, printable } from "../errors.ts";
import type { Dataset } from "./dataset.ts";

const classes = 10;
/** Larger CSV files than this are refused unread; the whole UCI set has 0.8 MB. */
const maxCsvBytes = 64 * 2 ** 20;

/** A fault in a data file, naming the file and the byte (of the unpacked file, where it was gzipped). */
function fault(
  code: "E_TRUNCATED" | "E_FORMAT" | "E_SIZE",
  file: string,
  offset: number,
  what: string,
): never {
  const name = printable(file);
  throw new FileError(code, `${name}, byte ${offset}: ${what}`, { file: name, offset });
}

function checkLabels(labels: Uint8Array, file: string, offsetOf: (i: number) => number): void {
  for (const [i, label] of labels.entries()) {
    if (label >= classes)
      fault("E_FORMAT", file, offsetOf(i), `label ${label} of image ${i}; labels are 0 to ${classes - 1}.`);
  }
}

interface Idx {
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** IDX (MNIST): two zero bytes, type 8 (unsigned byte), rank, big-endian dimensions, then the bytes. */
function parseIdx(bytes: Uint8Array, file: string, rank: number): Idx {
  const head = 4 + 4 * rank;
  if (bytes.length < head)
    fault("E_TRUNCATED", file, bytes.length, `an IDX header of ${head} bytes is needed.`);
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8 || bytes[3] !== rank) {
    fault(
      "E_FORMAT",
      file,
      0,
      `not an IDX file of unsigned bytes with ${rank} dimensions (magic ${[...bytes.subarray(0, 4)]}).`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((n, d) => n * d, 1);
  if (bytes.length - head < size) {
    fault(
      "E_TRUNCATED",
      file,
      bytes.length,
      `dimensions ${dims} need ${size} bytes after the header, but ${bytes.length - head} are there.`,
    );
  }
  if (bytes.length - head > size)
    fault("E_SIZE", file, head + size, `${bytes.length - head - size} bytes follow the data.`);
  if (size === 0) fault("E_SIZE", file, 4, `dimensions ${dims} hold no data.`);
  return { dims, data: bytes.subarray(head) };
}

/** MNIST from its image and label files, already unpacked. */
export function parseMnist(
  images: Uint8Array,
  labels: Uint8Array,
  files: readonly [string, string],
): Dataset {
  const x = parseIdx(images, files[0], 3);
  const y = parseIdx(labels, files[1], 1);
  if (x.dims[0] !== y.dims[0]) {
    fault(
      "E_SIZE",
      files[1],
      4,
      `${y.dims[0]} labels for the ${x.dims[0]} images of ${printable(files[0])}.`,
    );
  }
  checkLabels(y.data, files[1], (i) => 8 + i);
  return {
    name: "mnist",
    classes,
    shape: [1, x.dims[1]!, x.dims[2]!],
    images: x.data,
    labels: y.data,
    length: x.dims[0]!,
  };
}

const cifarRecord = 1 + 3 * 32 * 32;

/** CIFAR-10 binary batches: per record a label byte, then 1024 red, green and blue bytes. */
export function parseCifar10(
  batches: readonly { readonly bytes: Uint8Array; readonly file: string }[],
): Dataset {
  let length = 0;
  for (const { bytes, file } of batches) {
    const rest = bytes.length % cifarRecord;
    if (bytes.length === 0) fault("E_TRUNCATED", file, 0, "the file is empty.");
    if (rest !== 0)
      fault(
        "E_TRUNCATED",
        file,
        bytes.length - rest,
        `records are ${cifarRecord} bytes, but the last has ${rest}.`,
      );
    length += bytes.length / cifarRecord;
  }
  const images = new Uint8Array(length * (cifarRecord - 1));
  const labels = new Uint8Array(length);
  let n = 0;
  for (const { bytes, file } of batches) {
    const count = bytes.length / cifarRecord;
    for (let i = 0; i < count; i++, n++) {
      const at = i * cifarRecord;
      labels[n] = bytes[at]!;
      if (bytes[at]! >= classes)
        fault(
          "E_FORMAT",
          file,
          at,
          `label ${bytes[at]}; labels are 0 to ${classes - 1}. Is this a CIFAR-10 batch?`,
        );
      images.set(bytes.subarray(at + 1, at + cifarRecord), n * (cifarRecord - 1));
    }
  }
  return { name: "cifar10", classes, shape: [3, 32, 32], images, labels, length };
}

const digitPixels = 64;
/** The longest line of digits that can be right has 196 characters; a longer one is refused before it is taken apart. */
const maxDigitsLine = 1024;

/** The UCI digits, already unpacked: lines of 64 counts from 0 to 16 (8 × 8, row by row) and the digit. */
export function parseDigits(bytes: Uint8Array, file: string): Dataset {
  if (bytes.length > maxCsvBytes)
    fault(
      "E_SIZE",
      file,
      maxCsvBytes,
      `the file has ${bytes.length} bytes; digits take at most ${maxCsvBytes}.`,
    );
  // One character for one byte, so that a place in the text is a place in the file.
  const text = new TextDecoder("latin1").decode(bytes);
  const images: number[] = [];
  const labels: number[] = [];
  for (let at = text.startsWith(byteOrderMark) ? byteOrderMark.length : 0; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const values = digitsLine(text, at, end, file);
    if (values) {
      images.push(...values.slice(0, digitPixels));
      labels.push(values[digitPixels]!);
    }
    at = end + 1;
  }
  if (labels.length === 0) fault("E_TRUNCATED", file, 0, "the file has no images.");
  return {
    name: "digits",
    classes,
    shape: [1, 8, 8],
    images: Uint8Array.from(images),
    labels: Uint8Array.from(labels),
    length: labels.length,
  };
}

/** The three bytes of UTF-8's byte order mark, as Latin-1 shows them. */
const byteOrderMark = "\u00ef\u00bb\u00bf";

/** Pixels and label of the line from `at` to `end`; undefined for an empty one. */
function digitsLine(text: string, at: number, end: number, file: string): number[] | undefined {
  if (end - at > maxDigitsLine)
    fault("E_FORMAT", file, at, `a line has ${end - at} bytes; 64 pixels and a label take fewer than 200.`);
  const line = text.slice(at, end).trim();
  if (line === "") return undefined;
  const fields = line.split(",");
  if (fields.length !== digitPixels + 1)
    fault(
      "E_FORMAT",
      file,
      at,
      `a line has ${fields.length} values; ${digitPixels} pixels and a label are needed.`,
    );
  const values = fields.map((v) => (/^\s*\d{1,3}\s*$/.test(v) ? Number(v) : Number.NaN));
  if (values.slice(0, digitPixels).some((v) => !(v <= 16)))
    fault("E_FORMAT", file, at, "a pixel is not a whole number from 0 to 16.");
  if (!(values[digitPixels]! < classes))
    fault("E_FORMAT", file, at, `label ${printable(fields[digitPixels]!)}; labels are 0 to ${classes - 1}.`);
  return values;
}
