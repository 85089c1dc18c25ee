import type { Command } from "commander";
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import { numbers } from "./context.ts";

export interface PreprocessingOptions {
  readonly scale?: number[];
  readonly mean?: number[];
  readonly std?: number[];
}

export function addPreprocessingOptions(command: Command): Command {
  return command
    .option(
      "--scale <x>",
      "pixel bytes are multiplied by this (default: the model's own preprocessing)",
      numbers("--scale"),
    )
    .option("--mean <m,m,m>", "then this is subtracted, per channel", numbers("--mean"))
    .option("--std <s,s,s>", "then divided by this, per channel", numbers("--std"));
}

/** The model's own preprocessing, with what the command line overrides. */
export function preprocessingOption(
  graph: Graph,
  dataset: Dataset,
  options: PreprocessingOptions,
): Preprocessing {
  const own = preprocessingOf(graph, dataset);
  return {
    scale: options.scale?.[0] ?? own.scale,
    mean: options.mean ?? own.mean,
    std: options.std ?? own.std,
  };
}
