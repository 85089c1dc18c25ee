import type { Trainer } from "./trainer.ts";

/**
 * Decides masks anew while a net trains: pruning on the way, growing back, growing penalties. What it does at a step must
 * follow from the step's number and from what the trainer holds on the device, so that a training that is resumed goes on as
 * if it had never stopped.
 */
export interface Masking {
  /** Goes into the manifest, with everything else that decides what it does. */
  readonly name: string;
  readonly settings: Readonly<Record<string, number | string | readonly number[]>>;
  /** Weights that get a mask (of ones, where the graph has none), by name. */
  readonly weights: readonly string[];
  /** From this step on masks stay as they are: only epochs that end after it compete for the best. */
  settles(totalSteps: number): number;
  /** Called before step `step`, counted from 0 over all epochs. */
  before(step: number, totalSteps: number, trainer: Trainer): Promise<void> | void;
  /** Called once after the last step. */
  after?(trainer: Trainer): Promise<void> | void;
}
