import { showShape } from "../../tensor/shape.ts";
import type { GradientContext } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { frozen } from "./support/flow.ts";
import { operand, refuse, resultArray, resultTensor, typed } from "./support/operands.ts";
import { reshapedTo } from "./support/reshaping.ts";

interface Blocks {
  readonly block: number;
  /** Channels are [block, block, channels] (DCR) or [channels, block, block] (CRD). */
  readonly channelsLast: boolean;
}

function blocksOf(c: OpContext): Blocks {
  const a = attributesOf(c.node);
  const block = a.int("blocksize");
  if (block < 1 || block > 1 << 15) a.fail(`attribute blocksize is ${block}; a number from 1 is needed.`);
  const mode = c.node.op === "DepthToSpace" ? a.string("mode", "DCR") : "DCR";
  if (mode !== "DCR" && mode !== "CRD") a.fail(`attribute mode is "${mode}"; it is "DCR" or "CRD".`);
  const { shape } = operand(c, 0);
  if (shape.length !== 4)
    refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, H, W] is needed.`);
  return { block, channelsLast: mode === "DCR" };
}

/** Moves elements between the deep side [N, C·b·b, H, W] and the wide side [N, C, H·b, W·b]. */
function visit(
  wide: readonly number[],
  { block, channelsLast }: Blocks,
  move: (deep: number, wide: number) => void,
): void {
  const [batch, channels, height, width] = wide as readonly [number, number, number, number];
  const [h, w] = [height / block, width / block];
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let k = 0; k < channels; k++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
          const inBlock = (y % block) * block + (x % block);
          const depth = channelsLast ? inBlock * channels + k : k * block * block + inBlock;
          move(
            ((n * channels * block * block + depth) * h + Math.floor(y / block)) * w + Math.floor(x / block),
            at,
          );
        }
      }
    }
  }
}

/** Back to the channels that DepthToSpace took apart. SpaceToDepth puts them in DCR's order. */
function backToDepth(g: GradientContext): string {
  const { block, channelsLast } = blocksOf(g);
  const deep = g.emit("SpaceToDepth", [g.dy], { blocksize: block });
  if (channelsLast) return deep;
  const { shape } = g.inputs[0]!;
  const [n, , h, w] = shape as readonly [number, number, number, number];
  const channels = g.outputs[0]!.shape[1]!;
  const split = reshapedTo(g, deep, shape, [n, block * block, channels, h, w]);
  const exchanged = g.emit("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
  return reshapedTo(g, exchanged, [n, channels, block * block, h, w], shape);
}

/** Blocks of channels become blocks of pixels. */
export const depthToSpace: OpDefinition = {
  name: "DepthToSpace",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { blocksize: "int", mode: "string" },
  infer(c) {
    const { block } = blocksOf(c);
    const { dtype, shape } = operand(c, 0);
    const [n, d, h, w] = shape as readonly [number, number, number, number];
    if (d % (block * block) !== 0) {
      refuse(c, "E_SHAPE", `${d} channels do not divide into blocks of ${block} x ${block}.`);
    }
    return [typed(c, dtype, [n, d / (block * block), h * block, w * block])];
  },
  reference(c, [x], [type]) {
    const out = resultArray(type!);
    visit(type!.shape, blocksOf(c), (deep, wide) => {
      out[wide] = x!.data[deep]!;
    });
    return [resultTensor(type!, out)];
  },
  channels: frozen,
  gradient: (g) => [backToDepth(g)],
};

/** Blocks of pixels become channels. */
export const spaceToDepth: OpDefinition = {
  name: "SpaceToDepth",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { blocksize: "int" },
  infer(c) {
    const { block } = blocksOf(c);
    const { dtype, shape } = operand(c, 0);
    const [n, d, h, w] = shape as readonly [number, number, number, number];
    if (h % block !== 0 || w % block !== 0) {
      refuse(c, "E_SHAPE", `${h} x ${w} pixels do not divide into blocks of ${block} x ${block}.`);
    }
    return [typed(c, dtype, [n, d * block * block, h / block, w / block])];
  },
  reference(c, [x], [type]) {
    const out = resultArray(type!);
    visit(x!.shape, blocksOf(c), (deep, wide) => {
      out[deep] = x!.data[wide]!;
    });
    return [resultTensor(type!, out)];
  },
  channels: frozen,
  gradient: (g) => [g.emit("DepthToSpace", [g.dy], { blocksize: blocksOf(g).block })],
};
