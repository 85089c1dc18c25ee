import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { SKIP_MARK } from "./skip.ts";

/** What one test file's process came to. */
export interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly string[];
  readonly seconds: number;
  readonly output: string;
  /** Why the file as such failed, beyond its tests. */
  readonly fault?: string;
}

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
/** Against files that hang: the longest, which plan by measurement, take four minutes on two slow cores that others share. */
const FILE_TIMEOUT_MS = Number(process.env.SECATEUR_TEST_TIMEOUT_S ?? 600) * 1000;

/** Of a failing file's output. */
const MOST_LINES = 150;

/** Runs one test file in a process of its own, so that a crash, a hang or a global state stays there. */
export function runFile(file: string, timeoutMs = FILE_TIMEOUT_MS, root = ROOT): Promise<FileResult> {
  const start = performance.now();
  return new Promise((done) => {
    const child = spawn(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      // No test may depend on what was measured before, nor leave anything in the user's cache.
      env: { ...process.env, SECATEUR_TUNING_CACHE: "off", NO_COLOR: "1", FORCE_COLOR: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let late = false;
    const collect = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const seconds = (performance.now() - start) / 1000;
      done({ file, seconds, output, ...judge(output, code, signal, late ? timeoutMs : undefined) });
    });
  });
}

function judge(
  output: string,
  code: number | null,
  signal: string | null,
  lateMs: number | undefined,
): Pick<FileResult, "passed" | "failed" | "skips" | "fault"> {
  // The last one counts: a failing test may have printed another run's summary.
  const number = (pattern: RegExp): number | undefined => {
    const match = [...output.matchAll(pattern)].at(-1);
    return match ? Number(match[1]) : undefined;
  };
  const marked = output
    .split("\n")
    .filter((line) => line.startsWith(SKIP_MARK))
    .map((line) => line.slice(SKIP_MARK.length));
  const silent = number(/^ {2}Skipped: +(\d+)/gm) ?? 0;
  const skips = silent > 0 ? [...marked, `${silent} by uvu's .skip`] : marked;
  const total = number(/^ {2}Total: +(\d+)/gm);
  const fine = number(/^ {2}Passed: +(\d+)/gm) ?? 0;
  const failed = (total ?? 0) - fine;
  const shown = output.match(/^\s*FAIL {2}/gm)?.length ?? 0;
  const fault =
    lateMs !== undefined
      ? `took longer than ${lateMs / 1000} s and was killed`
      : signal !== null
        ? `was killed by ${signal}`
        : total === undefined
          ? "ended before its summary (is every suite ended by .run()?)"
          : failed > shown
            ? "stopped in the middle: a test threw something that uvu cannot print"
            : total === 0
              ? "ran no test"
              : code !== 0 && failed === 0
                ? `exited with ${code} though its tests passed`
                : undefined;
  return { passed: Math.max(0, fine - marked.length), failed, skips, ...(fault && { fault }) };
}

/** Test files below `folder`, relative to the root, that contain any of the filters. */
export function testFiles(folder: string, filters: readonly string[], root = ROOT): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((file) => filters.length === 0 || filters.some((text) => file.includes(text)))
    .sort();
}

/** The line that ends every run. */
export function closingLine(results: readonly FileResult[]): string {
  const sum = (of: (r: FileResult) => number): number => results.reduce((total, r) => total + of(r), 0);
  const failed = sum((r) => r.failed + (r.fault !== undefined && r.failed === 0 ? 1 : 0));
  return `tests: ${results.length} files, ${sum((r) => r.passed)} tests passed, ${failed} failed, ${sum((r) => r.skips.length)} skipped`;
}

async function main(): Promise<void> {
  const files = testFiles(join(ROOT, "test"), process.argv.slice(2));
  const results: FileResult[] = [];
  const queue = [...files];
  const jobs = Math.max(1, Number(process.env.SECATEUR_TEST_JOBS ?? 2) || 2);
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const result = await runFile(file);
        results.push(result);
        report(result);
      }
    }),
  );
  const skipped = results.filter((r) => r.skips.length > 0);
  if (skipped.length > 0) process.stdout.write("\nSKIPPED, so not proven by this run:\n");
  for (const { file, skips } of skipped)
    for (const text of skips) process.stdout.write(`  ${file}: ${text}\n`);
  const bad = results.filter(isBad);
  if (bad.length > 0) process.stdout.write(`\nFAILED: ${bad.map((r) => r.file).join(", ")}\n`);
  if (files.length === 0) process.stdout.write(`no test file matches ${process.argv.slice(2).join(" ")}\n`);
  process.stdout.write(`\n${closingLine(results)}\n`);
  process.exitCode = bad.length > 0 || files.length === 0 ? 1 : 0;
}

function isBad(result: FileResult): boolean {
  return result.failed > 0 || result.fault !== undefined;
}

function report(result: FileResult): void {
  const counts = [`${result.passed} passed`];
  if (result.failed > 0) counts.push(`${result.failed} failed`);
  if (result.skips.length > 0) counts.push(`${result.skips.length} skipped`);
  if (result.fault !== undefined) counts.push(result.fault);
  const mark = isBad(result) ? "FAIL" : "ok  ";
  process.stdout.write(`${mark} ${result.file}: ${counts.join(", ")} (${result.seconds.toFixed(1)} s)\n`);
  if (!isBad(result)) return;
  const lines = result.output.trimEnd().split("\n");
  const shown =
    lines.length > MOST_LINES
      ? [...lines.slice(0, MOST_LINES), `… ${lines.length - MOST_LINES} more lines`]
      : lines;
  process.stdout.write(`${shown.map((line) => `     | ${line}\n`).join("")}\n`);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url))
  await main();
