import { writeSync } from "node:fs";

/** The runner looks for this at the start of a line. */
export const SKIP_MARK = "SKIPPED: ";

/** Says loudly that a test did not run, and why. The runner counts and lists it. Then return from the test. */
export function skip(what: string, why: string): void {
  writeSync(2, `\n${SKIP_MARK}${what} (${why})\n`);
}
