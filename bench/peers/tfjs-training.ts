import { buildNet } from "../../src/nets/build-net.ts";
import { cast, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { permuted } from "./permuted.ts";
import type { Tensor, Tfjs, TfjsCore, Variable } from "./tfjs.ts";

/** The nets that are trained in both engines; names as in `buildNet`. */
export type TrainedNet = "lenet5" | "resnet20";

export interface TfjsStepOptions {
  readonly tfjs: Tfjs;
  readonly batch: number;
  readonly optimizer: { readonly lr: number; readonly momentum: number };
  /** By our names, in our layouts; those of `buildNet(net)` unless given. */
  readonly weights?: ReadonlyMap<string, HostTensor>;
}

/** Training steps of one net in TensorFlow.js: forward, backward, SGD with momentum, BatchNorm's running statistics. */
export interface TfjsStep {
  /**
   * One step on this batch: images NCHW, one label per image. The mean cross-entropy before the update where it is asked for,
   * which waits for the device; else the step is only submitted and the result is undefined.
   */
  step(images: Float32Array, labels: Uint8Array, readLoss?: boolean): Promise<number | undefined>;
  /** Makes this the batch that `run` trains on, in the device's memory. */
  load(images: Float32Array, labels: Uint8Array): void;
  /** So many steps on the loaded batch; resolves when the device has done them. */
  run(steps: number): Promise<void>;
  /** By our names, in our layouts. */
  weights(): Promise<Map<string, HostTensor>>;
  /** Frees the net's tensors. */
  dispose(): void;
}

interface Batch {
  /** NHWC. */
  readonly images: Tensor;
  readonly oneHot: Tensor;
}

/** What a net's layers are made of. */
interface Scope {
  readonly tf: TfjsCore;
  readonly batch: number;
  weight(name: string): Variable;
}

const inputs = { lenet5: [1, 28, 28], resnet20: [3, 32, 32] } as const;
const classes = 10;
const parameter = /\.(weight|bias|running_mean|running_var)$/;
const epsilon = 1e-5;
/** How much of BatchNorm's running statistics stays at each step. */
const keep = 0.9;
/** Faster for LeNet-5 by a sixth, slower for ResNet-20 by a tenth, measured on lavapipe. */
const separateIm2Col = "WEBGPU_CONV_SEPARATE_IM2COL_SHADER";
/** Steps that are submitted before the device is waited for: Dawn's memory grows with what is under way. */
const mostUnderWay = 8;

/** Puts a net into TensorFlow.js, ready to train. */
export async function makeTfjsStep(net: TrainedNet, options: TfjsStepOptions): Promise<TfjsStep> {
  const { tfjs, batch, optimizer: sgd } = options;
  const { tf } = tfjs;
  // Constants of the graph are none of them.
  const given = new Map(
    [...(options.weights ?? buildNet(net).weights)].filter(([name]) => parameter.test(name)),
  );
  const image = inputs[net];
  const variables = new Map<string, Variable>();
  const learned: Variable[] = [];
  for (const [name, weight] of given) {
    const trainable = !name.includes(".running_");
    const { from, axes, to } = layoutOf(net, name, weight.shape, given);
    const data = permuted(cast(weight, "f32").data as Float32Array, from, axes);
    const initial = tf.tensor(data, to, "float32");
    const variable = tf.variable(initial, trainable);
    initial.dispose();
    variables.set(name, variable);
    if (trainable) learned.push(variable);
  }
  const scope: Scope = {
    tf,
    batch,
    weight(name) {
      const found = variables.get(name);
      if (!found) throw new Error(`${net} has no weight ${name}.`);
      return found;
    },
  };
  const forward = net === "lenet5" ? lenet5 : resnet20;
  const optimizer = tf.train.momentum(sgd.lr, sgd.momentum);

  const batchOf = (images: Float32Array, labels: Uint8Array): Batch => {
    const [channels, height, width] = image;
    if (images.length !== batch * sizeOf(image) || labels.length !== batch) {
      throw new Error(`${net} takes ${batch} images of ${image.join("x")} and as many labels.`);
    }
    // A copy in any case: TensorFlow.js uploads a tensor only when it is first read.
    const nhwc = permuted(images, [batch, ...image], [0, 2, 3, 1]);
    const oneHot = new Float32Array(batch * classes);
    for (const [i, label] of labels.entries()) oneHot[i * classes + label] = 1;
    return {
      images: tf.tensor(nhwc, [batch, height, width, channels], "float32"),
      oneHot: tf.tensor(oneHot, [batch, classes], "float32"),
    };
  };
  const train = (b: Batch, readLoss: boolean): Tensor | null => {
    tf.env().set(separateIm2Col, net === "lenet5");
    return optimizer.minimize(
      () => tf.losses.softmaxCrossEntropy(b.oneHot, forward(scope, b.images)),
      readLoss,
      learned,
    );
  };
  const free = (b: Batch | undefined): void => {
    b?.images.dispose();
    b?.oneHot.dispose();
  };

  let resident: Batch | undefined;
  return {
    async step(images, labels, readLoss = false) {
      const own = batchOf(images, labels);
      const cost = train(own, readLoss);
      free(own);
      if (cost === null) return undefined;
      const [loss] = await tfjs.read(cost);
      cost.dispose();
      tfjs.gpu.check();
      return loss;
    },
    load(images, labels) {
      free(resident);
      resident = batchOf(images, labels);
    },
    async run(steps) {
      if (!resident) throw new Error("load a batch first.");
      for (let i = 1; i <= steps; i++) {
        train(resident, false);
        if (i === steps || i % mostUnderWay === 0) await tfjs.finish();
      }
    },
    async weights() {
      const out = new Map<string, HostTensor>();
      for (const [name, { shape }] of given) {
        const { from, axes } = layoutOf(net, name, shape, given);
        const inverse = axes.map((_, axis) => axes.indexOf(axis));
        const moved = axes.map((axis) => from[axis]!);
        const data = permuted(await tfjs.read(scope.weight(name)), moved, inverse);
        out.set(name, { dtype: "f32", shape, data });
      }
      return out;
    },
    dispose() {
      free(resident);
      resident = undefined;
      optimizer.dispose();
      optimizer.c.dispose();
      for (const variable of variables.values()) variable.dispose();
      variables.clear();
    },
  };
}

/** As `lenet5` in src/nets/lenet.ts. */
function lenet5(s: Scope, images: Tensor): Tensor {
  const { tf } = s;
  // The fused convolution would compute the gradient of the images too.
  let x = tf.add(tf.conv2d(images, s.weight("conv1.weight"), 1, 0), s.weight("conv1.bias"));
  x = tf.maxPool(x, 2, 2, "valid");
  const [filter, bias] = [s.weight("conv2.weight"), s.weight("conv2.bias")];
  x = tf.maxPool(tf.fused.conv2d({ x, filter, strides: 1, pad: 0, bias }), 2, 2, "valid");
  x = tf.reshape(x, [s.batch, sizeOf(x.shape.slice(1))]);
  return linear(s, "ip2", tf.relu(linear(s, "ip1", x)));
}

/** As `cifarResNet(3)` in src/nets/cifar-resnet.ts. */
function resnet20(s: Scope, images: Tensor): Tensor {
  const { tf } = s;
  let x = tf.relu(batchNorm(s, "bn1", tf.conv2d(images, s.weight("conv1.weight"), 1, 1)));
  for (let stage = 1; stage <= 3; stage++) {
    for (let i = 0; i < 3; i++) x = basicBlock(s, `layer${stage}.${i}`, x, stage > 1 && i === 0 ? 2 : 1);
  }
  return linear(s, "linear", tf.mean(x, [1, 2]));
}

function basicBlock(s: Scope, name: string, x: Tensor, stride: number): Tensor {
  const { tf } = s;
  // A number pads all four sides, as in PyTorch; "same" would pad only below and to the right where the stride is 2.
  let y = tf.conv2d(x, s.weight(`${name}.conv1.weight`), stride, 1);
  y = tf.relu(batchNorm(s, `${name}.bn1`, y));
  y = batchNorm(s, `${name}.bn2`, tf.conv2d(y, s.weight(`${name}.conv2.weight`), 1, 1));
  return tf.relu(tf.add(y, stride === 1 ? x : padShortcut(s, x, y.shape[3]!)));
}

/** Every second pixel, zero channels on both sides. A strided slice has no gradient in TensorFlow.js; a pool of one pixel has. */
function padShortcut({ tf }: Scope, x: Tensor, channels: number): Tensor {
  const half = tf.avgPool(x, 1, 2, "valid");
  const more = channels - x.shape[3]!;
  const front = Math.floor(more / 2);
  return tf.pad(half, [
    [0, 0],
    [0, 0],
    [0, 0],
    [front, more - front],
  ]);
}

/**
 * With the batch's own statistics; moves the running ones. The gradient is written out (Ioffe and Szegedy 2015, section 3):
 * TensorFlow.js's own, through `moments` and `batchNorm`, makes the step about 15 % slower.
 */
function batchNorm(s: Scope, name: string, x: Tensor): Tensor {
  const { tf } = s;
  const axes = [0, 1, 2];
  const count = sizeOf(x.shape.slice(0, 3));
  const normalise = tf.customGrad((x, scale, shift, save) => {
    const { mean, variance } = tf.moments(x, axes);
    moveStatistic(s, `${name}.running_mean`, mean);
    moveStatistic(s, `${name}.running_var`, variance);
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    save([x, scale, mean, inverse]);
    return {
      value: tf.batchNorm(x, mean, variance, shift, scale, epsilon),
      gradFunc(dy, [x, scale, mean, inverse]) {
        const standard = tf.mul(tf.sub(x, mean), inverse);
        const dscale = tf.sum(tf.mul(dy, standard), axes);
        const dshift = tf.sum(dy, axes);
        const shared = tf.add(tf.mul(standard, tf.div(dscale, count)), tf.div(dshift, count));
        return [tf.mul(tf.mul(scale, inverse), tf.sub(dy, shared)), dscale, dshift];
      },
    };
  });
  return normalise(x, s.weight(`${name}.weight`), s.weight(`${name}.bias`));
}

function moveStatistic({ tf, weight }: Scope, name: string, now: Tensor): void {
  const running = weight(name);
  running.assign(tf.add(tf.mul(running, keep), tf.mul(now, 1 - keep)));
}

const linear = (s: Scope, name: string, a: Tensor): Tensor =>
  s.tf.fused.matMul({ a, b: s.weight(`${name}.weight`), bias: s.weight(`${name}.bias`) });

/** How a weight of ours becomes TensorFlow.js's: seen as `from`, its axes permuted, seen as `to`. */
function layoutOf(
  net: TrainedNet,
  name: string,
  shape: readonly number[],
  weights: ReadonlyMap<string, HostTensor>,
): { from: readonly number[]; axes: readonly number[]; to: readonly number[] } {
  const [out = 0, width = 0, height = 0, breadth = 0] = shape;
  const toLast = [2, 3, 1, 0];
  if (shape.length === 4) return { from: shape, axes: toLast, to: [height, breadth, width, out] };
  if (shape.length === 1) return { from: shape, axes: [0], to: shape };
  if (net !== "lenet5" || name !== "ip1.weight") return { from: shape, axes: [1, 0], to: [width, out] };
  // Its columns are the flattened [channels, 4, 4]; flattened here is [4, 4, channels].
  const channels = weights.get("conv2.weight")!.shape[0]!;
  return { from: [out, channels, 4, 4], axes: toLast, to: [width, out] };
}
