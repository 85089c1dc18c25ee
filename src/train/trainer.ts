import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Plan } from "../plan/plan.ts";
import { compile } from "../run/compile.ts";
import { shapedFor } from "../run/evaluate.ts";
import type { Session } from "../run/session.ts";
import { type HostTensor, tensor, zeros } from "../tensor/host-tensor.ts";
import { sameShape, showShape } from "../tensor/shape.ts";
import { stepInput, underMask, withTrained } from "./net.ts";
import { hyperAt, type Optimizer, type OptimizerOptions, optimizerOf } from "./optimizer.ts";
import {
  buildStepGraph,
  factorNames,
  hyperInput,
  type MaskMode,
  maskName,
  metrics,
  type PenaltyFactor,
  penaltyName,
  type StepGraph,
  type Teacher,
  type Tracked,
  targetsInput,
  trackedName,
} from "./step-graph.ts";

export interface TrainerOptions {
  /** Images per step. */
  readonly batch: number;
  readonly optimizer?: OptimizerOptions;
  /** Of dropout; 1 unless said. */
  readonly seed?: number;
  /**
   * What masks do: "hold" (default) keeps masked weights and their moments at exactly zero; "soft" trains the dense weights
   * underneath, so that `setMask` may decide anew between steps which connections there are; "gate" keeps them as they are
   * underneath while they are masked.
   */
  readonly masks?: MaskMode;
  /** Weights that get a mask of ones where the graph has none, for `setMask`. */
  readonly masked?: readonly string[];
  /** Sums over steps for every weight with a mask, read with `tracked`. */
  readonly track?: readonly Tracked[];
  /** Weights with a penalty factor for every element, set with `setPenalty`. */
  readonly penalties?: readonly string[];
  /** Make masks of the zeros that weights of two or more axes hold, where they have none. */
  readonly maskZeros?: boolean;
  /** Keep BatchNormalization's running statistics instead of the batch's; for very small batches. */
  readonly freezeNorms?: boolean;
  /** Learned weights that stay as they are. */
  readonly frozen?: readonly string[];
  /** Distillation: another net's answers to the same images. */
  readonly teacher?: Teacher;
  /** "estimated" unless said: the same plan must be used again for the same weights to come out. */
  readonly plan?: "estimated" | Plan;
  readonly profile?: boolean;
}

/** A net on its way through training, one step at a time. Weights and moments live on the device. */
export interface Trainer {
  /** Steps done so far. */
  readonly steps: number;
  readonly optimizer: Optimizer;
  readonly session: Session;
  readonly classes: number;
  /** The nodes that one step runs. */
  readonly stepGraph: Graph;
  /** One step on `images` [batch, C, H, W] with `targets` [batch, classes] at a learning rate. Returns once it is queued. */
  step(images: HostTensor, targets: HostTensor, rate: number): Promise<void>;
  /** Mean loss and share of right answers of the images since it was last asked. */
  metrics(): Promise<{ readonly loss: number; readonly top1: number; readonly images: number }>;
  /** Names of the weights and statistics that training changes. */
  readonly trained: readonly string[];
  /** What they hold now; masked weights are zero, also those that soft masks keep values for underneath. */
  values(): Promise<Map<string, HostTensor>>;
  /** The net as it is now, with the masks that were held. */
  graph(): Promise<Graph>;
  /** The net with such values and the masks that were held. */
  graphWith(values: ReadonlyMap<string, HostTensor>): Graph;
  /** Replaces a mask, f32 or bool of its weight's shape; from the next step on. Throws E_INPUT for a weight without one. */
  setMask(weight: string, mask: HostTensor): void;
  /** The mask of a weight as it is now, f32; undefined where it has none. */
  mask(weight: string): HostTensor | undefined;
  /** The dense weight that a mask covers ("soft" and "gate"), as it is now. */
  dense(weight: string): Promise<HostTensor>;
  /** Several of them, at the price of one wait. */
  denseOf(weights: readonly string[]): Promise<HostTensor[]>;
  /** Replaces such a weight from the next step on. */
  setDense(weight: string, value: HostTensor): void;
  /** What has been summed up since the last time it was asked with `reset`; needs `track`. */
  tracked(weight: string, what: Tracked, options?: { readonly reset?: boolean }): Promise<HostTensor>;
  /** Factors, f32 of the weight's shape, that pull each element to zero; needs `penalties`. */
  setPenalty(weight: string, factors: HostTensor): void;
  /** The factors that `setPenalty` has set last, as they are now. */
  penalty(weight: string): Promise<HostTensor>;
  /** Replaces the factor of a penalty that the optimizer was given above 0, from the next step on. */
  setFactor(factor: PenaltyFactor, value: number): void;
  /** Everything on the device, by name: what `restore` needs to go on as if nothing had happened. */
  snapshot(): Promise<Snapshot>;
  restore(snapshot: Snapshot): void;
  dispose(): void;
  [Symbol.dispose](): void;
}

