import { SecateurError } from "../errors.ts";
import type { Bound } from "../gpu/bind.ts";
import { workgroupCounts } from "../gpu/dispatch.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Recordable, recordPass } from "../gpu/passes.ts";
import type { TexelCopy } from "../gpu/texels.ts";
import { createTimer } from "../gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../gpu/usage.ts";
import { roundedToHalf } from "../kernels/columns/half.ts";
import type { Realised } from "../kernels/columns/launch.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { realise } from "../kernels/columns/realise.ts";
import { seeded } from "../tensor/random.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import type { Ranked } from "./estimate.ts";
import { type Expected, expectedOutputs } from "./expected.ts";

const tolerance = 1e-4;

/** A candidate with the weight it runs on; candidates of one race may have different weights. */
export interface Contender {
  readonly ranked: Ranked;
  readonly weight: WeightMatrix;
}

/** How long a race goes on. */
export interface RaceOptions {
  /** Most rounds; in each, every contender runs once. */
  readonly rounds: number;
  /** No round is begun after this long, once there are `leastRounds`. */
  readonly budgetMs: number;
  readonly leastRounds: number;
  /** Contenders this many times as slow as the best of their weight leave after two rounds. */
  readonly drop: number;
  /** Milliseconds that one sample lasts, at least. */
  readonly sampleMs: number;
  /**
   * When the race has to end, by `now`. Half of the time until then may go into checking contenders, in their order; those not
   * reached are "late", and so are all where not even one round is possible.
   */
  readonly deadline?: number;
  /** A clock in milliseconds; `performance.now` unless given. */
  readonly now?: () => number;
}

/** What choosing a layer's kernel takes. */
export const tuning: RaceOptions = { rounds: 7, budgetMs: 600, leastRounds: 3, drop: 2, sampleMs: 1 };

/** Milliseconds per run of each round that a contender took part in; none where its result was wrong, or time ran out. */
export interface RaceResult {
  readonly contender: Contender;
  readonly state: "timed" | "wrong" | "late";
  readonly times: readonly number[];
}

interface Runner extends Recordable {
  readonly contender: Contender;
  readonly times: number[];
  /** Is its result right? */
  right: boolean;
  repeats: number;
}

/** Contenders prepared together where time is short: the next ones may not be wanted any more. */
const fewAtOnce = 4;

/**
 * Runs every contender of one layer on random data, checks it against a double-precision reference at the edges and a seeded
 * sample of outputs, and times them in turn (A B C A B C …) by timestamps around a pass of repeated runs, so that a sample is
 * well above the clock's step. A contender whose result is wrong is never timed; if that leaves none, throws E_VERIFY.
 */
