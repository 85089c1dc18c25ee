import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../src/gpu/driver/command.ts";

/** The project's root. */
export const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");

/**
 * Runs an ES module's text in a Node of its own, with the project's root as its folder (so `./src/…` can be imported). The
 * code is 124 where it took too long.
 */
export function runChild(
  text: string,
  options: { env?: Record<string, string>; flags?: readonly string[]; timeoutMs?: number } = {},
): Promise<{ code: number; output: string }> {
  const flags = [...(options.flags ?? []), "--import", "tsx", "--input-type=module", "-e", text];
  const env = { ...process.env, ...options.env };
  return runCommand(process.execPath, flags, { cwd: ROOT, env, timeoutMs: options.timeoutMs ?? 60_000 });
}
