import { Command } from "commander";
import { openData } from "../../data/files.ts";
import { openModel } from "../../io/files.ts";
import { writeNpy } from "../../io/npy.ts";
import { percentOf } from "../../report/format.ts";
import { compile } from "../../run/compile.ts";
import { evaluate } from "../../run/evaluate.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import {
  addCommonOptions,
  addPrecisionOption,
  type CommonOptions,
  planOptions,
  print,
  wholeNumber,
  withGpu,
  writeJson,
  writeWhole,
} from "../context.ts";
import { addPreprocessingOptions, type PreprocessingOptions, preprocessingOption } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";

interface Options extends CommonOptions, PreprocessingOptions {
  readonly data: string;
  readonly limit?: number;
  readonly batch: number;
  readonly logits?: string;
}

export function evalCommand(): Command {
  const command = addPrecisionOption(addCommonOptions(new Command("eval")))
    .description("accuracy on labelled images: top-1, top-5, loss")
    .argument("<model>", "MODEL, see secateur --help")
    .requiredOption("--data <data>", "DATA, see secateur --help; its test images are used")
    .option("--limit <n>", "only the first n images", wholeNumber("--limit", 1))
    .option("--batch <n>", "images per run", wholeNumber("--batch", 1), 32)
    .option("--logits <file.npy>", "also write the logits of every image");
  return addPreprocessingOptions(command).action(async (spec: string, options: Options) => {
    const graph = await openModel(spec, { seed: options.seed });
    const dataset = await openData(options.data, "test", { limit: options.limit });
    const preprocessing = preprocessingOption(graph, dataset, options);
    await withGpu(options, async (gpu) => {
      const progress = startProgress(options);
      const batch = Math.min(options.batch, dataset.length);
      const session = await compile(gpu, graph, { ...planOptions(options, "estimated"), batch });
      const parts: HostTensor[] = [];
      try {
        const result = await evaluate(session, dataset, preprocessing, {
          batch,
          onProgress: (done, total) => progress.update(`${done} of ${total} images`, done, total),
          onLogits: (part) => parts.push(part),
        });
        progress.stop();
        if (options.logits !== undefined) writeWhole(options.logits, writeNpy(joined(parts)));
        writeJson(options, result);
        print(
          options,
          `${graph.name} on ${result.images} images of ${dataset.name}: top-1 ${percentOf(result.top1, result.images)} (error ${percentOf(1 - result.top1, result.images)}), top-5 ${percentOf(result.top5, result.images)}, loss ${result.loss.toFixed(4)}`,
        );
      } finally {
        progress.stop();
        session.dispose();
      }
    });
  });
}

function joined(parts: readonly HostTensor[]): HostTensor {
  const classes = parts[0]!.shape[1]!;
  const rows = parts.reduce((n, p) => n + p.shape[0]!, 0);
  const data = new Float32Array(rows * classes);
  let at = 0;
  for (const p of parts) {
    data.set(p.data as Float32Array, at);
    at += p.data.length;
  }
  return { dtype: "f32", shape: [rows, classes], data };
}
