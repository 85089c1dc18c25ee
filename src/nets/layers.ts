import { type GraphBuilder, graphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { metadataKeys } from "../graph/metadata.ts";
import { scalar } from "../tensor/host-tensor.ts";
import type { NetOptions } from "./options.ts";
import { type Parameters, parametersOf } from "./parameters.ts";
import { identityShortcut, padShortcut } from "./shortcut.ts";

/** An activation [N, channels, height, width] while a net is put together. */
export interface Feature {
  readonly value: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface ConvOptions {
  /** Published output width; given weights or widths overrule it. Left out: depthwise, one filter per channel. */
  readonly out?: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly pad?: number;
}

/** The layers the built-in nets are made of. Every node is named after its module, as PyTorch's modules are. */
export interface Layers {
  readonly image: Feature;
  conv(name: string, x: Feature, options: ConvOptions): Feature;
  batchNorm(name: string, x: Feature): Feature;
  relu(name: string, x: Feature): Feature;
  relu6(name: string, x: Feature): Feature;
  maxPool(name: string, x: Feature, options: PoolOptions): Feature;
  averagePool(name: string, x: Feature, options: PoolOptions): Feature;
  globalAverage(name: string, x: Feature): Feature;
  flatten(name: string, x: Feature): Feature;
  linear(name: string, x: Feature, out: number): Feature;
  /** The last linear layer; its value is the graph output `logits`. */
  logits(name: string, x: Feature): void;
  add(name: string, a: Feature, b: Feature): Feature;
  /** Channels of all parts, one part behind the other. */
  concat(name: string, parts: readonly Feature[]): Feature;
  /** Shortcut option A: every second pixel, zero channels in front and behind; `added` is how many are published. */
  shortcutA(name: string, x: Feature, out: number, added: number): Feature;
  /** Shortcut without change: `x` itself, or cut or padded to `out` channels where the widths asked for differ. */
  identity(name: string, x: Feature, out: number): Feature;
  build(): Graph;
}

const epsilon = 1e-5;

export function layersOf(
  net: string,
  input: readonly [number, number, number],
  classes: number,
  options: NetOptions,
): Layers {
  const b = graphBuilder(net);
  const p = parametersOf(options);
  const [channels, height, width] = input;
  const image = { value: b.input("image", [null, channels, height, width]), channels, height, width };
  return {
    image,
    conv: (name, x, o) => conv(b, p, name, x, o),
    batchNorm: (name, x) => batchNorm(b, p, name, x),
    relu: (name, x) => ({ ...x, value: b.node("Relu", [x.value], {}, { name }) }),
    relu6(name, x) {
      const bounds = [b.constant(scalar(0), `${name}.min`), b.constant(scalar(6), `${name}.max`)];
      return { ...x, value: b.node("Clip", [x.value, ...bounds], {}, { name }) };
    },
    maxPool: (name, x, o) => pool(b, "MaxPool", name, x, o),
    averagePool: (name, x, o) => pool(b, "AveragePool", name, x, o),
    globalAverage: (name, x) => ({
      ...x,
      value: b.node("GlobalAveragePool", [x.value], {}, { name }),
      height: 1,
      width: 1,
    }),
    flatten: (name, x) => ({
      value: b.node("Flatten", [x.value], { axis: 1 }, { name }),
      channels: x.channels * x.height * x.width,
      height: 1,
      width: 1,
    }),
    linear: (name, x, out) => linear(b, p, name, x, out, name),
    logits(name, x) {
      const y = linear(b, p, name, x, classes, "logits");
      b.output("logits", [null, y.channels]);
    },
    add(name, x, y) {
      if (x.channels !== y.channels) p.misfit(`${name} adds ${x.channels} channels to ${y.channels}`);
      return { ...x, value: b.node("Add", [x.value, y.value], {}, { name }) };
    },
    concat: (name, parts) => ({
      ...parts[0]!,
      value: b.node(
        "Concat",
        parts.map((part) => part.value),
        { axis: 1 },
        { name },
      ),
      channels: parts.reduce((n, part) => n + part.channels, 0),
    }),
    shortcutA: (name, x, out, added) => padShortcut(b, p, options, name, x, out, added),
    identity: (name, x, out) => identityShortcut(b, p, options, name, x, out),
    build() {
      p.finish(net);
      b.metadata(metadataKeys.arch, net);
      return b.build();
    },
  };
}

const square = (n: number): number[] => [n, n];
const outSize = (size: number, kernel: number, stride: number, pad: number): number =>
  Math.floor((size + 2 * pad - kernel) / stride) + 1;

function conv(b: GraphBuilder, p: Parameters, name: string, x: Feature, o: ConvOptions): Feature {
  const { kernel, stride = 1, pad = 0 } = o;
  const depthwise = o.out === undefined;
  const out = o.out === undefined ? x.channels : p.width(name, o.out);
  const shape = [out, depthwise ? 1 : x.channels, kernel, kernel];
  const operands = [x.value, b.weight(`${name}.weight`, p.take(`${name}.weight`, shape, "he"))];
  if (o.bias) operands.push(b.weight(`${name}.bias`, p.take(`${name}.bias`, [out], "zero")));
  const attributes = {
    kernel_shape: square(kernel),
    strides: square(stride),
    pads: [pad, pad, pad, pad],
    group: depthwise ? out : 1,
  };
  return {
    value: b.node("Conv", operands, attributes, { name }),
    channels: out,
    height: outSize(x.height, kernel, stride, pad),
    width: outSize(x.width, kernel, stride, pad),
  };
}

function batchNorm(b: GraphBuilder, p: Parameters, name: string, x: Feature): Feature {
  const parts = [
    ["weight", "one"],
    ["bias", "zero"],
    ["running_mean", "zero"],
    ["running_var", "one"],
  ] as const;
  const operands = parts.map(([part, start]) =>
    b.weight(`${name}.${part}`, p.take(`${name}.${part}`, [x.channels], start)),
  );
  return { ...x, value: b.node("BatchNormalization", [x.value, ...operands], { epsilon }, { name }) };
}

function pool(b: GraphBuilder, op: string, name: string, x: Feature, o: PoolOptions): Feature {
  const pad = o.pad ?? 0;
  const attributes = {
    kernel_shape: square(o.kernel),
    strides: square(o.stride),
    pads: [pad, pad, pad, pad],
  };
  return {
    value: b.node(op, [x.value], attributes, { name }),
    channels: x.channels,
    height: outSize(x.height, o.kernel, o.stride, pad),
    width: outSize(x.width, o.kernel, o.stride, pad),
  };
}

function linear(
  b: GraphBuilder,
  p: Parameters,
  name: string,
  x: Feature,
  usual: number,
  output: string,
): Feature {
  const out = p.width(name, usual);
  const operands = [
    x.value,
    b.weight(`${name}.weight`, p.take(`${name}.weight`, [out, x.channels], "he")),
    b.weight(`${name}.bias`, p.take(`${name}.bias`, [out], "zero")),
  ];
  const value = b.node("Gemm", operands, { transB: 1 }, { name, outputs: [output] });
  return { value, channels: out, height: 1, width: 1 };
}
