import { cifarResNet, glyphNet } from "./cifar-resnet.ts";
import { densenet40 } from "./densenet.ts";
import { googlenet } from "./googlenet.ts";
import type { Layers } from "./layers.ts";
import { lenet5, lenet300 } from "./lenet.ts";
import { mobilenetv1, mobilenetv2 } from "./mobilenet.ts";
import { resnet18, resnet50 } from "./resnet.ts";
import { vgg16 } from "./vgg.ts";

/** A built-in net. */
export interface Arch {
  readonly name: string;
  /** Channels, height and width of `image`. */
  readonly input: readonly [number, number, number];
  /** Length of `logits` unless weights say otherwise. */
  readonly classes: number;
  /** What it is meant for; decides the default preprocessing. */
  readonly dataset: "mnist" | "cifar10" | "imagenet" | "glyphs";
  readonly layers: (l: Layers) => void;
}

const mnist = { input: [1, 28, 28], classes: 10, dataset: "mnist" } as const;
const cifar10 = { input: [3, 32, 32], classes: 10, dataset: "cifar10" } as const;
const imagenet = { input: [3, 224, 224], classes: 1000, dataset: "imagenet" } as const;

/** Every built-in net, in the order of the documentation. */
export const arches: readonly Arch[] = [
  { name: "lenet300", ...mnist, layers: lenet300 },
  { name: "lenet5", ...mnist, layers: lenet5 },
  { name: "vgg16", ...cifar10, layers: vgg16 },
  { name: "resnet20", ...cifar10, layers: cifarResNet(3) },
  { name: "resnet32", ...cifar10, layers: cifarResNet(5) },
  { name: "resnet44", ...cifar10, layers: cifarResNet(7) },
  { name: "resnet56", ...cifar10, layers: cifarResNet(9) },
  { name: "resnet110", ...cifar10, layers: cifarResNet(18) },
  { name: "densenet40", ...cifar10, layers: densenet40 },
  { name: "googlenet", ...cifar10, layers: googlenet },
  { name: "resnet18", ...imagenet, layers: resnet18 },
  { name: "resnet50", ...imagenet, layers: resnet50 },
  { name: "mobilenetv1", ...imagenet, layers: mobilenetv1 },
  { name: "mobilenetv2", ...imagenet, layers: mobilenetv2 },
  { name: "glyphnet", ...mnist, dataset: "glyphs", layers: glyphNet },
];

const byName = new Map(arches.map((arch) => [arch.name, arch]));

export const findArch = (name: string): Arch | undefined => byName.get(name);
