import { internal } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { type HostTensor, tensor } from "../tensor/host-tensor.ts";
import { type Attribute, type Graph, type GraphValue, makeGraph, type Node } from "./graph.ts";

export interface NodeOptions {
  /** Node name; the op with a running number unless said. */
  readonly name?: string;
  /** Names of the outputs; one output named as the node unless said. */
  readonly outputs?: readonly string[];
}

/** Puts a graph together value by value; every method that makes a value returns its name. */
export interface GraphBuilder {
  /** A graph input, f32 unless said; unknown dimensions are null. */
  input(name: string, shape: readonly (number | null)[], dtype?: DType): string;
  /** A named weight. */
  weight(name: string, value: HostTensor): string;
  /** A nameless constant: a tensor, or a list of whole numbers as 1-D i64 (a shape, axes, pads). */
  constant(value: HostTensor | readonly number[], name?: string): string;
  /** A node; returns its first output. "" leaves an optional operand out. */
  node(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    options?: NodeOptions,
  ): string;
  /** Declares a value as graph output. */
  output(name: string, shape: readonly (number | null)[], dtype?: DType): void;
  metadata(key: string, text: string): void;
  /** The checked graph; throws what `makeGraph` throws. */
  build(): Graph;
}

export function graphBuilder(name: string): GraphBuilder {
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  const nodes: Node[] = [];
  const weights = new Map<string, HostTensor>();
  const metadata = new Map<string, string>();
  let anonymous = 0;
  const weight = (key: string, value: HostTensor): string => {
    if (weights.has(key)) internal(`weight "${key}" is added twice to graph "${name}"`);
    weights.set(key, value);
    return key;
  };
  return {
    input(key, shape, dtype = "f32") {
      inputs.push({ name: key, dtype, shape });
      return key;
    },
    weight,
    constant(value, key) {
      const list = Array.isArray(value)
        ? tensor(value as readonly number[], [value.length], "i64")
        : (value as HostTensor);
      return weight(key ?? `constant_${anonymous++}`, list);
    },
    node(op, operands, attributes = {}, options = {}) {
      const key = options.name ?? `${op}_${nodes.length}`;
      const results = options.outputs ?? [key];
      nodes.push({
        name: key,
        op,
        inputs: operands,
        outputs: results,
        attributes: new Map(Object.entries(attributes)),
      });
      return results[0] ?? internal(`node "${key}" has no output`);
    },
    output(key, shape, dtype = "f32") {
      outputs.push({ name: key, dtype, shape });
    },
    metadata(key, text) {
      metadata.set(key, text);
    },
    build: () => makeGraph({ name, inputs, outputs, nodes, weights, metadata }),
  };
}
