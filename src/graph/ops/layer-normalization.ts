import { printable, UnsupportedError } from "../../errors.ts";
import { normaliseAxis } from "../../tensor/shape.ts";
import type { ChannelContext } from "../channels.ts";
import type { GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition, type TensorType } from "../op.ts";
import { meanOver } from "./reduce-gradients.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { formula, toOperand } from "./support/formula.ts";
import { checkBroadcast, forEachGroup, spread } from "./support/normalising.ts";
import { layerNormalised, throughStatistics } from "./support/normalising-gradients.ts";
import { typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";

/** First of the axes that a layer is normalised over. */
export const layerAxis = (c: OpContext): number =>
  normaliseAxis(
    attributesOf(c.node).int("axis", -1),
    c.inputs[0]!.shape.length,
    `${c.node.op} "${c.node.name}"`,
  );

const innerAxes = (c: OpContext): number[] => c.inputs[0]!.shape.map((_, i) => i).slice(layerAxis(c));

/** Only f32 intermediate precision is offered, which is ONNX's default (stash_type 1). */
function checkStash(c: OpContext): void {
  const stash = attributesOf(c.node).int("stash_type", 1);
  if (stash === 1) return;
  throw new UnsupportedError(
    `stash_type ${stash} of ${c.node.op} "${printable(c.node.name)}" is not supported; 1 (f32) is.`,
    {
      op: c.node.op,
      node: printable(c.node.name),
    },
  );
}

function types(c: OpContext, operands: number): TensorType[] {
  const { dtype, shape } = floatOperands(c, 2);
  const axis = layerAxis(c);
  checkStash(c);
  for (let i = 1; i < operands; i++) checkBroadcast(c, i, shape.slice(axis), i === 1 ? "scale" : "bias");
  const outer = shape.map((d, i) => (i < axis ? d : 1));
  return c.node.outputs.map((_, i) => typed(c, dtype, i === 0 ? shape : outer, i));
}

const layerGradient: GradientRule = (g) => {
  if (g.incoming(1) ?? g.incoming(2)) g.refuse("mean and deviation have no gradient as outputs");
  const { mul } = formula(g);
  const { shape } = g.outputs[0]!;
  const epsilon = attributesOf(g.node).float("epsilon", 1e-5);
  const n = layerNormalised(g, g.in(0), shape.length, layerAxis(g), epsilon);
  return [
    g.wants(0) ? throughStatistics(g, mul(g.dy, g.in(1)), n) : undefined,
    toOperand(g, 1, () => mul(g.dy, n.hat)),
    g.in(2) === "" ? undefined : toOperand(g, 2, () => g.dy),
  ];
};

const rootMeanSquareGradient: GradientRule = (g) => {
  const { mul, add, sqrt, square, reciprocal } = formula(g);
  const axes = innerAxes(g);
  const epsilon = attributesOf(g.node).float("epsilon", 1e-5);
  const inverse = reciprocal(sqrt(add(meanOver(g, square(g.in(0)), axes), epsilon)));
  const hat = mul(g.in(0), inverse);
  return [
    g.wants(0) ? throughStatistics(g, mul(g.dy, g.in(1)), { hat, inverse, axes }, false) : undefined,
    toOperand(g, 1, () => mul(g.dy, hat)),
  ];
};

/** Channels on an outer axis pass; on a normalised one they are mixed. */
const flow = mixingFlow((c: ChannelContext) => innerAxes(c));

/** (x - mean) / sqrt(variance + epsilon) · scale + bias over the axes from `axis` on (Ba et al. 2016). */
export const layerNormalization: OpDefinition = {
  name: "LayerNormalization",
  inputs: [2, 3],
  outputs: [1, 3],
  attributes: { axis: "int", epsilon: "float", stash_type: "int" },
  infer: (c) => types(c, 3),
  reference(c, [x, scale, bias], outputs) {
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const { shape } = outputs[0]!;
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    const [gamma, beta] = [spread(scale, shape, 1), spread(bias, shape, 0)];
    const means: number[] = [];
    const inverses: number[] = [];
    forEachGroup(x!, innerAxes(c), (_, { mean, variance }, offsets) => {
      const inverse = 1 / Math.sqrt(variance + epsilon);
      means.push(mean);
      inverses.push(inverse);
      for (const o of offsets) y[o] = (data[o]! - mean) * inverse * gamma[o]! + beta[o]!;
    });
    const results = [doubleTensor(shape, y)];
    if (outputs[1]) results.push(doubleTensor(outputs[1].shape, Float64Array.from(means)));
    if (outputs[2]) results.push(doubleTensor(outputs[2].shape, Float64Array.from(inverses)));
    return results;
  },
  channels: (c) => (c.node.outputs.length > 1 ? frozen(c) : flow(c)),
  gradient: layerGradient,
};

/** x / sqrt(mean of squares + epsilon) · scale over the axes from `axis` on (Zhang and Sennrich 2019). */
export const rmsNormalization: OpDefinition = {
  name: "RMSNormalization",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: { axis: "int", epsilon: "float", stash_type: "int" },
  infer: (c) => types(c, 2),
  reference(c, [x, scale], outputs) {
    const epsilon = attributesOf(c.node).float("epsilon", 1e-5);
    const { shape } = outputs[0]!;
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    const gamma = spread(scale, shape, 1);
    forEachGroup(x!, innerAxes(c), (_, { meanSquare }, offsets) => {
      for (const o of offsets) y[o] = (data[o]! / Math.sqrt(meanSquare + epsilon)) * gamma[o]!;
    });
    return [doubleTensor(shape, y)];
  },
  channels: flow,
  gradient: rootMeanSquareGradient,
};
