import type { TensorType } from "../graph/op.ts";
import type { Forced } from "../plan/choose.ts";
import type { Precision } from "../plan/half-weights.ts";
import type { ActivationLayout } from "../plan/layouts.ts";
import type { Plan } from "../plan/plan.ts";
import type { TuningStore } from "../plan/tuning.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { DeviceProgram } from "./device-program.ts";

export interface CompileOptions {
  /**
   * How each layer's format and kernel are chosen: "estimated" (default; no timing), "measured" (times the candidates on
   * this adapter), "dense", "csr", "block" or "nm" (that format wherever it applies), or a saved Plan.
   */
  readonly plan?: "measured" | "estimated" | Forced | Plan;
  /**
   * "f16-weights" rounds the constant weights of Conv, ConvTranspose, Gemm and MatMul to half precision, so that formats of half the
   * bytes may hold them; results change within that rounding, and `verify` compares with a reference of the rounded weights. "f16" does
   * so too, and lets kernels round activations to half precision as they multiply them, in smaller loads or on the adapter's matrix units
   * (what exceeds 65,504 is cut to it); sums stay f32, and `verify` allows 1e-2. "f32" unless given: no plan changes a value by itself.
   */
  readonly precision?: Precision;
  /**
   * Seconds that "measured" may spend on measuring, in all that this session compiles: the layers that cost most come first,
   * the cost model decides about the rest. 0 takes only what is known from before; no limit unless given.
   */
  readonly budget?: number;
  /**
   * Where measurements are kept and looked for. Unless given, in Node a folder of the user's caches (SECATEUR_TUNING_CACHE
   * names another, or is "off"), in a browser the memory of the Gpu.
   */
  readonly tuning?: TuningStore;
  /**
   * How activations lie in the whole net: "batch-innermost" or "planar" (image after image). Unless given, a saved plan says; else the
   * cheaper by the cost model, or under "measured", where both are likely, the one in which the whole net measured faster.
   */
  readonly activations?: ActivationLayout;
  /** Shapes of inputs whose dimensions the graph leaves open. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** What open first dimensions become; 1 unless said. */
  readonly batch?: number;
  /** Record a timestamp per dispatch; `session.profile()` then tells where the time went. */
  readonly profile?: boolean;
  /**
   * Leave dead structure out before planning (default true): channels that are constant or read by nobody because of zeros,
   * exactly as `compact` removes them. A graph with variables is compiled as it stands.
   */
  readonly compact?: boolean;
  /** Weights that may be rewritten between runs with `session.write`. */
  readonly variables?: readonly string[];
  /** Told about long work: layers measured so far. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

/** Everything that running one set of input shapes needs. */
export interface Specialised {
  readonly device: DeviceProgram;
  readonly plan: Plan;
  readonly layers: readonly {
    readonly name: string;
    readonly op: string;
    readonly fused: readonly string[];
  }[];
  readonly outputs: ReadonlyMap<string, TensorType>;
  /** Outputs that do not depend on any input. */
  readonly constantOutputs: ReadonlyMap<string, HostTensor>;
}
