import type { Graph, Node } from "../graph/graph.ts";
import type { TensorType } from "../graph/op.ts";
import type { Activation } from "../kernels/activation.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import type { WeightPlace } from "../kernels/columns/realise.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Weights of a columns step: known now, or in a device buffer that may change from run to run. */
export type StepWeight =
  | { readonly kind: "constant"; readonly name: string; readonly matrix: WeightMatrix }
  | {
      readonly kind: "variable";
      /** The value it is read from: a variable weight or a graph input. */
      readonly name: string;
      readonly place: WeightPlace;
      /** Factor per row: a BatchNormalization folded into the packing. */
      readonly scale: Float32Array;
    };

export type StepBias =
  | { readonly kind: "constant"; readonly values: Float32Array }
  | { readonly kind: "value"; readonly name: string };

/**
 * One pixel axis of a columns step. Output `start + o · every` (o below `out`) reads x at o · stride + each of `taps`, which
 * may lie before 0 or behind the end: there x carries a halo of zeros. A convolution writes every output; the transpose of a
 * strided one falls apart into steps of which each writes every `every`-th.
 */
export interface WindowAxis {
  readonly taps: readonly number[];
  readonly stride: number;
  readonly out: number;
  readonly start: number;
  readonly every: number;
}

/** Conv, ConvTranspose, Gemm or MatMul with everything fused into it that its kernel's store can do. */
export interface ColumnsStep {
  readonly kind: "columns";
  /** Layer name: that of the node it grew from. */
  readonly name: string;
  readonly node: Node;
  readonly input: string;
  readonly output: string;
  readonly residual: string | undefined;
  readonly channelAxis: number;
  readonly groups: number;
  readonly rows: number;
  /** Input channels per group. */
  readonly channels: number;
  /** One per pixel axis; none for Gemm. */
  readonly window: readonly WindowAxis[];
  readonly weight: StepWeight;
  readonly bias: StepBias;
  readonly activation: Activation;
  /** Names of the nodes fused into it, itself first. */
  readonly fused: readonly string[];
}

/** Any other node, run by the lowering of its op. */
export interface OpStep {
  readonly kind: "op";
  readonly name: string;
  readonly node: Node;
  readonly output: string;
  /** Added to the first output before its activation, where the op's lowering can. */
  readonly residual: string | undefined;
  readonly activation: Activation;
  readonly fused: readonly string[];
}

export type Step = ColumnsStep | OpStep;

/** Every value that a step reads, fused operands included. */
export function operandsOf(step: Step): readonly string[] {
  const inputs = step.residual === undefined ? step.node.inputs : [...step.node.inputs, step.residual];
  if (step.kind === "op") return inputs;
  const { weight, bias } = step;
  return [
    ...inputs,
    ...(weight.kind === "variable" ? [weight.name] : []),
    ...(bias.kind === "value" ? [bias.name] : []),
  ];
}

/** A graph with every shape known, constants worked out and fusable neighbours merged. */
export interface Program {
  readonly graph: Graph;
  readonly steps: readonly Step[];
  readonly types: ReadonlyMap<string, TensorType>;
  readonly constants: ReadonlyMap<string, HostTensor>;
  /** Weights that live in device buffers of their own. */
  readonly variables: ReadonlySet<string>;
}
