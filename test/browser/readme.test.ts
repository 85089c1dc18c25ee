import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { buildModel, compile, glyphs, preprocess, prune } from "../../src/index.ts";
import { readmeExample } from "../support/readme.ts";
import { skip } from "../support/skip.ts";

const browser = suite("browser");
const executable = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) =>
  existsSync(p),
);

const flags = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/** The README's example as a page: its console lines and the logits it computes. */
async function bundle(): Promise<string> {
  const example = readmeExample().replace('from "secateur"', 'from "./src/index.ts"');
  const code = `${example.replace("sparse.dispose();", "globalThis.logits = Array.from(logits.data); sparse.dispose();")}\nglobalThis.done = true;`;
  const out = await build({
    stdin: { contents: code, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    logLevel: "error",
  });
  return out.outputFiles[0]!.text;
}

async function inNode(): Promise<number[]> {
  const gpu = await openGpuInNode({});
  const { graph } = await prune(buildModel("glyphnet"), {
    method: "magnitude",
    granularity: "block8x1",
    sparsity: 0.8,
  });
  const session = await compile(gpu, graph, { batch: 32 });
  const image = preprocess(glyphs("test", 32, 1), 0, 32, { scale: 1 / 256, mean: [0], std: [1] });
  const { logits } = await session.run({ image });
  session.dispose();
  gpu.dispose();
  return Array.from(logits!.data as Float32Array);
}

if (executable) {
  browser("the README's example gives the same logits in a page as in Node", async () => {
    const script = await bundle();
    const server = createServer((request, response) => {
      const js = request.url === "/page.js";
      response.setHeader("content-type", js ? "text/javascript" : "text/html");
      response.end(js ? script : '<!doctype html><script type="module" src="/page.js"></script>');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const profile = mkdtempSync(join(tmpdir(), "secateur-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: flags,
    });
    try {
      const page = await context.newPage();
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      const { port } = server.address() as { port: number };
      await page.goto(`http://127.0.0.1:${port}/`);
      await page
        .waitForFunction(() => "done" in globalThis, undefined, { timeout: 120_000 })
        .catch((error: unknown) => {
          throw new Error(`the page did not finish: ${faults.join("; ") || String(error)}`);
        });
      const logits = await page.evaluate(() => (globalThis as unknown as { logits: number[] }).logits);
      const expected = await inNode();
      assert.is(logits.length, expected.length);
      for (const [i, value] of expected.entries()) {
        assert.ok(
          Math.abs(value - logits[i]!) <= 1e-4 * (1 + Math.abs(value)),
          `logit ${i}: ${logits[i]} in the page, ${value} in Node`,
        );
      }
    } finally {
      await context.close();
      server.close();
      rmSync(profile, { recursive: true, force: true });
    }
  });
} else {
  browser("the README's example in a page", () =>
    skip("the README's example in a page", "there is no Chromium on this machine"),
  );
}

browser("the bundle of the browser entry holds neither Node nor Dawn", async () => {
  const out = await build({
    entryPoints: ["src/index.ts"],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    metafile: true,
    logLevel: "error",
  });
  const inputs = Object.keys(out.metafile.inputs);
  assert.is(
    inputs.some((i) => i.includes("node_modules/webgpu/")),
    false,
  );
  assert.is(/["']node:/.test(out.outputFiles[0]!.text), false);
  assert.ok(inputs.includes("src/index.ts"));
  assert.ok(!readFileSync("package.json", "utf8").includes('"browser":'));
});

browser.run();
