import * as v from "valibot";
import { FileError } from "../errors.ts";
import { parseJson } from "../graph/metadata.ts";
import { readSafetensors, writeSafetensors } from "../io/safetensors.ts";
import { type Plan, parsePlan } from "../plan/plan.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { sameShape } from "../tensor/shape.ts";
import type { TrainingManifest } from "./manifest.ts";
import type { Snapshot } from "./trainer.ts";

/** What one epoch came to. Fractions, not percent; loss is the mean cross-entropy, natural logarithm. */
export interface EpochResult {
  readonly loss: number;
  readonly top1: number;
  /** On the validation images; missing where there are none. */
  readonly validation?: { readonly loss: number; readonly top1: number };
  /** Trained on, and the time that their steps took. */
  readonly images: number;
  readonly seconds: number;
  readonly rate: number;
}

/** How far a training has come. */
export interface TrainingState {
  readonly epoch: number;
  /** Steps done in this epoch. */
  readonly step: number;
  /** Sums over the images of this epoch so far. */
  readonly lossSum: number;
  readonly right: number;
  readonly images: number;
  readonly seconds: number;
  readonly epochs: readonly EpochResult[];
  readonly best: { readonly top1: number; readonly loss: number; readonly epoch: number } | undefined;
}

/** A training that can be gone on with: state of the device, best weights so far, progress, settings and plan. */
export interface Checkpoint {
  readonly manifest: TrainingManifest;
  readonly plan: Plan;
  readonly progress: TrainingState;
  readonly snapshot: Snapshot;
  /** The trained values of the best epoch so far, by name. */
  readonly best: ReadonlyMap<string, HostTensor>;
}

const key = "secateur.checkpoint";
const number = v.pipe(v.number(), v.finite());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const scores = v.object({ loss: number, top1: number });
const schema = v.object({
  manifest: v.looseObject({ version: v.string(), seed: number }),
  plan: v.string(),
  steps: count,
  counted: count,
  progress: v.object({
    epoch: count,
    step: count,
    lossSum: number,
    right: count,
    images: count,
    seconds: number,
    epochs: v.array(
      v.object({
        loss: number,
        top1: number,
        validation: v.optional(scores),
        images: number,
        seconds: number,
        rate: number,
      }),
    ),
    best: v.optional(v.object({ top1: number, loss: number, epoch: count })),
  }),
});

/** A checkpoint as the bytes of a .safetensors file: tensors `state/NAME` and `best/NAME`, the rest as JSON in its metadata. */
export function writeCheckpoint(c: Checkpoint): Uint8Array {
  const tensors = new Map<string, HostTensor>();
  for (const [name, t] of c.snapshot.state) tensors.set(`state/${name}`, t);
  for (const [name, t] of c.best) tensors.set(`best/${name}`, t);
  const { steps, counted } = c.snapshot;
  const text = JSON.stringify({
    manifest: c.manifest,
    plan: JSON.stringify(c.plan),
    steps,
    counted,
    progress: c.progress,
  });
  return writeSafetensors(tensors, new Map([[key, text]]));
}

/** Reads it back. Throws E_FORMAT for another kind of file, E_METADATA and what readSafetensors throws for a damaged one. */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata.get(key);
  if (text === undefined)
    throw new FileError("E_FORMAT", "the file is no training checkpoint. Resume from one that train wrote.");
  const { manifest, plan, steps, counted, progress } = parseJson(schema, text, key);
  const part = (prefix: string): Map<string, HostTensor> =>
    new Map(
      [...tensors].flatMap(([name, t]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), t] as const] : [],
      ),
    );
  return {
    manifest: manifest as unknown as TrainingManifest,
    plan: parsePlan(plan),
    progress: { ...progress, best: progress.best } as TrainingState,
    snapshot: { steps, counted, state: part("state/") },
    best: part("best/"),
  };
}

/** E_METADATA unless the parts of a checkpoint agree with each other and with a training of so many steps per epoch. */
export function checkCheckpoint(c: Checkpoint, stepsPerEpoch: number, trained: readonly string[]): void {
  const { epoch, step, images, epochs, best } = c.progress;
  const { steps, counted, state } = c.snapshot;
  const begun = epoch > 0;
  const agrees =
    epoch <= c.manifest.epochs &&
    step <= (epoch < c.manifest.epochs ? stepsPerEpoch : 0) &&
    steps === epoch * stepsPerEpoch + step &&
    images + counted === step * c.manifest.batch &&
    epochs.length === epoch &&
    (best !== undefined) === begun &&
    (!begun || trained.every((name) => sameType(c.best.get(name), state.get(name))));
  if (!agrees)
    throw new FileError(
      "E_METADATA",
      `the checkpoint contradicts itself: it is damaged, or was changed since it was written.`,
    );
}

const sameType = (a: HostTensor | undefined, b: HostTensor | undefined): boolean =>
  a !== undefined && b !== undefined && a.dtype === b.dtype && sameShape(a.shape, b.shape);
