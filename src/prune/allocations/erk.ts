import type { AllocatedLayer, Allocation } from "./allocation.ts";
import { apportion } from "./apportion.ts";

/**
 * Erdős-Rényi-Kernel: a layer keeps a share in proportion to the sum of its weight's dimensions over their product, so that
 * small layers stay denser. Layers whose share would exceed 1 stay dense and the others make up for it.
 */
export const erk: Allocation = {
  name: "erk",
  scope: "layer",
  reference:
    "Evci et al. 2020 (RigL), arXiv 1911.11134, section 3; after Mocanu et al. 2018, arXiv 1707.04780",
  counts(layers, remove) {
    const total = layers.reduce((n, l) => n + l.units, 0);
    const kept = apportion(
      keptShares(layers, total - remove),
      layers.map((l) => l.units),
      total - remove,
    );
    return layers.map((l, i) => l.units - kept[i]!);
  },
};

/** Units that each layer should keep, as real numbers that add up to `keep`. */
function keptShares(layers: readonly AllocatedLayer[], keep: number): number[] {
  const raw = layers.map(({ layer: { shape } }) => {
    return shape.reduce((a, b) => a + b, 0) / shape.reduce((a, b) => a * b, 1);
  });
  const dense = layers.map(() => false);
  for (;;) {
    let left = keep;
    let weight = 0;
    for (const [i, l] of layers.entries()) {
      if (dense[i]) left -= l.units;
      else weight += raw[i]! * l.units;
    }
    const epsilon = weight > 0 ? left / weight : 0;
    const over = layers.findIndex((_, i) => !dense[i] && epsilon * raw[i]! > 1);
    if (over < 0) return layers.map((l, i) => (dense[i] ? l.units : epsilon * raw[i]! * l.units));
    const most = Math.max(...raw.filter((_, i) => !dense[i]));
    for (const [i, r] of raw.entries()) if (r === most) dense[i] = true;
  }
}
