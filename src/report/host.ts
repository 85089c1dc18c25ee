import { availableParallelism, cpus, release } from "node:os";
import type { Host } from "./environment.ts";

/** The machine as Node knows it: runtime, system, processor. Nothing here tells one such machine from another. */
export function nodeHost(): Host {
  // Only the numbers of the system's version: what follows them may be a name that somebody gave to their own build.
  const system = /^\d+(\.\d+)*/.exec(release())?.[0];
  const model = cpus()[0]?.model.replace(/\s+/g, " ").trim();
  return {
    runtime: `Node ${process.version}`,
    platform: [process.platform, system, process.arch].filter(Boolean).join(" "),
    ...(model && model !== "unknown" ? { cpu: model } : {}),
    cores: availableParallelism(),
  };
}
