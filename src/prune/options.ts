import { InputError, PruneError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { allocations, findAllocation } from "./allocations/index.ts";
import type { FilterRounding } from "./budget.ts";
import type { Evidence } from "./evidence.ts";
import { fixedSparsity, type Granularity, granularityName, parseGranularity } from "./granularity.ts";
import { layerMatches, type PrunableLayer } from "./layers.ts";
import { findMethod } from "./methods/index.ts";
import type { Method, Norm, Scope } from "./methods/method.ts";
import type { RecordedOptions } from "./record.ts";
import { type Recovery, recoveries } from "./recover.ts";
import type { InputShapes } from "./types.ts";

/** What `prune` is asked to do. */
export interface PruneOptions {
  /** Name of a method, e.g. "magnitude" (see `methods`). */
  readonly method: string;
  /**
   * "element", "block2x1" … "block16x1", "2:4", "4:8" …, "2:4x8" (a pattern shared by 8 rows), "filter". Default: the
   * method's.
   */
  readonly granularity?: string;
  /**
   * Share to remove, from 0 to below 1: of the prunable weights (element), of their blocks, or of the filters. Or one share
   * per layer (by node or weight name); layers that are not named are left alone. N:M fixes it: leave it out.
   */
  readonly sparsity?: number | Readonly<Record<string, number>>;
  /**
   * Compare scores over the whole net, inside each layer, or inside each row (output channel) of a layer. Default: what the
   * allocation says, else what the method is published with, else "layer" for filter and lists, else "global".
   */
  readonly scope?: Scope;
  /** How one share is spread over the layers: "global", "uniform", "erk" or "lamp" (see `allocations`). */
  readonly allocation?: string;
  /** Seed of methods that draw (default 0). */
  readonly seed?: number;
  /** Norm over blocks and filters (default "l1"). */
  readonly norm?: Norm;
  /** Layers left alone, by node or weight name. */
  readonly skip?: readonly string[];
  /** Filters: kept counts become multiples of this (default 1). */
  readonly roundTo?: number;
  /** Filters: which published rule turns a rate into a count (default: the method's, else "kept"; see `keptFilters`). */
  readonly rounding?: FilterRounding;
  /** Filters: only mask, do not remove (default false). */
  readonly keepShape?: boolean;
  /**
   * What stays makes up for what went: "bias" or "least-squares" (see `recover` and, for filters, `recovered`). Default: the
   * method's, else "none".
   */
  readonly recover?: Recovery | "none";
  /** What method and recovery need to know beyond the weights. */
  readonly evidence?: Evidence;
  /** A representative shape for inputs with unknown dimensions other than the first. */
  readonly inputShapes?: InputShapes;
}

const known: ReadonlySet<string> = new Set<keyof PruneOptions>([
  "method",
  "granularity",
  "sparsity",
  "scope",
  "allocation",
  "seed",
  "norm",
  "skip",
  "roundTo",
  "rounding",
  "keepShape",
  "recover",
  "evidence",
  "inputShapes",
]);

/** Checks the options and fills in defaults. Throws E_INPUT for values of the wrong kind, E_PRUNE for a share out of range. */
export function fillOptions(options: PruneOptions): RecordedOptions {
  if (typeof options !== "object" || options === null) {
    throw new InputError("prune needs options: { method, granularity, sparsity, … }.");
  }
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new InputError(`prune has no option "${printable(name)}". It takes ${[...known].join(", ")}.`);
    }
  }
  const method = findMethod(options.method);
  const granularity = parseGranularity(options.granularity ?? method.defaults?.granularity ?? "element");
  if (!method.granularities.includes(granularity.kind)) {
    throw new PruneError(
      `method ${method.name} cannot score granularity ${granularityName(granularity)}; it does ${method.granularities.join(", ")}.`,
    );
  }
  const filter = granularity.kind === "filter";
  for (const name of ["roundTo", "rounding", "keepShape"] as const) {
    if (options[name] !== undefined && !filter) {
      throw new PruneError(
        `${name} is for granularity filter, but granularity is ${granularityName(granularity)}. Leave it out.`,
      );
    }
  }
  const sparsity = sparsityOf(options.sparsity, granularity);
  const { scope, allocation } = spreadOf(options, method, granularity);
  const keepShape: unknown = options.keepShape ?? false;
  if (typeof keepShape !== "boolean") {
    throw new InputError(`keepShape is ${String(keepShape)}; it is true or false.`);
  }
  const recover = oneOf(
    options.recover,
    [...recoveries, "none"],
    (filter && method.defaults?.recover) || "none",
    "recover",
  );
  const skip: unknown = options.skip ?? [];
  if (!Array.isArray(skip) || !skip.every((s) => typeof s === "string")) {
    throw new InputError("skip is a list of layer names.");
  }
  return {
    method: method.name,
    granularity: granularityName(granularity),
    sparsity,
    scope,
    ...(allocation !== undefined && { allocation }),
    seed: wholeNumber(options.seed ?? 0, "seed", 0, 2 ** 32 - 1),
    norm: oneOf(options.norm, ["l1", "l2"], "l1", "norm"),
    skip: [...skip],
    roundTo: wholeNumber(options.roundTo ?? 1, "roundTo", 1, 1 << 20),
    rounding: oneOf(
      options.rounding,
      ["kept", "removed"],
      (filter && method.defaults?.rounding) || "kept",
      "rounding",
    ),
    keepShape,
    ...(recover !== "none" && { recover }),
    ...(options.inputShapes && {
      inputShapes: Object.entries(options.inputShapes).map(([input, shape]) => ({
        input,
        shape: [...shape],
      })),
    }),
  };
}

