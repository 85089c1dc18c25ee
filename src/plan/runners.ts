import type { Bound } from "../gpu/bind.ts";
import { workgroupCounts } from "../gpu/dispatch.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Recordable, recordPass } from "../gpu/passes.ts";
import type { TexelCopy } from "../gpu/texels.ts";
import { createTimer } from "../gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../gpu/usage.ts";
import { roundedToHalf } from "../kernels/columns/half.ts";
import type { Launch, Realised } from "../kernels/columns/launch.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { realise } from "../kernels/columns/realise.ts";
import { seeded } from "../tensor/random.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import type { Ranked } from "./estimate.ts";
import { type Expected, expectedOutputs } from "./expected.ts";

const tolerance = 1e-4;

/** A candidate with the weight it runs on; those of one layer may have different weights. */
export interface Contender {
  readonly ranked: Ranked;
  readonly weight: WeightMatrix;
}

/** A contender that is ready to run. */
export interface Runner extends Recordable {
  readonly contender: Contender;
  /** Is its result that of the double-precision reference? */
  readonly right: boolean;
}

/** One layer on random data, and the contenders that have been made ready to run on it. */
export interface Track {
  /**
   * Makes contenders ready, all at once, and looks at one result of each, at the edges and a seeded sample of outputs. Those that are
   * not reached before it is `late` are left out.
   */
  enter(contenders: readonly Contender[], late?: () => boolean): Promise<Runner[]>;
  /** Milliseconds of one pass of `repeats` runs, by the GPU's own timestamps where it has them. */
  time(runner: Omit<Runner, "right">, repeats: number): Promise<number>;
  /** Gives back all that runners hold. */
  close(): void;
}

/** What all contenders of a layer read and write. */
interface Shared {
  readonly given: Readonly<Record<string, GPUBuffer>>;
  /** Of a weight, once per track. */
  expected(weight: WeightMatrix): readonly Expected[];
}

export function openTrack(gpu: Gpu, place: ColumnsPlace): Track {
  const stock = stockOf(gpu);
  const timer = createTimer(gpu, 1);
  const close = (): void => {
    timer?.dispose();
    stock.release();
  };
  let shared: Shared;
  try {
    shared = randomData(place, stock);
  } catch (error) {
    close();
    throw error;
  }
  const { given, expected } = shared;
  const time: Track["time"] = async (runner, repeats) => {
    const label = `measure ${place.step.name} ${runner.contender.ranked.variant.name}`;
    const start = performance.now();
    gpu.submit([recordPass(gpu, runner, label, repeats, timer?.writes(0))]);
    if (timer) return (await timer.resolve())[0]! / 1e6;
    await gpu.wait();
    return performance.now() - start;
  };
  return {
    async enter(contenders, late = () => false) {
      const entered: Runner[] = [];
      const ready = await Promise.all(
        contenders.map(async (contender) => ({
          contender,
          dispatches: await prepared(gpu, place, contender, given, stock),
        })),
      );
      for (const runner of ready) {
        if (late()) return entered;
        await time(runner, 1);
        const got = new Float32Array(await gpu.read(given["y"]!, 0, place.words.y * 4));
        const right = expected(runner.contender.weight).every(
          ({ at, value, scale }) => Math.abs(got[at]! - value) <= tolerance * scale,
        );
        entered.push({ ...runner, right });
      }
      return entered;
    },
    time,
    close,
  };
}

function randomData({ problem, words }: ColumnsPlace, { acquire, upload }: Stock): Shared {
  const random = seeded(1);
  const fill = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform() * 2 - 1);
  // Values that half precision holds, so that kernels that round what they load are checked as strictly as all others.
  const x = roundedToHalf(fill(words.x));
  const bias = fill(problem.groups * problem.rowsPerGroup);
  const residual = problem.residual ? fill(words.residual) : undefined;
  const known = new Map<WeightMatrix, readonly Expected[]>();
  return {
    given: {
      x: upload("x", x),
      bias: upload("bias", bias),
      y: acquire("y", words.y * 4),
      ...(residual && { residual: upload("residual", residual) }),
    },
    expected(weight) {
      const outputs = known.get(weight) ?? expectedOutputs(problem, weight, x, bias, residual);
      known.set(weight, outputs);
      return outputs;
    },
  };
}

