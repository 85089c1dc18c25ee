import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { FileError, printable } from "../errors.ts";
import type { ExternalData } from "./onnx/tensor.ts";

/**
 * Reads external tensor data beside a model file, and nothing else: relative paths without "..", through no symbolic link,
 * of regular files with one name inside the model's folder. Throws E_PATH for a location that is not allowed, E_EXTERNAL
 * for a range beyond the file, E_LIMIT where all ranges together exceed `maxBytes`.
 */
export function externalBeside(modelPath: string, maxBytes: number): ExternalData {
  let total = 0;
  return (location, offset, length) => {
    total += length;
    if (total > maxBytes) {
      throw new FileError(
        "E_LIMIT",
        `the model asks for more than ${maxBytes} bytes of external data; that is the limit.`,
      );
    }
    return readRange(resolveInside(modelPath, location), location, offset, length);
  };
}

const refuse = (location: string, why: string, cause?: unknown): never => {
  throw new FileError(
    "E_PATH",
    `external data at "${printable(location)}" is refused: ${why}.`,
    {},
    { cause },
  );
};

function resolveInside(modelPath: string, location: string): string {
  if (location === "") refuse(location, "the location is empty");
  if (location.includes("\0")) refuse(location, "it contains a NUL");
  if (location.includes("\\")) refuse(location, "it contains a backslash");
  if (location.startsWith("/") || /^[A-Za-z]:/.test(location)) refuse(location, "it is not relative");
  const steps = location.split("/");
  if (steps.some((s) => s === ".." || s === "." || s === ""))
    refuse(location, "it is not a plain path inside the folder");
  try {
    const folder = realpathSync(dirname(modelPath));
    const lexical = join(folder, ...steps);
    const parent = realpathSync(dirname(lexical));
    if (parent !== dirname(lexical)) refuse(location, "it leads through a symbolic link");
    if (parent !== folder && !parent.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
      refuse(location, "it lies outside the model's folder");
    }
    return lexical;
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    return refuse(location, "there is no such file", cause);
  }
}

function readRange(path: string, location: string, offset: number, length: number): Uint8Array {
  let fd: number | undefined;
  try {
    const before = lstatSync(path);
    if (!before.isFile()) refuse(location, "it is no regular file");
    // NOFOLLOW and NONBLOCK: what was a file a moment ago might be a link or a pipe by now.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.ino !== before.ino || stat.dev !== before.dev)
      refuse(location, "it is no regular file");
    if (stat.nlink !== 1) refuse(location, "the file has several names (hard links)");
    if (length > stat.size || offset > stat.size - length) {
      throw new FileError(
        "E_EXTERNAL",
        `external data at "${printable(location)}": bytes ${offset} to ${offset + length} are asked for; the file has ${stat.size}.`,
      );
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = readSync(fd, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
      if (n === 0) throw new FileError("E_EXTERNAL", `external data at "${printable(location)}" ends early.`);
      done += n;
    }
    return bytes;
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    return refuse(location, "it cannot be opened", cause);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
