import type { Layers } from "./layers.ts";

/** LeNet-300-100 (LeCun et al. 1998): modules ip1, ip2, ip3. */
export function lenet300(l: Layers): void {
  let x = l.flatten("flatten", l.image);
  x = l.relu("relu1", l.linear("ip1", x, 300));
  x = l.relu("relu2", l.linear("ip2", x, 100));
  l.logits("ip3", x);
}

/**
 * LeNet-5 in Caffe's form, which pruning papers since Han et al. (2015) use: no activation after the convolutions. Modules conv1,
 * conv2, ip1, ip2.
 */
export function lenet5(l: Layers): void {
  let x = l.conv("conv1", l.image, { out: 20, kernel: 5, bias: true });
  x = l.maxPool("pool1", x, { kernel: 2, stride: 2 });
  x = l.conv("conv2", x, { out: 50, kernel: 5, bias: true });
  x = l.maxPool("pool2", x, { kernel: 2, stride: 2 });
  x = l.relu("relu1", l.linear("ip1", l.flatten("flatten", x), 500));
  l.logits("ip2", x);
}