export async function race(
  gpu: Gpu,
  place: ColumnsPlace,
  contenders: readonly Contender[],
  options: RaceOptions = tuning,
): Promise<RaceResult[]> {
  const { problem, words } = place;
  const random = seeded(1);
  const fill = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform() * 2 - 1);
  // Values that half precision holds, so that kernels that round what they load are checked as strictly as all others.
  const x = roundedToHalf(fill(words.x));
  const bias = fill(problem.groups * problem.rowsPerGroup);
  const residual = problem.residual ? fill(words.residual) : undefined;
  const owned: GPUBuffer[] = [];
  const textures: GPUTexture[] = [];
  const shared: { readonly texture: GPUTexture; readonly texels: number }[] = [];
  /** A texture that contenders share, each filling it before it runs. */
  const textureFor = (texels: number): GPUTexture => {
    const large = shared.find((other) => other.texels >= texels);
    if (large) return large.texture;
    const texture = gpu.createTexels("measure texels", texels);
    textures.push(texture);
    shared.push({ texture, texels });
    return texture;
  };
  const acquire = (label: string, bytes: number, usage = STORAGE_USAGE): GPUBuffer => {
    const made = gpu.pool.acquire(`measure ${label}`, bytes, usage);
    owned.push(made);
    return made;
  };
  const upload = (label: string, data: ArrayBufferView, usage = STORAGE_USAGE): GPUBuffer => {
    const made = acquire(label, data.byteLength, usage);
    gpu.upload(made, data);
    return made;
  };
  const timer = createTimer(gpu, 1);
  const { deadline, now = () => performance.now() } = options;
  const begun = now();
  const late = (share = 1): boolean => deadline !== undefined && now() >= begun + (deadline - begun) * share;
  try {
    const given: Record<string, GPUBuffer> = {
      x: upload("x", x),
      bias: upload("bias", bias),
      y: acquire("y", words.y * 4),
      ...(residual && { residual: upload("residual", residual) }),
    };
    const expected = new Map<WeightMatrix, readonly Expected[]>();
    for (const { weight } of contenders) {
      if (!expected.has(weight)) expected.set(weight, expectedOutputs(problem, weight, x, bias, residual));
    }
    const runners: Runner[] = [];
    await check();
    const right = runners.filter((runner) => runner.right);
    if (right.length === 0 && runners.length === contenders.length) {
      throw new SecateurError(
        "E_VERIFY",
        `layer "${place.step.name}": no kernel gives the right result on this adapter.`,
      );
    }
    await run(right);
    return contenders.map((contender) => {
      const runner = runners.find((r) => r.contender === contender);
      const times = runner?.times ?? [];
      const state = times.length > 0 ? "timed" : runner?.right === false ? "wrong" : "late";
      return { contender, state, times };
    });

    /** Prepares the contenders, all at once where there is time, and looks at one result of each. */
    async function check(): Promise<void> {
      const atOnce = deadline === undefined ? contenders.length : fewAtOnce;
      for (let from = 0; from < contenders.length; from += atOnce) {
        if (late(0.5)) return;
        for (const runner of await Promise.all(contenders.slice(from, from + atOnce).map(prepare))) {
          if (late(0.5)) return;
          await pass(runner);
          const got = new Float32Array(await gpu.read(given["y"]!, 0, words.y * 4));
          const wanted = expected.get(runner.contender.weight)!;
          runner.right = wanted.every(
            ({ at, value, scale }) => Math.abs(got[at]! - value) <= tolerance * scale,
          );
          runners.push(runner);
        }
      }
    }

    async function prepare(contender: Contender): Promise<Runner> {
      const { variant, cut } = contender.ranked;
      const { arrays, scratch, launches }: Realised = realise(problem, variant, cut, contender.weight);
      const buffers: Record<string, GPUBuffer> = { ...given };
      const asTexels = new Set(
        launches.flatMap((launch) => Object.keys(launch.texels ?? {}).map((v) => launch.bindings[v]!)),
      );
      for (const [name, data] of Object.entries(arrays)) {
        if (!asTexels.has(name)) buffers[name] = upload(name, data);
      }
      for (const [name, n] of Object.entries(scratch)) buffers[name] = acquire(name, n * 4);
      const dispatches = await Promise.all(
        launches.map(async (launch) => {
          const compiled = await gpu.compile(launch.kernel, {
            spec: launch.spec,
            constants: launch.constants,
            unroll: true,
          });
          const bindings: Record<string, Bound> = {};
          let copy: TexelCopy | undefined;
          for (const [variable, name] of Object.entries(launch.bindings)) {
            if (!Object.hasOwn(compiled.bindings, variable)) continue;
            const count = launch.texels?.[variable];
            if (count !== undefined && Object.hasOwn(arrays, name)) {
              const texture = gpu.uploadTexels(name, arrays[name]!, compiled.bindings[variable]!.format);
              textures.push(texture);
              bindings[variable] = { texture };
              continue;
            }
            const buffer = buffers[name]!;
            if (count !== undefined) copy = { buffer, texture: textureFor(count), texels: count };
            bindings[variable] = copy && count !== undefined ? { texture: copy.texture } : { buffer };
          }
          const params = gpu.packParams(compiled, launch.params);
          bindings["params"] = { buffer: upload("params", params, UNIFORM_USAGE) };
          const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
          return {
            pipeline: compiled.pipeline,
            group: gpu.bindGroup(compiled, `measure ${place.step.name}`, bindings),
            groups: workgroupCounts(launch.groups, limit, launch.kernel),
            ...(copy && { copy }),
          };
        }),
      );
      return { contender, dispatches, times: [], right: false, repeats: 1 };
    }
  } finally {
    timer?.dispose();
    for (const b of owned) gpu.pool.release(b);
    if (textures.length > 0) void gpu.destroyBuffers(textures);
  }

  /** Times the runners in turn, unless the deadline comes within the first round. */
  async function run(right: readonly Runner[]): Promise<void> {
    for (const runner of right) {
      if (late()) return;
      const ms = await pass(runner);
      runner.repeats = Math.max(1, Math.min(64, Math.ceil(options.sampleMs / Math.max(ms, 1e-3))));
    }
    let running = right;
    const started = now();
    for (let round = 0; round < options.rounds; round++) {
      if (round >= options.leastRounds && now() - started > options.budgetMs) return;
      for (const runner of running) {
        if (late()) {
          if (round === 0) for (const { times } of right) times.length = 0;
          return;
        }
        runner.times.push((await pass(runner)) / runner.repeats);
      }
      if (round === 1) {
        const best = new Map<WeightMatrix, number>();
        for (const { contender, times } of running) {
          const { weight } = contender;
          best.set(weight, Math.min(best.get(weight) ?? Number.POSITIVE_INFINITY, Math.min(...times)));
        }
        running = running.filter(
          ({ contender, times }) => Math.min(...times) <= options.drop * best.get(contender.weight)!,
        );
      }
    }
  }

  /** Milliseconds of one pass of `repeats` runs. */
  async function pass(runner: Runner): Promise<number> {
    const label = `measure ${place.step.name} ${runner.contender.ranked.variant.name}`;
    const start = performance.now();
    gpu.submit([recordPass(gpu, runner, label, runner.repeats, timer?.writes(0))]);
    if (timer) return (await timer.resolve())[0]! / 1e6;
    await gpu.wait();
    return performance.now() - start;
  }
}
