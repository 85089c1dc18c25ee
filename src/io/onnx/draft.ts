import { printable, UnsupportedError } from "../../errors.ts";
import type { Attribute, GraphValue, Node } from "../../graph/graph.ts";
import type { TensorType } from "../../graph/op.ts";
import { findOp } from "../../graph/ops/index.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, tensor } from "../../tensor/host-tensor.ts";

/** A graph under construction while nodes of an older opset are rewritten, in the order of the file. */
export interface Draft {
  readonly nodes: Node[];
  readonly weights: Map<string, HostTensor>;
  /** A value name that nothing else uses, resembling `base`. */
  fresh(base: string): string;
  /** A new 1-D i64 constant. */
  ints(values: readonly number[], base: string): string;
  /** A new constant. */
  constant(value: HostTensor, base: string): string;
  /** Appends a node and works out what is known of its outputs. */
  add(node: Node): void;
  /** Does any node or graph output read this value? */
  isRead(name: string): boolean;
  /** Shape of a value as far as it is known, unknown dimensions null; undefined where not even the rank is known. */
  shape(name: string): readonly (number | null)[] | undefined;
  dtype(name: string): DType | undefined;
}

/**
 * Unknown dimensions are followed by working every shape out twice, with these two sizes in their place: what comes out
 * equal both times is known. Large primes, so that windows fit and divisibility is not met by accident.
 */
const probes = [1009, 2003] as const;

type Known = Map<string, TensorType>;

export function makeDraft(
  inputs: readonly GraphValue[],
  weights: Map<string, HostTensor>,
  used: Set<string>,
  read: ReadonlySet<string>,
): Draft {
  const nodes: Node[] = [];
  const repeats = new Map<string, number>();
  const worlds: Known[] = probes.map((size) => {
    return new Map(
      inputs.map(({ name, dtype, shape }) => [name, { dtype, shape: shape.map((d) => d ?? size) }]),
    );
  });
  const typeIn = (world: Known, name: string): TensorType | undefined => world.get(name) ?? weights.get(name);
  const draft: Draft = {
    nodes,
    weights,
    fresh(base) {
      let name = base;
      while (used.has(name)) {
        const i = (repeats.get(base) ?? 0) + 1;
        repeats.set(base, i);
        name = `${base}_${i}`;
      }
      used.add(name);
      return name;
    },
    ints: (values, base) => draft.constant(tensor(values, [values.length], "i64"), base),
    constant(value, base) {
      const name = draft.fresh(base);
      weights.set(name, value);
      return name;
    },
    add(node) {
      nodes.push(node);
      for (const world of worlds) follow(node, world, weights, typeIn);
    },
    isRead: (name) => read.has(name),
    shape(name) {
      const [a, b] = worlds.map((world) => typeIn(world, name)?.shape);
      if (!a || !b || a.length !== b.length) return undefined;
      return a.map((d, i) => (d === b[i] ? d : null));
    },
    dtype: (name) => typeIn(worlds[0]!, name)?.dtype,
  };
  return draft;
}

/** Infers one node where everything about it is known; what cannot be inferred now is checked later, on the whole graph. */
function follow(
  node: Node,
  world: Known,
  weights: ReadonlyMap<string, HostTensor>,
  typeIn: (world: Known, name: string) => TensorType | undefined,
): void {
  const op = findOp(node.op);
  const types = node.inputs.map((name) => (name === "" ? undefined : typeIn(world, name)));
  if (!op || node.inputs.some((name, i) => name !== "" && !types[i])) return;
  try {
    const outputs = op.infer({ node, inputs: types, value: (i) => weights.get(node.inputs[i] ?? "") });
    for (const [i, type] of outputs.entries()) if (node.outputs[i]) world.set(node.outputs[i], type);
  } catch {
    // Not an error yet: shapes that depend on run-time values are known only after folding.
  }
}

/** An older form that has none today. */
export function refuse(node: Node, why: string): never {
  const where = { op: printable(node.op), node: printable(node.name) };
  throw new UnsupportedError(`${where.op} "${where.node}": ${why}`, where);
}

/** A node like `node` with some parts replaced. */
export const altered = (
  node: Node,
  parts: { op?: string; inputs?: readonly string[]; outputs?: readonly string[]; attributes?: Changes },
): Node => {
  const attributes = new Map(node.attributes);
  for (const [name, value] of parts.attributes ?? []) {
    if (value === undefined) attributes.delete(name);
    else attributes.set(name, value);
  }
  return {
    name: node.name,
    op: parts.op ?? node.op,
    inputs: parts.inputs ?? node.inputs,
    outputs: parts.outputs ?? node.outputs,
    attributes,
  };
};

/** Attribute changes: undefined removes. */
export type Changes = readonly (readonly [string, Attribute | undefined])[];
