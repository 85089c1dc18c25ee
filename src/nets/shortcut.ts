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
  return {
    value: padNode(b, pad, half, front, behind),
    channels: x.channels + front + behind,
    height: Math.ceil(x.height / 2),
    width: Math.ceil(x.width / 2),
  };
}

/**
 * An identity shortcut. Where the widths asked for make its ends differ, floor(d/2) zero channels come in front and the rest
 * behind, or are cut off there, as HRankPlus does between the stem and the first stage. Given weights must agree instead.
 */
export function identityShortcut(
  b: GraphBuilder,
  p: Parameters,
  options: NetOptions,
  name: string,
  x: Feature,
  out: number,
): Feature {
  const pad = `${name}.pad`;
  const told = options.pads?.get(pad);
  if (x.channels === out && !told) return x;
  const [front, behind] = told ? checked(p, pad, told, x.channels, out) : halves(out - x.channels);
  if (options.weights && !told) {
    p.misfit(`${pad} would have to turn ${x.channels} channels into ${out}`);
    return { ...x, channels: out };
  }
  return { ...x, value: padNode(b, pad, x.value, front, behind), channels: x.channels + front + behind };
}

function padNode(b: GraphBuilder, pad: string, value: string, front: number, behind: number): string {
  const zeros = [b.constant([front, behind], `${pad}.pads`), "", b.constant([1], `${pad}.axes`)];
  return b.node("Pad", [value, ...zeros], { mode: "constant" }, { name: pad });
}

const halves = (more: number): readonly [number, number] => [
  Math.floor(more / 2),
  more - Math.floor(more / 2),
];

function checked(
  p: Parameters,
  pad: string,
  told: readonly [number, number],
  from: number,
  to: number,
): readonly [number, number] {
  if (told[0] + told[1] !== to - from) {
    p.misfit(`${pad} adds ${told[0]} + ${told[1]} channels to ${from}, but ${to} are needed`);
  }
  return told;
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
  if (told) return checked(p, pad, told, from, to);
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
  return halves(more);
}
