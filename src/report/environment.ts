import type { AdapterFacts } from "../gpu/adapter.ts";
import { version } from "../version.ts";

/** Where a measurement was made: enough to judge it by, and nothing that names a machine or a person. */
export interface Environment {
  readonly adapter: string;
  readonly vendor: string;
  readonly software: boolean;
  readonly key: string;
  /** Node's version, or the browser's own name for itself. */
  readonly runtime: string;
  readonly platform: string;
  readonly cores: number;
  readonly secateur: string;
  /** ISO date and time. */
  readonly date: string;
}

interface Host {
  readonly process?: { readonly version?: string; readonly platform?: string; readonly arch?: string };
  readonly navigator?: { readonly userAgent?: string; readonly hardwareConcurrency?: number };
}

export function environment(adapter: AdapterFacts): Environment {
  const { process, navigator } = globalThis as Host;
  return {
    adapter: adapter.description,
    vendor: adapter.vendor,
    software: adapter.software,
    key: adapter.key,
    runtime: process?.version ? `Node ${process.version}` : (navigator?.userAgent ?? "unknown"),
    platform: process?.platform ? `${process.platform} ${process.arch}` : "browser",
    cores: navigator?.hardwareConcurrency ?? 0,
    secateur: version,
    date: new Date().toISOString(),
  };
}

/** One line that names the adapter, and says so when its milliseconds are no headline. */
export function environmentLine(e: Environment): string {
  const kind = e.software ? "a software adapter: ratios count, its milliseconds do not" : "hardware";
  return `${e.adapter} (${kind}); ${e.runtime}, ${e.platform}; secateur ${e.secateur}; ${e.date.slice(0, 10)}`;
}
