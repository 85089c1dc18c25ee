import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { inspectGraph } from "../../graph/statistics.ts";
import { openModel } from "../../io/files.ts";
import { describeGroups } from "../../prune/groups.ts";
import { bytes, count } from "../../report/format.ts";
import { maskPicture } from "../../report/svg.ts";
import { textTable } from "../../report/table.ts";
import { showShape } from "../../tensor/shape.ts";
import { addCommonOptions, type CommonOptions, print, writeJson, writeWhole } from "../context.ts";

interface Options extends CommonOptions {
  readonly mask?: string;
  readonly output?: string;
  readonly groups?: boolean;
}

export function inspectCommand(): Command {
  return addCommonOptions(new Command("inspect"))
    .description("layers, shapes, parameters, non-zeros, MACs, bytes, channel groups; a picture of one mask")
    .argument("<model>", "MODEL, see secateur --help")
    .option("--groups", "also print the channel groups that filter pruning removes together")
    .option("--mask <layer>", "draw which weights of LAYER are zero")
    .option("-o, --output <file.svg>", "where the picture goes")
    .action(async (spec: string, options: Options) => {
      const graph = await openModel(spec, { seed: options.seed });
      if (options.mask !== undefined) {
        if (options.output === undefined) throw new UsageError("--mask needs -o FILE.svg for the picture.");
        writeWhole(options.output, maskPicture(graph, options.mask));
        print(options, `wrote ${options.output}`);
      }
      const report = inspectGraph(graph);
      writeJson(options, report);
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
        `${graph.name}: ${count(report.parameters)} parameters, ${count(report.nonzeros)} non-zero, ` +
          `${count(report.macs)} MACs an image, ${bytes(report.bytes)} of weights`,
      );
      if (options.groups) print(options, describeGroups(graph));
    });
}
