import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { openModel, saveModel } from "../../io/files.ts";
import { formatOf } from "../../io/model.ts";
import { type CompactReport, compact } from "../../prune/compact.ts";
import { recordOf } from "../../prune/record.ts";
import { count } from "../../report/format.ts";
import { textTable } from "../../report/table.ts";
import { checkEquivalent, type Difference } from "../../run/equivalence.ts";
import { addCommonOptions, type CommonOptions, print, writeJson, writeWhole } from "../context.ts";
import { startProgress } from "../progress.ts";

interface Options extends CommonOptions {
  readonly output: string;
  readonly check: boolean;
}

const help = `
Pruning single weights leaves rows and columns that are all zero. What is dead goes, exactly: channels that nothing alive
reads, and channels that hold one value whatever the image, with everything coupled to them (residual adds, shortcuts,
BatchNormalization, concatenation, flatten). What a constant channel adds moves into the biases behind it; where padding
shows it at the border, one constant channel carries what all of them add. Pixels that a first linear layer never reads are
left out by a Gather in front of it, where they are many. No retraining and no approximation: before
anything is written, both models are run on random inputs in double precision and compared (--no-check leaves that out).

Stored zeros count, with or without a mask. Every compile (eval, compare, run) does the same for itself; a compacted file is
smaller besides, and other programs run it faster too.

Examples:
  secateur compact lenet5:dns-lenet5-mnist.safetensors -o small.safetensors
  secateur compare lenet5 lenet5:dns-lenet5-mnist.safetensors small.safetensors --data mnist:DIR`;

export function compactCommand(): Command {
  return addCommonOptions(new Command("compact"))
    .description("removes what zeros have made dead, without changing what the model computes")
    .argument("<model>", "MODEL, see secateur --help")
    .option("--no-check", "do not compare the outputs of both models before writing")
    .requiredOption(
      "-o, --output <file>",
      ".safetensors or .onnx; the record goes beside it as FILE.record.json",
    )
    .addHelpText("after", help)
    .action(async (spec: string, options: Options) => {
      if (!formatOf(options.output)) {
        throw new UsageError(`-o is "${options.output}"; its extension must be .safetensors or .onnx.`);
      }
      const graph = await openModel(spec, { seed: options.seed });
      const { graph: small, report } = await compact(graph);
      const progress = startProgress(options);
      let checked: Difference | undefined;
      try {
        progress.update("comparing outputs");
        if (options.check) checked = checkEquivalent(graph, small, { seed: options.seed });
      } finally {
        progress.stop();
      }
      await saveModel(small, options.output);
      const record = recordOf(small);
      writeWhole(`${options.output}.record.json`, `${JSON.stringify(record, undefined, 2)}\n`);
      writeJson(options, { ...report, ...(checked && { checked }) });
      print(options, describe(report, options.output, checked));
    });
}

function describe(report: CompactReport, output: string, checked: Difference | undefined): string {
  const { removed, inputs, layers, folded, carried, before, after } = report;
  const head = ["layer", "filters", "left", "columns", "read"];
  const rows = layers.map((l) => [l.layer, l.units, l.rows, l.columns, l.columnsRead].map(String));
  const line = (what: string, a: number, b: number): string =>
    `  ${what.padEnd(11)} ${count(a)} -> ${count(b)} (${a === 0 ? "-" : ((100 * b) / a).toFixed(1)} %)`;
  const total = (moved: CompactReport["folded"]): number => moved.reduce((n, m) => n + m.channels, 0);
  const lines = [
    removed + inputs.length === 0 ? "Nothing is dead." : `${textTable(head, rows)}\n`,
    `wrote ${output} and its record`,
    removed > 0 && `removed ${count(removed)} dead channel${removed === 1 ? "" : "s"}`,
    ...inputs.map(({ node, read, of }) => `  ${node} reads ${read} of ${of} inputs; the others are left out`),
    total(folded) > 0 && `  ${total(folded)} reads of constant channels went into ${folded.length} biases`,
    total(carried) > 0 &&
      `  ${total(carried)} reads of constant channels behind padding are carried by another in ${carried.length} layers`,
    line("parameters", before.parameters, after.parameters),
    line("non-zeros", before.nonzeros, after.nonzeros),
    line("MACs", before.macs, after.macs),
    checked &&
      `same outputs on ${checked.images} random inputs: largest difference ${checked.difference.toExponential(1)}`,
    "What this buys in milliseconds: secateur compare MODEL COMPACTED --data DATA",
  ];
  return lines.filter((text) => text !== false && text !== undefined).join("\n");
}
