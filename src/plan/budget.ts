import { InputError } from "../errors.ts";

/** Seconds that may be spent on measuring, and what is left of them; shared by all that one session measures. */
export interface Budget {
  readonly seconds: number;
  /** In milliseconds. */
  left: number;
}

/** Undefined where there is no limit. Throws E_INPUT for what is no time. */
export function budgetOf(seconds: number | undefined): Budget | undefined {
  if (seconds === undefined) return undefined;
  if (!(seconds >= 0) || !Number.isFinite(seconds)) {
    throw new InputError(`budget is ${seconds}; seconds from 0 are needed, or none for no limit.`);
  }
  return { seconds, left: seconds * 1000 };
}
