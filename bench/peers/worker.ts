// One engine in a process of its own: `fork(worker.ts, [engine, adapter])`. Messages as in protocol.ts, one at a time.

import { ownCpuMs } from "../load.ts";
import type { AdapterKind, Engine, EngineName, Prepared } from "./engine.ts";
import type { PreparedReply, Reply, Request, Sample } from "./protocol.ts";

const engines: Readonly<Record<EngineName, (adapter: AdapterKind) => Promise<Engine>>> = {
  secateur: async (adapter) => (await import("./engine-ours.ts")).openOurs(adapter, false),
  "secateur, in a net": async (adapter) => (await import("./engine-ours.ts")).openOurs(adapter, true),
  tfjs: async (adapter) => (await import("./engine-tfjs.ts")).openTfjsEngine(adapter),
  onnxruntime: async (adapter) => (await import("./engine-ort.ts")).openOrtEngine(adapter),
  "jax-js": async (adapter) => (await import("./engine-jax.ts")).openJaxEngine(adapter),
};

const send = (reply: Reply): void => void process.send!(reply);
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

let prepared: Prepared | undefined;

async function answer(engine: Engine, request: Request): Promise<PreparedReply | Sample | undefined> {
  if (request.kind !== "sample") {
    await prepared?.release();
    prepared = undefined;
  }
  if (request.kind === "release") return undefined;
  if (request.kind === "prepare") {
    prepared = await engine.prepare(request.case, request.operands);
    return { output: prepared.output, kernel: prepared.kernel };
  }
  if (!prepared) throw new Error("nothing is prepared.");
  const [wall, cpu] = [performance.now(), ownCpuMs()];
  const ms = await prepared.sample(request.repeats);
  return { ms, wallMs: performance.now() - wall, cpuMs: ownCpuMs() - cpu };
}

process.once("disconnect", () => process.exit());
const [name, adapter] = process.argv.slice(2) as [EngineName, AdapterKind];
try {
  const engine = await engines[name](adapter);
  process.on("message", (request: Request) => {
    answer(engine, request).then(
      (value) => send({ ok: true, value }),
      (error: unknown) => send({ ok: false, reason: reasonOf(error) }),
    );
  });
  send({ ok: true, value: engine.facts });
} catch (error) {
  send({ ok: false, reason: reasonOf(error) });
}