function oneOf<T extends string>(value: unknown, values: readonly T[], fallback: T, what: string): T {
  const found = value === undefined ? fallback : values.find((name) => name === value);
  if (found !== undefined) return found;
  throw new InputError(`${what} is "${printable(String(value))}"; it is one of ${values.join(", ")}.`);
}

/** Scope and allocation that belong together; the allocation is named only where it says more than the scope. */
function spreadOf(
  options: PruneOptions,
  method: Method,
  granularity: Granularity,
): { readonly scope: Scope; readonly allocation?: string } {
  const filter = granularity.kind === "filter";
  const listed = typeof options.sparsity === "object";
  const allocation = options.allocation === undefined ? undefined : findAllocation(options.allocation);
  const published = method.defaults?.scope;
  // Scores of a list are compared inside its layers, or closer.
  const own = allocation?.scope ?? (listed && published !== "row" ? "layer" : published);
  const scope = oneOf(
    options.scope,
    ["global", "layer", "row"],
    own ?? (filter ? "layer" : "global"),
    "scope",
  );
  if (granularity.kind === "n:m") {
    if (options.scope === undefined && options.allocation === undefined) return { scope: "layer" };
    throw new PruneError(
      `granularity ${granularityName(granularity)} decides inside every group of ${granularity.of}. Leave scope and allocation out.`,
    );
  }
  if (filter && scope === "row") {
    throw new PruneError("a filter is a whole row, so scope is global or layer for granularity filter.");
  }
  if (listed && (scope === "global" || allocation)) {
    throw new PruneError(
      `a sparsity per layer leaves nothing to ${allocation ? "allocate" : "compare globally"}. Leave scope and allocation out.`,
    );
  }
  if (scope === "row" && method.solve) {
    throw new PruneError(
      `method ${method.name} weighs the weights of a layer against each other, so scope row is not for it. Use layer.`,
    );
  }
  if (!allocation) return { scope };
  if (scope === "row" && allocation.name !== "uniform") {
    throw new PruneError(
      `scope row gives every row of a layer the same share, which allocation ${allocation.name} contradicts. Leave one of them out.`,
    );
  }
  if (allocation.normalise && method.solve) {
    throw new PruneError(
      `allocation ${allocation.name} ranks scores, and method ${method.name} has none: it chooses by itself. Use uniform or erk.`,
    );
  }
  if (filter && allocation.name !== allocation.scope && allocation.name !== "uniform") {
    throw new PruneError(
      `allocation ${allocation.name} is for single weights and blocks; coupled filters cannot follow it. Use ${allocations[0]!.name} or ${allocations[1]!.name}.`,
    );
  }
  if (options.scope !== undefined && (scope === "global") !== (allocation.scope === "global")) {
    throw new PruneError(
      `allocation ${allocation.name} compares scores ${allocation.scope === "global" ? "over the whole net" : "inside each layer"}, which scope ${scope} contradicts. Leave scope out.`,
    );
  }
  if (allocation.name === "global" || allocation.name === "uniform") return { scope };
  return { scope, allocation: allocation.name };
}

