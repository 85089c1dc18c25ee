import { existsSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../support/child.ts";
import { filesBelow, importsOf } from "../support/imports.ts";

const test = suite("the browser entry");

/** Packages that run in a browser; anything else would need a look first. */
const PACKAGES = new Set([
  "@bufbuild/protobuf",
  "@petamoriken/float16",
  "ml-matrix",
  "onnx-buf",
  "pure-rand",
  "simple-statistics",
  "valibot",
]);

/** Every file and package that can be reached at run time, each with the way there. */
function reach(entry: string): { files: Map<string, string>; packages: Map<string, string> } {
  const files = new Map([[entry, entry]]);
  const packages = new Map<string, string>();
  for (const [file, way] of files) {
    if (!existsSync(join(ROOT, file))) continue; // told by a test of its own
    for (const { specifier, target, typeOnly } of importsOf(ROOT, file)) {
      if (typeOnly) continue;
      if (target === undefined) packages.set(specifier, `${way} -> ${specifier}`);
      else if (!files.has(target)) files.set(target, `${way} -> ${target}`);
    }
  }
  return { files, packages };
}

test("every import leads to a file", () => {
  const { files } = reach("src/index.ts");
  assert.equal(
    [...files].filter(([file]) => !existsSync(join(ROOT, file))).map(([, way]) => way),
    [],
  );
  assert.ok(files.has("src/gpu/gpu.ts"), "the walk must at least find the GPU");
});

test("neither node:* nor webgpu is reached, not even dynamically", () => {
  const { packages } = reach("src/index.ts");
  const name = (specifier: string): string =>
    specifier
      .split("/")
      .slice(0, specifier.startsWith("@") ? 2 : 1)
      .join("/");
  const bad = [...packages].filter(([specifier]) => !PACKAGES.has(name(specifier))).map(([, way]) => way);
  assert.equal(bad, [], "reached from src/index.ts");
});

test("the walk finds node:* and webgpu where they are used", () => {
  const { packages } = reach("src/node.ts");
  assert.ok(packages.has("webgpu"));
  assert.ok([...packages.keys()].some((specifier) => specifier.startsWith("node:")));
});

test("webgpu is imported by one file only, and so is wgsl_reflect", () => {
  const importers = (wanted: RegExp): string[] =>
    filesBelow(ROOT, "src", ".ts").filter((file) =>
      importsOf(ROOT, file).some((i) => wanted.test(i.specifier) && !file.endsWith(".d.ts")),
    );
  assert.equal(importers(/^webgpu$/), ["src/gpu/dawn.ts"]);
  assert.equal(importers(/^wgsl_reflect/), ["src/shader/reflect.ts"]);
});

test("its bundle holds neither Node nor Dawn", async () => {
  const out = await build({
    entryPoints: [join(ROOT, "src/index.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    metafile: true,
    logLevel: "error",
  });
  const inputs = Object.keys(out.metafile.inputs);
  assert.ok(inputs.some((file) => file.endsWith("src/index.ts")));
  assert.not(inputs.some((file) => file.includes("node_modules/webgpu/")));
  assert.not(/["']node:/.test(out.outputFiles[0]!.text));
});

test.run();
