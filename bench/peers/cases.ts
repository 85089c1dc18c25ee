import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";

/** y [m, n] = x [m, k] · w [k, n]. */
export interface MatmulCase {
  readonly op: "matmul";
  readonly m: number;
  readonly k: number;
  readonly n: number;
  /** Are both operands made at run time? Else w is a constant weight wherever an engine knows such a thing. */
  readonly runtime: boolean;
}

/** Stride 1, "same" padding, no bias; NCHW. */
export interface ConvCase {
  readonly op: "conv";
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** A whole network out of one ONNX file. */
export interface ModelCase {
  readonly op: "model";
  readonly net: string;
  readonly batch: number;
  /** Input of one image. */
  readonly image: readonly number[];
  /** Multiply-adds of one image. */
  readonly macs: number;
  readonly input: string;
  readonly output: string;
  readonly classes: number;
}

export type OpCase = MatmulCase | ConvCase;
export type Case = OpCase | ModelCase;
export type CaseOp = Case["op"];

/** What a case computes with: host data, row-major. */
export interface Operands {
  readonly x: Float32Array<ArrayBuffer>;
  /** Of a model: nothing. */
  readonly w: Float32Array<ArrayBuffer>;
  /** Of a model: its ONNX file. */
  readonly model?: Uint8Array<ArrayBuffer>;
}

const matmul = (m: number, k = m, n = m, runtime = false): MatmulCase => ({ op: "matmul", m, k, n, runtime });

const conv = (
  kernel: 1 | 3,
  inChannels: number,
  outChannels: number,
  height: number,
  { width = height, batch = 1 } = {},
): ConvCase => ({ op: "conv", batch, inChannels, outChannels, kernel, height, width });

/** ResNet-50's shapes (He et al. 2015, arXiv 1512.03385, table 1): the 3×3 of every stage, and two of its 1×1. */
const convs: readonly ConvCase[] = [
  conv(3, 64, 64, 56),
  conv(3, 128, 128, 28),
  conv(3, 256, 256, 14),
  conv(3, 512, 512, 7),
  conv(1, 256, 64, 56),
  conv(1, 1024, 256, 14),
];

/** The rest of its 1×1 with stride 1. */
const moreConvs: readonly ConvCase[] = [
  conv(1, 64, 256, 56),
  conv(1, 512, 128, 28),
  conv(1, 128, 512, 28),
  conv(1, 256, 1024, 14),
  conv(1, 2048, 512, 7),
  conv(1, 512, 2048, 7),
];

export type CaseSet = "quick" | "default" | "full";

/** The cases of a set, without the model. */
export function opCases(set: CaseSet): readonly OpCase[] {
  if (set === "quick") return [matmul(256), conv(3, 256, 256, 14)];
  const usual = [matmul(256), matmul(512), matmul(1024), matmul(512, 512, 512, true), ...convs];
  if (set === "default") return usual;
  const all = [...convs, ...moreConvs];
  return [...usual, matmul(2048), ...moreConvs, ...all.map((c) => ({ ...c, batch: 8 }))];
}

/** What every engine must get right before anything is timed: odd sizes, and sizes that vector kernels take. */
export const checkCases: readonly OpCase[] = [
  matmul(37, 41, 29),
  matmul(64, 48, 32),
  matmul(31, 31, 31, true),
  conv(3, 5, 7, 9, { width: 11, batch: 2 }),
  conv(3, 16, 8, 12),
  conv(1, 6, 10, 7, { width: 5 }),
  conv(1, 32, 16, 8),
];

export const xShape = (c: OpCase): readonly number[] =>
  c.op === "matmul" ? [c.m, c.k] : [c.batch, c.inChannels, c.height, c.width];

export const wShape = (c: OpCase): readonly number[] =>
  c.op === "matmul" ? [c.k, c.n] : [c.outChannels, c.inChannels, c.kernel, c.kernel];

export const yShape = (c: Case): readonly number[] =>
  c.op === "model"
    ? [c.batch, c.classes]
    : c.op === "matmul"
      ? [c.m, c.n]
      : [c.batch, c.outChannels, c.height, c.width];

/** Twice the multiply-adds, as if nothing were padding. */
export function flops(c: Case): number {
  if (c.op === "model") return 2 * c.macs * c.batch;
  const depth = c.op === "matmul" ? c.k : c.inChannels * c.kernel ** 2;
  return 2 * sizeOf(yShape(c)) * depth;
}

/** How tables call a case; the names are unique. */
export function caseName(c: Case): string {
  const batch = c.op !== "matmul" && c.batch > 1 ? `, batch ${c.batch}` : "";
  if (c.op === "model") return `${c.net}.onnx${batch}`;
  if (c.op === "conv") {
    return `${c.kernel}x${c.kernel} ${c.inChannels}->${c.outChannels} @${c.height}x${c.width}${batch}`;
  }
  const size = c.m === c.k && c.k === c.n ? `${c.m}^3` : `${c.m}x${c.k}x${c.n}`;
  return c.runtime ? `${size}, both run-time` : size;
}

/** Uniform in [-0.5, 0.5), the same for every engine. */
export function operandsOf(c: OpCase, seed: number): Operands {
  const random = seeded(seed);
  const values = (shape: readonly number[]): Float32Array<ArrayBuffer> =>
    Float32Array.from({ length: sizeOf(shape) }, () => random.uniform() - 0.5);
  return { x: values(xShape(c)), w: values(wShape(c)) };
}

export const xTensor = (c: OpCase, { x }: Operands): HostTensor => tensor(x, xShape(c));
