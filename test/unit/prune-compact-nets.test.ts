import { suite } from "uvu";
import * as assert from "uvu/assert";
import { arches } from "../../src/nets/arches.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { sameOutputs } from "../support/prune-outputs.ts";
import { randomImage, randomNet } from "../support/random-nets.ts";

const test = suite("compact built-in nets");

/** A third as wide here: the reference takes seconds for these. */
const large = new Set(["vgg16", "googlenet", "resnet18", "resnet50", "mobilenetv1", "mobilenetv2"]);

for (const { name } of arches) {
  for (const sparsity of large.has(name) ? [0.8, 0.995] : [0.5, 0.9, 0.995]) {
    test(`${name} under a random mask of ${100 * sparsity} % computes the same without its dead channels`, async () => {
      const net = randomNet(name, { flat: 0.05, seed: 3, narrow: large.has(name) ? 3 : 1 });
      const options = { method: "random", granularity: "element", sparsity, seed: 4 } as const;
      const { graph } = await prune(net, options);
      const { graph: small, report } = await compact(graph);
      sameOutputs(small, graph, { image: randomImage(graph) });
      if (sparsity < 0.99) return;
      assert.ok(report.removed > 10, `only ${report.removed} removed`);
      assert.ok(report.after.macs < report.before.macs);
      assert.is((await compact(small)).report.removed, 0, "a second pass finds more");
    });
  }
}

test.run();
