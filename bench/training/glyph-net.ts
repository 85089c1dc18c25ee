import { cast, type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import {
  type Activation,
  activation,
  addShortcut,
  type BatchNorm,
  classify,
  convolve,
  normalise,
  type Parameter,
  parameter,
  relu,
  type Tape,
} from "./net.ts";

/** The built-in net as the trainer runs it; `src/nets/cifar-resnet.ts` is the same net as a graph. */
export interface GlyphNet {
  /** Learned arrays by tensor name, known after the first forward pass. */
  readonly learned: ReadonlyMap<string, Parameter>;
  /** Logits, [images][10]. */
  forward(tape: Tape, image: Activation): Activation;
  /** All tensors as f16; the net's own values are rounded to them, so that what is scored next is what is stored. */
  stored(): Map<string, HostTensor>;
}

export function glyphNet(initial: ReadonlyMap<string, HostTensor>): GlyphNet {
  const learned = new Map<string, Parameter>();
  const norms = new Map<string, BatchNorm>();
  const values = (name: string): Float64Array => Float64Array.from(initial.get(name)!.data as Float32Array);
  const get = (name: string): Parameter => {
    let p = learned.get(name);
    if (!p) {
      p = parameter(values(name), /(conv\d|linear)\.weight$/.test(name));
      learned.set(name, p);
    }
    return p;
  };
  const norm = (name: string): BatchNorm => {
    let bn = norms.get(name);
    if (!bn) {
      bn = {
        scale: get(`${name}.weight`),
        shift: get(`${name}.bias`),
        mean: values(`${name}.running_mean`),
        variance: values(`${name}.running_var`),
      };
      norms.set(name, bn);
    }
    return bn;
  };
  const block = (tape: Tape, x: Activation, name: string, outputs: number, stride: number): Activation => {
    const first = convolve(tape, x, get(`${name}.conv1.weight`), outputs, stride, false);
    const a = relu(tape, normalise(tape, first, norm(`${name}.bn1`)));
    const second = convolve(tape, a, get(`${name}.conv2.weight`), outputs, 1, false);
    return relu(tape, addShortcut(tape, normalise(tape, second, norm(`${name}.bn2`)), x));
  };
  return {
    learned,
    forward(tape, image) {
      const stem = convolve(tape, image, get("conv1.weight"), 16, 1, true);
      let x = relu(tape, normalise(tape, stem, norm("bn1")));
      x = block(tape, x, "layer1.0", 32, 2);
      x = block(tape, x, "layer1.1", 32, 1);
      x = block(tape, x, "layer2.0", 64, 2);
      x = block(tape, x, "layer2.1", 64, 1);
      return classify(tape, x, get("linear.weight"), get("linear.bias"));
    },
    stored() {
      const tensors = new Map<string, HostTensor>();
      const keep = (name: string, array: Float64Array): void => {
        const half = cast(tensor(Float32Array.from(array), initial.get(name)!.shape), "f16");
        tensors.set(name, half);
        for (let i = 0; i < array.length; i++) array[i] = Number(half.data[i]);
      };
      for (const [name, p] of learned) keep(name, p.value);
      for (const [name, bn] of norms) {
        keep(`${name}.running_mean`, bn.mean);
        keep(`${name}.running_var`, bn.variance);
      }
      return tensors;
    },
  };
}

/** Glyphs as the net wants them: byte / 256. */
export function glyphImages(pixels: Uint8Array, from: number, count: number): Activation {
  const x = activation(count, 1, 28);
  for (let i = 0; i < x.value.length; i++) x.value[i] = pixels[from * 784 + i]! / 256;
  return x;
}