/** Packs the weight, compiles the kernels and binds what they read and write. */
async function prepared(
  gpu: Gpu,
  { problem, step }: ColumnsPlace,
  { ranked: { variant, cut }, weight }: Contender,
  given: Shared["given"],
  stock: Stock,
): Promise<Recordable["dispatches"]> {
  const { arrays, scratch, launches }: Realised = realise(problem, variant, cut, weight);
  const buffers: Record<string, GPUBuffer> = { ...given };
  const asTexels = new Set(
    launches.flatMap((launch) => Object.keys(launch.texels ?? {}).map((v) => launch.bindings[v]!)),
  );
  for (const [name, data] of Object.entries(arrays)) {
    if (!asTexels.has(name)) buffers[name] = stock.upload(name, data);
  }
  for (const [name, n] of Object.entries(scratch)) buffers[name] = stock.acquire(name, n * 4);
  const dispatchOf = async (launch: Launch): Promise<Recordable["dispatches"][number]> => {
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
        const format = compiled.bindings[variable]!.format;
        bindings[variable] = { texture: stock.uploadTexels(name, arrays[name]!, format) };
        continue;
      }
      const buffer = buffers[name]!;
      if (count !== undefined) copy = { buffer, texture: stock.texelsFor(count), texels: count };
      bindings[variable] = copy && count !== undefined ? { texture: copy.texture } : { buffer };
    }
    const params = gpu.packParams(compiled, launch.params);
    bindings["params"] = { buffer: stock.upload("params", params, UNIFORM_USAGE) };
    const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
    return {
      pipeline: compiled.pipeline,
      group: gpu.bindGroup(compiled, `measure ${step.name}`, bindings),
      groups: workgroupCounts(launch.groups, limit, launch.kernel),
      ...(copy && { copy }),
    };
  };
  return Promise.all(launches.map(dispatchOf));
}

/** Buffers and textures of one track. */
interface Stock {
  acquire(label: string, bytes: number, usage?: number): GPUBuffer;
  upload(label: string, data: ArrayBufferView, usage?: number): GPUBuffer;
  /** A texture that contenders share, each filling it before it runs. */
  texelsFor(texels: number): GPUTexture;
  uploadTexels: Gpu["uploadTexels"];
  release(): void;
}

function stockOf(gpu: Gpu): Stock {
  const owned: GPUBuffer[] = [];
  const textures: GPUTexture[] = [];
  const shared: { readonly texture: GPUTexture; readonly texels: number }[] = [];
  const kept = (texture: GPUTexture): GPUTexture => {
    textures.push(texture);
    return texture;
  };
  const acquire: Stock["acquire"] = (label, bytes, usage = STORAGE_USAGE) => {
    const made = gpu.pool.acquire(`measure ${label}`, bytes, usage);
    owned.push(made);
    return made;
  };
  return {
    acquire,
    upload(label, data, usage) {
      const made = acquire(label, data.byteLength, usage);
      gpu.upload(made, data);
      return made;
    },
    texelsFor(texels) {
      const large = shared.find((other) => other.texels >= texels);
      if (large) return large.texture;
      const texture = kept(gpu.createTexels("measure texels", texels));
      shared.push({ texture, texels });
      return texture;
    },
    uploadTexels: (...args) => kept(gpu.uploadTexels(...args)),
    release() {
      for (const buffer of owned) gpu.pool.release(buffer);
      if (textures.length > 0) void gpu.destroyBuffers(textures);
    },
  };
}
