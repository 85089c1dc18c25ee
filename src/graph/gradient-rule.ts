import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Attribute } from "./graph.ts";
import type { OpContext, TensorType } from "./op.ts";

/**
 * What a gradient rule sees of one node, and how it adds nodes to the gradient's graph. Every shape is known. Values are
 * named by strings, as in a graph.
 */
export interface GradientContext extends OpContext {
  readonly outputs: readonly TensorType[];
  /** Name of input `i` of the node ("" where it was left out) and of its output `i`. */
  in(i: number): string;
  out(i: number): string;
  /** The gradient of the loss with respect to output `i`; undefined where the loss does not depend on it. */
  incoming(i: number): string | undefined;
  /** The gradient of output 0, which is there whenever the node has only one output. */
  readonly dy: string;
  /** Is the gradient with respect to input `i` asked for? A rule saves the work where it is not. */
  wants(i: number): boolean;
  /** Adds a node with one output and returns its name. */
  emit(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  /** The same for a node of several outputs. */
  emitMany(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: Readonly<Record<string, Attribute>>,
  ): readonly string[];
  /** A constant: a tensor, or a list of whole numbers as 1-D i64. */
  constant(value: HostTensor | readonly number[]): string;
  /** A 0-D f32 constant. */
  scalar(value: number): string;
  /** Sums `name` of shape `from` over the axes along which `to` was broadcast to it; the result has shape `to`. */
  sumTo(name: string, from: Shape, to: Shape): string;
  /** E_UNSUPPORTED naming the node. */
  refuse(why: string): never;
}

/** Gradients with respect to the inputs, in order; undefined where there is none or none is wanted. */
export type GradientRule = (g: GradientContext) => readonly (string | undefined)[];

/** For ops whose outputs are locally constant (comparisons, indices, shapes): nothing flows back. */
export const noGradient: GradientRule = () => [];
