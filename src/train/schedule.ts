import { InputError, printable, UsageError } from "../errors.ts";
import { wholeNumber } from "../tensor/shape.ts";

/** A length of training: a share of all its steps (from 0 to below 1), epochs, or steps. Rounded to whole steps. */
export interface Span {
  readonly unit: "fraction" | "epochs" | "steps";
  readonly value: number;
}

/** What every schedule may have besides its shape. */
interface Common {
  /**
   * Linear warm-up (Goyal et al. 2017, "Accurate, Large Minibatch SGD"): over the first W steps the rate rises in W equal
   * parts to where the schedule begins. Schedules without milestones then run over the steps that are left; milestones count
   * from the first step.
   */
  readonly warmup?: Span;
  /**
   * Learning-rate rewinding (Renda et al. 2020, "Comparing Rewinding and Fine-tuning in Neural Network Pruning"): training
   * begins this far into the schedule, whose last part it repeats. 0.6 for 400 steps gives the rates of steps 600 to 999
   * of a training of 1,000.
   */
  readonly rewind?: Span;
}

/** How the learning rate moves over a training. Plain data, so that it can be stored with a model. */
export type Schedule = Common &
  (
    | { readonly kind: "constant" }
    /** The base rate, times `gamma` at every milestone (He et al. 2016: at 1/2 and 3/4 of the training, 0.1). */
    | { readonly kind: "step"; readonly milestones: readonly Span[]; readonly gamma: number }
    /** Half a cosine from the base rate towards 0 (Loshchilov & Hutter 2017, "SGDR", without restarts). */
    | { readonly kind: "cosine" }
    /** A straight line from the base rate towards 0. */
    | { readonly kind: "linear" }
    /**
     * One cycle (Smith & Topin 2017, "Super-Convergence"), as PyTorch's OneCycleLR runs it: up by half a cosine from base /
     * divFactor to base, which is the peak, at the share `pctStart` of the steps, then down by half a cosine to base /
     * divFactor / finalDivFactor at the last step.
     */
    | {
        readonly kind: "one-cycle";
        /** From 0 to 1 (default 0.3). */
        readonly pctStart?: number;
        /** At least 1 (default 25). */
        readonly divFactor?: number;
        /** At least 1 (default 10,000). */
        readonly finalDivFactor?: number;
      }
  );

/**
 * The learning rate at `step` (from 0 to below `totalSteps`, the steps of this training without those that it rewinds).
 * `stepsPerEpoch` is needed where the schedule names epochs. Throws E_INPUT for numbers out of range, here or in the schedule, or
 * a warm-up that leaves no step.
 */
export function learningRateAt(
  schedule: Schedule,
  base: number,
  step: number,
  totalSteps: number,
  stepsPerEpoch?: number,
): number {
  const problem = problemOf(schedule);
  if (problem !== undefined) throw new InputError(`the learning-rate schedule cannot be used: ${problem}`);
  if (!(base > 0 && Number.isFinite(base)))
    throw new InputError(`the base learning rate is ${base}; a finite number above 0 is needed.`);
  wholeNumber(totalSteps, "steps of the training", 1);
  wholeNumber(step, "step", 0, totalSteps - 1);
  if (stepsPerEpoch !== undefined) wholeNumber(stepsPerEpoch, "steps per epoch", 1);
  const total = wholeLength(schedule.rewind, totalSteps, stepsPerEpoch);
  const at = step + total - totalSteps;
  const warmup = stepsOf(schedule.warmup, total, stepsPerEpoch);
  if (warmup >= total) {
    throw new InputError(
      `a warm-up of ${warmup} steps does not fit into a training of ${total}. Train longer or warm up for less.`,
    );
  }
  const ramp = Math.min(1, (at + 1) / Math.max(1, warmup));
  if (schedule.kind === "step") {
    const passed = schedule.milestones.filter((m) => at >= stepsOf(m, total, stepsPerEpoch)).length;
    return base * ramp * schedule.gamma ** passed;
  }
  return base * ramp * shapeAt(schedule, Math.max(0, at - warmup), total - warmup);
}

