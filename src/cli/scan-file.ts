import { existsSync } from "node:fs";
import { InputError, printable } from "../errors.ts";
import { readFileLimited } from "../io/files.ts";
import { parseSensitivity, type Sensitivity } from "../sensitivity/curve.ts";
import { writeWhole } from "./context.ts";

/** The scan that a file holds; undefined where there is no such file yet, or none was named. */
export async function readScan(file: string | undefined): Promise<Sensitivity | undefined> {
  if (file === undefined || !existsSync(file)) return undefined;
  const text = new TextDecoder().decode(await readFileLimited(file, 2 ** 26));
  try {
    return parseSensitivity(text);
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new InputError(`${printable(file)}: ${cause.message}`, { file: printable(file) });
  }
}

export function writeScan(file: string | undefined, scan: Sensitivity): void {
  if (file !== undefined) writeWhole(file, `${JSON.stringify(scan, undefined, 1)}\n`);
}

/** A signal that Ctrl-C sets off, for as long as `work` lasts; a second Ctrl-C ends the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  try {
    return await work(stop.signal);
  } finally {
    process.removeListener("SIGINT", onInterrupt);
  }
}
