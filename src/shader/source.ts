/** Scalar types that a uniform field may be made of. */
export type ScalarType = "f32" | "i32" | "u32";

/** One variable in `@group(0)`. */
export interface ShaderBinding {
  readonly binding: number;
  /** "texels": a texture of vec4s that is read only. */
  readonly kind: "storage" | "texels" | "uniform";
  readonly access: "read" | "read_write";
  /** Of texels: what they are. */
  readonly format?: TexelFormat;
}

/** Four floats, or four words. */
export type TexelFormat = "rgba32float" | "rgba32uint";

/**
 * One field of the uniform struct. Scalar element `k` of `count` lies at byte
 * `offset + floor(k / lanes) * stride + (k mod lanes) * 4`.
 */
export interface UniformField {
  readonly type: ScalarType;
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  /** Scalars in all: 1 for a scalar, 4 for a vec4, 8 for two of them. */
  readonly count: number;
  /** Scalars that lie together. */
  readonly lanes: number;
  /** Bytes from one group of lanes to the next. */
  readonly stride: number;
}

export interface UniformLayout {
  /** Of the whole struct in bytes. */
  readonly size: number;
  readonly fields: Readonly<Record<string, UniformField>>;
}

export interface ShaderEntry {
  /** WGSL expressions over constants and overrides, one per dimension. */
  readonly workgroupSize: readonly [string, string, string];
  /** Names of the variables that this entry point reaches. */
  readonly bindings: readonly string[];
}

export interface ShaderOverride {
  readonly type: string;
  /** WGSL expression; absent where a value must be given. */
  readonly init?: string;
}

/** A marked `const` or `alias` whose value the loader may replace. */
export interface ShaderSpec {
  readonly kind: "const" | "alias";
  readonly init: string;
  /** As written behind `// @spec`. */
  readonly values: readonly string[];
}

/**
 * A kernel's text with its includes resolved, and what reflection found in it. Plain data: embedded by
 * `npm run shaders`, so nothing parses WGSL's grammar at run time.
 */
export interface ShaderSource {
  /** Composed text. */
  readonly code: string;
  /** The kernel's own file first, then its includes, relative to the project root. */
  readonly files: readonly string[];
  /** From line `start` of `code` on, lines are those of `files[file]` beginning at `line`; all but `file` count from 1. */
  readonly segments: readonly { readonly start: number; readonly file: number; readonly line: number }[];
  readonly entries: Readonly<Record<string, ShaderEntry>>;
  readonly bindings: Readonly<Record<string, ShaderBinding>>;
  readonly uniform?: UniformLayout;
  readonly overrides: Readonly<Record<string, ShaderOverride>>;
  /** Initialisers of the module's constants. */
  readonly constants: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, ShaderSpec>>;
  /** How many loops are marked `// @unroll`. */
  readonly unrollable: number;
}

/** File and line behind a line of composed text. */
export function locate(source: Pick<ShaderSource, "files" | "segments">, line: number): string {
  let found = source.segments[0];
  for (const segment of source.segments) if (segment.start <= line) found = segment;
  if (found === undefined) return `line ${line}`;
  return `${source.files[found.file]}:${found.line + Math.max(0, line - found.start)}`;
}
