import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph, Node } from "../../src/graph/graph.ts";
import { arches } from "../../src/nets/arches.ts";
import { type ChannelGroups, channelGroups } from "../../src/prune/channel-groups.ts";
import { channelConstants } from "../../src/prune/constants.ts";
import { liveChannels } from "../../src/prune/liveness.ts";
import { prune } from "../../src/prune/prune.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Trial, tryChannels } from "../support/brute-force.ts";
import { handMade } from "../support/prune-graphs.ts";
import { randomNet } from "../support/random-nets.ts";

const test = suite("dead channels, by brute force");

/**
 * The same net with activations that never rest at one value. ReLU stops what happens to be negative for every image, which is
 * chance and not structure; a leaky one lets every difference through.
 */
const leaky = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node): Node => {
    if (node.op !== "Relu" && node.op !== "Clip") return node;
    return { ...node, op: "LeakyRelu", inputs: [node.inputs[0]!], attributes: new Map([["alpha", 0.3]]) };
  }),
});

interface Found {
  readonly dead: number;
  readonly alive: number;
  readonly carried: number;
}

/**
 * Compares what liveness says of every class with what trying its channels says; of a seeded sample of classes where there are
 * more than `most` channels to try.
 */
function check(graph: Graph, exactly: boolean, label: string, most = Number.POSITIVE_INFINITY): Found {
  const types = staticTypes(graph);
  const groups = channelGroups(graph, types);
  const { live, carriers } = liveChannels(graph, types, groups, channelConstants(graph, types, groups));
  const classAt = (value: string, channel: number): number | undefined =>
    groups.classOf[groups.values.get(value)?.ids[channel] ?? -1];
  const share = Math.min(1, most / channelsRead(graph, groups));
  const random = seeded(groups.classCount);
  const deadShare = live.reduce((n, l) => n + 1 - l, 0) / live.length;
  // Half of what is tried is dead, if the claim is right.
  const sampled = Array.from(live, (l) => {
    return random.uniform() < share * Math.max(1, 0.5 / (l === 0 ? deadShare : 1 - deadShare));
  });
  const trials = tryChannels(graph, (value, channel) => sampled[classAt(value, channel) ?? -1] === true);

  // A constant that a grouped convolution shows at the border has nothing to stand for it.
  const alive = new Set(groups.frozen.keys());
  for (const t of trials) {
    const stays = Number.isNaN(t.constant) || (t.unfoldable && t.grouped);
    if (t.matters && stays) alive.add(classAt(t.value, t.channel)!);
  }
  for (const [value, position] of carriers) alive.add(classAt(value, position)!);
  if (most === Number.POSITIVE_INFINITY)
    checkCarriers(trials, carriers, (t) => live[classAt(t.value, t.channel)!] === 1, exactly, label);
  const axes = [...groups.values.values()].map(({ ids }) => ids.map((id) => groups.classOf[id]!));
  const found = { dead: 0, alive: 0, carried: carriers.size };
  for (const [c, tried] of sampled.entries()) {
    if (!tried) continue;
    if (live[c] === 0) found.dead++;
    else found.alive++;
    if (alive.has(c)) assert.is(live[c], 1, `${label}: class ${c} matters and is called dead`);
    if (!exactly || alive.has(c) || live[c] === 0) continue;
    // Kept all the same: only as the last channel of something.
    const last = axes.some(
      (classes) => classes.includes(c) && classes.every((d) => d === c || live[d] === 0),
    );
    assert.ok(last, `${label}: class ${c} is kept and does not matter`);
  }
  return found;
}

/** A constant that no bias takes needs exactly one channel of its value that holds one and stays. */
function checkCarriers(
  trials: readonly Trial[],
  carriers: ReadonlyMap<string, number>,
  isLive: (t: Trial) => boolean,
  exactly: boolean,
  label: string,
): void {
  const constant = (t: Trial): boolean => t.constant !== 0 && !Number.isNaN(t.constant);
  const shown = trials.filter((t) => t.matters && t.unfoldable);
  for (const { value } of shown) {
    const stands = trials.some((t) => t.value === value && constant(t) && isLive(t));
    assert.ok(stands, `${label}: nothing carries the constants of ${value}`);
  }
  if (!exactly) return;
  for (const value of carriers.keys())
    assert.ok(
      shown.some((t) => t.value === value),
      `${label}: ${value} has a carrier without need`,
    );
}

/** Channels that convolutions and matrix products read. */
const channelsRead = (graph: Graph, { values }: ChannelGroups): number =>
  graph.nodes.reduce((n, node) => {
    return (
      n + (["Conv", "Gemm", "MatMul"].includes(node.op) ? (values.get(node.inputs[0]!)?.ids.length ?? 0) : 0)
    );
  }, 0);

const masked = async (graph: Graph, sparsity: number, seed: number): Promise<Graph> =>
  (await prune(graph, { method: "random", granularity: "element", sparsity, seed })).graph;

test("hand-made nets", async () => {
  let dead = 0;
  for (const [name, build] of handMade) {
    for (let seed = 1; seed <= 8; seed++) {
      const graph = await masked(build(), 0.55 + 0.05 * seed, seed);
      // MatMul has no bias that a constant could go into, so what it makes of constants is kept.
      dead += check(leaky(graph), name !== "flatten", `${name} ${seed}`).dead;
      check(graph, false, `${name} ${seed} with ReLU`);
    }
  }
  assert.ok(dead > 80, `only ${dead} dead`);
});

for (const { name, dataset } of arches) {
  test(`${name}, narrowed`, async () => {
    // At the end of the net, kernels must still reach more than their centre.
    const size = dataset === "imagenet" ? { side: 64, narrow: 16 } : { narrow: 8 };
    const total = { dead: 0, alive: 0 };
    for (const [sparsity, seed] of [
      [0.8, 1],
      [0.95, 2],
    ] as const) {
      const graph = await masked(randomNet(name, { ...size, flat: 0.05, seed }), sparsity, seed);
      const { dead, alive } = check(leaky(graph), true, `${name} ${sparsity}`, 30);
      total.dead += dead;
      total.alive += alive;
    }
    assert.ok(total.dead > 0 && total.alive > 0, `${total.dead} dead and ${total.alive} alive were tried`);
  });
}

test.run();
