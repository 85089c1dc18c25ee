import * as assert from "uvu/assert";
import { type ErrorCode, SecateurError } from "../../src/errors.ts";

/** `run` must throw, or reject with, a SecateurError of this code whose message matches. Gives the error back. */
export async function fails(
  run: () => unknown,
  code: ErrorCode,
  message: RegExp = /./,
): Promise<SecateurError> {
  let error: unknown;
  try {
    await run();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `nothing was thrown; expected ${code}`);
  if (!(error instanceof SecateurError)) throw error;
  assert.is(error.code, code, `expected ${code}, but got ${error.code}: ${error.message}`);
  assert.match(error.message, message);
  return error;
}
