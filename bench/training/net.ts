import { backward, type Conv3x3, columnsLength, forward, outSide } from "./convolution.ts";

/** A learned array with its gradient and momentum. */
export interface Parameter {
  readonly value: Float64Array;
  readonly gradient: Float64Array;
  readonly momentum: Float64Array;
  /** Is it a weight (decayed), or a BatchNormalization parameter or bias (not)? */
  readonly decay: boolean;
}

export const parameter = (value: Float64Array, decay: boolean): Parameter => ({
  value,
  gradient: new Float64Array(value.length),
  momentum: new Float64Array(value.length),
  decay,
});

/** Activations of a batch, [images][channels][pixels], and room for their gradient. */
export interface Activation {
  readonly value: Float64Array;
  readonly gradient: Float64Array;
  readonly channels: number;
  readonly side: number;
}

export const activation = (images: number, channels: number, side: number): Activation => {
  const length = images * channels * side * side;
  return { value: new Float64Array(length), gradient: new Float64Array(length), channels, side };
};

/** The forward pass records how to go back; `back` runs the record in reverse. */
export interface Tape {
  readonly images: number;
  readonly training: boolean;
  readonly steps: (() => void)[];
}

export const back = (tape: Tape): void => {
  for (const step of tape.steps.reverse()) step();
};

export function convolve(
  tape: Tape,
  x: Activation,
  w: Parameter,
  outputs: number,
  stride: number,
  first: boolean,
): Activation {
  const shape: Conv3x3 = { inputs: x.channels, outputs, side: x.side, stride };
  const y = activation(tape.images, outputs, outSide(shape));
  const columns = new Float64Array(columnsLength(shape));
  const xSize = x.channels * x.side ** 2;
  const ySize = outputs * y.side ** 2;
  for (let n = 0; n < tape.images; n++)
    forward(shape, x.value, n * xSize, w.value, y.value, n * ySize, columns);
  tape.steps.push(() => {
    for (let n = 0; n < tape.images; n++) {
      backward(
        shape,
        x.value,
        n * xSize,
        w.value,
        y.gradient,
        n * ySize,
        w.gradient,
        first ? undefined : x.gradient,
        columns,
      );
    }
  });
  return y;
}

