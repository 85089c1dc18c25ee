#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { SecateurError, UsageError } from "../errors.ts";
import { version } from "../version.ts";

/** Of the commands only the one that is called is loaded: all of them are four hundred files. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(),
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand(),
  methods: async () => (await import("./commands/methods.ts")).methodsCommand(),
  sensitivity: async () => (await import("./commands/sensitivity.ts")).sensitivityCommand(),
  prune: async () => (await import("./commands/prune.ts")).pruneCommand(),
  compact: async () => (await import("./commands/compact.ts")).compactCommand(),
  run: async () => (await import("./commands/run.ts")).runCommand(),
  train: async () => (await import("./commands/train.ts")).trainCommand(),
  eval: async () => (await import("./commands/eval.ts")).evalCommand(),
  compare: async () => (await import("./commands/compare.ts")).compareCommand(),
  bench: async () => (await import("./commands/bench.ts")).benchCommand(),
};

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
  const called = argv[0] ?? "";
  for (const name of Object.hasOwn(commands, called) ? [called] : Object.keys(commands)) {
    const command = await commands[name]!();
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