export interface Snapshot {
  readonly steps: number;
  /** Images counted by the metrics. */
  readonly counted: number;
  readonly state: ReadonlyMap<string, HostTensor>;
}

/**
 * Compiles one training step of a net with one image input and one output of logits. Throws E_INPUT and E_UNSUPPORTED for
 * nets that cannot be trained.
 */
export async function makeTrainer(gpu: Gpu, graph: Graph, options: TrainerOptions): Promise<Trainer> {
  const optimizer = optimizerOf(options.optimizer);
  const { batch, teacher, frozen, maskZeros, freezeNorms, plan = "estimated", profile } = options;
  const { masked, track, penalties } = options;
  if (!Number.isSafeInteger(batch) || batch < 1)
    throw new InputError(`batch is ${batch}; a whole number from 1 is needed.`);
  const step = buildStepGraph(graph, {
    batch,
    optimizer,
    seed: options.seed ?? 1,
    masks: options.masks ?? "hold",
    ...(maskZeros !== undefined && { maskZeros }),
    ...(freezeNorms !== undefined && { freezeNorms }),
    ...(frozen && { frozen }),
    ...(masked && { masked }),
    ...(track && { track }),
    ...(penalties && { penalties }),
    ...(teacher && { teacher }),
  });
  const session = await compile(gpu, step.graph, {
    plan,
    variables: step.variables,
    ...(profile !== undefined && { profile }),
  });
  return trainerOf(graph, step, session, optimizer, batch);
}

function trainerOf(
  graph: Graph,
  step: StepGraph,
  session: Session,
  optimizer: Optimizer,
  batch: number,
): Trainer {
  const masks = new Map(step.masks);
  let steps = 0;
  let counted = 0;

  const read = async (names: readonly string[]): Promise<Map<string, HostTensor>> => {
    const values = await session.readAll(names);
    return new Map(names.map((name, i) => [name, values[i]!]));
  };

  const trainer: Trainer = {
    get steps() {
      return steps;
    },
    optimizer,
    session,
    stepGraph: step.graph,
    classes: step.classes,
    async step(images, targets, rate) {
      await session.step({
        [step.input]: shapedFor(graph.inputs[0]!, images),
        [targetsInput]: targets,
        [hyperInput]: hyperAt(optimizer, rate, steps),
        ...(step.dropout && { [stepInput]: tensor(Int32Array.of(steps), [1]) }),
      });
      steps++;
      counted += batch;
    },
    async metrics() {
      const [loss, right] = (await session.read(metrics)).data as Float32Array;
      const images = counted;
      session.write(metrics, zeros([2]));
      counted = 0;
      return { loss: loss! / images, top1: right! / images, images };
    },
    trained: step.trained,
    async values() {
      const values = await read(step.trained);
      for (const [name, mask] of masks) {
        const weight = values.get(name);
        if (weight) values.set(name, underMask(weight, mask));
      }
      return values;
    },
    async graph() {
      return withTrained(graph, await trainer.values(), masks);
    },
    graphWith: (values) => withTrained(graph, values, masks),
    setMask(weight, mask) {
      const known = masks.get(weight);
      if (!known || !sameShape(known.shape, mask.shape))
        throw new InputError(
          `weight "${weight}" has ${known ? `a mask of shape ${showShape(known.shape)}, not ${showShape(mask.shape)}` : "no mask"}.`,
        );
      const data = Float32Array.from(mask.data as ArrayLike<number>, (v) => (Number(v) === 0 ? 0 : 1));
      const words: HostTensor = { dtype: "f32", shape: known.shape, data };
      masks.set(weight, words);
      session.write(maskName(weight), words);
    },
    mask: (weight) => masks.get(weight),
    dense: (weight) => session.read(weight),
    denseOf: (weights) => session.readAll(weights),
    setDense: (weight, value) => session.write(weight, value),
    async tracked(weight, what, { reset = false } = {}) {
      const name = trackedName(weight, what);
      const sum = await session.read(name);
      if (reset) session.write(name, zeros(sum.shape));
      return sum;
    },
    setPenalty: (weight, factors) => session.write(penaltyName(weight), factors),
    penalty: (weight) => session.read(penaltyName(weight)),
    setFactor: (factor, value) => session.write(factorNames[factor], tensor([value], [1])),
    async snapshot() {
      return { steps, counted, state: await read(step.variables) };
    },
    restore(snapshot) {
      for (const name of step.variables) {
        const value = snapshot.state.get(name);
        if (!value)
          throw new InputError(
            `the snapshot has no "${name}". It was taken of another net, or with another optimizer.`,
          );
        session.write(name, value);
      }
      for (const name of masks.keys()) masks.set(name, snapshot.state.get(maskName(name))!);
      steps = snapshot.steps;
      counted = snapshot.counted;
    },
    dispose: () => session.dispose(),
    [Symbol.dispose]: () => session.dispose(),
  };
  return trainer;
}
