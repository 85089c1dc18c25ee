import { suite } from "uvu";
import * as assert from "uvu/assert";
import { learningRateAt, parseSchedule, type Schedule, type Span } from "../../src/train/schedule.ts";
import { fails } from "../support/error.ts";

const schedules = suite("training: learning-rate schedules");

const fraction = (value: number): Span => ({ unit: "fraction", value });
const epochs = (value: number): Span => ({ unit: "epochs", value });
const steps = (value: number): Span => ({ unit: "steps", value });

/** The rate at each of the steps named. */
const rates = (
  schedule: Schedule,
  at: readonly number[],
  total: number,
  base = 1,
  stepsPerEpoch?: number,
): number[] => at.map((step) => learningRateAt(schedule, base, step, total, stepsPerEpoch));

function near(actual: readonly number[], wanted: readonly number[]): void {
  assert.is(actual.length, wanted.length);
  for (const [i, v] of actual.entries())
    assert.ok(Math.abs(v - wanted[i]!) <= 1e-12 + 1e-9 * Math.abs(wanted[i]!), `${actual} is not ${wanted}`);
}

schedules("constant, linear and cosine at named steps", () => {
  near(rates({ kind: "constant" }, [0, 5, 9], 10, 0.3), [0.3, 0.3, 0.3]);
  near(rates({ kind: "linear" }, [0, 5, 9], 10, 2), [2, 1, 0.2]);
  // cos 0, 60°, 90°, 120°
  near(rates({ kind: "cosine" }, [0, 4, 6, 8], 12, 0.4), [0.4, 0.3, 0.2, 0.1]);
  near(rates({ kind: "cosine" }, [0], 1), [1]);
});

schedules("step: the rate falls at each milestone, in whichever unit", () => {
  const wanted = [0.1, 0.1, 0.01, 0.01, 0.001, 0.001];
  const at = [0, 49, 50, 74, 75, 99];
  for (const milestones of [
    [fraction(0.5), fraction(0.75)],
    [steps(50), steps(75)],
    [epochs(5), epochs(7.5)],
  ])
    near(rates({ kind: "step", milestones, gamma: 0.1 }, at, 100, 0.1, 10), wanted);
  near(rates({ kind: "step", milestones: [fraction(0.5)], gamma: 0.5 }, [2, 3, 4], 7), [1, 1, 0.5]);
});

/** One cycle, as PyTorch's OneCycleLR defines it with its defaults but for the total. */
function torchOneCycle(step: number, total: number, peak: number, pct = 0.3, div = 25, final = 1e4): number {
  const up = pct * total - 1;
  const anneal = (a: number, b: number, share: number): number =>
    b + ((a - b) / 2) * (Math.cos(Math.PI * share) + 1);
  if (step <= up) return anneal(peak / div, peak, step / up);
  return anneal(peak, peak / div / final, (step - up) / (total - 1 - up));
}

schedules("one-cycle: from 1/25 up to the peak, down to almost nothing at the last step", () => {
  const schedule: Schedule = { kind: "one-cycle" };
  near(rates(schedule, [0, 29, 99], 100, 0.5), [0.02, 0.5, 2e-6]);
  // Halfway down a half cosine is the mean of its ends.
  near(rates(schedule, [64], 100, 0.5), [(0.5 + 2e-6) / 2]);
  const all = [...Array(100).keys()];
  near(
    rates(schedule, all, 100, 0.5),
    all.map((s) => torchOneCycle(s, 100, 0.5)),
  );
  const own: Schedule = { kind: "one-cycle", pctStart: 0.5, divFactor: 10, finalDivFactor: 100 };
  near(
    rates(own, all, 100, 2),
    all.map((s) => torchOneCycle(s, 100, 2, 0.5, 10, 100)),
  );
});

schedules("one-cycle of any length is finite, positive and at most the peak", () => {
  for (const pctStart of [0, 0.3, 1])
    for (let total = 1; total < 12; total++)
      for (let step = 0; step < total; step++) {
        const rate = learningRateAt({ kind: "one-cycle", pctStart }, 1, step, total);
        assert.ok(rate > 0 && rate <= 1, `${rate} at ${step} of ${total}, ${pctStart}`);
      }
});

