import type { Preprocessing } from "../graph/metadata.ts";
import { findArch } from "./arches.ts";

const imagenet: Preprocessing = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** The scale of the LeNets of Dynamic Network Surgery: 1/256, not 1/255. */
const gray: Preprocessing = { scale: 1 / 256, mean: [0], std: [1] };
/** The UCI digits count pixels from 0 to 16. */
const digits: Preprocessing = { scale: 1 / 16, mean: [0], std: [1] };
const plain: Preprocessing = { scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] };

/**
 * The default preprocessing, (byte · scale − mean[c]) / std[c] per channel c, of a net on a data set ("mnist", "glyphs", "digits", "cifar10", "imagenet"); without a data set, of
 * the one the net is meant for. What a model carries in its metadata goes before it.
 */
export function preprocessingFor(arch?: string, dataset?: string): Preprocessing {
  const known = arch === undefined ? undefined : findArch(arch);
  switch (dataset ?? known?.dataset) {
    case "mnist":
    case "glyphs":
      return gray;
    case "digits":
      return digits;
    case "cifar10":
    case "imagenet":
      return known === undefined || known.input[0] === 3 ? imagenet : plain;
    default:
      return known?.input[0] === 1 ? gray : plain;
  }
}
