import type { Feature, Layers } from "./layers.ts";

/** One stage of basic blocks: published width and the stride of its first block. */
export interface Stage {
  readonly width: number;
  readonly blocks: number;
  readonly stride: number;
}

/** How a block's input reaches its end where the shape changes. */
type Shortcut = (name: string, x: Feature, stride: number, body: Feature, added: number) => Feature;

export const zeroPadded =
  (l: Layers): Shortcut =>
  (name, x, _stride, body, added) =>
    l.shortcutA(`${name}.shortcut`, x, body.channels, added);

/** A 1x1 convolution with BatchNormalization (option B). */
export const projected =
  (l: Layers, width: number): Shortcut =>
  (name, x, stride) =>
    l.batchNorm(`${name}.downsample.1`, l.conv(`${name}.downsample.0`, x, { out: width, kernel: 1, stride }));

/** Two 3x3 convolutions with BatchNormalization, the stride in the first, added to the shortcut (He et al. 2015, figure 5). */
export function basicBlock(
  l: Layers,
  name: string,
  x: Feature,
  width: number,
  stride: number,
  added: number,
  shortcut: Shortcut | undefined,
): Feature {
  let y = l.conv(`${name}.conv1`, x, { out: width, kernel: 3, stride, pad: 1 });
  y = l.relu(`${name}.relu1`, l.batchNorm(`${name}.bn1`, y));
  y = l.conv(`${name}.conv2`, y, { out: width, kernel: 3, pad: 1 });
  y = l.batchNorm(`${name}.bn2`, y);
  const side = shortcut ? shortcut(name, x, stride, y, added) : l.identity(`${name}.shortcut`, x, y.channels);
  return l.relu(`${name}.relu2`, l.add(`${name}.add`, y, side));
}

/** 1x1, 3x3 (with the stride), 1x1 to four times the width (He et al. 2015, figure 5, with the stride where PyTorch has it). */
export function bottleneck(
  l: Layers,
  name: string,
  x: Feature,
  width: number,
  stride: number,
  shortcut: Shortcut | undefined,
): Feature {
  let y = l.conv(`${name}.conv1`, x, { out: width, kernel: 1 });
  y = l.relu(`${name}.relu1`, l.batchNorm(`${name}.bn1`, y));
  y = l.conv(`${name}.conv2`, y, { out: width, kernel: 3, stride, pad: 1 });
  y = l.relu(`${name}.relu2`, l.batchNorm(`${name}.bn2`, y));
  y = l.batchNorm(`${name}.bn3`, l.conv(`${name}.conv3`, y, { out: 4 * width, kernel: 1 }));
  const side = shortcut ? shortcut(name, x, stride, y, 0) : l.identity(`${name}.shortcut`, x, y.channels);
  return l.relu(`${name}.relu3`, l.add(`${name}.add`, y, side));
}