schedules("warm-up rises in equal parts to where the schedule begins", () => {
  const warm = [0.25, 0.5, 0.75, 1, 1];
  for (const warmup of [steps(4), epochs(2), fraction(0.2)])
    near(rates({ kind: "constant", warmup }, [0, 1, 2, 3, 4], 20, 1, 2), warm);
  // The others run over the steps that are left: 4 of warm-up, then 16.
  near(rates({ kind: "linear", warmup: steps(4) }, [0, 1, 2, 3, 4, 12, 19], 20), [
    0.25,
    0.5,
    0.75,
    1,
    1,
    0.5,
    1 / 16,
  ]);
  near(rates({ kind: "cosine", warmup: steps(4) }, [3, 4, 12], 20), [1, 1, 0.5]);
  near(rates({ kind: "one-cycle", warmup: steps(4) }, [0, 3, 4, 103], 104), [0.01, 0.04, 0.04, 4e-6]);
  // Milestones count from the first step, even one within the warm-up.
  const milestones = [steps(2), steps(10)];
  near(
    rates({ kind: "step", milestones, gamma: 0.1, warmup: steps(4) }, [0, 1, 2, 3, 9, 10], 20),
    [0.25, 0.5, 0.075, 0.1, 0.1, 0.01],
  );
  near(rates({ kind: "linear", warmup: steps(0) }, [0, 5], 10), [1, 0.5]);
});

schedules("rewinding repeats the last part of a longer training", () => {
  const at = [...Array(40).keys()];
  const shapes: Schedule[] = [
    { kind: "cosine", warmup: steps(5) },
    { kind: "linear" },
    { kind: "one-cycle" },
    { kind: "step", milestones: [fraction(0.5), fraction(0.75)], gamma: 0.1 },
  ];
  for (const schedule of shapes) {
    const wanted = at.map((step) => learningRateAt(schedule, 0.1, step + 60, 100));
    for (const rewind of [steps(60), epochs(12), fraction(0.6)])
      near(rates({ ...schedule, rewind }, at, 40, 0.1, 5), wanted);
  }
  // Rewound to 6 steps in, two of eight of the warm-up are left.
  near(rates({ kind: "constant", warmup: steps(8), rewind: steps(6) }, [0, 1, 2], 4), [7 / 8, 1, 1]);
});

