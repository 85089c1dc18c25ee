import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { SecateurError, UsageError } from "../errors.ts";
import { openGpuInNode } from "../gpu/dawn.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Precision, precisions } from "../plan/half-weights.ts";
import { type Plan, parsePlan } from "../plan/plan.ts";
import { keepTuning } from "../plan/tuning.ts";
import { folderStore, tuningFolder } from "../plan/tuning-folder.ts";

/** Where a command runs, and how much it says. */
export const addMachineOptions = (command: Command): Command =>
  command
    .option(
      "--adapter <kind>",
      "any, hardware or software",
      oneOf("--adapter", ["any", "hardware", "software"]),
      "any",
    )
    .option("--quiet", "no progress and no table, only errors");

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: string;
  readonly seed?: number;
  readonly adapter: "any" | "hardware" | "software";
  readonly plan?: string;
  readonly budget?: number;
  readonly precision?: Precision;
  /** False under --no-tuning-cache. */
  readonly tuningCache?: boolean;
  readonly quiet?: boolean;
}

export function addCommonOptions(command: Command): Command {
  return addMachineOptions(command)
    .option(
      "--json <file>",
      "also write the result as JSON (a file: the GPU library prints on standard output)",
    )
    .option("--seed <n>", "seed of everything random (1 unless said)", wholeNumber("--seed"))
    .option("--plan <plan>", "measured, estimated, dense, csr, block, nm, or the file of a saved plan")
    .option(
      "--budget <seconds>",
      "most seconds for measuring with --plan measured, all models together; the cost model decides about the layers not reached",
      number("--budget", { from: 0 }),
    )
    .option("--no-tuning-cache", "neither use nor keep what was measured on this adapter before");
}

/** The option of commands whose result may depend on how weights are held. */
export const addPrecisionOption = (command: Command): Command =>
  command.option(
    "--precision <kind>",
    "f32 (unless said); f16-weights: weights rounded to half precision, so that smaller formats may hold them; f16: activations too, where a kernel multiplies them",
    oneOf("--precision", precisions),
  );

/** A parser of whole numbers for commander, refusing with exit code 2. */
export const wholeNumber =
  (name: string, min = 0) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      throw new UsageError(`${name} is "${text}"; a whole number from ${min} is needed.`);
    }
    return value;
  };

export const fraction =
  (name: string) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= 0 && value < 1)) {
      throw new UsageError(`${name} is "${text}"; a number from 0 to below 1 is needed (0.9 removes 90 %).`);
    }
    return value;
  };

interface Range {
  readonly from?: number;
  readonly above?: number;
  readonly below?: number;
  readonly to?: number;
}

/** A parser of a number within a range. */
export const number =
  (name: string, { from, above, below, to }: Range = {}) =>
  (text: string): number => {
    const value = Number(text);
    const out =
      text.trim() === "" ||
      !Number.isFinite(value) ||
      (from !== undefined && value < from) ||
      (above !== undefined && value <= above) ||
      (below !== undefined && value >= below) ||
      (to !== undefined && value > to);
    if (!out) return value;
    const limits = [
      from !== undefined && `from ${from}`,
      above !== undefined && `above ${above}`,
      below !== undefined && `below ${below}`,
      to !== undefined && `up to ${to}`,
    ].filter(Boolean);
    throw new UsageError(`${name} is "${text}"; a number ${limits.join(" and ")} is needed.`);
  };

export const numbers =
  (name: string) =>
  (text: string): number[] => {
    const values = text.split(",").map(Number);
    if (values.some((v) => !Number.isFinite(v)) || text.trim() === "") {
      throw new UsageError(`${name} is "${text}"; numbers separated by commas are needed.`);
    }
    return values;
  };

export const oneOf =
  <T extends string>(name: string, allowed: readonly T[]) =>
  (text: string): T => {
    if (!(allowed as readonly string[]).includes(text)) {
      throw new UsageError(`${name} is "${text}"; use one of ${allowed.join(", ")}.`);
    }
    return text as T;
  };

/** A parser for an option that may be given several times; commander hands over what came before. */
export const several =
  <T>(parse: (text: string) => T) =>
  (text: string, previous: readonly T[]): T[] => [...previous, parse(text)];

const planModes = ["measured", "estimated", "dense", "csr", "block", "nm"] as const;

/** The plan option of a command: a mode, or a plan read from a file. */
export function planOption(
  text: string | undefined,
  fallback: (typeof planModes)[number],
): (typeof planModes)[number] | Plan {
  if (text === undefined) return fallback;
  const mode = planModes.find((m) => m === text);
  if (mode) return mode;
  let json: string;
  try {
    json = readFileSync(text, "utf8");
  } catch {
    throw new UsageError(
      `--plan is "${text}", which is neither one of ${planModes.join(", ")} nor a file that can be read.`,
    );
  }
  return parsePlan(json);
}

/** The plan, budget and precision options of a command that compiles. */
export function planOptions(
  { plan: text, budget, precision }: CommonOptions,
  fallback: (typeof planModes)[number],
): { plan: (typeof planModes)[number] | Plan; budget?: number; precision?: Precision } {
  const plan = planOption(text, fallback);
  if (budget !== undefined && plan !== "measured")
    throw new UsageError("--budget bounds the measuring of --plan measured.");
  return {
    plan,
    ...(budget !== undefined && { budget }),
    ...(precision !== undefined && { precision }),
  };
}

/** Where this command keeps what it measures; undefined where it does not. */
export const tuningFolderOf = ({ tuningCache }: CommonOptions): string | undefined =>
  tuningCache === false ? undefined : tuningFolder();

/** Opens the GPU for the time of `work` and disposes it whatever happens. */
export async function withGpu<T>(options: CommonOptions, work: (gpu: Gpu) => Promise<T>): Promise<T> {
  const gpu = await openGpuInNode({ adapter: options.adapter });
  const folder = tuningFolderOf(options);
  const warn = (message: string): void => {
    if (!options.quiet) process.stderr.write(`secateur: warning: ${message}\n`);
  };
  if (folder !== undefined) keepTuning(gpu, folderStore(folder, warn));
  try {
    return await work(gpu);
  } finally {
    gpu.dispose();
  }
}

/** Writes a file whole or not at all: into a temporary neighbour first, then renamed. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const target = resolve(path);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(temporary, content);
    renameSync(temporary, target);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SecateurError("E_IO", `cannot write ${path}: ${why}.`, { file: path }, { cause });
  }
}

export function writeJson(options: CommonOptions, value: unknown): void {
  if (options.json !== undefined) writeWhole(options.json, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** Prints results on standard output unless --quiet. */
export function print(options: CommonOptions, text: string): void {
  if (!options.quiet) process.stdout.write(`${text}\n`);
}
