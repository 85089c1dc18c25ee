import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { batchesOf } from "../../src/data/batches.ts";
import { preprocess } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { runCommand } from "../../src/gpu/driver/command.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { makeTrainer } from "../../src/train/trainer.ts";
import { type BrowserPage, findChromium, openPage } from "../support/browser.ts";
import { ROOT } from "../support/child.ts";
import { readmeExample } from "../support/readme.ts";
import { skip } from "../support/skip.ts";

/** What the page imports: the library's own names, untyped here because the page is another world. */
type Library = typeof import("../../src/index.ts");

const test = suite("the library in a browser");
const folder = mkdtempSync(join(tmpdir(), "secateur-browser-"));
let opened: Promise<BrowserPage | undefined> | undefined;

/** Builds the library and opens a page on it, once; not in a hook, whose failure uvu would hide. */
function browserPage(): Promise<BrowserPage | undefined> {
  opened ??= (async () => {
    const chromium = findChromium();
    if (chromium === undefined) return undefined;
    const build = await runCommand("npx", ["tsc", "-p", "src/tsconfig.json", "--outDir", folder], {
      cwd: ROOT,
    });
    assert.is(build.code, 0, build.output);
    return openPage(chromium, folder);
  })();
  return opened;
}

/** A test on the page, skipped loudly without a browser. */
function pageTest(name: string, run: (open: BrowserPage) => Promise<void>): void {
  test(name, async () => {
    const open = await browserPage();
    if (open === undefined) return skip(name, "no Chromium; set SECATEUR_CHROMIUM to one");
    try {
      await run(open);
    } catch (error) {
      throw new Error(
        `${(error as Error).message}\nThe page said: ${open.complaints.join("; ") || "nothing"}`,
      );
    }
  });
}

test.after(async () => {
  await (await opened?.catch(() => undefined))?.close();
  rmSync(folder, { recursive: true, force: true });
});

pageTest("the entry loads, without Node and without Dawn", async (open) => {
  const names = await open.page.evaluate(async () => Object.keys(await import("/index.js" as string)));
  assert.equal(open.complaints, []);
  for (const name of ["openGpu", "buildModel", "prune", "compact", "compile", "runReference", "tensor"]) {
    assert.ok(names.includes(name), `${name} is missing`);
  }
});

pageTest("a pruned model runs on the browser's GPU and equals the reference", async (open) => {
  const result = await open.page.evaluate(async () => {
    const lib = (await import("/index.js" as string)) as Library;
    const gpu = await lib.openGpu();
    const graph = lib.buildModel("lenet5", { seed: 7 });
    const pruned = await lib.prune(graph, { method: "magnitude", granularity: "element", sparsity: 0.9 });
    const name = graph.inputs[0]!.name;
    const image = lib.tensor(
      Float32Array.from({ length: 784 }, (_, i) => Math.sin(i)),
      [1, 1, 28, 28],
    );
    const session = await lib.compile(gpu, pruned.graph, {
      plan: "csr",
      inputShapes: { [name]: [1, 1, 28, 28] },
    });
    const outputs = await session.run({ [name]: image });
    const expected = await lib.runReference(pruned.graph, { [name]: image });
    const key = Object.keys(expected)[0]!;
    const answer = {
      adapter: gpu.adapter.architecture,
      actual: lib.toNumbers(outputs[key]!),
      expected: lib.toNumbers(expected[key]!),
    };
    session.dispose();
    gpu.dispose();
    return { ...answer, actual: Array.from(answer.actual), expected: Array.from(answer.expected) };
  });
  assert.is(result.adapter, "swiftshader");
  assert.is(result.actual.length, 10);
  const worst = Math.max(...result.actual.map((a, i) => Math.abs(a - result.expected[i]!)));
  const scale = Math.max(...result.expected.map(Math.abs));
  assert.ok(scale > 0 && worst <= 1e-5 * scale, `off by ${worst} at a scale of ${scale}`);
  assert.equal(open.complaints, []);
});

pageTest("the README's example runs as written and gives the same logits as in Node", async (open) => {
  const example = readmeExample().replace('from "secateur"', 'from "/index.js"');
  const content = `${example.replace("sparse.dispose();", "globalThis.answer = Array.from(logits.data); sparse.dispose();")}`;
  await open.page.addScriptTag({ type: "module", content: `${content}\nglobalThis.done = true;` });
  await open.page.waitForFunction(() => "done" in globalThis, undefined, { timeout: 120_000 });
  const answer = await open.page.evaluate(() => (globalThis as unknown as { answer: number[] }).answer);
  const expected = await inNode();
  assert.is(answer.length, expected.length);
  for (const [i, value] of expected.entries()) {
    const close = Math.abs(value - answer[i]!) <= 1e-4 * (1 + Math.abs(value));
    assert.ok(close, `logit ${i}: ${answer[i]} in the page, ${value} in Node`);
  }
  assert.equal(open.complaints, []);
});

/** The logits of the README's example, computed here. */
async function inNode(): Promise<number[]> {
  const gpu = await openGpuInNode({});
  const options = { method: "magnitude", granularity: "block8x1", sparsity: 0.8 };
  const { graph } = await prune(buildNet("glyphnet"), options);
  const session = await compile(gpu, graph, { batch: 32 });
  const image = preprocess(glyphs("test", 32, 1), 0, 32, { scale: 1 / 256, mean: [0], std: [1] });
  const { logits } = await session.run({ image });
  session.dispose();
  gpu.dispose();
  return toNumbers(logits!);
}

pageTest("twenty steps of LeNet-300-100 on glyphs lower the loss as they do in Node", async (open) => {
  const inPage = await open.page.evaluate(async () => {
    const { batchesOf, buildModel, glyphs, makeTrainer, openGpu } = (await import(
      "/index.js" as string
    )) as Library;
    const gpu = await openGpu();
    const data = glyphs("train", 640, 1);
    const preprocessing = { scale: 1 / 256, mean: [0], std: [1] };
    const batches = batchesOf(data, { batch: 32, seed: 1, preprocessing });
    const trainer = await makeTrainer(gpu, buildModel("lenet300", { seed: 1 }), { batch: 32 });
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) {
      const { images, targets } = batches.get(0, step);
      await trainer.step(images, targets, 0.1);
      losses.push((await trainer.metrics()).loss);
    }
    trainer.dispose();
    gpu.dispose();
    return losses;
  });
  const gpu = await openGpuInNode();
  const data = glyphs("train", 640, 1);
  const batches = batchesOf(data, {
    batch: 32,
    seed: 1,
    preprocessing: { scale: 1 / 256, mean: [0], std: [1] },
  });
  const trainer = await makeTrainer(gpu, buildNet("lenet300", { seed: 1 }), { batch: 32 });
  for (const [step, loss] of inPage.entries()) {
    const { images, targets } = batches.get(0, step);
    await trainer.step(images, targets, 0.1);
    const here = (await trainer.metrics()).loss;
    assert.ok(Math.abs(here - loss) < 1e-3 * (1 + loss), `step ${step}: ${loss} in the page, ${here} here`);
  }
  trainer.dispose();
  gpu.dispose();
  assert.ok(inPage.at(-1)! < 0.85 * inPage[0]!, `the loss went from ${inPage[0]} to ${inPage.at(-1)}`);
});

test.run();
