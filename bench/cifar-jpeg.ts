// Turns a JPEG pack of CIFAR-10 into binary batches that `cifar10:FILE` reads:
//   node --import tsx bench/cifar-jpeg.ts DIR OUT_DIR
// DIR holds jpeg-train-1.jpgp to jpeg-train-5.jpgp and jpeg-test.jpgp, and may hold train-labels-50000.u8 and
// test-labels-0000-0999.u8, which the labels must then agree with. OUT_DIR gets a .bin for every .jpgp. JPEG is lossy: accuracies
// on these images must not be compared with published ones, hence the "jpeg" in the names.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import jpeg from "jpeg-js";
import { writeWhole } from "../src/cli/context.ts";
import { FileError, printable, SecateurError, UsageError } from "../src/errors.ts";

const side = 32;
const plane = side * side;
/** A record of a binary batch: the label, then the red, the green and the blue bytes. */
const record = 1 + 3 * plane;
const classes = 10;
const head = 8;
/** Of an image in the table: its label and the length of its JPEG file. */
const entry = 5;

/** Labels and JPEG files of a pack, as views on its bytes, and where in it each file begins. */
export interface JpegPack {
  readonly labels: Uint8Array;
  readonly files: readonly Uint8Array[];
  readonly offsets: readonly number[];
}

function fault(
  code: "E_TRUNCATED" | "E_FORMAT" | "E_SIZE",
  file: string,
  offset: number,
  what: string,
): never {
  const name = printable(file);
  throw new FileError(code, `${name}, byte ${offset}: ${what}`, { file: name, offset });
}

/**
 * Reads a .jpgp pack: "JPGP", the number of images (u32, little-endian), per image its label (u8) and the length of its JPEG
 * file (u32), then those files one after the other. Throws E_FORMAT, E_TRUNCATED or E_SIZE naming file and byte.
 */
export function readJpegPack(bytes: Uint8Array, file: string): JpegPack {
  if (bytes.length < head)
    fault("E_TRUNCATED", file, bytes.length, `the file ends inside its header of ${head} bytes.`);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "JPGP")
    fault("E_FORMAT", file, 0, `not a JPEG pack: it begins with bytes ${[...bytes.subarray(0, 4)]}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(4, true);
  if (count === 0) fault("E_SIZE", file, 4, "the pack has no images.");
  const start = head + entry * count;
  if (start > bytes.length)
    fault("E_TRUNCATED", file, bytes.length, `the table of ${count} images ends at byte ${start}.`);
  const labels = new Uint8Array(count);
  const files: Uint8Array[] = [];
  const offsets: number[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const place = head + entry * i;
    labels[i] = bytes[place]!;
    if (labels[i]! >= classes)
      fault("E_FORMAT", file, place, `label ${labels[i]} of image ${i}; labels are 0 to ${classes - 1}.`);
    const length = view.getUint32(place + 1, true);
    if (at + length > bytes.length)
      fault("E_TRUNCATED", file, bytes.length, `the JPEG of image ${i} ends at byte ${at + length}.`);
    files.push(bytes.subarray(at, at + length));
    offsets.push(at);
    at += length;
  }
  if (at < bytes.length) fault("E_SIZE", file, at, `${bytes.length - at} bytes follow the last image.`);
  return { labels, files, offsets };
}

/**
 * The images of a pack (the first `limit` where that is given) as a CIFAR-10 binary batch: per image its label, then 1024
 * red, green and blue bytes. Throws E_FORMAT for a JPEG that cannot be read, E_SIZE for one that is not 32 × 32, naming
 * file and byte.
 */
export function cifarBatch(pack: JpegPack, file: string, limit = pack.files.length): Uint8Array {
  const out = new Uint8Array(Math.min(limit, pack.files.length) * record);
  for (let i = 0; i * record < out.length; i++) {
    const { width, height, data } = decoded(pack, i, file);
    if (width !== side || height !== side)
      fault(
        "E_SIZE",
        file,
        pack.offsets[i]!,
        `image ${i} is ${width} × ${height}; CIFAR-10 has ${side} × ${side}.`,
      );
    const at = i * record;
    out[at] = pack.labels[i]!;
    for (let p = 0; p < plane; p++)
      for (let c = 0; c < 3; c++) out[at + 1 + c * plane + p] = data[3 * p + c]!;
  }
  return out;
}

interface Decoded {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of every pixel, row by row. */
  readonly data: Uint8Array;
}

function decoded(pack: JpegPack, i: number, file: string): Decoded {
  try {
    return jpeg.decode(pack.files[i]!, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxResolutionInMP: 1,
      maxMemoryUsageInMB: 16,
    });
  } catch (cause) {
    const why = printable(cause instanceof Error ? cause.message : String(cause));
    return fault("E_FORMAT", file, pack.offsets[i]!, `the JPEG of image ${i} cannot be read: ${why}.`);
  }
}

/** Throws E_FORMAT naming the byte of `labelsFile` that differs first from the labels of a pack whose image 0 has byte `from`. */
export function compareLabels(
  labels: Uint8Array,
  stored: Uint8Array,
  from: number,
  labelsFile: string,
  pack: string,
): void {
  for (let i = 0; i < labels.length && from + i < stored.length; i++) {
    if (stored[from + i] !== labels[i])
      fault(
        "E_FORMAT",
        labelsFile,
        from + i,
        `label ${stored[from + i]}, but image ${i} of ${printable(pack)} has label ${labels[i]}.`,
      );
  }
}

const packs = [1, 2, 3, 4, 5]
  .map((n) => ({ name: `jpeg-train-${n}`, labels: "train-labels-50000.u8", from: (n - 1) * 10_000 }))
  .concat([{ name: "jpeg-test", labels: "test-labels-0000-0999.u8", from: 0 }]);

function bytesOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    const name = printable(file);
    const why = printable(cause instanceof Error ? cause.message : String(cause));
    throw new FileError("E_IO", `cannot read ${name}: ${why}.`, { file: name }, { cause });
  }
}

/** Converts every pack of `dir`. Each batch is written whole or not at all; the first fault ends the work. */
export function convert(dir: string, outDir: string, log: (line: string) => void = () => {}): void {
  for (const { name, labels, from } of packs) {
    const started = performance.now();
    const file = join(dir, `${name}.jpgp`);
    const pack = readJpegPack(bytesOf(file), file);
    const apart = join(dir, labels);
    const checked = existsSync(apart);
    if (checked) compareLabels(pack.labels, bytesOf(apart), from, apart, file);
    const out = join(outDir, `${name}.bin`);
    writeWhole(out, cifarBatch(pack, file));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    log(`${out}: ${pack.files.length} images, labels ${checked ? "checked" : "as packed"}, ${seconds} s`);
  }
}

function main(): void {
  try {
    const [dir, outDir, ...rest] = process.argv.slice(2);
    if (dir === undefined || outDir === undefined || rest.length > 0)
      throw new UsageError("usage: node --import tsx bench/cifar-jpeg.ts DIR OUT_DIR");
    convert(dir, outDir, console.log);
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    console.error(error instanceof UsageError ? error.message : `${error.message} [${error.code}]`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main();
