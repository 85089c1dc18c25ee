import { reshaped } from "../../tensor/host-tensor.ts";
import { showShape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { countKept, frozen, reshapedFlow, withEntry } from "./support/flow.ts";
import { hostInts, operand, refuse, typed } from "./support/operands.ts";
import { reshapingGradient } from "./support/reshaping.ts";

/** The target shape with its 0 (copy, unless allowzero) and -1 (whatever is left) worked out. */
function targetShape(c: OpContext): number[] {
  const from = operand(c, 0).shape;
  const wanted = hostInts(c, 1, "shape");
  const copies = attributesOf(c.node).int("allowzero", 0) === 0;
  const show = `shape ${showShape(wanted)} for a tensor of shape ${showShape(from)}`;
  if (wanted.some((d) => d < -1)) refuse(c, "E_ATTRIBUTE", `${show} has a dimension below -1.`);
  if (wanted.filter((d) => d === -1).length > 1) refuse(c, "E_ATTRIBUTE", `${show} has more than one -1.`);
  const copied = (i: number): boolean => copies && wanted[i] === 0;
  const to = wanted.map((d, i) => {
    if (!copied(i)) return d;
    return from[i] ?? refuse(c, "E_SHAPE", `${show} copies dimension ${i}, which the tensor does not have.`);
  });
  const hole = wanted.indexOf(-1);
  if (hole >= 0) {
    // Copied dimensions cancel, so a batch of 0 leaves no doubt about the rest.
    const left = sizeOf(from.filter((_, i) => !copied(i)));
    const known = sizeOf(to.filter((_, i) => i !== hole && !copied(i)));
    if (known === 0) refuse(c, "E_ATTRIBUTE", `${show} has both -1 and a dimension of 0.`);
    if (left % known !== 0) refuse(c, "E_SHAPE", `${show}: ${left} elements do not divide by ${known}.`);
    to[hole] = left / known;
  }
  if (sizeOf(to) !== sizeOf(from))
    refuse(c, "E_SHAPE", `${show}: the sizes differ (${sizeOf(to)} and ${sizeOf(from)}).`);
  return to;
}

/** The same elements under another shape. */
export const reshape: OpDefinition = {
  name: "Reshape",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: { allowzero: "int" },
  hostInputs: [1],
  infer: (c) => [typed(c, operand(c, 0).dtype, targetShape(c))],
  reference: (_c, [x], [type]) => [reshaped(x!, type!.shape)],
  channels(c) {
    const flow = c.in(0);
    const out = flow && reshapedFlow(flow, c.shape(0), c.outputs[0]!.shape);
    if (!out) return frozen(c);
    const wanted = hostInts(c, 1, "shape");
    // A literal size shrinks; -1 stays. A 0 copies the input's own size, which is right only while axes correspond.
    const literal = wanted[out.axis]! > 0 || (wanted[out.axis] === 0 && out.axis !== flow.axis);
    const moved = wanted[flow.axis] === 0 && out.axis !== flow.axis;
    if (moved) return frozen(c);
    if (literal) c.hostInput(1, (kept) => withEntry(wanted, out.axis, countKept(out.ids, kept)));
    return [out];
  },
  gradient: reshapingGradient,
};
