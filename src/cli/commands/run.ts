import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { InputError, SecateurError, UsageError } from "../../errors.ts";
import { openModel } from "../../io/files.ts";
import { readNpy, writeNpy } from "../../io/npy.ts";
import { compile } from "../../run/compile.ts";
import { cast, type HostTensor } from "../../tensor/host-tensor.ts";
import { showShape } from "../../tensor/shape.ts";
import {
  addCommonOptions,
  addPrecisionOption,
  type CommonOptions,
  planOptions,
  print,
  withGpu,
  writeJson,
  writeWhole,
} from "../context.ts";

interface Options extends CommonOptions {
  readonly input: string[];
  readonly output: string;
  readonly verify?: boolean;
}

const collect = (value: string, previous: string[]): string[] => [...previous, value];

export function runCommand(): Command {
  return addPrecisionOption(addCommonOptions(new Command("run")))
    .description("one inference on the GPU, .npy in and out")
    .argument("<model>", "MODEL, see secateur --help")
    .option("--input <name=x.npy>", "value of an input; once per input", collect, [])
    .option("--verify", "also check the result against the double-precision reference")
    .requiredOption("-o, --output <dir>", "folder for one OUTPUT.npy per output")
    .action(async (spec: string, options: Options) => {
      const graph = await openModel(spec, { seed: options.seed });
      const inputs: Record<string, HostTensor> = Object.create(null);
      for (const text of options.input) {
        const at = text.indexOf("=");
        if (at < 1) throw new UsageError(`--input is "${text}"; NAME=FILE.npy is needed.`);
        const name = text.slice(0, at);
        const declared = graph.inputs.find((i) => i.name === name);
        if (!declared) {
          throw new InputError(
            `the model has no input "${name}"; it takes ${graph.inputs.map((i) => i.name).join(", ")}.`,
          );
        }
        inputs[name] = cast(readNpyFile(text.slice(at + 1)), declared.dtype);
      }
      const inputShapes = Object.fromEntries(Object.entries(inputs).map(([n, t]) => [n, [...t.shape]]));
      for (const { name } of graph.inputs) {
        if (!inputs[name])
          throw new InputError(`input "${name}" is missing; give it with --input ${name}=FILE.npy.`);
      }
      await withGpu(options, async (gpu) => {
        const session = await compile(gpu, graph, {
          ...planOptions(options, "estimated"),
          inputShapes,
        });
        const outputs = await session.run(inputs);
        if (options.verify) await session.verify(inputs);
        mkdirSync(options.output, { recursive: true });
        const written: { name: string; file: string; shape: readonly number[] }[] = [];
        for (const [name, value] of Object.entries(outputs)) {
          const file = `${name.replace(/[^\w.-]/g, "_")}.npy`;
          writeWhole(join(options.output, file), writeNpy(value));
          written.push({ name, file, shape: value.shape });
          print(options, `${name} ${value.dtype} ${showShape(value.shape)} -> ${join(options.output, file)}`);
        }
        writeJson(options, { outputs: written, plan: session.plan });
        session.dispose();
      });
    });
}

function readNpyFile(path: string): HostTensor {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new SecateurError(
      "E_IO",
      `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
    );
  }
  return readNpy(bytes, { file: path });
}
