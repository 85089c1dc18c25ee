#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { SecateurError, UsageError } from "../errors.ts";
import { version } from "../version.ts";
import { benchCommand } from "./commands/bench.ts";
import { compactCommand } from "./commands/compact.ts";
import { compareCommand } from "./commands/compare.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evalCommand } from "./commands/eval.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { methodsCommand } from "./commands/methods.ts";
import { pruneCommand } from "./commands/prune.ts";
import { runCommand } from "./commands/run.ts";
import { sensitivityCommand } from "./commands/sensitivity.ts";
import { trainCommand } from "./commands/train.ts";

const commands = [
  doctorCommand,
  inspectCommand,
  methodsCommand,
  sensitivityCommand,
  pruneCommand,
  compactCommand,
  runCommand,
  trainCommand,
  evalCommand,
  compareCommand,
  benchCommand,
];

const help = `
MODEL is file.onnx, a file.safetensors written by secateur, ARCH:weights.safetensors, or ARCH (seeded weights).
ARCH  is lenet300 lenet5 vgg16 resnet20 resnet32 resnet44 resnet56 resnet110 densenet40 googlenet resnet18 resnet50
      mobilenetv1 mobilenetv2 or glyphnet (trained weights included).
DATA  is mnist:DIR, cifar10:FILE (several: cifar10:A,B), digits:FILE, or glyphs (generated, needs no files).

Start here:
  secateur doctor                                    is there a GPU, and does it compute right?
  secateur bench                                     what pruning buys on this machine, in two minutes
  secateur prune resnet56:w.safetensors --granularity block8x1 --sparsity 0.9 -o pruned.safetensors
  secateur compare resnet56:w.safetensors pruned.safetensors --data cifar10:test.bin

Exit status: 0 done, 1 failed (one line says why), 2 wrong usage.`;

/** Runs one command line and returns its exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command("secateur")
    .description(
      "Prunes networks and measures what that really buys on your GPU: accuracy, milliseconds, bytes.",
    )
    .version(version)
    .addHelpText("after", help)
    .showHelpAfterError("(secateur --help and secateur COMMAND --help tell more)")
    .exitOverride();
  for (const make of commands) {
    const command = make();
    command.exitOverride();
    command.showHelpAfterError(`(secateur ${command.name()} --help tells more)`);
    program.addCommand(command);
  }
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return 2;
    }
    await program.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    process.stderr.write(`secateur: ${error.message}\n`);
    return 2;
  }
  if (error instanceof SecateurError) {
    process.stderr.write(`secateur: ${error.message} [${error.code}]\n`);
    return 1;
  }
  const text =
    error instanceof Error ? (process.env["SECATEUR_DEBUG"] ? error.stack : error.message) : String(error);
  process.stderr.write(
    `secateur: unexpected fault: ${text}. Run again with SECATEUR_DEBUG=1 and report it.\n`,
  );
  return 1;
}

// exit() rather than exitCode: a wedged GPU must not keep the process alive after the answer is out.
process.exit(await main(process.argv.slice(2)));
