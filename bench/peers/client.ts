import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Case, Operands } from "./cases.ts";
import type { AdapterKind, EngineFacts, EngineName } from "./engine.ts";
import type { PreparedReply, Reply, Request, Sample } from "./protocol.ts";

/** An engine in its process, seen from the bench. Every call throws what the engine said, or how its process ended. */
export interface Client {
  readonly name: EngineName;
  readonly facts: EngineFacts;
  /** Is the process still there? */
  readonly alive: boolean;
  prepare(c: Case, operands: Operands): Promise<PreparedReply>;
  sample(repeats: number): Promise<Sample>;
  release(): Promise<void>;
  close(): void;
}

/** An engine that has not answered by then is ended: shaders have no time limit of their own. */
const mostMs = 180_000;
/** Of what a process printed, what is kept for when it dies. */
const tailLength = 600;

/** Starts an engine's process and waits until it is open. Throws the reason where it cannot be loaded. */
export async function startEngine(name: EngineName, adapter: AdapterKind): Promise<Client> {
  const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [name, adapter], {
    serialization: "advanced", // typed arrays as they are
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let tail = "";
  const keep = (text: Buffer): void => {
    tail = (tail + text).slice(-tailLength);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  let alive = true;
  child.once("exit", () => {
    alive = false;
  });
  const ask = <T>(request?: Request): Promise<T> => answerOf<T>(child, () => tail, request);
  let facts: EngineFacts;
  try {
    facts = await ask<EngineFacts>();
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return {
    name,
    facts,
    get alive() {
      return alive;
    },
    prepare: (c, operands) => ask({ kind: "prepare", case: c, operands }),
    sample: (repeats) => ask({ kind: "sample", repeats }),
    release: () => ask({ kind: "release" }),
    close: () => void child.kill("SIGKILL"), // a wedged GPU would keep it alive
  };
}

function answerOf<T>(child: ChildProcess, tail: () => string, request: Request | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      reject(new Error(`its process has ended (${child.signalCode ?? `exit ${child.exitCode}`}).`));
      return;
    }
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      settle();
    };
    const onMessage = (reply: Reply): void =>
      done(() => (reply.ok ? resolve(reply.value as T) : reject(new Error(reply.reason))));
    const onExit = (code: number | null, signal: string | null): void =>
      done(() => reject(new Error(`its process ended (${signal ?? `exit ${code}`}): ${tail().trim()}`)));
    const timer = setTimeout(() => {
      done(() => reject(new Error(`it gave no answer within ${mostMs / 1000} s.`)));
      child.kill("SIGKILL");
    }, mostMs);
    child.on("message", onMessage);
    child.once("exit", onExit);
    if (request) child.send(request);
  });
}
