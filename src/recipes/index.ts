import type { Dataset } from "../data/dataset.ts";
import { InputError, printable } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { methods } from "../prune/methods/index.ts";
import type { MethodFacts } from "../prune/methods/method.ts";
import { checkRecipe } from "./check.ts";
import { dynamicNetworkSurgery } from "./dynamic-network-surgery.ts";
import { gradual } from "./gradual.ts";
import { greg } from "./greg.ts";
import { hanRecipe } from "./han.ts";
import { karninRecipe } from "./karnin.ts";
import { lottery } from "./lottery.ts";
import { movement } from "./movement.ts";
import type { Recipe, RecipeOptions, RecipeResult } from "./recipe.ts";
import { rigl } from "./rigl.ts";
import { sfp } from "./sfp.ts";
import { slimmingRecipe } from "./slimming.ts";
import { ssl } from "./ssl.ts";

/** Every method that trains, one file each. */
export const recipes: readonly Recipe[] = [
  hanRecipe,
  karninRecipe,
  dynamicNetworkSurgery,
  gradual,
  lottery,
  rigl,
  movement,
  ssl,
  slimmingRecipe,
  sfp,
  greg,
];

/**
 * Every method there is: those that only score, with their recipe in their place where they have one, then the others that
 * train.
 */
export const allMethods = (): MethodFacts[] => [
  ...methods.map((m) => findRecipe(m.name) ?? m),
  ...recipes.filter((r) => !methods.some((m) => m.name === r.name)),
];

export const findRecipe = (name: string): Recipe | undefined => recipes.find((r) => r.name === name);

/**
 * Runs a method that trains. Throws E_INPUT for a name that is no recipe and for settings that it does not have or that are
 * out of range, and what `prune` and `train` throw.
 */
export async function runRecipe(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  name: string,
  options: RecipeOptions = {},
): Promise<RecipeResult> {
  const recipe = findRecipe(name);
  if (!recipe) {
    throw new InputError(
      `"${printable(name)}" is no method that trains; those are ${recipes.map((r) => r.name).join(", ")}.`,
    );
  }
  checkRecipe(recipe, graph, options);
  return recipe.run({ gpu, graph, data, options, setting: settingsOf(recipe, options.settings ?? {}) });
}

/** Reads a recipe's settings by name, defaults filled in, after checking them all. */
export function settingsOf(
  recipe: Pick<Recipe, "name" | "settings">,
  given: Readonly<Record<string, number>>,
): (name: string) => number {
  for (const [name, value] of Object.entries(given)) {
    const setting = Object.hasOwn(recipe.settings, name) ? recipe.settings[name] : undefined;
    if (!setting) {
      const names = Object.keys(recipe.settings);
      throw new InputError(
        `${recipe.name} has no setting "${printable(name)}"; ${names.length > 0 ? `it has ${names.join(", ")}` : "it has none"}.`,
      );
    }
    const [least, most] = setting.range;
    if (!(value >= least && value <= most)) {
      throw new InputError(
        `setting ${name} of ${recipe.name} is ${value}; a number from ${least} to ${most} is needed (${setting.what}).`,
      );
    }
  }
  return (name) => given[name] ?? recipe.settings[name]!.default;
}
