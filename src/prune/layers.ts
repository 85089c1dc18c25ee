import type { Graph } from "../graph/graph.ts";
import { findOp } from "../graph/ops/index.ts";
import { isFloat } from "../tensor/dtype.ts";
import { type Shape, sizeOf } from "../tensor/shape.ts";
import { contextOf, type GraphTypes } from "./context.ts";
import type { Granularity } from "./granularity.ts";

/**
 * One prunable weight (of Conv, Gemm or MatMul; never a bias, never BatchNormalization), seen as a matrix of output
 * channels (rows) by everything else (columns, in the order of the remaining axes).
 */
export interface PrunableLayer {
  /** Name of the first node that reads the weight; what reports and `skip` call the layer. */
  readonly name: string;
  /** Names of all nodes that read it. */
  readonly nodes: readonly string[];
  readonly weight: string;
  readonly shape: Shape;
  readonly outAxis: number;
  readonly inAxis: number;
  readonly rows: number;
  readonly cols: number;
}

/** Every prunable weight once, in the order of the nodes that read it. */
export function prunableLayers(graph: Graph, types: GraphTypes): PrunableLayer[] {
  const layers = new Map<string, PrunableLayer>();
  for (const node of graph.nodes) {
    const context = contextOf(graph, types, node);
    const found = findOp(node.op)?.prunable?.(context);
    if (!found) continue;
    const weight = node.inputs[found.input] ?? "";
    const tensor = graph.weights.get(weight);
    if (!tensor || !isFloat(tensor.dtype) || tensor.data.length === 0) continue;
    const known = layers.get(weight);
    if (known) {
      layers.set(weight, { ...known, nodes: [...known.nodes, node.name] });
      continue;
    }
    const rows = tensor.shape[found.outAxis]!;
    layers.set(weight, {
      name: node.name === "" ? weight : node.name,
      nodes: [node.name],
      weight,
      shape: tensor.shape,
      outAxis: found.outAxis,
      inAxis: found.inAxis,
      rows,
      cols: tensor.data.length / rows,
    });
  }
  return [...layers.values()];
}

/** Does a name given by the user mean this layer: its node, its weight, or the weight without `.weight`? */
export const layerMatches = (layer: PrunableLayer, name: string): boolean =>
  layer.weight === name ||
  `${name}.weight` === layer.weight ||
  layer.name === name ||
  layer.nodes.includes(name);

/** How many units of this granularity the layer has. */
export function unitCount(layer: PrunableLayer, g: Granularity): number {
  if (g.kind === "element") return layer.rows * layer.cols;
  return g.kind === "filter" ? layer.rows : Math.ceil(layer.rows / g.rows) * layer.cols;
}

/** Calls `visit` for every element of the weight in memory order, with its place in the matrix [rows, cols]. */
export function forEachCell(
  layer: PrunableLayer,
  visit: (element: number, row: number, column: number) => void,
): void {
  const before = sizeOf(layer.shape.slice(0, layer.outAxis));
  const after = sizeOf(layer.shape.slice(layer.outAxis + 1));
  let element = 0;
  for (let p = 0; p < before; p++) {
    for (let row = 0; row < layer.rows; row++) {
      for (let q = 0; q < after; q++) visit(element++, row, p * after + q);
    }
  }
}

/**
 * Calls `visit(element, unit)` for every element of the weight in memory order. Units are numbered: elements by their
 * place in memory, blocks and the cells of N:M row of blocks by row of blocks, filters by output channel.
 */
export function forEachElement(
  layer: PrunableLayer,
  g: Granularity,
  visit: (element: number, unit: number) => void,
): void {
  if (g.kind === "element") {
    for (let i = 0; i < layer.rows * layer.cols; i++) visit(i, i);
  } else if (g.kind === "filter") forEachCell(layer, visit);
  else {
    forEachCell(layer, (element, row, column) =>
      visit(element, Math.floor(row / g.rows) * layer.cols + column),
    );
  }
}

/** Scores of units as sums over their elements. */
export function unitSums(
  layer: PrunableLayer,
  g: Granularity,
  value: (element: number) => number,
): Float64Array {
  const sums = new Float64Array(unitCount(layer, g));
  forEachElement(layer, g, (element, unit) => {
    sums[unit]! += value(element);
  });
  return sums;
}
