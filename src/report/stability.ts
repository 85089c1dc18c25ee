import { mean, sampleStandardDeviation } from "simple-statistics";
import type { Graph } from "../graph/graph.ts";
import { recordOf } from "../prune/record.ts";
import { getNumber } from "../tensor/host-tensor.ts";

/** Mean and sample deviation of one value over several seeds. */
export interface Spread {
  readonly mean: number;
  /** Undefined for a single value. */
  readonly deviation?: number;
  readonly values: readonly number[];
}

export const spreadOf = (values: readonly number[]): Spread => ({
  mean: mean([...values]),
  ...(values.length > 1 && { deviation: sampleStandardDeviation([...values]) }),
  values,
});

/**
 * Jaccard index of what two prunings of one net kept: elements kept by both over elements kept by either. Elements count
 * where either graph has a mask; where whole channels were removed, the channels of every weight count instead. 1 where
 * nothing differs.
 */
export function overlap(a: Graph, b: Graph): number {
  let [both, either] = [0, 0];
  const count = (x: boolean, y: boolean): void => {
    if (x && y) both++;
    if (x || y) either++;
  };
  const [channels, others] = [keptChannels(a), keptChannels(b)];
  for (const key of new Set([...channels, ...others])) count(channels.has(key), others.has(key));
  for (const name of new Set([...a.masks.keys(), ...b.masks.keys()])) {
    const [x, y] = [a.masks.get(name), b.masks.get(name)];
    const length = (x ?? y)!.data.length;
    // Masks of different shape lie on other channels; those were compared already.
    if (x && y && x.data.length !== y.data.length) continue;
    for (let i = 0; i < length; i++)
      count(!x || getNumber(x.data, i) !== 0, !y || getNumber(y.data, i) !== 0);
  }
  return either === 0 ? 1 : both / either;
}

/** Channels that structural steps of the record left, each by its place in the net before the step. */
function keptChannels(graph: Graph): Set<string> {
  const kept = new Set<string>();
  for (const [i, step] of recordOf(graph).steps.entries()) {
    if (step.kind === "train") continue;
    for (const { weight, axis, kept: list } of step.structure.weights)
      for (const k of list) kept.add(`${i} ${weight} ${axis} ${k}`);
  }
  return kept;
}

/** Mean overlap over all pairs of seeds. */
export function meanOverlap(graphs: readonly Graph[]): number | undefined {
  const values: number[] = [];
  for (const [i, a] of graphs.entries()) for (const b of graphs.slice(i + 1)) values.push(overlap(a, b));
  return values.length === 0 ? undefined : mean(values);
}
