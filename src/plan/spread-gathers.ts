import { type Graph, type Node, withWeights } from "../graph/graph.ts";
import { inferTypes } from "../graph/infer.ts";
import { attributesOf } from "../graph/op.ts";
import { allocate } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";

/**
 * A Gather of columns in front of a Gemm, as `compact` writes it, costs a pass over the input that the Gemm can do without: its
 * kernels look columns up in a table anyway. The weight gets its unread columns back as zeros, which sparse formats skip, and
 * reads the whole value. Left alone where the weight is variable or anything else reads it or what is gathered.
 */
export function spreadGathers(
  graph: Graph,
  inputShapes: ReadonlyMap<string, Shape>,
  inputValues: ReadonlyMap<string, HostTensor>,
  variables: ReadonlySet<string>,
): Graph {
  const found = graph.nodes.flatMap((node) => {
    const indices = node.op === "Gather" ? graph.weights.get(node.inputs[1]!) : undefined;
    const gemm = indices && onlyReader(graph, node.outputs[0]!);
    const weight = gemm && spreadable(graph, gemm, node.outputs[0]!, variables);
    return weight ? [{ gather: node, indices: indices!, gemm: gemm!, weight }] : [];
  });
  if (found.length === 0) return graph;
  const { types } = inferTypes(graph, inputShapes, inputValues, { variables });
  const rewired = new Map<Node, Node>();
  const weights = new Map<string, HostTensor>();
  for (const { gather, indices, gemm, weight } of found) {
    const [value] = gather.inputs as [string];
    const shape = types.get(value)!.shape;
    const axis = attributesOf(gather).int("axis", 0);
    const columns = Array.from({ length: indices.data.length }, (_, k) => getNumber(indices.data, k));
    const once = new Set(columns).size === columns.length && columns.every((c) => c >= 0);
    if (shape.length !== 2 || (axis !== 1 && axis !== -1) || indices.shape.length !== 1 || !once) continue;
    rewired.set(gemm, { ...gemm, inputs: [value, ...gemm.inputs.slice(1)] });
    const transposed = attributesOf(gemm).int("transB", 0) !== 0;
    weights.set(gemm.inputs[1]!, spread(weight, transposed ? 1 : 0, columns, shape[1]!));
  }
  return withWeights({ ...graph, nodes: graph.nodes.map((node) => rewired.get(node) ?? node) }, weights);
}

/** The node that alone reads a value, once, where it is no graph output. */
function onlyReader(graph: Graph, value: string): Node | undefined {
  const readers = graph.nodes.flatMap((node) => node.inputs.filter((i) => i === value).map(() => node));
  return readers.length === 1 && !graph.outputs.some((o) => o.name === value) ? readers[0] : undefined;
}

/** The weight of a Gemm that may get more columns. */
function spreadable(
  graph: Graph,
  gemm: Node,
  value: string,
  variables: ReadonlySet<string>,
): HostTensor | undefined {
  const name = gemm.inputs[1] ?? "";
  const fits =
    gemm.op === "Gemm" &&
    gemm.inputs[0] === value &&
    attributesOf(gemm).int("transA", 0) === 0 &&
    !variables.has(name) &&
    onlyReader(graph, name) === gemm;
  return fits ? graph.weights.get(name) : undefined;
}

/** Slice k of `w` along `axis` becomes slice `places[k]` of `size`; the others are zero. */
function spread(w: HostTensor, axis: 0 | 1, places: readonly number[], size: number): HostTensor {
  const shape = axis === 1 ? [w.shape[0]!, size] : [size, w.shape[1]!];
  const data = allocate(w.dtype, shape[0]! * shape[1]!);
  const [rows, columns] = w.shape as [number, number];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const at = axis === 1 ? r * size + places[c]! : places[r]! * columns + c;
      setNumber(data, at, getNumber(w.data, r * columns + c));
    }
  }
  return { dtype: w.dtype, shape, data };
}
