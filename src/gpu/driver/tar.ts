import { FileError } from "../../errors.ts";

const BLOCK = 512;

/**
 * The regular files of a tar archive whose names `wanted` accepts, by name. Names come out as written: they are for
 * comparing, never for writing to. Throws `E_TRUNCATED` or `E_FORMAT`.
 */
export function untar(bytes: Uint8Array, wanted: (name: string) => boolean): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number): string => {
    const field = bytes.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder("latin1").decode(end < 0 ? field : field.subarray(0, end));
  };
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    if (bytes[at] === 0) break; // the blocks of zeros at the end
    const octal = text(at + 124, 12).trim();
    if (!/^[0-7]+$/.test(octal))
      throw new FileError("E_FORMAT", `byte ${at} of the archive does not begin a tar entry.`);
    const size = Number.parseInt(octal, 8);
    const start = at + BLOCK;
    if (size > bytes.length - start) {
      throw new FileError(
        "E_TRUNCATED",
        `the tar entry at byte ${at} has ${size} bytes, but only ${bytes.length - start} follow.`,
      );
    }
    const type = text(at + 156, 1);
    const folder = text(at + 345, 155);
    const name = (folder ? `${folder}/` : "") + text(at, 100);
    if ((type === "0" || type === "") && wanted(name))
      files.set(name, new Uint8Array(bytes.subarray(start, start + size)));
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
