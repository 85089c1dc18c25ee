// Trains the built-in net's weights on the CPU, seeded, and writes them as src/nets/weights/glyphnet.weights.ts:
//   node --import tsx bench/train-glyphs.ts [steps] [file]
// A plain stopgap until training runs on the GPU; 500 steps take about ten minutes on one core. Weights that know less than
// 97 % of unseen glyphs are not written.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { glyphs } from "../src/data/glyphs.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { buildNet } from "../src/nets/build-net.ts";
import type { HostTensor } from "../src/tensor/host-tensor.ts";
import { wholeNumber } from "../src/tensor/shape.ts";
import { type GlyphNet, glyphImages, glyphNet } from "./training/glyph-net.ts";
import { back, crossEntropy, type Tape } from "./training/net.ts";
import { rate, update } from "./training/optimise.ts";

const batch = 32;
const least = 0.97;
const shipped = new URL("../src/nets/weights/glyphnet.weights.ts", import.meta.url);

function train(net: GlyphNet, steps: number): void {
  const started = performance.now();
  const data = glyphs("train", steps * batch, 1);
  let loss = 0;
  let right = 0;
  for (let step = 0; step < steps; step++) {
    const tape: Tape = { images: batch, training: true, steps: [] };
    const from = step * batch;
    const logits = net.forward(tape, glyphImages(data.images, from, batch));
    const result = crossEntropy(logits, data.labels.subarray(from, from + batch));
    back(tape);
    update(net.learned.values(), rate(step, steps));
    loss += result.loss;
    right += result.right;
    if ((step + 1) % 20 === 0) {
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      console.log(
        `step ${step + 1} of ${steps}: loss ${(loss / 20).toFixed(4)}, top-1 ${((100 * right) / 20 / batch).toFixed(1)} %, ${seconds} s`,
      );
      loss = 0;
      right = 0;
    }
  }
}

/** Top-1 on 2,000 glyphs that no training step has seen. */
function evaluate(net: GlyphNet): number {
  const data = glyphs("test", 2000, 1);
  const part = 100;
  let right = 0;
  for (let from = 0; from < data.length; from += part) {
    const tape: Tape = { images: part, training: false, steps: [] };
    const logits = net.forward(tape, glyphImages(data.images, from, part));
    right += crossEntropy(logits, data.labels.subarray(from, from + part)).right;
  }
  return right / data.length;
}

function sourceOf(tensors: ReadonlyMap<string, HostTensor>, steps: number, accuracy: number): string {
  return [
    "// Trained weights of glyphnet as a safetensors file of f16 tensors in base64. Made by",
    `//   node --import tsx bench/train-glyphs.ts ${steps}`,
    `// Top-1 on glyphs("test", 2000, 1): ${(100 * accuracy).toFixed(2)} %.`,
    `export const glyphnetBase64 =\n  "${Buffer.from(writeSafetensors(tensors)).toString("base64")}";`,
    "",
  ].join("\n");
}

const [given = "500", file = shipped] = parseArgs({ allowPositionals: true }).positionals;
const steps = wholeNumber(Number(given), "steps", 1, 30_000);
const net = glyphNet(buildNet("glyphnet", { seed: 1 }).weights);
train(net, steps);
const tensors = net.stored();
const accuracy = evaluate(net);
console.log(`top-1 on 2,000 unseen glyphs: ${(100 * accuracy).toFixed(2)} %`);
if (accuracy >= least) {
  writeFileSync(file, sourceOf(tensors, steps, accuracy));
} else {
  console.error(`below ${100 * least} %: nothing is written.`);
  process.exitCode = 1;
}
