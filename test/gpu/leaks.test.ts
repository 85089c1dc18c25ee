import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildNet } from "../../src/nets/build-net.ts";
import { compile } from "../../src/run/compile.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { gpuTest } from "../support/gpu.ts";

const leaks = suite("leaks");

// Uncollected garbage is no leak: V8 puts a full collection off for hundreds of cycles while memory is plentiful.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const cycles = 1000;
const settled = 200;

gpuTest(leaks, `${cycles} create, run, dispose cycles leave nothing behind`, async (gpu) => {
  const graph = buildNet("lenet5", { seed: 1 });
  const image = tensor(new Float32Array(784).fill(0.5), [1, 1, 28, 28]);
  const cycle = async (): Promise<void> => {
    const session = await compile(gpu, graph);
    await session.run({ image });
    session.dispose();
  };
  const resident = (): number => {
    collect();
    return process.memoryUsage().rss;
  };
  await cycle();
  const first = gpu.stats();
  let middle = 0;
  for (let i = 2; i <= cycles; i++) {
    await cycle();
    if (i === settled) middle = resident();
  }
  const last = gpu.stats();
  assert.is(last.buffers, first.buffers);
  assert.is(last.bytes, first.bytes);
  assert.is(last.pooledBytes, first.pooledBytes);
  assert.is(last.pipelines, first.pipelines);
  assert.is(last.pendingReads, 0);
  const grown = resident() / middle;
  assert.ok(
    grown < 1.1,
    `resident memory grew by ${((grown - 1) * 100).toFixed(1)} % between cycles ${settled} and ${cycles}`,
  );
});

leaks.run();
