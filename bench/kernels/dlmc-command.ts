import { Command } from "commander";
import { addMachineOptions, print, wholeNumber, writeJson } from "../../src/cli/context.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { environmentLine } from "../../src/report/environment.ts";
import { type DlmcOptions, dlmcTable, runDlmc } from "./dlmc.ts";

interface Options {
  readonly dir: string;
  readonly batch: number;
  readonly rounds: number;
  readonly only?: string;
  readonly json?: string;
  readonly adapter: DlmcOptions["adapter"];
  readonly quiet?: boolean;
}

const help = `
The Deep Learning Matrix Collection (Gale et al. 2020, arXiv 2006.10901) holds the masks of really pruned nets; --dir is a folder
with its ResNet-50 files, as .smtx or .smtx.gz. Values are seeded; the patterns are the collection's.`;

/** `npm run bench -- dlmc --dir FOLDER …` */
export const dlmcCommand = (): Command =>
  addMachineOptions(new Command("dlmc"))
    .description(
      "CSR, sliced ELL and clustered rows on the masks of really pruned layers, beside random ones",
    )
    .requiredOption("--dir <folder>", "folder of .smtx or .smtx.gz files, searched with its subfolders")
    .option("--batch <n>", "images at a time", wholeNumber("--batch", 1), 8)
    .option("--rounds <n>", "samples per row", wholeNumber("--rounds", 3), 9)
    .option("--only <text>", "only layers whose name contains this")
    .option("--json <file>", "also write the result as JSON")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      const progress = startProgress(options);
      try {
        const result = await runDlmc({
          folder: options.dir,
          batch: options.batch,
          only: options.only,
          rounds: options.rounds,
          adapter: options.adapter,
          onProgress: progress.update,
        });
        progress.stop();
        writeJson(options, result);
        print(
          options,
          `${environmentLine(result.environment)}; batch ${result.batch}\n\n${dlmcTable(result)}`,
        );
      } finally {
        progress.stop();
      }
    });
