import type { Layers } from "./layers.ts";

const widths = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512] as const;

/**
 * VGG-16 for CIFAR-10 with BatchNormalization, as the pruning literature uses it (Li et al. 2017; Lin et al. 2020): thirteen 3x3
 * convolutions with bias, four 2x2 max pools, a 2x2 average pool, linear 512, BatchNormalization, ReLU, linear 10.
 *
 * Modules are numbered as in one nn.Sequential: features.N with convolution, BatchNormalization, ReLU and pool each counting
 * (convolutions at 0 3 7 10 14 17 20 24 27 30 34 37 40, each followed by its BatchNormalization), then classifier.0 (linear),
 * classifier.1 (BatchNormalization), classifier.3 (linear).
 */
export function vgg16(l: Layers): void {
  let x = l.image;
  let n = 0;
  for (const width of widths) {
    if (width === "M") {
      x = l.maxPool(`features.${n++}`, x, { kernel: 2, stride: 2 });
      continue;
    }
    x = l.conv(`features.${n++}`, x, { out: width, kernel: 3, pad: 1, bias: true });
    x = l.batchNorm(`features.${n++}`, x);
    x = l.relu(`features.${n++}`, x);
  }
  x = l.flatten("flatten", l.averagePool(`features.${n}`, x, { kernel: 2, stride: 2 }));
  x = l.batchNorm("classifier.1", l.linear("classifier.0", x, 512));
  l.logits("classifier.3", l.relu("classifier.2", x));
}
