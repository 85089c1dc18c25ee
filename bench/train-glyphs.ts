// Trains the built-in net's weights and writes them as src/nets/weights/glyphnet.weights.ts:
//   node --import tsx bench/train-glyphs.ts [file]
// Seeded: the same plan, adapter and driver give the same file. Takes a few minutes on a software adapter. Weights that know
// less than 97 % of unseen glyphs, once rounded to f16, are not written.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { glyphs } from "../src/data/glyphs.ts";
import { openGpuInNode } from "../src/gpu/dawn.ts";
import { withWeights } from "../src/graph/graph.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { buildNet } from "../src/nets/build-net.ts";
import { preprocessingFor } from "../src/nets/preprocessing.ts";
import { compile } from "../src/run/compile.ts";
import { evaluate } from "../src/run/evaluate.ts";
import { cast, type HostTensor } from "../src/tensor/host-tensor.ts";
import { train } from "../src/train/train.ts";

const images = 8000;
const epochs = 4;
const least = 0.97;
const shipped = new URL("../src/nets/weights/glyphnet.weights.ts", import.meta.url);

const [file = shipped] = parseArgs({ allowPositionals: true }).positionals;
const gpu = await openGpuInNode();
const net = buildNet("glyphnet", { seed: 1 });
const { graph } = await train(gpu, net, glyphs("train", images, 1), {
  epochs,
  seed: 1,
  onEpoch: (e, epoch) =>
    console.log(`epoch ${epoch}: loss ${e.loss.toFixed(4)}, validation ${e.validation!.top1.toFixed(4)}`),
});
const stored = new Map<string, HostTensor>();
const rounded = new Map<string, HostTensor>();
for (const [name, t] of graph.weights) {
  if (t.dtype !== "f32") continue;
  stored.set(name, cast(t, "f16"));
  rounded.set(name, cast(stored.get(name)!, "f32"));
}
const session = await compile(gpu, withWeights(graph, rounded), { batch: 100 });
const { top1 } = await evaluate(session, glyphs("test", 2000, 1), preprocessingFor("glyphnet", "glyphs"), {
  batch: 100,
});
console.log(`top-1 on 2,000 unseen glyphs: ${(100 * top1).toFixed(2)} %, on ${gpu.adapter.description}`);
if (top1 >= least) {
  const text = Buffer.from(writeSafetensors(stored)).toString("base64");
  const lines = [
    "// Trained weights of glyphnet as a safetensors file of f16 tensors in base64. Made by",
    "//   node --import tsx bench/train-glyphs.ts",
    `// on ${gpu.adapter.description}. Top-1 on glyphs("test", 2000, 1): ${(100 * top1).toFixed(2)} %.`,
    `export const glyphnetBase64 =\n  "${text}";`,
    "",
  ];
  writeFileSync(file, lines.join("\n"));
} else {
  console.error(`below ${100 * least} %: nothing is written.`);
  process.exitCode = 1;
}
gpu.dispose();
process.exit();
