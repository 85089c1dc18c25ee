import { UsageError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { publishedSparsity } from "../prune/allocations/published.ts";
import { slimming } from "../prune/methods/slimming.ts";
import type { Recovery } from "../prune/recover.ts";
import { sharesOfThresholds } from "../recipes/han.ts";
import type { PruningRequest } from "../recipes/run.ts";
import { fraction, number } from "./context.ts";

/** A share, shares by layer, the name of a published list, or Han's thresholds in deviations of each layer. */
export type SparsityArgument =
  | { readonly kind: "share"; readonly share: number }
  | { readonly kind: "layers"; readonly shares: Readonly<Record<string, number>> }
  | { readonly kind: "published"; readonly name: string }
  | { readonly kind: "quality"; readonly quality: Readonly<Record<string, number>> };

/** What the command line says about one pruning. */
export interface PruneArguments {
  readonly method: string;
  readonly granularity?: string;
  readonly sparsity?: SparsityArgument;
  readonly scope?: "global" | "layer" | "row";
  readonly allocation?: string;
  readonly norm?: "l1" | "l2";
  readonly skip: string[];
  readonly roundTo?: number;
  readonly rounding?: "kept" | "removed";
  readonly keepShape?: boolean;
  readonly images?: number;
  readonly rounds?: number;
  readonly spacing?: "geometric" | "linear";
  readonly layerByLayer?: boolean;
  readonly retrain?: number;
  readonly lr?: number;
  readonly batch?: number;
  readonly weightDecay?: number;
  readonly l1?: number;
  readonly l1Scales?: number;
  readonly fromScratch?: boolean;
  readonly recover?: Recovery | "none";
  readonly recalibrate?: boolean;
  readonly set: string[];
}

/** Reads `0.9`, `conv1=0.3,ip1=0.9`, `published:NAME` or `quality:conv1=0.25,ip1=0.875`. */
export function sparsityArgument(text: string): SparsityArgument {
  const [, kind, rest = text] = /^(published|quality):(.*)$/.exec(text) ?? [];
  if (kind === "published") return { kind, name: rest };
  if (kind === "quality") return { kind, quality: listOf(rest, number("--sparsity", { from: 0 })) };
  if (!text.includes("=")) return { kind: "share", share: fraction("--sparsity")(text) };
  return { kind: "layers", shares: listOf(text, fraction("--sparsity")) };
}

function listOf(text: string, read: (text: string) => number): Record<string, number> {
  const list: Record<string, number> = Object.create(null);
  for (const part of text.split(",")) {
    const at = part.lastIndexOf("=");
    if (at < 1) throw new UsageError(`--sparsity has "${part}" in it; lists are NAME=NUMBER,NAME=NUMBER.`);
    list[part.slice(0, at)] = read(part.slice(at + 1));
  }
  return list;
}

/** The request that these arguments make of a model. Throws E_USAGE for arguments that do not go together. */
export function requestOf(graph: Graph, a: PruneArguments): PruningRequest {
  const trains = a.retrain !== undefined;
  const only = [
    ["--lr", a.lr],
    ["--batch", a.batch],
    ["--weight-decay", a.weightDecay],
    ["--l1", a.l1],
    ["--l1-scales", a.l1Scales],
    ["--from-scratch", a.fromScratch],
  ] as const;
  const stray = only.find(([, value]) => value !== undefined);
  if (!trains && stray) throw new UsageError(`${stray[0]} says how to train: give --retrain EPOCHS as well.`);
  const given = <T extends object>(values: T): Partial<T> =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
  const settings = settingsArgument(a.set);
  // The penalty is what slimming is made of: there it is the method's own setting, which ends where the filters go.
  const own = a.method === slimming.name && a.l1Scales !== undefined;
  if (own && settings["lambda"] !== undefined)
    throw new UsageError("--l1-scales and --set lambda are the same to slimming: give one of them.");
  if (own) settings["lambda"] = a.l1Scales!;
  return {
    method: a.method,
    skip: a.skip,
    ...given({
      granularity: a.granularity,
      scope: a.scope,
      allocation: a.allocation,
      norm: a.norm,
      roundTo: a.roundTo,
      rounding: a.rounding,
      keepShape: a.keepShape,
      recover: a.recover,
      rounds: a.rounds,
      spacing: a.spacing,
      layerByLayer: a.layerByLayer,
      scratch: a.fromScratch,
      recalibrate: a.recalibrate,
      ...sparsityFor(graph, a),
    }),
    ...(Object.keys(settings).length > 0 && { settings }),
    ...(a.images !== undefined && { collect: { images: a.images } }),
    ...(trains && {
      train: given({
        epochs: a.retrain,
        rate: a.lr,
        batch: a.batch,
        optimizer: given({ weightDecay: a.weightDecay, l1: a.l1, l1Scales: own ? undefined : a.l1Scales }),
      }),
    }),
  };
}

/** The shares, and for rates of filters what else they say: granularity and rounding. */
function sparsityFor(
  graph: Graph,
  { sparsity: argument, granularity }: PruneArguments,
): Pick<PruningRequest, "sparsity" | "granularity" | "rounding"> {
  switch (argument?.kind) {
    case undefined:
      return {};
    case "share":
      return { sparsity: argument.share };
    case "layers":
      return { sparsity: argument.shares };
    case "published": {
      const { sparsity, filters } = publishedSparsity(argument.name, graph);
      if (!filters) return { sparsity };
      if (granularity !== undefined && granularity !== "filter") {
        throw new UsageError(
          `published:${argument.name} are rates of filters, which --granularity ${granularity} contradicts. Leave it out.`,
        );
      }
      return { sparsity, granularity: "filter", rounding: filters.rounding };
    }
    case "quality":
      return { sparsity: sharesOfThresholds(graph, argument.quality) };
  }
}

/** What of a published allocation is not done, in one line; undefined where all of it is. */
export function leftOut(graph: Graph, argument: SparsityArgument | undefined): string | undefined {
  if (argument?.kind !== "published") return undefined;
  const left = publishedSparsity(argument.name, graph).filters?.left ?? [];
  if (left.length === 0) return undefined;
  return `of published:${argument.name}, the rates of ${left.length} convolutions are left out: their outputs are added to a shortcut whose channels all stay (${left[0]} … ${left.at(-1)})`;
}

function settingsArgument(list: readonly string[]): Record<string, number> {
  const settings: Record<string, number> = {};
  for (const text of list) {
    const [, name, value] = /^([\w-]+)=(\S+)$/.exec(text) ?? [];
    if (name === undefined || !Number.isFinite(Number(value)))
      throw new UsageError(`--set is "${text}"; it is NAME=NUMBER, such as --set end=0.8.`);
    settings[name] = Number(value);
  }
  return settings;
}