schedules("what the rate is asked with must make sense", async () => {
  const schedule: Schedule = { kind: "cosine" };
  for (const base of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    await fails(() => learningRateAt(schedule, base, 0, 10), "E_INPUT", /base learning rate is/);
  for (const step of [-1, 10, 0.5])
    await fails(() => learningRateAt(schedule, 1, step, 10), "E_INPUT", /^step is .* 0 to 9 /);
  await fails(() => learningRateAt(schedule, 1, 0, 0), "E_INPUT", /^steps of the training is 0/);
  await fails(() => learningRateAt(schedule, 1, 0, 9, 0), "E_INPUT", /^steps per epoch is 0/);
  const inEpochs: Schedule = { kind: "cosine", warmup: epochs(5) };
  await fails(() => learningRateAt(inEpochs, 1, 0, 10), "E_INPUT", /5 epochs. Give the number of steps per/);
  await fails(
    () => learningRateAt(inEpochs, 1, 0, 10, 2),
    "E_INPUT",
    /warm-up of 10 steps .* training of 10\./,
  );
  const bad: [Schedule, RegExp][] = [
    [{ kind: "cubic" } as unknown as Schedule, /"cubic" is not known; use constant, step, /],
    [{ kind: "step", milestones: [], gamma: 0.1 }, /no milestones/],
    [{ kind: "step", milestones: [fraction(0.5)], gamma: 0 }, /gamma is 0;/],
    [{ kind: "step", milestones: [fraction(0.5), fraction(0.5)], gamma: 0.1 }, /0\.5 and 0\.5 do not follow/],
    [{ kind: "step", milestones: [steps(5), epochs(6)], gamma: 0.1 }, /5steps and 6epochs do not follow/],
    [{ kind: "step", milestones: [fraction(1)], gamma: 0.1 }, /a milestone is 1 fraction;/],
    [{ kind: "one-cycle", pctStart: 1.5 }, /pctStart is 1\.5/],
    [{ kind: "one-cycle", divFactor: 0.5 }, /divFactor is 0\.5/],
    [{ kind: "one-cycle", finalDivFactor: Number.NaN }, /finalDivFactor is NaN/],
    [{ kind: "linear", warmup: steps(1.5) }, /warmup is 1\.5 steps/],
    [{ kind: "linear", warmup: epochs(-1) }, /warmup is -1 epochs/],
    [{ kind: "linear", rewind: fraction(1) }, /rewind is 1 fraction/],
    [{ kind: "linear", rewind: { unit: "hours" as "steps", value: 1 } }, /rewind is 1 hours; the unit is/],
  ];
  for (const [s, why] of bad) await fails(() => learningRateAt(s, 1, 0, 10, 1), "E_INPUT", why);
});

schedules("schedules are read from text", () => {
  const cases: [string, Schedule][] = [
    ["constant", { kind: "constant" }],
    ["linear", { kind: "linear" }],
    ["one-cycle", { kind: "one-cycle" }],
    ["cosine,warmup=5epochs", { kind: "cosine", warmup: epochs(5) }],
    ["cosine,rewind=0.5,warmup=500steps", { kind: "cosine", warmup: steps(500), rewind: fraction(0.5) }],
    ["step:0.5,0.75@0.1", { kind: "step", milestones: [fraction(0.5), fraction(0.75)], gamma: 0.1 }],
    ["step:.5", { kind: "step", milestones: [fraction(0.5)], gamma: 0.1 }],
    [
      "step:80epochs,120epochs@0.2,warmup=1epoch",
      { kind: "step", milestones: [epochs(80), epochs(120)], gamma: 0.2, warmup: epochs(1) },
    ],
    [
      "one-cycle,pct-start=0.4,div=10,final-div=1e3,warmup=1step",
      { kind: "one-cycle", pctStart: 0.4, divFactor: 10, finalDivFactor: 1000, warmup: steps(1) },
    ],
  ];
  for (const [text, wanted] of cases) assert.equal(parseSchedule(text), wanted, text);
});

schedules("text that is no schedule is refused, naming what is wrong", async () => {
  const cases: [string, RegExp][] = [
    ["", /"": use constant, /],
    ["Cosine", /"Cosine": use constant, /],
    ["cosine,0.5", /use constant, /],
    ["cosine:0.5", /cosine takes nothing after a colon/],
    ["step", /step needs milestones/],
    ["step:", /step needs milestones/],
    ["step:0.5@0.1@0.2", /at most one @/],
    ["step:0.5,@0.1", /milestone "" cannot be read; write 0\.5/],
    ["step:50@0.1", /milestone "50" cannot be read; write .*80epochs/],
    ["step:5days", /milestone "5days"/],
    ["step:-1epochs", /milestone "-1epochs"/],
    ["step:0.5@x", /gamma is "x"/],
    ["step:0.5@2", /gamma is 2;/],
    ["step:0.75,0.5", /0\.75 and 0\.5 do not follow each other/],
    ["cosine,warmup=5", /warmup is "5"; write 0\.5/],
    ["cosine,warmup=", /warmup is ""/],
    ["cosine,warmup=0.5steps", /warmup is 0\.5 steps; steps are whole/],
    ["cosine,warmup=1epoch,warmup=2epochs", /warmup is given twice/],
    ["cosine,warmup=1epoch,0.5", /"0\.5" is no option of cosine; options are warmup=…, rewind=…\./],
    ["cosine,div=3", /"div=3" is no option of cosine/],
    ["one-cycle,div=0x10", /div is "0x10"; a number/],
    ["one-cycle,pct-start=2", /pctStart is 2/],
    ["constant,toString=1", /"toString=1" is no option/],
  ];
  for (const [text, why] of cases) await fails(() => parseSchedule(text), "E_USAGE", why);
  const hostile = await fails(() => parseSchedule(`\u001b[31m${"x".repeat(5000)}`), "E_USAGE");
  assert.not.match(hostile.message, "\u001b");
  assert.ok(hostile.message.length < 300);
});

schedules.run();
