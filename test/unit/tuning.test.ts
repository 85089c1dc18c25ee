import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AdapterFacts } from "../../src/gpu/adapter.ts";
import { noActivation } from "../../src/kernels/activation.ts";
import type { Format } from "../../src/kernels/columns/formats.ts";
import type { ColumnsProblem } from "../../src/kernels/columns/problem.ts";
import { budgetOf } from "../../src/plan/budget.ts";
import { type Entry, formatTuning, mergeTuning, openTuning, parseTuning } from "../../src/plan/tuning.ts";
import { folderStore, tuningFolder, tuningSize } from "../../src/plan/tuning-folder.ts";
import { fingerprint, raceKey } from "../../src/plan/tuning-key.ts";
import { fails } from "../support/error.ts";

const test = suite("tuning cache");

const dir = mkdtempSync(join(tmpdir(), "secateur-tuning-"));
let folders = 0;
const freshFolder = (): string => join(dir, `f${folders++}`, "tuning");

const adapter: AdapterFacts = {
  vendor: "acme",
  architecture: "ax",
  device: "a-1",
  description: "Acme A1, driver 1.0",
  software: false,
  features: ["timestamp-query"],
  limits: {},
  texels: false,
  key: "a-1-00000001",
};

const entry = (at: number, ms: number): Entry => ({
  at,
  candidates: [
    { format: "dense", kernel: "k/1", ms, p10: ms, p90: ms, samples: 7 },
    { format: "csr", kernel: "k/2" },
  ],
});

test("what is written is read back", () => {
  const entries = new Map([
    ["b", entry(2, 0.25)],
    ["a", entry(1, 1.5)],
    ['__proto__ "quoted" \u2028', entry(3, 2)],
  ]);
  const text = formatTuning(entries, adapter);
  const { entries: again, problem } = parseTuning(text, adapter);
  assert.is(problem, undefined);
  assert.equal(new Map([...again].sort()), new Map([...entries].sort()));
  assert.is(formatTuning(again, adapter), text, "the same entries give the same text");
});

test("a corrupt or foreign text holds no measurement, and the reason is told", () => {
  const good = formatTuning(new Map([["a", entry(1, 1)]]), adapter);
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /not JSON/],
    [good.slice(0, -5), /not JSON/],
    ["[]", /./],
    ["null", /./],
    ["{}", /kind/],
    [good.replace("secateur tuning", "something else"), /kind/],
    [good.replace('"version":1', '"version":2'), /version/],
    [good.replace('"ms":1', '"ms":"fast"'), /ms/],
    [good.replace('"ms":1', '"ms":-1'), /ms/],
    [good.replace('"ms":1', '"ms":1e999'), /ms/],
    [good.replace('"candidates":[', '"candidates":[3,'), /candidates/],
    [good.replace("Acme A1", "Acme A2"), /another adapter/],
  ];
  for (const [text, why] of cases) {
    const { entries, problem } = parseTuning(text, adapter);
    assert.is(entries.size, 0, text);
    assert.match(problem ?? "no problem", why, text);
  }
});

test("of two measurements the later one stays, of equals the second", () => {
  const a = new Map([
    ["x", entry(5, 1)],
    ["y", entry(1, 1)],
    ["z", entry(4, 1)],
  ]);
  const b = new Map([
    ["x", entry(4, 2)],
    ["y", entry(2, 2)],
    ["z", entry(4, 2)],
    ["w", entry(1, 2)],
  ]);
  const ms = [...mergeTuning(a, b)].map(([key, { candidates }]) => [key, candidates[0]!.ms]);
  assert.equal(Object.fromEntries(ms), { x: 1, y: 2, z: 2, w: 2 });
  assert.is(a.get("y")!.at, 1, "neither is changed");
});

