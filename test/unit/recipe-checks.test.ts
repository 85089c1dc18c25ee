import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildNet } from "../../src/nets/build-net.ts";
import { findMethod } from "../../src/prune/methods/index.ts";
import { fillOptions } from "../../src/prune/options.ts";
import { prune } from "../../src/prune/prune.ts";
import { baselineOf } from "../../src/recipes/baseline.ts";
import { checkRecipe } from "../../src/recipes/check.ts";
import { findRecipe, recipes } from "../../src/recipes/index.ts";
import type { RecipeOptions } from "../../src/recipes/recipe.ts";
import type { PruningOutcome, PruningRequest } from "../../src/recipes/run.ts";
import { fails } from "../support/error.ts";

const test = suite("what is refused before a training, and what stands beside it");
const net = buildNet("lenet5", { seed: 1 });

test("every recipe prunes within the budget of a method that there is, by granularities that this can do", () => {
  for (const { name, budget, granularities } of recipes) {
    const method = findMethod(budget);
    for (const kind of granularities)
      assert.ok(method.granularities.includes(kind), `${name}: ${budget} does no ${kind}`);
  }
});

const refused: readonly (readonly [string, RecipeOptions, "E_PRUNE" | "E_INPUT", RegExp])[] = [
  [
    "movement",
    { granularity: "block8x1" },
    "E_PRUNE",
    /cannot prune by granularity block8x1; it does element/,
  ],
  ["rigl", { granularity: "block8x1" }, "E_PRUNE", /it does element/],
  ["lottery", { granularity: "filter" }, "E_PRUNE", /it does element, block/],
  ["karnin", { granularity: "filter" }, "E_PRUNE", /it does element, block, n:m/],
  ["sfp", { granularity: "element" }, "E_PRUNE", /it does filter/],
  ["movement", { allocation: "erk", rounds: 7 }, "E_PRUNE", /no use for allocation, rounds. Leave them out/],
  ["sfp", { norm: "l1" }, "E_PRUNE", /no use for norm. Leave it out/],
  ["dynamic-network-surgery", { scope: "global" }, "E_PRUNE", /no use for scope/],
  ["dynamic-network-surgery", { sparsity: { conv1: 0.5, typo: 0.9 } }, "E_PRUNE", /no prunable layer "typo"/],
  ["movement", { skip: ["nope"] }, "E_PRUNE", /no prunable layer "nope"/],
  ["gradual", { roundTo: 4 }, "E_PRUNE", /roundTo is for granularity filter/],
  ["lottery", { sparsity: 1 }, "E_PRUNE", /sparsity/],
  ["karnin", { scope: "whole" as "row" }, "E_INPUT", /scope is "whole"/],
];

for (const [name, options, code, message] of refused) {
  test(`${name} refuses ${JSON.stringify(options)}`, () =>
    fails(() => checkRecipe(findRecipe(name)!, net, { sparsity: 0.5, ...options }), code, message).then(
      () => {},
    ));
}

test("what recipes can do passes: lists, N:M, surgery by thresholds alone", () => {
  checkRecipe(findRecipe("karnin")!, net, { granularity: "2:4" });
  checkRecipe(findRecipe("dynamic-network-surgery")!, net, {});
  checkRecipe(findRecipe("gradual")!, net, { sparsity: { conv1: 0.5 }, granularity: "block4x1" });
  checkRecipe(findRecipe("ssl")!, net, { sparsity: 0.5, scope: "layer", skip: ["ip2"], roundTo: 4 });
});

async function pruned(request: PruningRequest): Promise<PruningOutcome> {
  return { ...(await prune(net, { ...request, method: "magnitude" })), rounds: [] };
}

test("a baseline takes granularity, scope, rounding and repair from the method that it stands beside", async () => {
  const asked: PruningRequest = { method: "hrank", sparsity: 0.5, seed: 3 };
  const outcome = await pruned({ ...asked, granularity: "filter" });
  assert.equal(baselineOf(asked, "random", net, outcome), {
    method: "random",
    seed: 3,
    granularity: "filter",
    sparsity: 0.5,
    scope: "layer",
    rounding: "removed",
  });
  const repaired = baselineOf({ method: "thinet", sparsity: 0.5 }, "magnitude", net, outcome);
  assert.is(repaired.recover, "least-squares");
  const row = baselineOf({ method: "wanda", sparsity: 0.5 }, "random", net, outcome);
  assert.equal([row.granularity, row.scope], ["element", "row"]);
  const groups = baselineOf({ method: "n:m", granularity: "2:4" }, "random", net, outcome);
  assert.equal(groups, { method: "random", granularity: "2:4" });
});

test("where no share was asked for, a baseline loses in every layer what was lost there", async () => {
  const outcome = await pruned({ method: "magnitude", sparsity: { conv2: 0.75, ip1: 0.5 } });
  const { sparsity, ...rest } = baselineOf({ method: "dynamic-network-surgery" }, "random", net, outcome);
  assert.equal(sparsity, { "conv1.weight": 0, "conv2.weight": 0.75, "ip1.weight": 0.5, "ip2.weight": 0 });
  assert.equal(rest, { method: "random", granularity: "element", scope: "layer" });
});

test("scopes and allocations that a method cannot follow are refused", async () => {
  const fill = (more: object) => () => fillOptions({ method: "magnitude", sparsity: 0.5, ...more });
  await fails(fill({ scope: "row", allocation: "erk" }), "E_PRUNE", /contradicts/);
  await fails(fill({ scope: "row", method: "obs" }), "E_PRUNE", /scope row is not for it/);
  await fails(fill({ allocation: "lamp", method: "obs" }), "E_PRUNE", /chooses by itself/);
  assert.is(fillOptions({ method: "wanda", sparsity: { conv1: 0.5 } }).scope, "row");
  assert.is(fillOptions({ method: "obd", sparsity: { conv1: 0.5 } }).scope, "layer");
  assert.is(fillOptions({ method: "hrank", sparsity: 0.5 }).rounding, "removed");
  assert.is(fillOptions({ method: "magnitude", granularity: "filter", sparsity: 0.5 }).rounding, "kept");
  await fails(
    () => prune(net, { method: "magnitude", sparsity: { conv1: 0.5, "conv1.weight": 0.9 } }),
    "E_PRUNE",
    /twice, as "conv1" and as "conv1.weight"/,
  );
});

test.run();
