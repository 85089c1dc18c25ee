import { Command } from "commander";
import { addMachineOptions, oneOf, print, wholeNumber, writeJson } from "../../src/cli/context.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { UsageError } from "../../src/errors.ts";
import type { AdapterKind } from "./engine.ts";
import { installCommand, type PeerName, peerNames } from "./install.ts";
import { peersTable } from "./result.ts";
import { runPeers } from "./run.ts";

interface Options {
  readonly quick?: boolean;
  readonly full?: boolean;
  readonly rounds?: number;
  readonly only?: string;
  readonly peer?: readonly PeerName[];
  readonly json?: string;
  readonly seed?: number;
  readonly adapter: AdapterKind;
  readonly quiet?: boolean;
}

const help = `
The engines are TensorFlow.js (tfjs), ONNX Runtime's WebGPU provider (onnxruntime) and jax-js; none is a dependency. Install them
once, into a cache folder:
  ${installCommand}
Without --quick or --full: three square matrix products, ResNet-50's 3x3 and two of its 1x1 convolutions, one ONNX model.`;

/** `npm run bench -- peers …` */
export function peersCommand(): Command {
  return addMachineOptions(new Command("peers"))
    .description("matrix products and convolutions beside other WebGPU engines, on one adapter, interleaved")
    .option("--quick", "one shape of each and few rounds: a check that all works, not a measurement")
    .option("--full", "more shapes, and batch 8")
    .option("--rounds <n>", "samples per row", wholeNumber("--rounds", 3))
    .option("--only <text>", 'only shapes whose name contains this, as in "conv 3x3"')
    .option("--peer <name>", `only this peer (${peerNames.join(", ")}); may be repeated`, collectPeers)
    .option("--json <file>", "also write the result as JSON")
    .option("--seed <n>", "seed of the operands (1 unless said)", wholeNumber("--seed"))
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      if (options.quick && options.full) throw new UsageError("--quick and --full exclude each other.");
      const progress = startProgress(options);
      try {
        const result = await runPeers({
          set: options.quick ? "quick" : options.full ? "full" : "default",
          rounds: options.rounds,
          seed: options.seed,
          adapter: options.adapter,
          peers: options.peer,
          only: options.only,
          onProgress: progress.update,
        });
        progress.stop();
        writeJson(options, result);
        print(options, peersTable(result));
      } finally {
        progress.stop();
      }
    });
}

const collectPeers = (name: string, before: readonly PeerName[] = []): readonly PeerName[] => [
  ...before,
  oneOf("--peer", peerNames)(name),
];
