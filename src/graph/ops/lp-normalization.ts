import { normaliseAxis } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { sumOver } from "./reduce-gradients.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { formula } from "./support/formula.ts";
import { forEachGroup } from "./support/normalising.ts";
import { operandOf, typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";

const axisOf = (c: OpContext): number =>
  normaliseAxis(
    attributesOf(c.node).int("axis", -1),
    c.inputs[0]!.shape.length,
    `${c.node.op} "${c.node.name}"`,
  );

/** x over its L1 or L2 norm along one axis; a slice of zeros stays zero. */
export const lpNormalization: OpDefinition = {
  name: "LpNormalization",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { axis: "int", p: "int" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    const a = attributesOf(c.node);
    const p = a.int("p", 2);
    if (p !== 1 && p !== 2) a.fail(`attribute p is ${p}; 1 or 2 is needed.`);
    axisOf(c);
    return [typed(c, dtype, shape)];
  },
  reference(c, [x], outputs) {
    const p = attributesOf(c.node).int("p", 2);
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    forEachGroup(x!, [axisOf(c)], (_group, _moments, offsets) => {
      const sum = offsets.reduce((total, o) => total + Math.abs(data[o]!) ** p, 0);
      const norm = sum ** (1 / p);
      for (const o of offsets) y[o] = norm === 0 ? 0 : data[o]! / norm;
    });
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  channels: mixingFlow((c) => [axisOf(c)]),
  // Nothing flows through a slice of zeros, which has no norm to be divided by.
  gradient(g) {
    const { mul, sub, sign, equal, where, reciprocal } = formula(g);
    const axes = [axisOf(g)];
    const absolute = attributesOf(g.node).int("p", 2) === 1;
    const norm = g.emit(absolute ? "ReduceL1" : "ReduceL2", [g.in(0), g.constant(axes)]);
    const inverse = where(equal(norm, 0), 0, reciprocal(norm));
    const along = sumOver(g, mul(g.dy, g.out(0)), axes);
    return [mul(inverse, sub(g.dy, mul(absolute ? sign(g.in(0)) : g.out(0), along)))];
  },
};
