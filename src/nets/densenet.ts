import type { Feature, Layers } from "./layers.ts";

const growth = 12;
const layersPerBlock = 12;
const blocks = 3;

/**
 * DenseNet-40 for CIFAR, Huang et al., "Densely connected convolutional networks" (arXiv 1608.06993, section 3, growth rate 12,
 * no compression): a 3x3 stem of 24, three dense blocks of twelve [BatchNormalization, ReLU, 3x3 convolution to 12] whose results
 * are joined to their input, [BatchNormalization, ReLU, 1x1 convolution, 2x2 average pool] between the blocks. Modules:
 * conv1, denseB.i.{bn1,conv1}, transB.{bn1,conv1}, bn, fc.
 */
export function densenet40(l: Layers): void {
  let x = l.conv("conv1", l.image, { out: 2 * growth, kernel: 3, pad: 1 });
  let published = 2 * growth;
  for (let b = 1; b <= blocks; b++) {
    for (let i = 0; i < layersPerBlock; i++) {
      const name = `dense${b}.${i}`;
      const y = l.conv(`${name}.conv1`, normalised(l, name, x), { out: growth, kernel: 3, pad: 1 });
      x = l.concat(`${name}.concat`, [x, y]);
    }
    published += layersPerBlock * growth;
    if (b === blocks) break;
    const name = `trans${b}`;
    x = l.conv(`${name}.conv1`, normalised(l, name, x), { out: published, kernel: 1 });
    x = l.averagePool(`${name}.pool`, x, { kernel: 2, stride: 2 });
  }
  x = l.relu("relu", l.batchNorm("bn", x));
  l.logits("fc", l.flatten("flatten", l.globalAverage("pool", x)));
}

const normalised = (l: Layers, name: string, x: Feature): Feature =>
  l.relu(`${name}.relu`, l.batchNorm(`${name}.bn1`, x));
