import type { Layers } from "./layers.ts";
import { basicBlock, type Stage, zeroPadded } from "./residual.ts";

/**
 * Stem, stages of basic blocks with shortcut option A, global average, linear: the CIFAR form of He et al., "Deep residual
 * learning for image recognition" (2015), section 4.2. Modules: conv1, bn1, layerL.i.{conv1,bn1,conv2,bn2}, linear.
 */
export function smallResNet(l: Layers, stem: number, stages: readonly Stage[]): void {
  let x = l.relu("relu1", l.batchNorm("bn1", l.conv("conv1", l.image, { out: stem, kernel: 3, pad: 1 })));
  let width = stem;
  for (const [s, stage] of stages.entries()) {
    for (let i = 0; i < stage.blocks; i++) {
      const stride = i === 0 ? stage.stride : 1;
      const changes = stride !== 1 || width !== stage.width;
      const name = `layer${s + 1}.${i}`;
      x = basicBlock(
        l,
        name,
        x,
        stage.width,
        stride,
        stage.width - width,
        changes ? zeroPadded(l) : undefined,
      );
      width = stage.width;
    }
  }
  l.logits("linear", l.flatten("flatten", l.globalAverage("pool", x)));
}

/** ResNet-20, 32, 44, 56, 110: n = 3, 5, 7, 9, 18 blocks per stage, depth 6n + 2. */
export const cifarResNet =
  (n: number) =>
  (l: Layers): void =>
    smallResNet(l, 16, [
      { width: 16, blocks: n, stride: 1 },
      { width: 32, blocks: n, stride: 2 },
      { width: 64, blocks: n, stride: 2 },
    ]);

/** Our own small net for 28x28 glyphs, built like the CIFAR ResNets: 12,757,888 multiply-adds. */
export const glyphNet = (l: Layers): void =>
  smallResNet(l, 16, [
    { width: 32, blocks: 2, stride: 2 },
    { width: 64, blocks: 2, stride: 2 },
  ]);
