/**
 * Every error the library throws on purpose is a {@link SecateurError} with a stable `code`; one subclass per kind
 * of fault. A message says what happened, gives the values, and says what to do.
 */
export type ErrorCode =
  // files
  | "E_TRUNCATED"
  | "E_HEADER_SIZE"
  | "E_HEADER_SYNTAX"
  | "E_LIMIT"
  | "E_DUPLICATE"
  | "E_DTYPE"
  | "E_SHAPE"
  | "E_OVERFLOW"
  | "E_OFFSETS"
  | "E_OVERLAP"
  | "E_HOLE"
  | "E_SIZE"
  | "E_METADATA"
  | "E_PROTO"
  | "E_PATH"
  | "E_EXTERNAL"
  | "E_FORMAT"
  | "E_IO"
  // graphs
  | "E_UNSUPPORTED"
  | "E_GRAPH"
  | "E_ATTRIBUTE"
  | "E_INDEX"
  // sparse formats and pruning
  | "E_SPARSE"
  | "E_PRUNE"
  | "E_PLAN"
  // training
  | "E_DIVERGED"
  | "E_ABORTED"
  // engine
  | "E_INPUT"
  | "E_DISPOSED"
  | "E_DEVICE_LOST"
  | "E_MEMORY"
  | "E_NO_ADAPTER"
  | "E_SHADER"
  | "E_GPU"
  | "E_TIMEOUT"
  | "E_VERIFY"
  | "E_INTERNAL"
  // command line
  | "E_USAGE";

/** Where in a file or graph the fault lies; every field optional, all of them already safe to print. */
export interface ErrorDetails {
  readonly file?: string;
  readonly offset?: number;
  readonly tensor?: string;
  readonly node?: string;
  readonly op?: string;
}

export class SecateurError extends Error {
  readonly code: ErrorCode;
  /** Not named `details`: test runners take that for text to print. */
  readonly where: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.where = details;
  }
}

/** A file or a stream of bytes that is damaged, hostile or beyond a limit. */
export class FileError extends SecateurError {}
/** A model that contradicts itself: shapes, attributes, names, indices. */
export class GraphError extends SecateurError {}
/** Something well-formed that this engine does not do; the message names it. */
export class UnsupportedError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_UNSUPPORTED", message, details);
  }
}
/** A sparse tensor whose indices do not fit together. */
export class SparseError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_SPARSE", message, details);
  }
}
/** A pruning request that cannot be met. */
export class PruneError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_PRUNE", message, details);
  }
}
/** A plan that does not fit its graph or adapter. */
export class PlanError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_PLAN", message, details);
  }
}
/** Training that went to infinity, or cannot go on. */
export class TrainingError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_DIVERGED", message, details);
  }
}
/** A value handed to a public function that it cannot take. */
export class InputError extends SecateurError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("E_INPUT", message, details);
  }
}
/** The device: none found, lost, out of memory, or a shader it refused. */
export class GpuError extends SecateurError {}
/** Wrong usage of the command line. */
export class UsageError extends SecateurError {
  constructor(message: string) {
    super("E_USAGE", message);
  }
}

/** Model text made safe to print: control characters escaped, at most 100 characters. */
export function printable(text: string): string {
  const cut = text.length > 100 ? `${text.slice(0, 97)}...` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped here
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** For states that only a fault of our own can reach. */
export function internal(message: string): never {
  throw new SecateurError("E_INTERNAL", `internal error: ${message}. Please report it.`);
}
