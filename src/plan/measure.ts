import { SecateurError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import { createTimer } from "../gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../gpu/usage.ts";
import { activationValue } from "../kernels/activation.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { type ColumnsProblem, columnsParams } from "../kernels/columns/problem.ts";
import { groupsOf, packFor } from "../kernels/columns/variants.ts";
import { seeded } from "../tensor/random.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import type { Ranked } from "./estimate.ts";
import type { Candidate } from "./plan.ts";

/** Outputs of a layer that every candidate is checked on, at least, before it is timed. */
const checkedOutputs = 4096;
const tolerance = 1e-4;
const rounds = 7;
/** On a slow adapter fewer rounds have to do: none is begun after this long, once there are three. */
const layerMs = 600;
const leastRounds = 3;

interface Prepared {
  readonly ranked: Ranked;
  readonly compiled: CompiledKernel;
  readonly group: GPUBindGroup;
  readonly groups: readonly [number, number, number];
  readonly times: number[];
  repeats: number;
}

/**
 * Runs every candidate of one layer on random data, checks it against a double-precision reference at the edges and a
 * seeded sample of outputs, and times them in turn (A B C A B C …) by timestamps around a pass of repeated dispatches, so
 * that a sample is well above the clock's step. Candidates twice as slow as the best leave after two rounds. A candidate
 * whose result is wrong is never timed and comes back without milliseconds; if that leaves none, throws E_VERIFY.
 */
export async function measureCandidates(
  gpu: Gpu,
  place: ColumnsPlace,
  weight: WeightMatrix,
  candidates: readonly Ranked[],
): Promise<Candidate[]> {
  const { problem, words } = place;
  const random = seeded(1);
  const fill = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform() * 2 - 1);
  const x = fill(words.x);
  const bias = fill(problem.groups * problem.rowsPerGroup);
  const residual = problem.residual ? fill(words.residual) : undefined;
  const owned: GPUBuffer[] = [];
  const buffer = (label: string, data: ArrayBufferView | number): GPUBuffer => {
    const bytes = typeof data === "number" ? data : data.byteLength;
    const made = gpu.pool.acquire(
      `measure ${label}`,
      bytes,
      label === "params" ? UNIFORM_USAGE : STORAGE_USAGE,
    );
    owned.push(made);
    if (typeof data !== "number") gpu.upload(made, data);
    return made;
  };
  const timer = createTimer(gpu, 1);
  try {
    const shared = { x: buffer("x", x), bias: buffer("bias", bias), y: buffer("y", words.y * 4) };
    const res = residual ? buffer("residual", residual) : shared.x;
    const expected = reference(problem, weight, x, bias, residual);
    const prepared = await Promise.all(
      candidates.map(async (ranked): Promise<Prepared> => {
        const { variant, cut } = ranked;
        const compiled = await gpu.compile(variant.kernel, {
          spec: variant.spec,
          constants: {
            ...variant.constants,
            ACT: problem.activation.code,
            HAS_RESIDUAL: problem.residual ? 1 : 0,
          },
          unroll: true,
        });
        const packed = packFor(problem, variant, weight);
        const bindings: Record<string, { buffer: GPUBuffer }> = {
          x: { buffer: shared.x },
          y: { buffer: shared.y },
          bias: { buffer: shared.bias },
          residual: { buffer: res },
        };
        for (const [name, data] of Object.entries(packed.arrays))
          bindings[name] = { buffer: buffer(name, data) };
        const params = columnsParams(problem, cut, Math.ceil(problem.rowsPerGroup / variant.rows));
        bindings["params"] = { buffer: buffer("params", gpu.packParams(compiled, params)) };
        const group = gpu.bindGroup(compiled, `measure ${place.step.name}`, bindings);
        return { ranked, compiled, group, groups: groupsOf(problem, variant, cut), times: [], repeats: 1 };
      }),
    );
    const right: Prepared[] = [];
    for (const p of prepared) {
      await pass(p);
      const got = new Float32Array(await gpu.read(shared.y, 0, words.y * 4));
      if (expected.every(({ at, value, scale }) => Math.abs(got[at]! - value) <= tolerance * scale))
        right.push(p);
    }
    if (right.length === 0) {
      throw new SecateurError(
        "E_VERIFY",
        `layer "${place.step.name}": no kernel gives the right result on this adapter.`,
      );
    }
    for (const p of right) p.repeats = repeatsFor(await pass(p));
    let running = right;
    const started = performance.now();
    for (let round = 0; round < rounds; round++) {
      if (round >= leastRounds && performance.now() - started > layerMs) break;
      for (const p of running) p.times.push((await pass(p)) / p.repeats);
      if (round === 1) {
        const best = Math.min(...running.map((p) => median(p.times)));
        running = running.filter((p) => median(p.times) <= 2 * best);
      }
    }
    return prepared.map(({ ranked, times }) => ({
      format: ranked.variant.format,
      kernel: ranked.variant.name,
      ...(times.length > 0
        ? { ms: median(times), p10: quantile(times, 0.1), p90: quantile(times, 0.9), samples: times.length }
        : {}),
    }));
  } finally {
    timer?.dispose();
    for (const b of owned) gpu.pool.release(b);
  }

  /** Milliseconds of one pass of `repeats` dispatches. */
  async function pass(p: Prepared): Promise<number> {
    const encoder = gpu.device.createCommandEncoder({ label: `measure ${place.step.name}` });
    const writes = timer?.writes(0);
    const pass = encoder.beginComputePass({
      label: p.ranked.variant.name,
      ...(writes && { timestampWrites: writes }),
    });
    pass.setPipeline(p.compiled.pipeline);
    pass.setBindGroup(0, p.group);
    for (let i = 0; i < p.repeats; i++) pass.dispatchWorkgroups(...p.groups);
    pass.end();
    const start = performance.now();
    gpu.submit([encoder.finish()]);
    if (timer) return (await timer.resolve())[0]! / 1e6;
    await gpu.wait();
    return performance.now() - start;
  }
}

