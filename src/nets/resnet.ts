import type { Layers } from "./layers.ts";
import { basicBlock, bottleneck, projected } from "./residual.ts";

/**
 * ResNet for ImageNet (He et al. 2015, table 1) with PyTorch's modules: conv1, bn1, layerL.i.convK, layerL.i.bnK,
 * layerL.0.downsample.{0,1}, fc. In bottlenecks the 3x3 convolution carries the stride.
 */
const imageResNet =
  (kind: "basic" | "bottleneck", blocks: readonly number[]) =>
  (l: Layers): void => {
    const growth = kind === "basic" ? 1 : 4;
    let x = l.conv("conv1", l.image, { out: 64, kernel: 7, stride: 2, pad: 3 });
    x = l.relu("relu", l.batchNorm("bn1", x));
    x = l.maxPool("maxpool", x, { kernel: 3, stride: 2, pad: 1 });
    let channels = 64;
    for (const [s, count] of blocks.entries()) {
      const width = 64 * 2 ** s;
      for (let i = 0; i < count; i++) {
        const name = `layer${s + 1}.${i}`;
        const stride = i === 0 && s > 0 ? 2 : 1;
        const changes = stride !== 1 || channels !== growth * width;
        const shortcut = changes ? projected(l, growth * width) : undefined;
        x =
          kind === "basic"
            ? basicBlock(l, name, x, width, stride, 0, shortcut)
            : bottleneck(l, name, x, width, stride, shortcut);
        channels = growth * width;
      }
    }
    l.logits("fc", l.flatten("flatten", l.globalAverage("avgpool", x)));
  };

export const resnet18 = imageResNet("basic", [2, 2, 2, 2]);
export const resnet50 = imageResNet("bottleneck", [3, 4, 6, 3]);
