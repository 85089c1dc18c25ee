import type { Feature, Layers } from "./layers.ts";

/** Widths of a module: 1x1; reduction and 3x3; reduction and both 3x3 that stand for the 5x5; 1x1 after the pool. */
type Inception = readonly [
  name: string,
  n1: number,
  r3: number,
  n3: number,
  r5: number,
  n5: number,
  np: number,
];

const modules: readonly (Inception | "pool")[] = [
  ["a3", 64, 96, 128, 16, 32, 32],
  ["b3", 128, 128, 192, 32, 96, 64],
  "pool",
  ["a4", 192, 96, 208, 16, 48, 64],
  ["b4", 160, 112, 224, 24, 64, 64],
  ["c4", 128, 128, 256, 24, 64, 64],
  ["d4", 112, 144, 288, 32, 64, 64],
  ["e4", 256, 160, 320, 32, 128, 128],
  "pool",
  ["a5", 256, 160, 320, 32, 128, 128],
  ["b5", 384, 192, 384, 48, 128, 128],
];

/**
 * GoogLeNet for CIFAR: the inception modules of Szegedy et al., "Going deeper with convolutions" (arXiv 1409.4842, table 1), as the
 * pruning literature uses them (Lin et al. 2020): a 3x3 stem, two 3x3 convolutions in place of each 5x5, BatchNormalization and
 * ReLU after every convolution (all with bias), no auxiliary heads.
 *
 * Modules: pre_layers.{0,1}, then per inception b1 (1x1), b2 (1x1, 3x3), b3 (1x1, 3x3, 3x3) and b4 (pool, 1x1), numbered as in one
 * nn.Sequential with convolution, BatchNormalization and ReLU each counting (a3.b3.6 is the last 3x3 of the third branch); linear.
 */
export function googlenet(l: Layers): void {
  let x = block(l, "pre_layers", 0, l.image, 192, 3);
  let pools = 0;
  for (const module of modules) {
    x =
      module === "pool"
        ? l.maxPool(`maxpool${++pools}`, x, { kernel: 3, stride: 2, pad: 1 })
        : inception(l, x, module);
  }
  l.logits("linear", l.flatten("flatten", l.globalAverage("avgpool", x)));
}

function inception(l: Layers, x: Feature, [name, n1, r3, n3, r5, n5, np]: Inception): Feature {
  const b1 = block(l, `${name}.b1`, 0, x, n1, 1);
  const b2 = block(l, `${name}.b2`, 3, block(l, `${name}.b2`, 0, x, r3, 1), n3, 3);
  const middle = block(l, `${name}.b3`, 3, block(l, `${name}.b3`, 0, x, r5, 1), n5, 3);
  const b3 = block(l, `${name}.b3`, 6, middle, n5, 3);
  const pooled = l.maxPool(`${name}.b4.0`, x, { kernel: 3, stride: 1, pad: 1 });
  const b4 = block(l, `${name}.b4`, 1, pooled, np, 1);
  return l.concat(`${name}.concat`, [b1, b2, b3, b4]);
}

/** Convolution with bias, BatchNormalization, ReLU as modules `first` to `first` + 2 of `name`. */
function block(l: Layers, name: string, first: number, x: Feature, out: number, kernel: number): Feature {
  const y = l.conv(`${name}.${first}`, x, { out, kernel, pad: (kernel - 1) / 2, bias: true });
  return l.relu(`${name}.${first + 2}`, l.batchNorm(`${name}.${first + 1}`, y));
}
