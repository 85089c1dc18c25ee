import type { Case, Operands } from "./cases.ts";
import type { EngineFacts } from "./engine.ts";

/** What the bench asks of an engine's process. */
export type Request =
  | { readonly kind: "prepare"; readonly case: Case; readonly operands: Operands }
  | { readonly kind: "sample"; readonly repeats: number }
  | { readonly kind: "release" };

export interface PreparedReply {
  readonly output: Float32Array;
  readonly kernel?: string;
}

export interface Sample {
  /** Milliseconds of one operation. */
  readonly ms: number;
  /** Of the whole sample: wall time, and processor time of the engine's process. */
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** First the facts, unasked; then one reply to each request. */
export type Reply =
  | { readonly ok: true; readonly value: EngineFacts | PreparedReply | Sample | undefined }
  | { readonly ok: false; readonly reason: string };
