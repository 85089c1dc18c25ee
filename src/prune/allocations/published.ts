import { InputError, printable } from "../../errors.ts";

/** Shares removed from each layer of a net, as a paper prints them. */
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

/** The shares of that list for a net. Throws E_INPUT naming the lists and nets there are. */
export function sharesOf(name: string, arch: string | undefined): Readonly<Record<string, number>> {
  const found = publishedLists.find((p) => p.name === name);
  if (!found) {
    throw new InputError(
      `there is no published list "${printable(name)}"; there are ${publishedLists.map((p) => p.name).join(", ")}.`,
    );
  }
  const shares = arch === undefined ? undefined : found.nets[arch];
  if (shares) return shares;
  throw new InputError(
    `the published list ${name} is for ${Object.keys(found.nets).join(" and ")}, not for ${printable(arch ?? "this model")}.`,
  );
}
