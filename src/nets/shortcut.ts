import { GraphError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Feature } from "./layers.ts";
import type { NetOptions } from "./options.ts";
import type { Parameters } from "./parameters.ts";

/**
 * Shortcut option A (He et al. 2015, section 4.2): every second pixel in both directions, zero channels in front and
 * behind. A Slice and a Pad, so that pruning can follow channels through it. It has no parameters.
 */
export function padShortcut(
  b: GraphBuilder,
  p: Parameters,
  options: NetOptions,
  name: string,
  x: Feature,
  out: number,
  added: number,
): Feature {
  const slice = `${name}.slice`;
  const pad = `${name}.pad`;
  const [front, behind] = padsOf(p, options, pad, x.channels, out, added);
  const last = 2 ** 31 - 1;
  const range = [
    b.constant([0, 0], `${slice}.starts`),
    b.constant([last, last], `${slice}.ends`),
    b.constant([2, 3], `${slice}.axes`),
    b.constant([2, 2], `${slice}.steps`),
  ];
  const half = b.node("Slice", [x.value, ...range], {}, { name: slice });
  const zeros = [b.constant([front, behind], `${pad}.pads`), "", b.constant([1], `${pad}.axes`)];
  return {
    value: b.node("Pad", [half, ...zeros], { mode: "constant" }, { name: pad }),
    channels: x.channels + front + behind,
    height: Math.ceil(x.height / 2),
    width: Math.ceil(x.width / 2),
  };
}

/**
 * Zero channels in front and behind. Told by `pads`; else the published ones where all of them or none are there. Widths asked
 * for by name put floor(d/2) in front. Weights that leave the split open are refused: a guess would add wrong channels.
 */
function padsOf(
  p: Parameters,
  options: NetOptions,
  pad: string,
  from: number,
  to: number,
  added: number,
): readonly [number, number] {
  const more = to - from;
  const told = options.pads?.get(pad);
  if (told) {
    if (told[0] + told[1] !== more)
      p.misfit(`${pad} adds ${told[0]} + ${told[1]} channels to ${from}, but ${to} are needed`);
    return told;
  }
  if (more < 0) {
    p.misfit(`${pad} cannot turn ${from} channels into ${to}`);
    return [0, 0];
  }
  if (options.weights && more !== added && more !== 0) {
    throw new GraphError(
      "E_SHAPE",
      `${pad}: the widths of the weights (${from} channels become ${to}) leave open how many of the ${more} zero channels ` +
        "stand in front. Load the file that was written when the model was pruned, with its record, or pass `pads`.",
      { node: pad },
    );
  }
  const front = Math.floor(more / 2);
  return [front, more - front];
}