test("the text is capped, and the oldest measurements go", () => {
  const entries = new Map(Array.from({ length: 100 }, (_, i) => [`key ${i}`, entry((i * 37) % 100, 1)]));
  const text = formatTuning(entries, adapter, 2000);
  assert.ok(text.length <= 2000 && text.length > 1500, `${text.length} characters`);
  const kept = [...parseTuning(text, adapter).entries.values()].map(({ at }) => at).sort((a, b) => b - a);
  assert.equal(
    kept,
    kept.map((_, i) => 99 - i),
  );
});

/** 16 channels of 8 x 8 pixels, 3 x 3 with a halo of one, batch 4. */
const problem: ColumnsProblem = {
  label: "conv",
  groups: 1,
  rowsPerGroup: 16,
  k: 144,
  taps: Uint32Array.from({ length: 144 }, (_, i) => i * 4),
  out: [1, 8, 8],
  batch: 4,
  xBase: 0,
  xSteps: [0, 40, 4],
  xChannel: 400,
  xGroup: 6400,
  y: { base: 0, channel: 256, steps: [0, 32, 4] },
  activation: noActivation,
};

test("a key tells what decides speed apart, and nothing else", () => {
  const densities = new Map<Format, number>([
    ["csr", 0.1004],
    ["block8x1", 0.0321],
  ]);
  const key = raceKey(problem, { variable: false }, densities);
  assert.is(
    key,
    "1 16 144 1,8,8 4 0 0,40,4 400 6400 4 572 0,256,0,32,4 - | act 0 | constant | csr=0.1 | block8x1=0.032",
  );
  assert.is(
    raceKey(
      { ...problem, label: "other", taps: problem.taps.slice() },
      { variable: false },
      new Map(densities),
    ),
    key,
  );
  assert.is(
    raceKey(problem, { variable: false }, new Map(densities).set("csr", 0.0996)),
    key,
    "rounded to two digits",
  );
  const others = [
    raceKey(problem, { variable: true }, densities),
    raceKey(problem, { variable: false, rounds: true }, densities),
    raceKey(problem, { variable: false }),
    raceKey(problem, { variable: false }, new Map(densities).set("csr", 0.11)),
    raceKey(problem, { variable: false }, new Map(densities).set("block4x1", 0.5)),
    raceKey({ ...problem, batch: 8 }, { variable: false }, densities),
    raceKey({ ...problem, k: 143 }, { variable: false }, densities),
    raceKey({ ...problem, rowsPerGroup: 15 }, { variable: false }, densities),
    raceKey({ ...problem, out: [1, 8, 7] }, { variable: false }, densities),
    raceKey({ ...problem, xSteps: [0, 40, 8] }, { variable: false }, densities),
    raceKey({ ...problem, residual: problem.y }, { variable: false }, densities),
    raceKey({ ...problem, activation: { code: 1, a: 0, b: 0 } }, { variable: false }, densities),
  ];
  assert.is(new Set([...others, key]).size, others.length + 1);
});

test("measurements hold for one adapter, driver, set of features and, on a processor, machine", () => {
  const own = fingerprint(adapter);
  assert.is(fingerprint({ ...adapter }), own);
  assert.is(fingerprint({ ...adapter, limits: { maxBufferSize: 1 } }), own);
  assert.is(fingerprint(adapter, "another machine"), own, "a GPU is the same wherever it is");
  const software = { ...adapter, software: true };
  const others = [
    fingerprint({ ...adapter, description: "Acme A1, driver 1.1" }),
    fingerprint({ ...adapter, architecture: "ay" }),
    fingerprint({ ...adapter, vendor: "acne" }),
    fingerprint({ ...adapter, features: [] }),
    fingerprint({ ...adapter, subgroups: { min: 8, max: 8 } }),
    fingerprint(software, "2 cores"),
    fingerprint(software, "4 cores"),
  ];
  for (const one of [own, ...others]) assert.match(one, /^[0-9a-f]{16}$/);
  assert.is(new Set([own, ...others]).size, others.length + 1);
});

const list = (ms: number) => entry(0, ms).candidates;

