// `npm run bench -- SUITE …` runs a suite of the benchmarks; without one it is `secateur bench …`, the main job, from the sources.
import { type Command, CommanderError } from "commander";
import { SecateurError, UsageError } from "../src/errors.ts";

/** The suites, by their first argument. */
const suites: Readonly<Record<string, () => Promise<Command>>> = {
  kernels: async () => (await import("./kernels/command.ts")).kernelsCommand(),
  crossover: async () => (await import("./kernels/command.ts")).crossoverCommand(),
  nm: async () => (await import("./kernels/command.ts")).nmCommand(),
  f16: async () => (await import("./kernels/command.ts")).f16Command(),
  dlmc: async () => (await import("./kernels/dlmc-command.ts")).dlmcCommand(),
  models: async () => (await import("./models/command.ts")).modelsCommand(),
  layouts: async () => (await import("./models/command.ts")).layoutsCommand(),
  methods: async () => (await import("./methods/command.ts")).methodsCommand(),
  surgery: async () => (await import("./surgery/command.ts")).surgeryCommand(),
  dead: async () => (await import("./dead.ts")).deadCommand(),
  diff: async () => (await import("./diff.ts")).diffCommand(),
  peers: async () => (await import("./peers/command.ts")).peersCommand(),
};

const [name = "", ...rest] = process.argv.slice(2);
if (Object.hasOwn(suites, name)) {
  // exit() rather than exitCode: a wedged GPU must not keep the process alive after the answer is out.
  process.exit(await run(await suites[name]!(), rest));
}
process.argv.splice(2, 0, "bench");
await import("../src/cli/main.ts");

/** 0 done, 1 failed with one line that says why, 2 wrong usage. */
async function run(command: Command, argv: readonly string[]): Promise<number> {
  command.exitOverride().showHelpAfterError(`(npm run bench -- ${command.name()} --help tells more)`);
  try {
    await command.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { message } = error as Error;
    process.stderr.write(
      `bench ${command.name()}: ${message}${error instanceof SecateurError ? ` [${error.code}]` : ""}\n`,
    );
    return error instanceof UsageError ? 2 : 1;
  }
}
