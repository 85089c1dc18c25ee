import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type ChannelGroups, channelGroups, withFrozen } from "./channel-groups.ts";
import { channelReaders } from "./channel-readers.ts";
import { chooseFilters } from "./choose-filters.ts";
import type { GraphTypes } from "./context.ts";
import type { Evidence } from "./evidence.ts";
import { classScores, type FilterLayer, filterLayers, skippedClasses, zeroRows } from "./filter-layers.ts";
import { layerMatches, type PrunableLayer } from "./layers.ts";
import { inexactClasses, maskFilters } from "./mask-filters.ts";
import type { LayerChannels, Method } from "./methods/method.ts";
import { shareOf } from "./options.ts";
import type { LayerResult, RecordedOptions } from "./record.ts";
import { recovered } from "./recover-filters.ts";
import { scoreLayer } from "./score.ts";
import { applyStructure, emptyStructure, type Structure, structureOf } from "./structure.ts";

const filter = { kind: "filter" } as const;

/** Whole filters with everything coupled to them: physically removed, or only masked with `keepShape`. */
export function pruneFilters(
  graph: Graph,
  types: GraphTypes,
  layers: readonly PrunableLayer[],
  method: Method,
  options: RecordedOptions,
  evidence: Evidence,
): {
  readonly graph: Graph;
  readonly layers: readonly LayerResult[];
  readonly structure: Structure;
  readonly notes: readonly string[];
} {
  const traced = channelGroups(graph, types);
  const filters = filterLayers(traced, layers);
  const held = withFrozen(traced, skippedClasses(filters, options.skip));
  for (const layer of layers) {
    const listed = typeof options.sparsity !== "number" && (shareOf(options, layer) ?? 0) > 0;
    if (!listed || filters.some((f) => f.layer === layer)) continue;
    throw new PruneError(
      `the filters of layer "${layer.name}" cannot be followed through the model. Leave it out of sparsity.`,
    );
  }
  const candidates = new Set(filters.flatMap(({ classes }) => classes.filter((c) => !held.frozen.has(c))));
  const inexact = inexactClasses(graph, types, held, candidates);
  // Nothing need be known of layers that are skipped, and they are left as they are.
  const open = layers.filter((layer) => !options.skip.some((name) => layerMatches(layer, name)));
  const readers = channelReaders(traced, open);
  const channels = new Map(
    filters.map(({ layer, classes }): [PrunableLayer, LayerChannels] => {
      const own = new Set(classes);
      return [layer, { classes, readers: readers.filter((r) => r.classes.some((c) => own.has(c))) }];
    }),
  );
  const refusals = filters.map(({ layer }) =>
    method.refuses?.({ graph, types, layer, channels: channels.get(layer)! }),
  );
  const scored = filters.filter(
    ({ classes }, i) => refusals[i] === undefined && classes.some((c) => candidates.has(c)),
  );
  const unscored = unscoredClasses(filters, refusals, candidates);
  const groups = withFrozen(withFrozen(held, unscored), inexact);
  if ([...candidates].every((c) => groups.frozen.has(c)))
    refuse(groups, filters.length, unscored.size > 0 ? method : undefined);
  const raw = scored.map(({ layer }) => {
    const scores = scoreLayer(graph, types, layer, method, filter, options, evidence, channels.get(layer));
    if (!scores.some(Number.isNaN)) return scores;
    throw new PruneError(
      `a filter of layer "${layer.name}" scores NaN; its weights or evidence contain NaN. Repair the model, or skip the layer.`,
    );
  });
  const zero = scored.map(({ layer }) => zeroRows(graph, layer));
  const normalise = options.scope === "global" && method.comparable !== true;
  const scores = classScores(groups.classCount, scored, raw, zero, normalise);
  const removed = chooseFilters(groups, filters, scores, {
    scope: options.scope as "global" | "layer",
    rates: filters.map(({ layer }) => shareOf(options, layer)),
    listed: typeof options.sparsity !== "number",
    rounding: options.rounding as "kept" | "removed",
    roundTo: options.roundTo,
  });
  const structure = options.keepShape ? emptyStructure : structureOf(groups, removed);
  const whole = recovered(graph, types, traced, open, removed, options.recover, evidence);
  const byWeight = new Map(filters.map((f) => [f.layer.weight, f.classes]));
  return {
    graph: options.keepShape
      ? maskFilters(whole.graph, groups, removed)
      : applyStructure(whole.graph, structure),
    structure,
    layers: layers.map(({ name, weight, rows }) => {
      const gone = (byWeight.get(weight) ?? []).filter((c) => removed.has(c)).length;
      return { layer: name, weight, units: rows, removed: gone };
    }),
    notes: [
      ...[...new Set([...inexact.values(), ...unscored.values()])].map((reason) => `kept whole: ${reason}`),
      ...whole.notes,
    ],
  };
}

/** Candidates of which the method can say nothing in any of their layers, with the reason. */
function unscoredClasses(
  filters: readonly FilterLayer[],
  refusals: readonly (string | undefined)[],
  candidates: ReadonlySet<number>,
): Map<number, string> {
  const reasons = new Map<number, string>();
  for (const [i, { classes }] of filters.entries()) {
    const reason = refusals[i];
    if (reason !== undefined) for (const c of classes) if (candidates.has(c)) reasons.set(c, reason);
  }
  for (const [i, { classes }] of filters.entries()) {
    if (refusals[i] === undefined) for (const c of classes) reasons.delete(c);
  }
  return reasons;
}

function refuse(groups: ChannelGroups, followed: number, silent: Method | undefined): never {
  const reasons = [...new Set(groups.frozen.values())].slice(0, 5);
  const why = followed === 0 ? "no layer's output channels can be followed" : reasons.join("; ");
  const cure = silent
    ? `Use another method than ${silent.name}, such as magnitude.`
    : "Prune it with granularity element or block instead.";
  throw new PruneError(`no filter of this model can be removed: ${why}. ${cure}`);
}
