import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../support/child.ts";
import { filesBelow, importsOf } from "../support/imports.ts";

const test = suite("the project's layout");
const MOST_LINES = 400;

/** Folders below src in the order of the flow: each may import itself and what is named with it. */
const HOST = ["tensor", "graph", "io", "nets", "prune", "data"];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  graph: ["tensor"],
  io: HOST,
  nets: HOST,
  prune: HOST,
  data: HOST,
  shader: ["tensor"],
  gpu: ["tensor", "shader"],
  kernels: ["tensor", "graph", "shader", "gpu"],
  plan: [...HOST, "shader", "gpu", "kernels"],
  run: [...HOST, "shader", "gpu", "kernels", "plan"],
  train: [...HOST, "shader", "gpu", "kernels", "plan", "run"],
  evidence: [...HOST, "shader", "gpu", "kernels", "plan", "run", "train"],
  sensitivity: [...HOST, "shader", "gpu", "kernels", "plan", "run", "train", "evidence"],
  recipes: [...HOST, "shader", "gpu", "kernels", "plan", "run", "train", "evidence", "sensitivity"],
  report: [...HOST, "shader", "gpu", "kernels", "plan", "run", "train"],
  cli: [
    ...HOST,
    "shader",
    "gpu",
    "kernels",
    "plan",
    "run",
    "train",
    "evidence",
    "sensitivity",
    "recipes",
    "report",
  ],
};
/** Files that every folder may import. */
const EVERYWHERE = new Set(["src/errors.ts", "src/version.ts"]);
/** The entries: everything may be re-exported, and the command line may use them. */
const ENTRIES = new Set(["src/index.ts", "src/node.ts"]);

test("imports point one way", () => {
  const bad: string[] = [];
  for (const file of filesBelow(ROOT, "src", ".ts")) {
    if (ENTRIES.has(file) || EVERYWHERE.has(file)) continue;
    const folder = file.split("/")[1]!;
    const allowed = MAY_IMPORT[folder];
    if (allowed === undefined) {
      bad.push(`${file}: the folder ${folder} has no place in the order`);
      continue;
    }
    for (const { target } of importsOf(ROOT, file)) {
      if (target === undefined || EVERYWHERE.has(target)) continue;
      if (ENTRIES.has(target) && folder === "cli") continue;
      const to = target.split("/")[1]!;
      if (!target.startsWith("src/") || (to !== folder && !allowed.includes(to)))
        bad.push(`${file} imports ${target}`);
    }
  }
  assert.equal(bad, []);
});

test(`no file is longer than ${MOST_LINES} lines`, () => {
  const files = ["src", "bench", "test"].flatMap((folder) => filesBelow(ROOT, folder, ".ts"));
  const bad = [...files.filter((f) => !f.endsWith(".gen.ts")), ...filesBelow(ROOT, "shaders", ".wgsl")]
    .map((file) => ({ file, lines: readFileSync(join(ROOT, file), "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > MOST_LINES);
  assert.equal(bad, []);
});

test("every suite is run: one without .run() passes in silence", () => {
  const bad = filesBelow(ROOT, "test", ".test.ts").filter((file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    const made = [...text.matchAll(/const (\w+) = (?:suite|kernelSuite)\b/g)].map((m) => m[1]!);
    return made.length === 0 || made.some((name) => !new RegExp(`^\\s*${name}\\.run\\(\\);`, "m").test(text));
  });
  assert.equal(bad, []);
});

test("files are named in kebab-case, and nothing is exported by default", () => {
  const files = ["src", "bench", "test"].flatMap((folder) => filesBelow(ROOT, folder, ".ts"));
  const names = files.filter(
    (file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(file.split("/").at(-1)!),
  );
  assert.equal(names, []);
  const defaults = files.filter((file) => /^export default\b/m.test(readFileSync(join(ROOT, file), "utf8")));
  assert.equal(defaults, []);
});

test("the top level holds what it should and nothing else", () => {
  const allowed = new Set([
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "src",
    "shaders",
    "bench",
    "test",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "node_modules",
    "dist",
    "coverage", // ignored by git
  ]);
  assert.equal(
    readdirSync(ROOT).filter((name) => !name.startsWith(".") && !allowed.has(name)),
    [],
  );
});

test.run();
