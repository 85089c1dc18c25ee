import { showShape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition, type TensorType } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";

/**
 * Places in the vector of hyperparameters that every update reads: they change from step to step, so they are an input.
 * `momentum` is Adam's beta 1. The corrections are 1 - beta^t (Kingma and Ba 2015, section 3).
 */
export const hyper = {
  rate: 0,
  momentum: 1,
  beta2: 2,
  epsilon: 3,
  decay: 4,
  l1: 5,
  correction1: 6,
  correction2: 7,
} as const;
export const hyperLength = 8;

/** Outputs of an update have the shapes of the state they replace: inputs `state`. Every vector of settings is checked. */
function inferUpdate(c: OpContext, state: readonly number[], settings: number): TensorType[] {
  const { dtype, shape } = floatOperands(c, settings + 1);
  const same = [...new Set([...state, 1]), settings + 1].filter((i) => c.inputs[i]);
  for (const i of same) {
    const other = c.inputs[i]!.shape;
    if (sizeOf(other) !== sizeOf(shape))
      refuse(c, "E_SHAPE", `input ${i} has shape ${showShape(other)}; the weight has ${showShape(shape)}.`);
  }
  if (sizeOf(c.inputs[settings]!.shape) !== hyperLength)
    refuse(
      c,
      "E_SHAPE",
      `the hyperparameters are ${showShape(c.inputs[settings]!.shape)}; [${hyperLength}] is needed.`,
    );
  return state.map((_, i) => typed(c, dtype, shape, i));
}

/**
 * One step of stochastic gradient descent with momentum (Sutskever et al. 2013, in the form where the rate multiplies the
 * velocity): g = scale · gradient + decay · w + l1 · sign(w); v = momentum · v + g; w -= rate · v, or with Nesterov's momentum
 * rate · (g + momentum · v). Inputs weight, gradient, velocity, hyperparameters, mask (0 holds weight and velocity at zero),
 * scale [1]; attribute `penalise` says whether decay and l1 apply to this weight.
 */
export const sgdUpdate: OpDefinition = {
  name: "SgdUpdate",
  internal: true,
  inputs: [4, 6],
  outputs: [2, 2],
  attributes: { nesterov: "int", penalise: "int" },
  inPlace: [
    [0, 0],
    [1, 2],
  ],
  infer: (c) => inferUpdate(c, [0, 2], 3),
  reference(c, inputs, outputs) {
    const a = attributesOf(c.node);
    const [w, gradient, velocity, h] = inputs.slice(0, 4).map((t) => doubles(t!)) as Float64Array[];
    const held = heldBy(inputs[4] && doubles(inputs[4]));
    const g = penalised(w!, gradient!, h!, a.int("penalise", 1) !== 0, inputs[5] && doubles(inputs[5]));
    const [rate, momentum] = [h![hyper.rate]!, h![hyper.momentum]!];
    const nesterov = a.int("nesterov", 0) !== 0;
    const v = velocity!.map((old, i) => (held(i) ? 0 : momentum * old + g[i]!));
    const next = w!.map((old, i) =>
      held(i) ? 0 : old - rate * (nesterov ? g[i]! + momentum * v[i]! : v[i]!),
    );
    return [doubleTensor(outputs[0]!.shape, next), doubleTensor(outputs[1]!.shape, v)];
  },
  channels: frozen,
};

/**
 * One step of Adam (Kingma and Ba 2015, algorithm 1), or with `decoupled` of AdamW (Loshchilov and Hutter 2019, algorithm 2),
 * whose decay leaves the gradient alone and shrinks the weight by rate · decay. Inputs weight, gradient, first and second
 * moment, hyperparameters, mask, scale as of SgdUpdate.
 */
export const adamUpdate: OpDefinition = {
  name: "AdamUpdate",
  internal: true,
  inputs: [5, 7],
  outputs: [3, 3],
  attributes: { decoupled: "int", penalise: "int" },
  inPlace: [
    [0, 0],
    [1, 2],
    [2, 3],
  ],
  infer: (c) => inferUpdate(c, [0, 2, 3], 4),
  reference(c, inputs, outputs) {
    const a = attributesOf(c.node);
    const [w, gradient, first, second, h] = inputs.slice(0, 5).map((t) => doubles(t!)) as Float64Array[];
    const held = heldBy(inputs[5] && doubles(inputs[5]));
    const penalise = a.int("penalise", 1) !== 0;
    const decoupled = a.int("decoupled", 0) !== 0;
    const settings = decoupled ? h!.map((v, i) => (i === hyper.decay ? 0 : v)) : h!;
    const g = penalised(w!, gradient!, settings, penalise, inputs[6] && doubles(inputs[6]));
    const [b1, b2] = [h![hyper.momentum]!, h![hyper.beta2]!];
    const m = first!.map((old, i) => (held(i) ? 0 : b1 * old + (1 - b1) * g[i]!));
    const v = second!.map((old, i) => (held(i) ? 0 : b2 * old + (1 - b2) * g[i]! ** 2));
    const shrink = decoupled && penalise ? h![hyper.rate]! * h![hyper.decay]! : 0;
    const next = w!.map((old, i) => {
      if (held(i)) return 0;
      const step = m[i]! / h![hyper.correction1]!;
      const size = Math.sqrt(v[i]! / h![hyper.correction2]!) + h![hyper.epsilon]!;
      return old - shrink * old - (h![hyper.rate]! * step) / size;
    });
    return [next, m, v].map((data, i) => doubleTensor(outputs[i]!.shape, data));
  },
  channels: frozen,
};

const heldBy =
  (mask: Float64Array | undefined) =>
  (i: number): boolean =>
    mask !== undefined && mask[i] === 0;

/** The gradient, scaled (clipping), with what L2 and L1 penalties add. */
function penalised(
  w: Float64Array,
  gradient: Float64Array,
  h: Float64Array,
  penalise: boolean,
  scale: Float64Array | undefined,
): Float64Array {
  const factor = scale ? scale[0]! : 1;
  const [l2, l1] = penalise ? [h[hyper.decay]!, h[hyper.l1]!] : [0, 0];
  return gradient.map((g, i) => factor * g + l2 * w[i]! + l1 * Math.sign(w[i]!));
}

/** total + value, in place: sums that outlive a step, read back when somebody looks. */
export const accumulate: OpDefinition = {
  name: "Accumulate",
  internal: true,
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  inPlace: [[0, 0]],
  infer(c) {
    const { dtype, shape } = floatOperands(c, 2);
    if (sizeOf(shape) !== sizeOf(c.inputs[1]!.shape))
      refuse(c, "E_SHAPE", `${showShape(c.inputs[1]!.shape)} cannot be added to ${showShape(shape)}.`);
    return [typed(c, dtype, shape)];
  },
  reference(_, inputs, outputs) {
    const [total, value] = inputs.map((t) => doubles(t!)) as [Float64Array, Float64Array];
    return [
      doubleTensor(
        outputs[0]!.shape,
        total.map((v, i) => v + value[i]!),
      ),
    ];
  },
  channels: frozen,
};