/** The rate as a share of the base, at `step` of `total` steps. */
function shapeAt(schedule: Exclude<Schedule, { kind: "step" }>, step: number, total: number): number {
  switch (schedule.kind) {
    case "constant":
      return 1;
    case "linear":
      return 1 - step / total;
    case "cosine":
      return halfCosine(1, 0, step / total);
    case "one-cycle": {
      const { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = schedule;
      const peak = Math.max(0, pctStart * total - 1);
      if (step < peak) return halfCosine(1 / divFactor, 1, step / peak);
      const down = total - 1 - peak;
      return halfCosine(1, 1 / divFactor / finalDivFactor, down > 0 ? (step - peak) / down : 0);
    }
  }
}

/** From `first` to `last` while `share` goes from 0 to 1. */
const halfCosine = (first: number, last: number, share: number): number =>
  last + ((first - last) / 2) * (1 + Math.cos(Math.PI * share));

/** Steps of the whole schedule whose last `steps` are trained. */
function wholeLength(rewind: Span | undefined, steps: number, stepsPerEpoch: number | undefined): number {
  if (rewind?.unit === "fraction") return Math.round(steps / (1 - rewind.value));
  return steps + stepsOf(rewind, steps, stepsPerEpoch);
}

function stepsOf(span: Span | undefined, total: number, stepsPerEpoch: number | undefined): number {
  if (span === undefined) return 0;
  if (span.unit === "steps") return span.value;
  if (span.unit === "fraction") return Math.round(span.value * total);
  if (stepsPerEpoch === undefined) {
    throw new InputError(
      `the learning-rate schedule names ${span.value} epochs. Give the number of steps per epoch too.`,
    );
  }
  return Math.round(span.value * stepsPerEpoch);
}

/** What is wrong with a schedule as such, or undefined. */
function problemOf(schedule: Schedule): string | undefined {
  const { kind, warmup, rewind } = schedule;
  if (!kinds.includes(kind)) return `"${printable(String(kind))}" is not known; use ${kinds.join(", ")}.`;
  const spans: [string, Span][] = [];
  if (warmup !== undefined) spans.push(["warmup", warmup]);
  if (rewind !== undefined) spans.push(["rewind", rewind]);
  if (kind === "step") {
    const { milestones, gamma } = schedule;
    if (milestones.length === 0) return "step has no milestones; give at least one.";
    for (const m of milestones) spans.push(["a milestone", m]);
    if (!(gamma > 0 && gamma <= 1)) return `gamma is ${gamma}; a number above 0 and up to 1 is needed.`;
    const unordered = milestones.findIndex(
      (m, i) => i > 0 && (m.unit !== milestones[0]!.unit || !(m.value > milestones[i - 1]!.value)),
    );
    if (unordered >= 0)
      return `milestones ${showSpan(milestones[unordered - 1]!)} and ${showSpan(milestones[unordered]!)} do not follow each other; give them ascending, in one unit.`;
  }
  if (kind === "one-cycle") {
    const { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = schedule;
    if (!(pctStart >= 0 && pctStart <= 1)) return `pctStart is ${pctStart}; a number from 0 to 1 is needed.`;
    if (!(divFactor >= 1 && Number.isFinite(divFactor)))
      return `divFactor is ${divFactor}; a finite number from 1 is needed.`;
    if (!(finalDivFactor >= 1 && Number.isFinite(finalDivFactor)))
      return `finalDivFactor is ${finalDivFactor}; a finite number from 1 is needed.`;
  }
  return spans.map(([what, span]) => spanProblem(what, span)).find((p) => p !== undefined);
}

function spanProblem(what: string, { unit, value }: Span): string | undefined {
  const is = `${what} is ${printable(String(value))} ${printable(String(unit))}`;
  switch (unit) {
    case "fraction":
      return value >= 0 && value < 1 ? undefined : `${is}; a fraction is from 0 to below 1.`;
    case "epochs":
      return value >= 0 && Number.isFinite(value) ? undefined : `${is}; epochs are finite numbers from 0.`;
    case "steps":
      return value >= 0 && Number.isSafeInteger(value) ? undefined : `${is}; steps are whole numbers from 0.`;
    default:
      return `${is}; the unit is fraction, epochs or steps.`;
  }
}

const showSpan = ({ unit, value }: Span): string => (unit === "fraction" ? `${value}` : `${value}${unit}`);

const kinds: readonly Schedule["kind"][] = ["constant", "step", "cosine", "linear", "one-cycle"];

/**
 * Reads a schedule from a command line:
 *
 *     constant | cosine | linear | one-cycle | step:SPAN,SPAN,…[@GAMMA]
 *
 * and, after a comma each, `warmup=SPAN`, `rewind=SPAN` and for one-cycle `pct-start=SHARE`, `div=NUMBER`,
 * `final-div=NUMBER`. A SPAN is a share of the training (`0.5`), or `80epochs`, or `500steps`. GAMMA is 0.1 unless said.
 * Examples: `step:0.5,0.75@0.1`, `cosine,warmup=5epochs`, `one-cycle,pct-start=0.4`, `step:80epochs,120epochs,rewind=0.9`.
 * Throws E_USAGE naming what cannot be read.
 */
export function parseSchedule(text: string): Schedule {
  const bad = (why: string): never => {
    throw new UsageError(`learning-rate schedule "${printable(text)}": ${why}`);
  };
  const parts = text.split(",");
  const first = parts.findIndex((part) => part.includes("="));
  const shape = (first < 0 ? parts : parts.slice(0, first)).join(",");
  const options: Record<string, Span | number> = {};
  const colon = shape.indexOf(":");
  const kind = kinds.find((k) => k === (colon < 0 ? shape : shape.slice(0, colon)));
  if (kind === undefined)
    return bad(
      `use constant, cosine, linear, one-cycle or step:0.5,0.75@0.1, then options such as warmup=5epochs.`,
    );
  if (colon >= 0 && kind !== "step") bad(`${kind} takes nothing after a colon.`);
  for (const part of first < 0 ? [] : parts.slice(first)) {
    const equals = part.indexOf("=");
    const key = equals < 0 ? part : part.slice(0, equals);
    const option = optionsOf(kind).find((o) => o.key === key);
    if (option === undefined)
      return bad(
        `"${printable(part)}" is no option of ${kind}; options are ${optionsOf(kind)
          .map((o) => `${o.key}=…`)
          .join(", ")}.`,
      );
    if (option.field in options) bad(`${key} is given twice.`);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    const read = option.span ? readSpan(value) : readNumber(value);
    options[option.field] =
      read ?? bad(`${key} is "${printable(value)}"; ${option.span ? spanHelp : "a number is needed."}`);
  }
  const schedule = (
    kind === "step" ? { kind, ...readSteps(shape.slice(5), bad), ...options } : { kind, ...options }
  ) as Schedule;
  const problem = problemOf(schedule);
  return problem === undefined ? schedule : bad(problem);
}

interface Option {
  readonly key: string;
  readonly field: string;
  readonly span: boolean;
}

const common: readonly Option[] = [
  { key: "warmup", field: "warmup", span: true },
  { key: "rewind", field: "rewind", span: true },
];
const ofOneCycle: readonly Option[] = [
  { key: "pct-start", field: "pctStart", span: false },
  { key: "div", field: "divFactor", span: false },
  { key: "final-div", field: "finalDivFactor", span: false },
];
const optionsOf = (kind: Schedule["kind"]): readonly Option[] =>
  kind === "one-cycle" ? [...common, ...ofOneCycle] : common;

/** `SPAN,SPAN,…[@GAMMA]`, what follows `step:`. */
function readSteps(
  text: string,
  bad: (why: string) => never,
): { readonly milestones: readonly Span[]; readonly gamma: number } {
  const [list = "", gammaText = "0.1", ...rest] = text.split("@");
  if (list === "" || rest.length > 0)
    bad("step needs milestones and at most one @, as in step:0.5,0.75@0.1.");
  const milestones = list
    .split(",")
    .map((m) => readSpan(m) ?? bad(`milestone "${printable(m)}" cannot be read; ${spanHelp}`));
  const gamma = readNumber(gammaText) ?? bad(`gamma is "${printable(gammaText)}"; a number is needed.`);
  return { milestones, gamma };
}

const spanHelp = "write 0.5 for half of the training, or 80epochs, or 500steps.";

function readSpan(text: string): Span | undefined {
  const [, number = "", unit = ""] = /^([^a-z]*)(epochs?|steps?)?$/.exec(text) ?? [];
  const value = readNumber(number);
  if (value === undefined) return undefined;
  if (unit === "") return value < 1 ? { unit: "fraction", value } : undefined;
  return { unit: unit.startsWith("epoch") ? "epochs" : "steps", value };
}

function readNumber(text: string): number | undefined {
  return /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}
