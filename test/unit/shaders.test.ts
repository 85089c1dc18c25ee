import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SecateurError } from "../../src/errors.ts";
import { moduleText, readShaders, wgslFiles } from "../../src/shader/embed.ts";
import { ROOT } from "../support/child.ts";

const test = suite("the shader files");
const folder = join(ROOT, "shaders");
const errors: SecateurError[] = [];
const kernels = readShaders(folder, (error) => errors.push(error));

test("every kernel can be reflected", () => {
  assert.equal(
    errors.map((e) => e.message),
    [],
  );
  assert.ok(kernels.size > 0);
});

test("every kernel begins with a comment that names it and says what it computes", () => {
  const bad: string[] = [];
  for (const path of wgslFiles(folder)) {
    const header: string[] = [];
    for (const line of readFileSync(join(folder, path), "utf8").split("\n")) {
      if (!line.startsWith("//")) break;
      header.push(line);
    }
    const name = path.replace(/\.wgsl$/, "");
    const text = header.join(" ").replaceAll("//", "");
    if (text.length < 60 || (!path.startsWith("lib/") && !header[0]?.startsWith(`// ${name}: `)))
      bad.push(path);
  }
  assert.equal(
    bad,
    [],
    "the first line must be `// path/name: y = …`, and the header must explain the kernel",
  );
});

test("every include is used, and no file is glued from text", () => {
  const used = new Set([...kernels.values()].flatMap((k) => k.files));
  const idle = wgslFiles(folder).filter((path) => path.startsWith("lib/") && !used.has(`shaders/${path}`));
  assert.equal(idle, []);
  const glued = wgslFiles(folder).filter((path) =>
    /\{\{|\$\{|#ifdef|#if\b/.test(readFileSync(join(folder, path), "utf8")),
  );
  assert.equal(glued, []);
});

test("the embedded module is up to date", () => {
  const text = readFileSync(join(ROOT, "src/shader/sources.gen.ts"), "utf8");
  assert.ok(text === moduleText(kernels), "run `npm run shaders`");
});

test.run();
