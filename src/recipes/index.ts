import type { Dataset } from "../data/dataset.ts";
import { InputError, printable } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { gradual } from "./gradual.ts";
import type { Recipe, RecipeOptions, RecipeResult } from "./recipe.ts";

/** Every method that trains, one file each; `secateur methods` lists them after those that only score. */
export const recipes: readonly Recipe[] = [gradual];

export const findRecipe = (name: string): Recipe | undefined => recipes.find((r) => r.name === name);

/**
 * Runs a method that trains. Throws E_INPUT for a name that is no recipe and for settings that it does not have or that are out of
 * range, and what `prune` and `train` throw.
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
  return recipe.run({ gpu, graph, data, options, setting: settingsOf(recipe, options.settings ?? {}) });
}

/** Reads a recipe's settings by name, defaults filled in, after checking them all. */
export function settingsOf(
  recipe: Recipe,
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
