import { InputError, printable } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { metadataKeys } from "../../graph/metadata.ts";
import { buildNet } from "../../nets/build-net.ts";
import type { FilterRounding } from "../budget.ts";
import { convWidths, publishedRates, publishedShares } from "../published.ts";

/** Shares of single weights removed from each layer of a net, as a paper prints them. */
export interface PublishedList {
  /** What the command line calls it: `--sparsity published:NAME`. */
  readonly name: string;
  readonly reference: string;
  /** By architecture, then by layer. */
  readonly nets: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Lists of shares for single weights. */
export const publishedLists: readonly PublishedList[] = [
  {
    name: "han",
    reference: "Han et al. 2015, arXiv 1506.02626, tables 2 and 3: kept 8, 9, 26 % and 66, 12, 8, 19 %",
    nets: {
      lenet300: { ip1: 0.92, ip2: 0.91, ip3: 0.74 },
      lenet5: { conv1: 0.34, conv2: 0.88, ip1: 0.92, ip2: 0.81 },
    },
  },
  {
    name: "dns",
    reference: "Guo et al. 2016, arXiv 1608.04493: counted in the authors' published weights",
    nets: {
      lenet300: { ip1: 1 - 4351 / 235_200, ip2: 1 - 552 / 30_000, ip3: 1 - 49 / 1000 },
      lenet5: {
        conv1: 1 - 72 / 500,
        conv2: 1 - 770 / 25_000,
        ip1: 1 - 2920 / 400_000,
        ip2: 1 - 215 / 5000,
      },
    },
  },
];

/** What a published name asks of a net. */
export interface PublishedSparsity {
  readonly sparsity: Readonly<Record<string, number>>;
  /** Only of filters: the rule by which the authors make a count of a rate. */
  readonly filters?: {
    readonly rounding: FilterRounding;
    /** Layers whose published rate is left out (see `PublishedShares`). */
    readonly left: readonly string[];
  };
}

/** Every name, with the nets that it is for. */
export const publishedNames = (): { readonly name: string; readonly nets: readonly string[] }[] => [
  ...publishedLists.map(({ name, nets }) => ({ name, nets: Object.keys(nets) })),
  ...publishedRates.map(({ name, arch }) => ({ name, nets: [arch] })),
];

/**
 * The published shares of that name for a model: of single weights (`publishedLists`) or of filters (`publishedRates`). Throws
 * E_INPUT naming what there is, for another net than they are for, and for one that has lost filters already: rates count from
 * the whole width.
 */
export function publishedSparsity(name: string, graph: Graph): PublishedSparsity {
  const arch = graph.metadata.get(metadataKeys.arch);
  const found = publishedNames().find((p) => p.name === name);
  if (!found) {
    const own = publishedNames().filter((p) => p.nets.includes(arch ?? ""));
    const shown = own.length > 0 ? own : publishedNames();
    throw new InputError(
      `there are no published shares "${printable(name)}"; ${own.length > 0 ? `for ${printable(arch!)} ` : ""}there are ${shown.map((p) => p.name).join(", ")}.`,
    );
  }
  const list = publishedLists.find((p) => p.name === name);
  if (arch === undefined || !found.nets.includes(arch)) {
    throw new InputError(
      `the published shares ${name} are for ${found.nets.join(" and ")}, not for ${printable(arch ?? "this model")}.`,
    );
  }
  if (list) return { sparsity: list.nets[arch]! };
  const { sparsity, rounding, left } = publishedShares(name);
  const widths = convWidths(graph);
  for (const [layer, whole] of convWidths(buildNet(arch, { init: "zeros" }))) {
    const width = widths.get(layer);
    if (width === whole || sparsity[layer] === undefined) continue;
    throw new InputError(
      `layer "${printable(layer)}" has ${width ?? "no"} filters, but the rates of ${name} count from ${whole}. Use the net that was not pruned yet.`,
    );
  }
  return { sparsity, filters: { rounding, left } };
}
