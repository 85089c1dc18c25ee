import { InputError } from "../errors.ts";
import { hyper, hyperLength } from "../graph/ops/update.ts";
import { type HostTensor, tensor } from "../tensor/host-tensor.ts";

/** How weights follow their gradients. Rates come from the schedule, step by step. */
export interface OptimizerOptions {
  /** "sgd" (default): with momentum (Sutskever et al. 2013). "adam": Kingma and Ba 2015. "adamw": Loshchilov and Hutter 2019. */
  readonly kind?: "sgd" | "adam" | "adamw";
  /** Momentum of SGD, or Adam's beta 1; 0.9 unless said. */
  readonly momentum?: number;
  /** Nesterov's form of momentum; SGD only. False unless said. */
  readonly nesterov?: boolean;
  /** Adam's beta 2; 0.999 unless said. */
  readonly beta2?: number;
  /** Adam's epsilon; 1e-8 unless said. */
  readonly epsilon?: number;
  /** L2 penalty on weights of two or more axes (never on biases or normalisation); decoupled with adamw. 0 unless said. */
  readonly weightDecay?: number;
  /** L1 penalty on the same weights; 0 unless said. */
  readonly l1?: number;
  /** Group-lasso penalty on the filters of the same weights (Wen et al. 2016): the sum of their L2 norms. 0 unless said. */
  readonly groupLasso?: number;
  /** L1 penalty on the scales of BatchNormalization (Liu et al. 2017, Network Slimming); 0 unless said. */
  readonly l1Scales?: number;
  /** The gradients' norm, all weights together, is cut down to this (Pascanu et al. 2013); no limit unless said. */
  readonly clipNorm?: number;
}

export type Optimizer = Required<Omit<OptimizerOptions, "clipNorm">> & Pick<OptimizerOptions, "clipNorm">;

/** Fills in the defaults. Throws E_INPUT for settings with which nothing would converge. */
export function optimizerOf(options: OptimizerOptions = {}): Optimizer {
  const { clipNorm, ...given } = options;
  const kind = given.kind ?? "sgd";
  if (!["sgd", "adam", "adamw"].includes(kind))
    throw new InputError(`optimizer is "${kind}"; use sgd, adam or adamw.`);
  const filled: Optimizer = {
    kind,
    momentum: given.momentum ?? 0.9,
    nesterov: given.nesterov ?? false,
    beta2: given.beta2 ?? 0.999,
    epsilon: given.epsilon ?? 1e-8,
    weightDecay: given.weightDecay ?? 0,
    l1: given.l1 ?? 0,
    groupLasso: given.groupLasso ?? 0,
    l1Scales: given.l1Scales ?? 0,
    ...(clipNorm !== undefined && { clipNorm }),
  };
  const between = (name: "momentum" | "beta2"): void => {
    if (!(filled[name] >= 0 && filled[name] < 1))
      throw new InputError(`${name} is ${filled[name]}; from 0 to below 1 is needed.`);
  };
  between("momentum");
  between("beta2");
  for (const name of ["weightDecay", "l1", "groupLasso", "l1Scales"] as const) {
    if (!(filled[name] >= 0 && Number.isFinite(filled[name])))
      throw new InputError(`${name} is ${filled[name]}; a number from 0 is needed.`);
  }
  for (const name of ["epsilon", "clipNorm"] as const) {
    const value = filled[name];
    if (value !== undefined && !(value > 0 && Number.isFinite(value)))
      throw new InputError(`${name} is ${value}; a number above 0 is needed.`);
  }
  if (filled.nesterov && kind !== "sgd")
    throw new InputError(`nesterov belongs to sgd; the optimizer is ${kind}.`);
  return filled;
}

/** State that an optimiser keeps per weight, by the suffix of its variable's name. */
export const momentsOf = (o: Optimizer): readonly string[] =>
  o.kind === "sgd" ? ["velocity"] : ["first-moment", "second-moment"];

/** The vector of hyperparameters for step `t`, counted from 0, as the update ops read it. */
export function hyperAt(o: Optimizer, rate: number, t: number): HostTensor {
  const h = new Float32Array(hyperLength);
  h[hyper.rate] = rate;
  h[hyper.momentum] = o.momentum;
  h[hyper.beta2] = o.beta2;
  h[hyper.epsilon] = o.epsilon;
  h[hyper.decay] = o.weightDecay;
  h[hyper.l1] = o.l1;
  h[hyper.correction1] = 1 - o.momentum ** (t + 1);
  h[hyper.correction2] = 1 - o.beta2 ** (t + 1);
  return tensor(h, [hyperLength]);
}
