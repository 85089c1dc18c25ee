import { GpuError, InputError, printable, SecateurError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { recordDispatches, recordPass, timePass } from "../gpu/passes.ts";
import { createTimer } from "../gpu/timer.ts";
import { opOf } from "../graph/evaluate.ts";
import { type Graph, type GraphValue, withWeights } from "../graph/graph.ts";
import { fromWords, toWords } from "../kernels/words.ts";
import { atPrecision, toleranceOf } from "../plan/half-weights.ts";
import { describePlan, type Plan } from "../plan/plan.ts";
import { type Spread, spread } from "../plan/stats.ts";
import { type HostTensor, zeros } from "../tensor/host-tensor.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../tensor/shape.ts";
import { checkDeclared, checkTensor } from "./inputs.ts";
import type { CompileOptions, Specialised } from "./options.ts";
import { runReference } from "./reference.ts";
import { compareOutputs, type Verification } from "./verify.ts";

export type Tensors = Readonly<Record<string, HostTensor>>;

/** A plan that prints itself as a table. */
export type SessionPlan = Plan & { toString(): string };

export interface StepTime {
  readonly layer: string;
  readonly op: string;
  readonly ms: number;
}

/** A compiled plan: buffers placed, pipelines built. Runs are queued one after the other. */
export interface Session {
  readonly graph: Graph;
  readonly plan: SessionPlan;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /** Channels that were found dead and left out before planning (see `compact`). */
  readonly deadChannels: number;
  /** One inference. Throws E_INPUT for a wrong name, dtype or shape, E_DISPOSED, E_DEVICE_LOST. */
  run(inputs: Tensors): Promise<Record<string, HostTensor>>;
  /**
   * One pass of which nothing is read back: for sessions whose updates change their variables, a training step. Returns once
   * the pass is queued; waits now and then, so that passes do not pile up. Throws as `run` does.
   */
  step(inputs: Tensors): Promise<void>;
  /** What a variable holds on the device after all passes so far. Throws E_INPUT for a name that is no variable. */
  read(name: string): Promise<HostTensor>;
  /** Several variables at the price of one wait, or one for every 64 MiB. */
  readAll(names: readonly string[]): Promise<HostTensor[]>;
  /** The graph with what its variables hold now. */
  readState(): Promise<Graph>;
  /** GPU milliseconds of one pass over the inputs of the last run: no upload, no read-back. */
  time(repeats?: number): Promise<number>;
  /** GPU milliseconds per step of one pass; needs `profile: true`. */
  profile(): Promise<StepTime[]>;
  /**
   * What a run costs beside the GPU: milliseconds of JavaScript from its start until its work is submitted, of the last 100
   * runs (and steps) at the shapes run last, those left out that compiled; undefined where there was none.
   */
  overhead(): Spread | undefined;
  /**
   * Runs on the GPU and on the CPU in double precision, with the weights of the compile's `precision`, and compares. Throws E_VERIFY
   * beyond the tolerance.
   */
  verify(inputs: Tensors, options?: { readonly tolerance?: number }): Promise<Verification>;
  /** Replaces a variable weight (one named in `variables`); takes effect from the next run, compiles nothing. */
  write(name: string, value: HostTensor): void;
  /** Bytes on the device for the shapes compiled last. */
  memory(): { readonly activations: number; readonly constants: number; readonly uniforms: number };
  /** Compiles for the shapes known up front; called by `compile`. */
  prepare(): Promise<void>;
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Specialisations kept per session; the least recently used one goes. */
const specialisationCap = 8;
/** Runs whose time on the CPU is remembered. */
const timedRuns = 100;
/** Passes queued before a step waits for them: uploads are copied, and Dawn's memory grows until something is awaited. */
const mostQueued = 8;
/** Bytes of variables that are copied out at once: a net's whole state at a time would need as much memory again. */
const mostStaged = 2 ** 26;

export type Specialise = (
  shapes: ReadonlyMap<string, Shape>,
  values: ReadonlyMap<string, HostTensor>,
) => Promise<Specialised>;

export function makeSession(
  gpu: Gpu,
  graph: Graph,
  options: CompileOptions,
  valueInputs: readonly string[],
  deadChannels: number,
  specialise: Specialise,
): Session {
  const cache = new Map<string, Specialised>();
  const variables = new Map((options.variables ?? []).map((name) => [name, graph.weights.get(name)!]));
  let current: Specialised | undefined;
  const spent = new WeakMap<Specialised, number[]>();
  let disposed = false;
  let queue: Promise<unknown> = Promise.resolve();
  let queued = 0;
  const stateful = graph.nodes.some((node) => opOf(node).inPlace !== undefined);

  const alive = (): void => {
    if (disposed) throw new SecateurError("E_DISPOSED", "the session was disposed. Compile the graph again.");
    gpu.check();
  };
  const inOrder = <T>(work: () => Promise<T>): Promise<T> => {
    const next = queue.then(work, work);
    queue = next.catch(() => undefined);
    return next;
  };

  async function specialised(
    shapes: ReadonlyMap<string, Shape>,
    values: ReadonlyMap<string, HostTensor>,
  ): Promise<Specialised> {
    const key =
      [...shapes].map(([n, s]) => `${n}${showShape(s)}`).join(";") +
      [...values].map(([n, t]) => `;${n}=${t.data}`).join("");
    let found = cache.get(key);
    if (found) cache.delete(key);
    else {
      if (stateful && cache.size > 0) {
        throw new InputError(
          `this session updates its variables, so it takes the shapes it was compiled for: ${[...cache.keys()][0]}, not ${key}.`,
        );
      }
      found = await specialise(shapes, values);
      spent.set(found, []);
      for (const [name, value] of variables) upload(found, name, value);
      if (cache.size >= specialisationCap) {
        const [oldest, gone] = cache.entries().next().value!;
        gone.device.dispose();
        cache.delete(oldest);
      }
    }
    cache.set(key, found);
    current = found;
    return found;
  }

  function upload(s: Specialised, name: string, value: HostTensor): void {
    const buffer = s.device.inputs.get(name);
    if (buffer) gpu.upload(buffer, toWords(value.data, `"${printable(name)}"`));
  }

  /** Shapes known before any input: declared ones, with open dimensions filled in. */
  function initialShapes(): Map<string, Shape> | undefined {
    const shapes = new Map<string, Shape>();
    for (const input of graph.inputs) {
      const given = options.inputShapes?.[input.name];
      const shape = given ?? input.shape.map((d, i) => d ?? (i === 0 ? (options.batch ?? 1) : null));
      if (shape.some((d) => d === null)) {
        if (valueInputs.length > 0) return undefined;
        throw new InputError(
          `input "${printable(input.name)}" has open dimensions ${showShape(input.shape)}. Give its shape in inputShapes.`,
        );
      }
      checkDeclared(input, shape as Shape);
      shapes.set(input.name, shape as Shape);
    }
    return shapes;
  }

  function collect(inputs: Tensors): { shapes: Map<string, Shape>; values: Map<string, HostTensor> } {
    for (const name of Object.keys(inputs)) {
      if (!graph.inputs.some((i) => i.name === name)) {
        throw new InputError(
          `there is no input "${printable(name)}"; the inputs are ${graph.inputs.map((i) => i.name).join(", ")}.`,
        );
      }
    }
    const shapes = new Map<string, Shape>();
    const values = new Map<string, HostTensor>();
    for (const input of graph.inputs) {
      const given = inputs[input.name];
      if (!given) throw new InputError(`input "${printable(input.name)}" is missing.`);
      checkTensor(input, given);
      shapes.set(input.name, given.shape);
      if (valueInputs.includes(input.name)) values.set(input.name, given);
    }
    return { shapes, values };
  }

  async function submit(inputs: Tensors): Promise<Specialised> {
    const start = performance.now();
    alive();
    const { shapes, values } = collect(inputs);
    const known = new Set(cache.values());
    const s = await specialised(shapes, values);
    for (const { name } of graph.inputs) if (!values.has(name)) upload(s, name, inputs[name]!);
    gpu.submit([recordPass(gpu, s.device, graph.name, 1)]);
    if (known.has(s)) spend(s, performance.now() - start);
    return s;
  }

  function spend(s: Specialised, ms: number): void {
    const times = spent.get(s)!;
    times.push(ms);
    if (times.length > timedRuns) times.shift();
  }

  async function step(inputs: Tensors): Promise<void> {
    await submit(inputs);
    if (++queued < mostQueued) return;
    queued = 0;
    await gpu.wait();
  }

  async function read(name: string): Promise<HostTensor> {
    alive();
    const known = variables.get(name);
    if (!known)
      throw new InputError(
        `"${printable(name)}" is not a variable of this session; name it in compile's variables.`,
      );
    const buffer = current?.device.inputs.get(name);
    if (!stateful || !buffer || sizeOf(known.shape) === 0) return known;
    return fromWords(await gpu.read(buffer, 0, sizeOf(known.shape) * 4), known.dtype, known.shape);
  }

  async function readAll(names: readonly string[]): Promise<HostTensor[]> {
    const found: HostTensor[] = [];
    let pending: Promise<HostTensor>[] = [];
    let staged = 0;
    for (const name of names) {
      const bytes = 4 * sizeOf(variables.get(name)?.shape ?? []);
      if (pending.length > 0 && staged + bytes > mostStaged) {
        found.push(...(await Promise.all(pending)));
        pending = [];
        staged = 0;
      }
      pending.push(read(name));
      staged += bytes;
    }
    found.push(...(await Promise.all(pending)));
    return found;
  }

  async function readState(): Promise<Graph> {
    const names = [...variables.keys()];
    const values = await readAll(names);
    return withWeights(graph, new Map(names.map((name, i) => [name, values[i]!])));
  }

  async function run(inputs: Tensors): Promise<Record<string, HostTensor>> {
    const s = await submit(inputs);
    const results: Record<string, HostTensor> = Object.create(null);
    for (const output of graph.outputs) results[output.name] = await readOutput(s, output);
    gpu.check();
    return results;
  }

  async function readOutput(s: Specialised, output: GraphValue): Promise<HostTensor> {
    const type = s.outputs.get(output.name)!;
    const constant = s.constantOutputs.get(output.name);
    if (constant) return constant;
    if (sizeOf(type.shape) === 0) return zeros(type.shape, type.dtype);
    const words = await gpu.read(s.device.outputs.get(output.name)!, 0, sizeOf(type.shape) * 4);
    return fromWords(words, type.dtype, type.shape);
  }

  async function time(repeats = 1): Promise<number> {
    alive();
    return timePass(gpu, needCurrent().device, graph.name, repeats);
  }

  async function profile(): Promise<StepTime[]> {
    alive();
    const s = needCurrent();
    const timer = createTimer(gpu, s.device.dispatches.length);
    if (!options.profile) throw new InputError("profile() needs a session compiled with profile: true.");
    if (!timer)
      throw new GpuError("E_GPU", "this adapter has no timestamp queries, so steps cannot be timed.");
    try {
      const encoder = gpu.device.createCommandEncoder({ label: `${graph.name} profile` });
      for (const [i, d] of s.device.dispatches.entries()) {
        recordDispatches(encoder, [d], d.label, 1, timer.writes(i));
      }
      gpu.submit([encoder.finish()]);
      const spans = await timer.resolve();
      const total = new Map<number, number>();
      for (const [i, d] of s.device.dispatches.entries())
        total.set(d.step, (total.get(d.step) ?? 0) + spans[i]! / 1e6);
      return [...total].map(([step, ms]) => ({
        layer: s.layers[step]?.name ?? "outputs",
        op: s.layers[step]?.op ?? "copy",
        ms,
      }));
    } finally {
      timer.dispose();
    }
  }

  function needCurrent(): Specialised {
    if (!current)
      throw new InputError("the session has not been compiled for any shape yet. Run it once first.");
    return current;
  }

  function write(name: string, value: HostTensor): void {
    alive();
    const known = variables.get(name);
    if (!known) {
      throw new InputError(
        `"${printable(name)}" is not a variable of this session; name it in compile's variables.`,
      );
    }
    if (!sameShape(known.shape, value.shape) || known.dtype !== value.dtype) {
      throw new InputError(
        `variable "${printable(name)}" is ${known.dtype} ${showShape(known.shape)}, but the new value is ${value.dtype} ${showShape(value.shape)}.`,
      );
    }
    variables.set(name, value);
    for (const s of cache.values()) upload(s, name, value);
  }

  function dispose(): void {
    if (disposed) return;
    disposed = true;
    for (const s of cache.values()) s.device.dispose();
    cache.clear();
  }

  return {
    graph,
    get plan() {
      const { plan } = needCurrent();
      return Object.defineProperty({ ...plan }, "toString", {
        value: () => describePlan(plan),
      }) as SessionPlan;
    },
    inputs: graph.inputs,
    outputs: graph.outputs,
    deadChannels,
    run: (inputs) => inOrder(() => run(inputs)),
    step: (inputs) => inOrder(() => step(inputs)),
    read: (name) => inOrder(() => read(name)),
    readAll: (names) => inOrder(() => readAll(names)),
    readState: () => inOrder(readState),
    time: (repeats) => inOrder(() => time(repeats)),
    profile: () => inOrder(profile),
    verify: async (inputs, { tolerance = toleranceOf(options.precision) } = {}) => {
      const before = await inOrder(readState);
      const actual = await inOrder(() => run(inputs));
      const exact = atPrecision(before, options.precision, options.variables);
      return compareOutputs(actual, runReference(exact, inputs), tolerance);
    },
    write,
    memory: () => needCurrent().device.memory,
    overhead() {
      const times = current && spent.get(current);
      return times && times.length > 0 ? spread(times) : undefined;
    },
    async prepare() {
      alive();
      const shapes = valueInputs.length > 0 ? undefined : initialShapes();
      if (shapes) await inOrder(() => specialised(shapes, new Map()));
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
