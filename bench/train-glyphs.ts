// Trains the built-in net's weights on the CPU, seeded, and writes src/nets/weights/glyphnet.weights.ts:
//   node --import tsx bench/train-glyphs.ts [steps] [check]
// A plain stopgap until training runs on the GPU. Twenty minutes on one core. With "check" it compares the gradients of
// a tiny batch with central differences instead.
import { writeFileSync } from "node:fs";
import { glyphs } from "../src/data/glyphs.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { buildNet } from "../src/nets/build-net.ts";
import { cast, type HostTensor, tensor } from "../src/tensor/host-tensor.ts";
import {
  type Activation,
  activation,
  addShortcut,
  type BatchNorm,
  back,
  classify,
  convolve,
  crossEntropy,
  normalise,
  type Parameter,
  parameter,
  relu,
  type Tape,
} from "./training/net.ts";

const steps = Number(process.argv[2] ?? 400);
const batch = 32;
const peak = 0.08;
const decay = 5e-4;
const momentum = 0.9;

const initial = buildNet("glyphnet", { seed: 1 });
const learned = new Map<string, Parameter>();
const norms = new Map<string, BatchNorm>();
const running: string[] = [];

const get = (name: string): Parameter => {
  let p = learned.get(name);
  if (!p) {
    const data = initial.weights.get(name)!.data as Float32Array;
    p = parameter(Float64Array.from(data), /(conv\d|linear)\.weight$/.test(name));
    learned.set(name, p);
  }
  return p;
};
const norm = (name: string): BatchNorm => {
  let bn = norms.get(name);
  if (!bn) {
    const channels = initial.weights.get(`${name}.weight`)!.data.length;
    bn = {
      scale: get(`${name}.weight`),
      shift: get(`${name}.bias`),
      mean: new Float64Array(channels),
      variance: new Float64Array(channels).fill(1),
    };
    norms.set(name, bn);
    running.push(name);
  }
  return bn;
};

function block(tape: Tape, x: Activation, name: string, outputs: number, stride: number): Activation {
  const a = relu(
    tape,
    normalise(
      tape,
      convolve(tape, x, get(`${name}.conv1.weight`), outputs, stride, false),
      norm(`${name}.bn1`),
    ),
  );
  const b = normalise(
    tape,
    convolve(tape, a, get(`${name}.conv2.weight`), outputs, 1, false),
    norm(`${name}.bn2`),
  );
  return relu(tape, addShortcut(tape, b, x));
}

function forward(tape: Tape, image: Activation): Activation {
  let x = relu(tape, normalise(tape, convolve(tape, image, get("conv1.weight"), 16, 1, true), norm("bn1")));
  x = block(tape, x, "layer1.0", 32, 2);
  x = block(tape, x, "layer1.1", 32, 1);
  x = block(tape, x, "layer2.0", 64, 2);
  x = block(tape, x, "layer2.1", 64, 1);
  return classify(tape, x, get("linear.weight"), get("linear.bias"));
}

function images(pixels: Uint8Array, from: number, count: number): Activation {
  const x = activation(count, 1, 28);
  for (let i = 0; i < x.value.length; i++) x.value[i] = pixels[from * 784 + i]! / 256;
  return x;
}

/** One-cycle: up over the first fifth, then a cosine down to nothing (Smith and Topin 2017). */
function rate(step: number): number {
  const warm = steps / 5;
  return step < warm
    ? (peak * (step + 1)) / warm
    : (peak / 2) * (1 + Math.cos((Math.PI * (step - warm)) / (steps - warm)));
}

function update(lr: number): void {
  for (const p of learned.values()) {
    for (let i = 0; i < p.value.length; i++) {
      const g = p.gradient[i]! + (p.decay ? decay * p.value[i]! : 0);
      p.momentum[i] = momentum * p.momentum[i]! + g;
      p.value[i]! -= lr * (g + momentum * p.momentum[i]!);
    }
    p.gradient.fill(0);
  }
}

function checkGradients(): void {
  const data = glyphs("train", 3, 9);
  const run = (): number => {
    const tape: Tape = { images: 3, training: true, steps: [] };
    return crossEntropy(forward(tape, images(data.images, 0, 3)), data.labels).loss;
  };
  const tape: Tape = { images: 3, training: true, steps: [] };
  crossEntropy(forward(tape, images(data.images, 0, 3)), data.labels);
  back(tape);
  let worst = 0;
  for (const [name, p] of learned) {
    for (const i of [0, p.value.length >> 1, p.value.length - 1]) {
      const h = 1e-5;
      const old = p.value[i]!;
      p.value[i] = old + h;
      const up = run();
      p.value[i] = old - h;
      const down = run();
      p.value[i] = old;
      const numeric = (up - down) / (2 * h);
      const error = Math.abs(numeric - p.gradient[i]!) / (1e-4 + Math.abs(numeric));
      worst = Math.max(worst, error);
      if (error > 1e-2)
        console.log(`${name}[${i}]: ${p.gradient[i]} by backpropagation, ${numeric} by differences`);
    }
  }
  console.log(`largest relative difference ${worst.toExponential(2)}`);
}

function train(): void {
  const started = performance.now();
  const data = glyphs("train", steps * batch, 1);
  let loss = 0;
  let right = 0;
  for (let step = 0; step < steps; step++) {
    const tape: Tape = { images: batch, training: true, steps: [] };
    const result = crossEntropyOf(tape, data.images, data.labels, step * batch);
    back(tape);
    update(rate(step));
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

function crossEntropyOf(
  tape: Tape,
  pixels: Uint8Array,
  labels: Uint8Array,
  from: number,
): { loss: number; right: number } {
  const logits = forward(tape, images(pixels, from, tape.images));
  return crossEntropy(logits, labels.subarray(from, from + tape.images));
}

function evaluate(): number {
  const data = glyphs("test", 2000, 1);
  let right = 0;
  for (let from = 0; from < data.length; from += 100) {
    right += crossEntropyOf(
      { images: 100, training: false, steps: [] },
      data.images,
      data.labels,
      from,
    ).right;
  }
  return right / data.length;
}

/** The tensors as f16, and the net's own values rounded to them, so that what is scored is what is stored. */
function stored(): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  const keep = (name: string, values: Float64Array): void => {
    const shape = initial.weights.get(name)!.shape;
    const half = cast(tensor(Float32Array.from(values), shape), "f16");
    tensors.set(name, half);
    for (let i = 0; i < values.length; i++) values[i] = Number(half.data[i]);
  };
  for (const [name, p] of learned) keep(name, p.value);
  for (const name of running) {
    keep(`${name}.running_mean`, norms.get(name)!.mean);
    keep(`${name}.running_var`, norms.get(name)!.variance);
  }
  return tensors;
}

if (process.argv[3] === "check") {
  checkGradients();
} else {
  train();
  const tensors = stored();
  const accuracy = evaluate();
  console.log(`top-1 on 2,000 unseen glyphs: ${(100 * accuracy).toFixed(2)} %`);
  const bytes = writeSafetensors(tensors, new Map());
  const text = [
    "// Trained weights of glyphnet as a safetensors file of f16 tensors in base64. Made by",
    `//   node --import tsx bench/train-glyphs.ts ${steps}`,
    `// Top-1 on glyphs("test", 2000, 1): ${(100 * accuracy).toFixed(2)} %.`,
    `export const glyphnetBase64 =\n  "${Buffer.from(bytes).toString("base64")}";`,
    "",
  ].join("\n");
  writeFileSync(new URL("../src/nets/weights/glyphnet.weights.ts", import.meta.url), text);
}
