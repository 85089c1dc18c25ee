import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../support/child.ts";
import { assertClose } from "../support/close.ts";
import { closingLine, type FileResult, runFile, testFiles } from "../support/run.ts";

const HEAD =
  'import { suite } from "uvu";\nimport * as assert from "uvu/assert";\nconst test = suite("s");\n';
const FILES: Readonly<Record<string, string>> = {
  "good.test.ts": `${HEAD}test("a", () => {}); test("b", async () => {}); test.run();`,
  "bad.test.ts": `${HEAD}test("a", () => assert.is(1, 2)); test("b", () => {}); test.run();`,
  "forgotten.test.ts": `${HEAD}test("a", () => {});`,
  "empty.test.ts": `${HEAD}test.run();`,
  "skips.test.ts": `${HEAD}import { skip } from "${ROOT}/test/support/skip.ts"; test("a", () => { skip("a", "no GPU"); }); test("b", () => {}); test.skip("c", () => {}); test.run();`,
  "slow.test.ts": `${HEAD}test("a", () => new Promise((r) => setTimeout(r, 60000))); test.run();`,
  "crash.test.ts": `${HEAD}test("a", () => process.kill(process.pid, "SIGSEGV")); test.run();`,
  "mute.test.ts": `${HEAD}test("a", () => { throw Object.assign(new Error("x"), { details: {} }); }); test("b", () => {}); test.run();`,
  "exit.test.ts": `${HEAD}test("a", () => { process.on("exit", () => { process.exitCode = 5; }); }); test.run();`,
};

const test = suite("the test runner");
const results = new Map<string, FileResult>();

test.before(async () => {
  const root = mkdtempSync(join(tmpdir(), "secateur-runner-"));
  try {
    mkdirSync(join(root, "test"));
    writeFileSync(join(root, "package.json"), '{ "type": "module" }');
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(root, "test", name), text);
    const files = testFiles(join(root, "test"), [], root);
    assert.is(files.length, Object.keys(FILES).length);
    assert.equal(testFiles(join(root, "test"), ["good", "slo"], root), [
      "test/good.test.ts",
      "test/slow.test.ts",
    ]);
    await Promise.all(files.map(async (file) => results.set(file, await runFile(file, 8000, root))));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** Passed, failed, skipped, and why the file as such failed. */
function expectResult(name: string, passed: number, failed: number, skipped: number, fault?: RegExp): void {
  const result = results.get(`test/${name}.test.ts`)!;
  const got = [result.passed, result.failed, result.skips.length];
  assert.equal(got, [passed, failed, skipped], `${name}:\n${result.output}`);
  if (fault === undefined) assert.is(result.fault, undefined);
  else assert.match(result.fault ?? "", fault);
}

test("passes and failures are counted", () => {
  expectResult("good", 2, 0, 0);
  expectResult("bad", 1, 1, 0);
});

test("skips are counted apart and keep their reasons", () => {
  expectResult("skips", 1, 0, 2);
  assert.match(results.get("test/skips.test.ts")!.skips.join(), "a (no GPU)");
});

test("what uvu lets pass is a fault", () => {
  expectResult("forgotten", 0, 0, 0, /before its summary/);
  expectResult("empty", 0, 0, 0, /ran no test/);
  expectResult("mute", 0, 2, 0, /cannot print/);
  expectResult("exit", 1, 0, 0, /exited with 5/);
});

test("a hanging file is killed, a crashing one is told", () => {
  expectResult("slow", 0, 0, 0, /longer than 8 s/);
  expectResult("crash", 0, 0, 0, /SIGSEGV/);
});

test("the closing line adds everything up", () => {
  const line = closingLine([...results.values()]);
  assert.is(line, "tests: 9 files, 5 tests passed, 8 failed, 2 skipped");
});

test("assertClose finds every kind of difference and shows five", () => {
  assertClose(
    [1, 0, Number.NaN, Number.POSITIVE_INFINITY],
    [1.0001, 1e-7, Number.NaN, Number.POSITIVE_INFINITY],
    { rel: 1e-3, abs: 1e-6 },
  );
  const message = (actual: number[], expected: number[]): string => {
    try {
      assertClose(actual, expected, { rel: 1e-6 }, "y");
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.match(message([1, 2], [1, 2.1]), /y: 1 of 2 differ[\s\S]*\[1\] 2, expected 2\.1/);
  for (const bad of [
    [Number.NaN, 1],
    [1, Number.NaN],
    [Number.POSITIVE_INFINITY, 1],
    [1, Number.NEGATIVE_INFINITY],
  ] as const) {
    assert.match(message([bad[0]], [bad[1]]), "1 of 1 differ");
  }
  const many = message(Array(9).fill(0), [1, 2, 3, 9, 5, 6, 7, 8, 4]);
  assert.is(many.match(/expected/g)?.length, 5);
  assert.match(many, "9 of 9 differ");
  assert.match(many, "worst at [3]");
  assert.match(message([1], [1, 2]), "there are 1, expected 2");
});

test.run();
