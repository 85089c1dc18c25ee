import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { nonzeros } from "../../src/graph/statistics.ts";
import { openModel } from "../../src/io/files.ts";
import { ROOT } from "./child.ts";

export interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** The program as users get it: `npm test` builds it first. From the sources each start takes three seconds more. */
export const PROGRAM = join(ROOT, "dist/cli/main.js");

/** What Dawn itself prints where there is no driver of the system, before SwiftShader serves. */
const fromDawn = /^Warning: |^\s+at CheckVk/;

/** Runs one command line; what Dawn prints is left out of `err`. */
export function secateur(...args: string[]): Run {
  return secateurIn({}, ...args);
}

/** The same with variables of the environment beside those of this process. */
export function secateurIn(env: Readonly<Record<string, string>>, ...args: string[]): Run {
  const run = spawnSync(process.execPath, [PROGRAM, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 120_000,
  });
  const err = run.stderr.split("\n").filter((line) => line !== "" && !fromDawn.test(line));
  return { status: run.status, out: run.stdout, err: err.join("\n") };
}

/** The same, and it must exit 0; returns standard output. */
export function succeeds(...args: string[]): string {
  const run = secateur(...args);
  assert.is(run.status, 0, `${args.join(" ")}: ${run.err}`);
  return run.out;
}

/** Weights of a model file that are not zero, by name; vectors left out. */
export async function keptWeights(file: string): Promise<Record<string, number>> {
  const graph = await openModel(file);
  return Object.fromEntries(
    [...graph.weights].filter(([, w]) => w.shape.length >= 2).map(([name, w]) => [name, nonzeros(w)]),
  );
}
