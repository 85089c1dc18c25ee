import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { inspectGraph } from "../../graph/statistics.ts";
import { openModel, saveModel } from "../../io/files.ts";
import { parseGranularity } from "../../prune/granularity.ts";
import { methods } from "../../prune/methods/index.ts";
import { prune } from "../../prune/prune.ts";
import { count } from "../../report/format.ts";
import {
  addCommonOptions,
  type CommonOptions,
  fraction,
  oneOf,
  print,
  wholeNumber,
  writeJson,
  writeWhole,
} from "../context.ts";

interface Options extends CommonOptions {
  readonly method: string;
  readonly granularity: string;
  readonly sparsity: number;
  readonly scope?: "global" | "layer";
  readonly norm?: "l1" | "l2";
  readonly roundTo?: number;
  readonly keepShape?: boolean;
  readonly skip: string[];
  readonly output: string;
}

const collect = (value: string, previous: string[]): string[] => [...previous, value];

export function pruneCommand(): Command {
  return addCommonOptions(new Command("prune"))
    .description("prunes a model and writes it with the record of what was done")
    .argument("<model>", "MODEL, see secateur --help")
    .option("--method <name>", methods.map((m) => m.name).join(", "), "magnitude")
    .option("--granularity <g>", "element, block2x1, block4x1, block8x1, block16x1 or filter", "element")
    .requiredOption("--sparsity <s>", "share removed, from 0 to below 1", fraction("--sparsity"))
    .option(
      "--scope <scope>",
      "global or layer (default: layer for filter, else global)",
      oneOf("--scope", ["global", "layer"]),
    )
    .option("--norm <norm>", "l1 or l2 for magnitude", oneOf("--norm", ["l1", "l2"]))
    .option("--skip <name>", "leave this layer or weight alone; may be repeated", collect, [])
    .option("--round-to <n>", "keep channel counts at multiples of n (filter)", wholeNumber("--round-to", 1))
    .option("--keep-shape", "mask filters instead of removing them")
    .requiredOption(
      "-o, --output <file>",
      ".safetensors or .onnx; the record goes beside it as FILE.record.json",
    )
    .action(async (spec: string, options: Options) => {
      if (!/\.(safetensors|onnx)$/.test(options.output)) {
        throw new UsageError(`-o is "${options.output}"; its extension must be .safetensors or .onnx.`);
      }
      parseGranularity(options.granularity);
      const graph = await openModel(spec, { seed: options.seed });
      const { graph: pruned, record } = await prune(graph, {
        method: options.method,
        granularity: options.granularity,
        sparsity: options.sparsity,
        scope: options.scope,
        norm: options.norm,
        skip: options.skip,
        roundTo: options.roundTo,
        keepShape: options.keepShape,
        seed: options.seed,
      });
      await saveModel(pruned, options.output);
      writeWhole(`${options.output}.record.json`, `${JSON.stringify(record, undefined, 2)}\n`);
      writeJson(options, record);
      const before = inspectGraph(graph);
      const after = inspectGraph(pruned);
      const line = (what: string, a: number, b: number): string =>
        `  ${what.padEnd(11)} ${count(a)} -> ${count(b)} (${a === 0 ? "-" : ((100 * b) / a).toFixed(1)} %)`;
      print(
        options,
        [
          `wrote ${options.output} and its record`,
          line("parameters", before.parameters, after.parameters),
          line("non-zeros", before.nonzeros, after.nonzeros),
          line("MACs", before.macs, after.macs),
          "What this buys in milliseconds: secateur compare MODEL PRUNED --data DATA",
        ].join("\n"),
      );
    });
}
