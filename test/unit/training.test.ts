import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GlyphNet, glyphImages, glyphNet } from "../../bench/training/glyph-net.ts";
import { back, crossEntropy, type Tape } from "../../bench/training/net.ts";
import { rate, update } from "../../bench/training/optimise.ts";
import { preprocess } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { glyphnetWeights } from "../../src/nets/weights/glyphnet.ts";
import { runReference } from "../../src/run/reference.ts";

const training = suite("CPU trainer of the built-in net");
const tapeOf = (images: number, forTraining: boolean): Tape => ({ images, training: forTraining, steps: [] });

training("gradients are those of central differences", () => {
  const data = glyphs("train", 2, 9);
  const net = glyphNet(buildNet("glyphnet", { seed: 1 }).weights);
  const loss = (tape: Tape): number =>
    crossEntropy(net.forward(tape, glyphImages(data.images, 0, 2)), data.labels).loss;
  const tape = tapeOf(2, true);
  loss(tape);
  back(tape);
  let largest = 0;
  for (const [name, p] of net.learned) {
    for (const i of [0, p.value.length - 1]) {
      // Small, because a larger step moves some of the thousands of ReLU inputs past zero, where the loss has a kink.
      const h = 1e-7;
      const old = p.value[i]!;
      p.value[i] = old + h;
      const up = loss(tapeOf(2, true));
      p.value[i] = old - h;
      const down = loss(tapeOf(2, true));
      p.value[i] = old;
      const numeric = (up - down) / (2 * h);
      // Rounding of the loss leaves about 1e-8 in the difference quotient.
      const error = Math.abs(numeric - p.gradient[i]!) / (1e-3 + Math.abs(numeric));
      assert.ok(
        error < 1e-4,
        `${name}[${i}]: ${p.gradient[i]} by backpropagation, ${numeric} by differences`,
      );
      largest = Math.max(largest, Math.abs(numeric));
    }
  }
  assert.ok(largest > 1e-3, "every gradient is next to nothing: the test shows nothing");
});

training("the trainer's net is the graph: the same logits as the double-precision reference", () => {
  const data = glyphs("test", 3, 1);
  const logits = glyphNet(glyphnetWeights()).forward(tapeOf(3, false), glyphImages(data.images, 0, 3));
  const image = preprocess(data, 0, 3, { scale: 1 / 256, mean: [0], std: [1] });
  const wanted = runReference(buildNet("glyphnet"), { image }).logits!;
  assert.equal([...wanted.shape], [3, 10]);
  for (let i = 0; i < 30; i++) {
    const difference = Math.abs(logits.value[i]! - Number(wanted.data[i]));
    assert.ok(difference < 1e-9, `logit ${i}: ${logits.value[i]}, the reference has ${wanted.data[i]}`);
  }
});

/** Three steps on the same few images. */
function shortRun(seed: number): { losses: number[]; net: GlyphNet } {
  const data = glyphs("train", 8, seed);
  const net = glyphNet(buildNet("glyphnet", { seed }).weights);
  const losses = Array.from({ length: 4 }, () => {
    const tape = tapeOf(8, true);
    const { loss } = crossEntropy(net.forward(tape, glyphImages(data.images, 0, 8)), data.labels);
    back(tape);
    update(net.learned.values(), 0.02);
    return loss;
  });
  return { losses, net };
}

training("steps lower the loss, the same each time, and what is stored is what is scored", () => {
  const { losses, net } = shortRun(2);
  assert.ok(losses[3]! < losses[0]!, `losses ${losses}`);
  assert.equal(shortRun(2).losses, losses);
  const tensors = net.stored();
  // The graph's integers are settings of its shortcuts.
  const floats = [...buildNet("glyphnet", { seed: 1 }).weights].filter(([, t]) => t.dtype === "f32");
  assert.equal([...tensors.keys()].sort(), floats.map(([name]) => name).sort());
  for (const [name, p] of net.learned) {
    assert.is(tensors.get(name)!.dtype, "f16");
    for (let i = 0; i < p.value.length; i++) assert.is(p.value[i], Number(tensors.get(name)!.data[i]));
  }
});

training("the rate rises for a fifth of the steps and falls to nothing", () => {
  const rates = Array.from({ length: 100 }, (_, i) => rate(i, 100));
  assert.is(rates.indexOf(Math.max(...rates)), 19);
  for (let i = 1; i < 100; i++) assert.is(rates[i]! > rates[i - 1]!, i < 20);
  assert.ok(rates[99]! < 1e-4 && rates[99]! > 0);
});

training.run();