test("a folder keeps what two processes measured, each written while the other runs", async () => {
  const folder = freshFolder();
  assert.equal(await tuningSize(folder), { files: 0, bytes: 0 });
  const one = await openTuning(adapter, folderStore(folder));
  const two = await openTuning(adapter, folderStore(folder));
  one.put("first", list(1));
  two.put("second", list(2));
  await one.flush();
  await two.flush();
  one.put("third", list(3));
  await Promise.all([one.flush(), one.flush()]);
  const three = await openTuning(adapter, folderStore(folder));
  assert.equal(
    ["first", "second", "third", "fourth"].map((key) => three.get(key)?.[0]?.ms),
    [1, 2, 3, undefined],
  );
  assert.equal(readdirSync(folder), ["a-1-00000001.json"], "no temporary file is left");
  const { files, bytes } = await tuningSize(folder);
  assert.is(files, 1);
  assert.is(bytes, readFileSync(join(folder, "a-1-00000001.json")).length);
  const changed = await openTuning({ ...adapter, features: [] }, folderStore(folder));
  assert.is(changed.get("first"), undefined, "known under another fingerprint only");
});

test("nothing is written where nothing was measured", async () => {
  const folder = freshFolder();
  const tuning = await openTuning(adapter, folderStore(folder));
  await tuning.flush();
  assert.equal(await tuningSize(folder), { files: 0, bytes: 0 });
});

test("a damaged file costs a warning and is replaced", async () => {
  const folder = freshFolder();
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${adapter.key}.json`);
  for (const bytes of [
    "half a fi",
    formatTuning(new Map(), { ...adapter, description: "foreign" }),
    new Uint8Array(17 * 2 ** 20),
  ]) {
    writeFileSync(file, bytes);
    const warnings: string[] = [];
    const tuning = await openTuning(
      adapter,
      folderStore(folder, (message) => warnings.push(message)),
    );
    assert.is(tuning.get("a"), undefined);
    tuning.put("a", list(1));
    await tuning.flush();
    assert.is(warnings.length, 1, warnings.join("\n"));
    assert.match(warnings[0]!, /tuning cache of a-1-00000001 is not used: /);
    assert.is((await openTuning(adapter, folderStore(folder))).get("a")?.[0]?.ms, 1);
  }
});

test("a folder that cannot be used costs warnings, no more", async () => {
  const file = join(dir, "a-file");
  writeFileSync(file, "");
  const warnings: string[] = [];
  const tuning = await openTuning(
    adapter,
    folderStore(join(file, "tuning"), (m) => warnings.push(m)),
  );
  tuning.put("a", list(1));
  await tuning.flush();
  tuning.put("b", list(1));
  await tuning.flush();
  assert.is(tuning.get("b")?.[0]?.ms, 1, "still known to this process");
  assert.ok(warnings.some((w) => /could not be written/.test(w)));
  assert.is(new Set(warnings).size, warnings.length, "each is told once");
});

test("the environment names the folder, or switches it off", () => {
  const before = { ...process.env };
  try {
    process.env.SECATEUR_TUNING_CACHE = "off";
    assert.is(tuningFolder(), undefined);
    process.env.SECATEUR_TUNING_CACHE = "/elsewhere";
    assert.is(tuningFolder(), "/elsewhere");
    process.env.SECATEUR_TUNING_CACHE = "";
    process.env.XDG_CACHE_HOME = "/caches";
    assert.is(tuningFolder(), join("/caches", "secateur", "tuning"));
  } finally {
    process.env = before;
  }
});

test("a budget is a time", async () => {
  assert.is(budgetOf(undefined), undefined);
  assert.equal(budgetOf(2.5), { seconds: 2.5, left: 2500 });
  assert.equal(budgetOf(0), { seconds: 0, left: 0 });
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    await fails(() => budgetOf(bad), "E_INPUT", /budget/);
});

test.after(() => rmSync(dir, { recursive: true, force: true }));

test.run();
