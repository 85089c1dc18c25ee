import { type ErrorDetails, FileError, printable, SecateurError } from "../errors.ts";

/** What every reader may be told. */
export interface ReadOptions {
  /** Name of the file, for messages only. */
  readonly file?: string;
}

/**
 * Runs a parser so that only errors of our own leave it, each naming the file. Anything else that a parser could throw
 * on hostile bytes (an allocation that fails) becomes E_LIMIT or E_INTERNAL with its cause.
 */
export function guarded<T>(file: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw located(error, file === undefined ? {} : { file: printable(file) });
  }
}

/** {@link guarded} for asynchronous work. */
export async function guardedAsync<T>(file: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw located(error, file === undefined ? {} : { file: printable(file) });
  }
}

function located(error: unknown, extra: ErrorDetails): SecateurError {
  if (error instanceof SecateurError) {
    if (extra.file === undefined || error.where.file !== undefined) return error;
    const message = `${extra.file}: ${error.message}`;
    // Subclasses differ in their constructors, so the located error is put on the prototype of the original.
    const copy = new SecateurError(error.code, message, { ...error.where, ...extra }, { cause: error });
    Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
    copy.name = error.name;
    return copy;
  }
  const text = error instanceof Error ? error.message : String(error);
  const prefix = extra.file === undefined ? "" : `${extra.file}: `;
  if (error instanceof RangeError && /allocation|array length|string length/i.test(text)) {
    return new FileError(
      "E_LIMIT",
      `${prefix}the model needs more memory than can be had (${text}).`,
      extra,
      {
        cause: error,
      },
    );
  }
  return new FileError(
    "E_INTERNAL",
    `${prefix}internal error while reading: ${text}. Please report it.`,
    extra,
    {
      cause: error,
    },
  );
}
