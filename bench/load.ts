import { cpus } from "node:os";

/** Processor time that has been used up to a moment, in milliseconds. */
export interface LoadMark {
  readonly wall: number;
  /** By the whole machine, all cores together. */
  readonly machine: number;
  /** By this process. */
  readonly self: number;
}

export const ownCpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

export function markLoad(): LoadMark {
  const machine = cpus().reduce((sum, { times: t }) => sum + t.user + t.nice + t.sys + t.irq, 0);
  return { wall: performance.now(), machine, self: ownCpuMs() };
}

/** Adds up, over many short windows, what everything but the engine that was timed has computed. */
export interface LoadMeter {
  /** A window in which the engine's process used so many milliseconds of processor time. */
  add(from: LoadMark, to: LoadMark, engineMs: number): void;
  /** Processors that others kept busy, on average; the system counts in steps of 10 ms, so the windows must add up to many. */
  otherCpus(): number;
}

export function loadMeter(): LoadMeter {
  let [wall, others] = [0, 0];
  return {
    add(from, to, engineMs) {
      wall += to.wall - from.wall;
      others += to.machine - from.machine - (to.self - from.self) - engineMs;
    },
    otherCpus: () => (wall > 0 ? Math.max(0, others / wall) : 0),
  };
}

/** From now on; what it returns says how many processors others have kept busy since, on average. For engines of this very process. */
export function watchLoad(): () => number {
  const from = markLoad();
  return () => {
    const meter = loadMeter();
    meter.add(from, markLoad(), 0);
    return Number(meter.otherCpus().toFixed(2));
  };
}