/** How far a share may be from the one that N:M fixes. */
const sameShare = 0.005;

function sparsityOf(
  sparsity: PruneOptions["sparsity"],
  granularity: Granularity,
): RecordedOptions["sparsity"] {
  const fixed = fixedSparsity(granularity);
  if (fixed !== undefined) {
    if (sparsity === undefined || (typeof sparsity === "number" && Math.abs(sparsity - fixed) < sameShare))
      return fixed;
    throw new PruneError(
      `granularity ${granularityName(granularity)} removes ${+(100 * fixed).toFixed(1)} % of every layer, which sparsity ${typeof sparsity === "number" ? sparsity : "per layer"} contradicts. Leave sparsity out, and name layers to leave alone in skip.`,
    );
  }
  if (sparsity === undefined) {
    throw new PruneError(
      `sparsity is missing; it is the share to remove, a number from 0 to below 1 (0.9 removes 90 %).`,
    );
  }
  if (typeof sparsity !== "object" || sparsity === null) return checkShare(sparsity, "sparsity");
  return Object.entries(sparsity).map(([layer, share]) => ({
    layer,
    sparsity: checkShare(share, `sparsity of "${printable(layer)}"`),
  }));
}

function checkShare(share: unknown, what: string): number {
  if (typeof share === "number" && share >= 0 && share < 1) return share;
  throw new PruneError(
    `${what} is ${printable(String(share))}; it is the share to remove, a number from 0 to below 1 (0.9 removes 90 %).`,
  );
}

/**
 * Checks the names in `skip` (any node or weight, so that a list may name more than is prunable) and in a list of shares
 * (prunable layers only). Throws E_PRUNE with the names there are.
 */
export function checkNames(options: RecordedOptions, layers: readonly PrunableLayer[], graph: Graph): void {
  const nodes = new Set(graph.nodes.map((node) => node.name));
  const listed = typeof options.sparsity === "number" ? [] : options.sparsity.map((s) => s.layer);
  const wrong = [
    ...options.skip.filter(
      (name) => !nodes.has(name) && !graph.weights.has(name) && !graph.weights.has(`${name}.weight`),
    ),
    ...listed.filter((name) => !layers.some((layer) => layerMatches(layer, name))),
  ];
  if (wrong.length === 0) {
    checkTwice(listed, layers);
    return;
  }
  const names = layers.map((layer) => printable(layer.name));
  const shown =
    names.length > 40 ? `${names.slice(0, 40).join(", ")}, … (${names.length} in all)` : names.join(", ");
  throw new PruneError(`there is no prunable layer "${printable(wrong[0]!)}". The layers are ${shown}.`);
}

function checkTwice(listed: readonly string[], layers: readonly PrunableLayer[]): void {
  for (const layer of layers) {
    const [first, second] = listed.filter((name) => layerMatches(layer, name));
    if (second === undefined) continue;
    throw new PruneError(
      `sparsity lists layer "${printable(layer.name)}" twice, as "${printable(first!)}" and as "${printable(second)}". Give it one share.`,
    );
  }
}

/** The share asked of a layer: undefined where it is skipped or not on the list. */
export function shareOf(options: RecordedOptions, layer: PrunableLayer): number | undefined {
  if (options.skip.some((name) => layerMatches(layer, name))) return undefined;
  if (typeof options.sparsity === "number") return options.sparsity;
  return options.sparsity.find((s) => layerMatches(layer, s.layer))?.sparsity;
}
