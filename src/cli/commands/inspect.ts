import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { type GraphStatistics, inspectGraph } from "../../graph/statistics.ts";
import { openModel } from "../../io/files.ts";
import { describeGroups } from "../../prune/groups.ts";
import { type CountConvention, conventionNotes, countBy, countConventions } from "../../report/counts.ts";
import { bytes, count } from "../../report/format.ts";
import { maskPicture } from "../../report/svg.ts";
import { textTable } from "../../report/table.ts";
import { showShape } from "../../tensor/shape.ts";
import {
  addCommonOptions,
  type CommonOptions,
  oneOf,
  print,
  several,
  writeJson,
  writeWhole,
} from "../context.ts";

interface Options extends CommonOptions {
  readonly mask?: string;
  readonly output?: string;
  readonly groups?: boolean;
  readonly count: readonly CountConvention[];
}

const help = `
MACs are plain unless said: one per multiply-add of a convolution or matrix product. Publications count otherwise; --count
adds their MACs and parameters beside ours:
  thop-2020      ${conventionNotes["thop-2020"]}
  filters-only   ${conventionNotes["filters-only"]}

Examples:
  secateur inspect resnet56 --count thop-2020
  secateur inspect pruned.safetensors --groups
  secateur inspect lenet300:dns-lenet300-mnist.safetensors --mask ip1 -o mask.svg`;

export function inspectCommand(): Command {
  return addCommonOptions(new Command("inspect"))
    .description("layers, shapes, parameters, non-zeros, MACs, bytes, channel groups; a picture of one mask")
    .argument("<model>", "MODEL, see secateur --help")
    .option(
      "--count <convention>",
      "also count MACs and parameters as thop-2020 or filters-only; may be repeated",
      several(oneOf("--count", countConventions)),
      [],
    )
    .option("--groups", "also print the channel groups that filter pruning removes together")
    .option("--mask <layer>", "draw which weights of LAYER are zero")
    .option("-o, --output <file.svg>", "where the picture goes")
    .addHelpText("after", help)
    .action(async (spec: string, options: Options) => {
      const graph = await openModel(spec, { seed: options.seed });
      if (options.mask !== undefined) {
        if (options.output === undefined) throw new UsageError("--mask needs -o FILE.svg for the picture.");
        writeWhole(options.output, maskPicture(graph, options.mask));
        print(options, `wrote ${options.output}`);
      }
      const report = inspectGraph(graph);
      const counted = options.count.map((convention) => countBy(graph, convention));
      const counts = Object.fromEntries(counted.map((c) => [c.convention, c]));
      writeJson(options, counted.length === 0 ? report : { ...report, counts });
      const rows = report.layers.map((l) => [
        l.name,
        l.op,
        showShape(l.shape),
        count(l.parameters),
        count(l.nonzeros),
        l.parameters === 0 ? "-" : `${((100 * l.nonzeros) / l.parameters).toFixed(1)} %`,
        count(l.macs),
      ]);
      print(
        options,
        textTable(["layer", "op", "weight", "parameters", "non-zeros", "density", "MACs"], rows),
      );
      print(
        options,
        `${graph.name}: ${count(report.parameters)} parameters (${parts(report)}), ${count(report.nonzeros)} non-zero, ` +
          `${count(report.macs)} MACs an image, ${bytes(report.bytes)} of weights`,
      );
      for (const { convention, macs, parameters } of counted) {
        print(
          options,
          `${convention}: ${count(macs)} MACs, ${count(parameters)} parameters (${conventionNotes[convention]})`,
        );
      }
      if (options.groups) print(options, describeGroups(graph));
    });
}

/** "848,944 weights, 10 biases, 4,064 of normalisation" */
function parts({ parameters, weights, biases }: GraphStatistics): string {
  const rest = parameters - weights - biases;
  return [
    `${count(weights)} weights`,
    biases > 0 && `${count(biases)} biases`,
    rest > 0 && `${count(rest)} of normalisation and others`,
  ]
    .filter(Boolean)
    .join(", ");
}
