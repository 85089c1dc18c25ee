import type { Feature, Layers } from "./layers.ts";

/** [output width, stride] of the thirteen depthwise separable layers (Howard et al. 2017, table 1). */
const separable = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
] as const;

/**
 * MobileNetV1, Howard et al. (2017). Modules numbered as the common PyTorch form does: model.0.{0,1} convolution and
 * BatchNormalization, model.N.{0,1} depthwise and model.N.{3,4} pointwise with theirs (N = 1 to 13), fc.
 */
export function mobilenetv1(l: Layers): void {
  let x = l.conv("model.0.0", l.image, { out: 32, kernel: 3, stride: 2, pad: 1 });
  x = l.relu("model.0.2", l.batchNorm("model.0.1", x));
  for (const [i, [width, stride]] of separable.entries()) {
    const name = `model.${i + 1}`;
    x = l.conv(`${name}.0`, x, { kernel: 3, stride, pad: 1 });
    x = l.relu(`${name}.2`, l.batchNorm(`${name}.1`, x));
    x = l.conv(`${name}.3`, x, { out: width, kernel: 1 });
    x = l.relu(`${name}.5`, l.batchNorm(`${name}.4`, x));
  }
  l.logits("fc", l.flatten("flatten", l.globalAverage("model.14", x)));
}

/** [expansion, output width, repeats, stride] (Sandler et al. 2018, table 2). */
const inverted = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** Pointwise expansion, depthwise 3x3, linear pointwise projection; added to its input where `residual`. */
function invertedResidual(
  l: Layers,
  name: string,
  x: Feature,
  block: {
    readonly hidden: number;
    readonly expands: boolean;
    readonly width: number;
    readonly stride: number;
  },
  residual: boolean,
): Feature {
  let n = 0;
  let y = x;
  if (block.expands) {
    y = l.conv(`${name}.conv.${n}.0`, y, { out: block.hidden, kernel: 1 });
    y = l.relu6(`${name}.conv.${n}.2`, l.batchNorm(`${name}.conv.${n}.1`, y));
    n++;
  }
  y = l.conv(`${name}.conv.${n}.0`, y, { kernel: 3, stride: block.stride, pad: 1 });
  y = l.relu6(`${name}.conv.${n}.2`, l.batchNorm(`${name}.conv.${n}.1`, y));
  y = l.conv(`${name}.conv.${n + 1}`, y, { out: block.width, kernel: 1 });
  y = l.batchNorm(`${name}.conv.${n + 2}`, y);
  return residual ? l.add(`${name}.add`, y, x) : y;
}

/** MobileNetV2, Sandler et al. (2018), with PyTorch's modules features.N…, classifier.1. Its dropout acts in training only. */
export function mobilenetv2(l: Layers): void {
  let x = l.conv("features.0.0", l.image, { out: 32, kernel: 3, stride: 2, pad: 1 });
  x = l.relu6("features.0.2", l.batchNorm("features.0.1", x));
  let channels = 32;
  let n = 1;
  for (const [expansion, width, repeats, first] of inverted) {
    for (let i = 0; i < repeats; i++) {
      const stride = i === 0 ? first : 1;
      const block = { hidden: channels * expansion, expands: expansion !== 1, width, stride };
      x = invertedResidual(l, `features.${n++}`, x, block, stride === 1 && channels === width);
      channels = width;
    }
  }
  x = l.conv(`features.${n}.0`, x, { out: 1280, kernel: 1 });
  x = l.relu6(`features.${n}.2`, l.batchNorm(`features.${n}.1`, x));
  l.logits("classifier.1", l.flatten("flatten", l.globalAverage("pool", x)));
}
