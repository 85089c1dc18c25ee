import type { AdapterFacts } from "../gpu/adapter.ts";
import { version } from "../version.ts";

/** What is known of the machine around the GPU. Browsers tell little of it; in Node, `nodeHost()` tells more. */
export interface Host {
  /** Node's version, or the browser's own name for itself. */
  readonly runtime: string;
  /** Operating system and architecture. */
  readonly platform: string;
  /** Model of the processor; a software adapter's times are its times. */
  readonly cpu?: string;
  /** Threads that can run at once. */
  readonly cores?: number;
}

/** Where a measurement was made: enough to judge it by, and nothing that names a machine or a person. */
export interface Environment extends Host {
  /** The adapter's own words, its driver among them. */
  readonly adapter: string;
  readonly vendor: string;
  readonly software: boolean;
  readonly key: string;
  readonly secateur: string;
  /** ISO date and time. */
  readonly date: string;
  /** Processors that other processes kept busy while it was made, on average, where that was watched. */
  readonly otherCpus?: number;
}

interface Globals {
  readonly process?: { readonly version?: string; readonly platform?: string; readonly arch?: string };
  readonly navigator?: { readonly userAgent?: string; readonly hardwareConcurrency?: number };
}

/** What the global objects tell, in Node and in browsers alike; what they do not tell is left out. */
export function globalHost(globals: Globals = globalThis as Globals): Host {
  const { process, navigator } = globals;
  const cores = navigator?.hardwareConcurrency;
  return {
    runtime: process?.version ? `Node ${process.version}` : (navigator?.userAgent ?? "unknown"),
    platform: process?.platform ? `${process.platform} ${process.arch}` : "browser",
    ...(cores ? { cores } : {}),
  };
}

export function environment(adapter: AdapterFacts, host: Host = globalHost()): Environment {
  return {
    adapter: adapter.description,
    vendor: adapter.vendor,
    software: adapter.software,
    key: adapter.key,
    ...host,
    secateur: version,
    date: new Date().toISOString(),
  };
}

/** One line that names the adapter, and says so when its milliseconds are no headline. */
export function environmentLine(e: Environment): string {
  const kind = e.software ? "a software adapter: ratios count, its milliseconds do not" : "hardware";
  const threads = e.cores ? ` (${e.cores} ${e.cores === 1 ? "thread" : "threads"})` : "";
  const cpu = e.cpu ? `; ${e.cpu}${threads}` : "";
  const load = e.otherCpus === undefined ? "" : `; others kept ${e.otherCpus.toFixed(2)} processors busy`;
  return `${e.adapter} (${kind})${cpu}; ${e.runtime}, ${e.platform}; secateur ${e.secateur}; ${e.date.slice(0, 10)}${load}`;
}
