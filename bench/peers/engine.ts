import type { Environment } from "../../src/report/environment.ts";
import type { Case, Operands } from "./cases.ts";

/** The engines that are timed, ours twice: alone, and by the marginal method as if within a network. */
export const engineNames = ["secateur", "secateur, in a net", "tfjs", "onnxruntime", "jax-js"] as const;
export type EngineName = (typeof engineNames)[number];

export type AdapterKind = "any" | "hardware" | "software";

/** What an engine says of itself once it is open. */
export interface EngineFacts {
  /** Packages and versions. */
  readonly version: string;
  /** Of the adapter it computes on, as `AdapterFacts.key`. */
  readonly adapterKey: string;
  /** Is the key what the engine itself reported? Else it is that of the adapter which it should find by itself. */
  readonly adapterReported: boolean;
  /** Ours alone tells. */
  readonly environment?: Environment;
}

/** A case in an engine's hands. */
export interface Prepared {
  /** The whole result, row-major in ONNX's layout, by the kernels that will be timed. */
  readonly output: Float32Array;
  /** What chose or names the kernels, where the engine says. */
  readonly kernel?: string;
  /** Milliseconds of one operation, of `repeats` in a row. */
  sample(repeats: number): Promise<number>;
  release(): void | Promise<void>;
}

/** One engine in a process of its own. Nothing is under way on the device between two calls. */
export interface Engine {
  readonly facts: EngineFacts;
  prepare(c: Case, operands: Operands): Promise<Prepared>;
}

/** Milliseconds per operation of `repeats` operations in a row. */
export async function timed(repeats: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / repeats;
}
