import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openGpuInNode } from "../dawn.ts";
import { runCommand } from "./command.ts";

/** What a fresh process finds. */
export type Probe =
  | { readonly found: true; readonly description: string; readonly software: boolean }
  | { readonly found: false; readonly why: string };

const MARK = "secateur-probe ";

/**
 * Looks for an adapter in a process of its own: the Vulkan loader reads its environment, and Dawn finds the loader, once per
 * process only.
 */
export async function probeAdapter(env: NodeJS.ProcessEnv = {}): Promise<Probe> {
  const args = [...loaderFlags(process.execArgv), fileURLToPath(import.meta.url)];
  const { code, output } = await runCommand(process.execPath, args, {
    env: { ...process.env, ...env },
    timeoutMs: 60_000,
  });
  const line = output.split("\n").find((l) => l.startsWith(MARK));
  if (line !== undefined) return JSON.parse(line.slice(MARK.length)) as Probe;
  const last = output.trim().split("\n").at(-1) ?? "";
  return { found: false, why: `looking for an adapter ended with code ${code}: ${last.slice(0, 300)}` };
}

/** The flags by which this Node learnt to run TypeScript, if it did. */
export function loaderFlags(flags: readonly string[]): string[] {
  const takesValue = /^(--import|--loader|--experimental-loader|--require|-r)$/;
  return flags.filter(
    (flag, i) =>
      takesValue.test(flag) ||
      takesValue.test(flags[i - 1] ?? "") ||
      /^--(import|loader|require)=/.test(flag),
  );
}

async function main(): Promise<void> {
  let probe: Probe;
  try {
    const gpu = await openGpuInNode();
    const { description, device, software } = gpu.adapter;
    probe = { found: true, description: description || device, software };
    gpu.dispose();
  } catch (error) {
    probe = { found: false, why: (error as Error).message };
  }
  // Dawn may have left a line of its own unfinished.
  writeSync(1, `\n${MARK}${JSON.stringify(probe)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
