import type { Gpu } from "../gpu/gpu.ts";
import { timePass } from "../gpu/passes.ts";
import type { Budget } from "../plan/budget.ts";
import type { ActivationLayout } from "../plan/layouts.ts";
import { spread } from "../plan/stats.ts";
import type { Timed } from "../plan/tuning.ts";
import type { DeviceProgram } from "./device-program.ts";

/** A whole net with its activations in one layout. */
export interface Entrant {
  readonly activations: ActivationLayout;
  readonly device: DeviceProgram;
}

const rounds = 7;
const leastRounds = 3;
/** No round is begun after this many milliseconds, once there are `leastRounds`. */
const mostMs = 2000;
/** Milliseconds that one sample lasts, at least. */
const sampleMs = 2;

/**
 * Runs whole nets in turn, whatever their buffers hold, and says how long each took, in their order. Undefined where the budget is used
 * up.
 */
export async function raceLayouts(
  gpu: Gpu,
  entrants: readonly Entrant[],
  budget: Budget | undefined,
): Promise<readonly Timed[] | undefined> {
  if (budget && budget.left <= 0) return undefined;
  const begun = performance.now();
  try {
    return await inTurn(gpu, entrants);
  } finally {
    if (budget) budget.left = Math.max(0, budget.left - (performance.now() - begun));
  }
}

async function inTurn(gpu: Gpu, entrants: readonly Entrant[]): Promise<Timed[]> {
  const begun = performance.now();
  const runners: { entrant: Entrant; repeats: number; times: number[] }[] = [];
  for (const entrant of entrants) {
    const ms = await timePass(gpu, entrant.device, entrant.activations, 1);
    const repeats = Math.max(1, Math.min(64, Math.ceil(sampleMs / Math.max(ms, 1e-3))));
    runners.push({ entrant, repeats, times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    if (round >= leastRounds && performance.now() - begun > mostMs) break;
    for (const { entrant, repeats, times } of runners)
      times.push(await timePass(gpu, entrant.device, entrant.activations, repeats));
  }
  return runners.map(({ entrant, times }) => {
    const { median, p10, p90, samples } = spread(times);
    return { format: entrant.activations, kernel: "whole net", ms: median, p10, p90, samples };
  });
}
