import { InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { arches, findArch } from "./arches.ts";
import { layersOf } from "./layers.ts";
import type { NetOptions } from "./options.ts";
import { glyphnetWeights } from "./weights/glyphnet.ts";

/**
 * A built-in net as a graph: input `image` [N, C, H, W], output `logits` [N, classes], weights seeded or given; `glyphnet`
 * without any option has the trained weights that come with the package.
 * Throws E_INPUT for an unknown name, E_GRAPH for missing or unknown weights, E_SHAPE for weights that do not fit each other or
 * leave a zero-padded shortcut ambiguous; each lists what is wrong.
 */
export function buildNet(name: string, options: NetOptions = {}): Graph {
  const arch = findArch(name);
  if (!arch) {
    throw new InputError(
      `there is no built-in net "${printable(name)}". Use one of ${arches.map((a) => a.name).join(", ")}.`,
    );
  }
  wholeNumber(options.seed ?? 0, "seed", 0, 2 ** 32 - 1);
  for (const [module, width] of options.widths ?? [])
    wholeNumber(width, `width of ${printable(module)}`, 1, 1 << 20);
  const trained = arch.name === "glyphnet" && Object.values(options).every((o) => o === undefined);
  const layers = layersOf(
    arch.name,
    arch.input,
    arch.classes,
    trained ? { weights: glyphnetWeights() } : options,
  );
  arch.layers(layers);
  return layers.build();
}

/** The name under which the library exports {@link buildNet}. */
export const buildModel = buildNet;
