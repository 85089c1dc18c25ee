import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { FileError, InputError, printable } from "../errors.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { type Dataset, firstImages } from "./dataset.ts";
import { parseCifar10, parseDigits, parseMnist } from "./formats.ts";
import { glyphs } from "./glyphs.ts";

export type Split = "train" | "test";

/** Unpacked data larger than this is refused: the largest data set known here has 180 MB. */
const maxUnpacked = 2 ** 30;
const glyphCounts = { train: 10_000, test: 2_000 } as const;

/**
 * Opens DATA: `mnist:DIR`, `cifar10:FILE` (several separated by commas), `digits:FILE` or `glyphs`. Files may be gzipped.
 * `split` chooses MNIST's and glyphs' half; CIFAR and digits are the files named. Throws E_INPUT for a spec it cannot read, E_IO
 * for a missing file, E_TRUNCATED, E_FORMAT or E_SIZE naming file and byte for a damaged one.
 */
export async function openData(
  spec: string,
  split: Split,
  options: { readonly limit?: number } = {},
): Promise<Dataset> {
  if (split !== "train" && split !== "test")
    throw new InputError(`split is "${printable(String(split))}"; it is "train" or "test".`);
  const at = spec.indexOf(":");
  const kind = at < 0 ? spec : spec.slice(0, at);
  const place = at < 0 ? "" : spec.slice(at + 1);
  if (options.limit !== undefined) wholeNumber(options.limit, "limit of images");
  if (kind === "glyphs" && at < 0) return glyphs(split, options.limit ?? glyphCounts[split], 1);
  if (place === "" || !["mnist", "cifar10", "digits"].includes(kind)) {
    throw new InputError(
      `data "${printable(spec)}" is not known. Use mnist:DIR, cifar10:FILE[,FILE], digits:FILE or glyphs.`,
    );
  }
  return firstImages(load(kind, place, split), options.limit);
}

function load(kind: string, place: string, split: Split): Dataset {
  if (kind === "digits") return parseDigits(unpacked(place), place);
  if (kind === "cifar10") {
    const files = place.split(",");
    if (files.includes(""))
      throw new InputError(`data "${printable(`cifar10:${place}`)}" names an empty file between its commas.`);
    return parseCifar10(files.map((file) => ({ bytes: unpacked(file), file })));
  }
  const prefix = split === "train" ? "train" : "t10k";
  const images = either(place, `${prefix}-images`, "idx3-ubyte");
  const labels = either(place, `${prefix}-labels`, "idx1-ubyte");
  return parseMnist(unpacked(images), unpacked(labels), [images, labels]);
}

/** A file of MNIST's, plain or gzipped, under its published name or the one with a dot that some copies have. */
function either(dir: string, stem: string, kind: string): string {
  const name = `${stem}-${kind}`;
  const found = [name, `${stem}.${kind}`]
    .flatMap((n) => [join(dir, n), join(dir, `${n}.gz`)])
    .find((path) => existsSync(path));
  if (!found)
    throw new FileError("E_IO", `neither ${name} nor ${name}.gz is in ${printable(dir)}.`, { file: name });
  return found;
}

function unpacked(file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    if (!statSync(file).isFile()) throw new Error("it is not a file");
    bytes = readFileSync(file);
  } catch (cause) {
    throw new FileError(
      "E_IO",
      `cannot read ${printable(file)}: ${reason(cause)}.`,
      { file: printable(file) },
      { cause },
    );
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: maxUnpacked });
  } catch (cause) {
    throw gzipFault(file, bytes.length, cause);
  }
}

/** What is wrong with a gzip file. zlib tells where only when the file ends too early. */
function gzipFault(file: string, length: number, cause: unknown): FileError {
  const name = printable(file);
  switch (cause instanceof Error && "code" in cause ? cause.code : "") {
    case "Z_BUF_ERROR":
      return new FileError(
        "E_TRUNCATED",
        `${name}, byte ${length}: the gzip file ends too early. Fetch it again.`,
        { file: name, offset: length },
        { cause },
      );
    case "ERR_BUFFER_TOO_LARGE":
      return new FileError(
        "E_SIZE",
        `${name} unpacks to more than ${maxUnpacked} bytes; no data set known here does.`,
        { file: name },
        { cause },
      );
    default:
      return new FileError(
        "E_FORMAT",
        `${name} is a damaged gzip file: ${reason(cause)}. Fetch it again.`,
        { file: name },
        { cause },
      );
  }
}

const reason = (cause: unknown): string => printable(cause instanceof Error ? cause.message : String(cause));