/** Dispatches per sample so that one lasts about a millisecond. */
const repeatsFor = (ms: number): number => Math.max(1, Math.min(64, Math.ceil(1 / Math.max(ms, 1e-3))));

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low]! + (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!) * (at - low);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

interface Expected {
  /** Word of y. */
  readonly at: number;
  readonly value: number;
  /** Sum of magnitudes: what rounding errors are proportional to. */
  readonly scale: number;
}

/** Outputs of the problem in double precision: the corners of the row and column ranges, and a seeded sample. */
function reference(
  p: ColumnsProblem,
  weight: WeightMatrix,
  x: Float32Array,
  bias: Float32Array,
  residual: Float32Array | undefined,
): Expected[] {
  const random = seeded(2);
  const rows = p.groups * p.rowsPerGroup;
  const [depth, height, width] = p.out;
  const pixels = depth * height * width;
  const columns = pixels * p.batch;
  const one = (m: number, column: number): Expected => {
    const n = column % p.batch;
    const pixel = Math.floor(column / p.batch);
    const at: [number, number, number] = [
      Math.floor(pixel / (height * width)),
      Math.floor(pixel / width) % height,
      pixel % width,
    ];
    const along = (steps: readonly [number, number, number]): number =>
      at[0] * steps[0] + at[1] * steps[1] + at[2] * steps[2] + n;
    const base = p.xBase + along(p.xSteps) + Math.floor(m / p.rowsPerGroup) * p.xGroup;
    let sum = bias[m]!;
    let scale = 1e-3 + Math.abs(sum);
    for (let k = 0; k < p.k; k++) {
      const term = weight.values[m * p.k + k]! * x[base + p.taps[k]!]!;
      sum += term;
      scale += Math.abs(term);
    }
    if (residual) {
      const r = residual[p.residual!.base + m * p.residual!.channel + along(p.residual!.steps)]!;
      sum += r;
      scale += Math.abs(r);
    }
    return {
      at: p.y.base + m * p.y.channel + along(p.y.steps),
      value: activationValue(p.activation, sum),
      scale,
    };
  };
  const list: Expected[] = [];
  if (rows * columns <= checkedOutputs) {
    for (let m = 0; m < rows; m++) for (let c = 0; c < columns; c++) list.push(one(m, c));
    return list;
  }
  for (const m of [0, Math.min(1, rows - 1), rows - 1])
    for (const c of [0, 1 % columns, columns - 1]) list.push(one(m, c));
  while (list.length < checkedOutputs) list.push(one(random.below(rows), random.below(columns)));
  return list;
}