export interface BatchNorm {
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

const epsilon = 1e-5;
const remembered = 0.9;

/** BatchNormalization (Ioffe and Szegedy 2015) with batch statistics in training, running ones otherwise. */
export function normalise(tape: Tape, x: Activation, bn: BatchNorm): Activation {
  const pixels = x.side ** 2;
  const count = tape.images * pixels;
  const y = activation(tape.images, x.channels, x.side);
  const centre = new Float64Array(x.channels);
  const inverse = new Float64Array(x.channels);
  const each = (c: number, f: (i: number) => void): void => {
    for (let n = 0; n < tape.images; n++) {
      const at = (n * x.channels + c) * pixels;
      for (let i = at; i < at + pixels; i++) f(i);
    }
  };
  for (let c = 0; c < x.channels; c++) {
    let mean = bn.mean[c]!;
    let variance = bn.variance[c]!;
    if (tape.training) {
      let sum = 0;
      each(c, (i) => {
        sum += x.value[i]!;
      });
      mean = sum / count;
      let squares = 0;
      each(c, (i) => {
        squares += (x.value[i]! - mean) ** 2;
      });
      variance = squares / count;
      bn.mean[c] = remembered * bn.mean[c]! + (1 - remembered) * mean;
      bn.variance[c] = remembered * bn.variance[c]! + ((1 - remembered) * squares) / (count - 1);
    }
    centre[c] = mean;
    inverse[c] = 1 / Math.sqrt(variance + epsilon);
    const a = inverse[c]! * bn.scale.value[c]!;
    const b = bn.shift.value[c]! - mean * a;
    each(c, (i) => {
      y.value[i] = a * x.value[i]! + b;
    });
  }
  tape.steps.push(() => {
    for (let c = 0; c < x.channels; c++) {
      let sum = 0;
      let product = 0;
      each(c, (i) => {
        sum += y.gradient[i]!;
        product += y.gradient[i]! * (x.value[i]! - centre[c]!) * inverse[c]!;
      });
      bn.scale.gradient[c]! += product;
      bn.shift.gradient[c]! += sum;
      const a = bn.scale.value[c]! * inverse[c]!;
      each(c, (i) => {
        const standard = (x.value[i]! - centre[c]!) * inverse[c]!;
        x.gradient[i]! += a * (y.gradient[i]! - sum / count - (standard * product) / count);
      });
    }
  });
  return y;
}

export function relu(tape: Tape, x: Activation): Activation {
  const y = activation(tape.images, x.channels, x.side);
  for (let i = 0; i < y.value.length; i++) y.value[i] = Math.max(0, x.value[i]!);
  tape.steps.push(() => {
    for (let i = 0; i < y.value.length; i++) if (x.value[i]! > 0) x.gradient[i]! += y.gradient[i]!;
  });
  return y;
}

/** y + shortcut of x: every `stride`-th pixel, zero channels in front and behind (He et al. 2015, option A). */
export function addShortcut(tape: Tape, y: Activation, x: Activation): Activation {
  const stride = x.side / y.side;
  const shift = (y.channels - x.channels) / 2;
  const sum = activation(tape.images, y.channels, y.side);
  sum.value.set(y.value);
  const pairs = (f: (to: number, from: number) => void): void => {
    for (let n = 0; n < tape.images; n++) {
      for (let c = 0; c < x.channels; c++) {
        for (let r = 0; r < y.side; r++) {
          const to = ((n * y.channels + c + shift) * y.side + r) * y.side;
          const from = ((n * x.channels + c) * x.side + r * stride) * x.side;
          for (let s = 0; s < y.side; s++) f(to + s, from + s * stride);
        }
      }
    }
  };
  pairs((to, from) => {
    sum.value[to]! += x.value[from]!;
  });
  tape.steps.push(() => {
    for (let i = 0; i < sum.gradient.length; i++) y.gradient[i]! += sum.gradient[i]!;
    pairs((to, from) => {
      x.gradient[from]! += sum.gradient[to]!;
    });
  });
  return sum;
}

/** Global average, then a linear layer: [images][classes]. */
export function classify(tape: Tape, x: Activation, weight: Parameter, bias: Parameter): Activation {
  const pixels = x.side ** 2;
  const classes = bias.value.length;
  const pooled = activation(tape.images, x.channels, 1);
  for (let i = 0; i < pooled.value.length; i++) {
    let sum = 0;
    for (let p = 0; p < pixels; p++) sum += x.value[i * pixels + p]!;
    pooled.value[i] = sum / pixels;
  }
  const y = activation(tape.images, classes, 1);
  const visit = (f: (out: number, w: number, from: number) => void): void => {
    for (let n = 0; n < tape.images; n++) {
      for (let m = 0; m < classes; m++) {
        for (let c = 0; c < x.channels; c++) f(n * classes + m, m * x.channels + c, n * x.channels + c);
      }
    }
  };
  for (let i = 0; i < y.value.length; i++) y.value[i] = bias.value[i % classes]!;
  visit((out, w, from) => {
    y.value[out]! += weight.value[w]! * pooled.value[from]!;
  });
  tape.steps.push(() => {
    for (let i = 0; i < y.gradient.length; i++) bias.gradient[i % classes]! += y.gradient[i]!;
    visit((out, w, from) => {
      weight.gradient[w]! += y.gradient[out]! * pooled.value[from]!;
      pooled.gradient[from]! += y.gradient[out]! * weight.value[w]!;
    });
    for (let i = 0; i < pooled.gradient.length; i++) {
      for (let p = 0; p < pixels; p++) x.gradient[i * pixels + p]! += pooled.gradient[i]! / pixels;
    }
  });
  return y;
}

/** Mean cross-entropy of logits; leaves its gradient in them and counts what is right. */
export function crossEntropy(logits: Activation, labels: Uint8Array): { loss: number; right: number } {
  const classes = logits.channels;
  let loss = 0;
  let right = 0;
  for (let n = 0; n < labels.length; n++) {
    const row = logits.value.subarray(n * classes, (n + 1) * classes);
    const max = Math.max(...row);
    let sum = 0;
    for (const v of row) sum += Math.exp(v - max);
    const label = labels[n]!;
    loss += max + Math.log(sum) - row[label]!;
    if (row[label] === max) right++;
    for (let m = 0; m < classes; m++) {
      logits.gradient[n * classes + m] =
        (Math.exp(row[m]! - max) / sum - (m === label ? 1 : 0)) / labels.length;
    }
  }
  return { loss: loss / labels.length, right };
}
