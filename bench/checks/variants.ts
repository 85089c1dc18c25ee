// Every variant of a columns kernel, sizes of workgroups and numbers of columns included, against double precision: on odd problems
// and on a layer of a real net. npm test runs one of each kernel, format and number of rows; this takes a quarter of an hour on a
// software adapter, so it is no part of it. Alone: node --import tsx bench/checks/variants.ts [every nth, from 1] [first, from 0]

import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { isNm } from "../../src/kernels/columns/formats.ts";
import { subgroupOf, type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import {
  conv,
  longProblems,
  type Problem,
  planarProblems,
  problems,
  runBy,
} from "../../test/support/columns-problems.ts";

/** The first problem of a list that the variant applies to, and what it gives there. */
async function firstRun(variant: Variant, list: readonly Problem[]) {
  for (const problem of list) {
    const actual = await runBy(gpu, variant, problem);
    if (actual) return { problem, actual };
  }
  return undefined;
}

const [every = 1, first = 0] = process.argv.slice(2).map(Number);
const pads = [1, 1, 1, 1];
const real = [
  conv("3x3, 64 to 64 @14, batch 4", [4, 64, 14, 14], [64, 64, 3, 3], { pads }),
  conv("1x1, 128 to 96 @7, batch 8", [8, 128, 7, 7], [96, 128, 1, 1], {}),
  conv("3x3, 48 to 64 @14, one image", [1, 48, 14, 14], [64, 48, 3, 3], { pads }),
];
const odd = [...problems, ...planarProblems, ...longProblems];
const known = new Map<unknown, ReturnType<typeof runReference>>();

const gpu = await openGpuInNode();
const lanes = gpu.adapter.subgroups?.min ?? 0;
// N:M needs weights that are so, rounded activations another precision: test/gpu/nm and half-activations.
const here = variants.filter(
  (v) =>
    !isNm(v.format) &&
    v.loop !== "matrix" &&
    v.load !== "halves" &&
    subgroupOf(v.loop) <= lanes &&
    (!v.texels || gpu.adapter.texels) &&
    v.workgroup <= gpu.device.limits.maxComputeInvocationsPerWorkgroup,
);
const wanted = here.filter((_, i) => i % every === first);
let wrong = 0;
let runs = 0;
const nowhere: string[] = [];
for (const [i, variant] of wanted.entries()) {
  const name = `${variant.format} by ${variant.name}`;
  const before = runs;
  for (const list of [real, odd]) {
    const found = await firstRun(variant, [
      ...list.slice(i % list.length),
      ...list.slice(0, i % list.length),
    ]);
    if (!found) continue;
    const { problem, actual } = found;
    runs++;
    const expected = known.get(problem) ?? runReference(problem.graph, problem.inputs);
    known.set(problem, expected);
    try {
      compareOutputs(actual, expected, 2e-5);
    } catch (error) {
      wrong++;
      console.log(`WRONG ${name} on ${problem.name}: ${(error as Error).message}`);
    }
  }
  if (runs === before) nowhere.push(name);
  if ((i + 1) % 50 === 0) console.log(`${i + 1} of ${wanted.length}`);
}
gpu.dispose();
console.log(
  `${wanted.length} of ${here.length} variants, on a real and an odd problem each where it applies to one: ${runs} runs, ${wrong} wrong`,
);
if (nowhere.length > 0) console.log(`applied to none of the problems: ${nowhere.join(", ")}`);
process.exit(runs === 0 || wrong > 0 || nowhere.length > 0 ? 1 : 0);
