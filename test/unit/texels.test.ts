import { suite } from "uvu";
import * as assert from "uvu/assert";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { adapterFacts } from "../../src/gpu/adapter.ts";
import { texelBytes } from "../../src/gpu/texels.ts";
import { packCsr, type WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { packPanels, panelEntries, panelLoads, panelTexels } from "../../src/kernels/columns/panels.ts";
import { texelsRead } from "../../src/kernels/columns/problem.ts";
import { cutFor, realise } from "../../src/kernels/columns/realise.ts";
import { findVariant, variants } from "../../src/kernels/columns/variants.ts";
import { tried } from "../../src/plan/contenders.ts";
import { type AdapterKind, rank } from "../../src/plan/estimate.ts";
import { sources } from "../../src/shader/sources.gen.ts";
import { mostTexels, TEXELS_PER_ROW } from "../../src/shader/texels.ts";

const test = suite("textures of vec4s");

const software: AdapterKind = { software: true, maxInvocations: 256, subgroup: 8, texels: true };
const bits = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** Rows of eight columns; row i keeps the columns that are named, each as 10 i + column + 1. */
function matrix(kept: readonly (readonly number[])[]): WeightMatrix {
  const values = new Float32Array(kept.length * 8);
  for (const [i, columns] of kept.entries()) for (const k of columns) values[i * 8 + k] = 10 * i + k + 1;
  return { rows: kept.length, k: 8, values };
}

test("kernels and host agree on how long a row is", () => {
  const names = Object.entries(sources).filter(([, s]) => s.constants["TEXELS_PER_ROW"] !== undefined);
  assert.ok(names.length >= 14);
  for (const [name, { constants }] of names)
    assert.is(constants["TEXELS_PER_ROW"], `${TEXELS_PER_ROW}u`, name);
});

test("textures hold part of a row, or whole ones", () => {
  assert.is(texelBytes(0), 16);
  assert.is(texelBytes(5), 80);
  assert.is(texelBytes(TEXELS_PER_ROW), TEXELS_PER_ROW * 16);
  assert.is(texelBytes(TEXELS_PER_ROW + 1), 2 * TEXELS_PER_ROW * 16);
});

test("a panel is the offsets of its entries, then their weights; the last is filled up with zeros at an offset that is read", () => {
  const p = placeOf({ rows: 8, channels: 8, kernel: 1, size: 2 }, 4).problem;
  const taps = p.taps.map((t) => t / 4);
  const w = matrix(Array.from({ length: 8 }, () => [1, 4, 5]));
  // Of three entries two to a panel would add a third: more than is worth it.
  const single = packPanels(p, w, 8, taps, undefined, false);
  assert.equal(single.launch, { spec: { U: 1 }, texels: { panels: 9 } });
  assert.equal([...single.arrays["row_ptr"]!], [0, 3]);
  const whole = packPanels(p, w, 8, taps, undefined, true);
  assert.equal(whole.launch, { spec: { U: 2 }, texels: { panels: 20 } });
  const words = whole.arrays["panels"] as Uint32Array;
  assert.equal([...words.subarray(0, 2)], [taps[0], taps[1]]);
  assert.equal([...words.subarray(2, 10)], new Array(8).fill(0));
  assert.equal(
    [...words.subarray(10, 18)],
    Array.from({ length: 8 }, (_, i) => bits(10 * i + 2)),
  );
  assert.is(whole.density, 1);
  assert.is(single.density, 3 / 8);

  const large = placeOf({ rows: 4, channels: 64, kernel: 1, size: 2 }, 4).problem;
  const values = new Float32Array(4 * 64).fill(1, 0, 63);
  const padded = packPanels(large, { rows: 4, k: 64, values }, 4, large.taps, undefined, false);
  assert.equal(padded.launch?.spec, { U: 4 });
  const last = (padded.arrays["panels"] as Uint32Array).subarray(15 * 20);
  assert.equal(
    [...last.subarray(0, 4)],
    [60, 61, 62, 62].map((k) => large.taps[k]),
  );
  assert.equal([...last.subarray(4 + 3 * 4)], [0, 0, 0, 0]);
});

test("how many texels a panel has, and loads that bring it to eight lanes", () => {
  assert.equal([2, 4, 8, 16, 32].map(panelEntries), [4, 4, 2, 4, 4]);
  assert.equal([panelTexels(8, 2), panelTexels(16, 4), panelTexels(32, 4)], [5, 17, 33]);
  assert.equal([panelLoads(8, 2), panelLoads(16, 4), panelLoads(32, 4)], [1, 3, 5]);
});

test("CSR two entries to a texel: rows of an odd number end with a zero", () => {
  const w = matrix([[0, 3, 7], [], [2, 6]]);
  const taps = Uint32Array.from({ length: 8 }, (_, k) => 100 * k);
  const { arrays } = packCsr(w, taps, 2);
  assert.equal([...arrays["row_ptr"]!], [0, 2, 3, 3]);
  assert.equal([...arrays["rows"]!], [0, 2, 1]);
  assert.equal(
    [...(arrays["entries"] as Uint32Array)],
    [0, bits(1), 300, bits(4), 700, bits(8), 700, 0, 200, bits(23), 600, bits(27)],
  );
});

test("a launch says what it reads as texels, from the start of x to the last tap of the last pixel", () => {
  const { problem } = placeOf({ rows: 64, channels: 16, kernel: 3, size: 6 }, 8);
  const w = { rows: 64, k: problem.k, values: new Float32Array(64 * problem.k).fill(0.5) };
  const variant = findVariant("csr", "gather-csr-texels/v4w8")!;
  const cut = cutFor(problem, variant)!;
  const main = realise(problem, variant, cut, w).launches.at(-1)!;
  const last = Math.max(...problem.taps) + 5 * problem.xSteps[1] + 5 * problem.xSteps[2];
  assert.is(texelsRead(problem, cut), (problem.xBase + last) / 4 + 2);
  assert.equal(main.texels, { x: texelsRead(problem, cut), entries: (64 * problem.k) / 2 });
});

test("what no texture holds is not offered", () => {
  const { problem } = placeOf({ rows: 8, channels: 8, kernel: 1, size: 2 }, 4);
  const variant = findVariant("csr", "gather-csr-texels/v4w8")!;
  assert.ok(cutFor(problem, variant));
  assert.is(cutFor({ ...problem, xBase: 4 * mostTexels }, variant), undefined);
});

test("adapters that read no textures are offered none; where they do, both are tried, and cost what they copy", () => {
  const { problem } = placeOf({ rows: 64, channels: 64, kernel: 3, size: 28 }, 8);
  const inTexels = (kind: AdapterKind, format: "csr" | "dense" | "block8x1"): boolean[] =>
    tried(rank(problem, format, 0.1, kind), 2).map(({ variant }) => variant.texels ?? false);
  for (const format of ["csr", "dense", "block8x1"] as const) {
    const { texels: _, ...without } = software;
    assert.is(inTexels(without, format).includes(true), false);
    assert.equal(new Set(inTexels(software, format)), new Set([true, false]));
  }
  const cost = (rows: number, name: string): number => {
    const p = placeOf({ rows, channels: 256, kernel: 1, size: 56 }, 8).problem;
    return rank(p, "csr", 0.02, software).find(({ variant }) => variant.name === name)!.cost;
  };
  // Few rows read x so seldom that the copy is not earned back.
  assert.ok(cost(8, "gather-csr-texels/v4w8") > cost(8, "gather-csr/v4w8"));
  assert.ok(cost(512, "gather-csr-texels/v4w8") < cost(512, "gather-csr/v4w8"));
});

test("a variant in a texture has the twin that reads memory", () => {
  const list = variants.filter((v) => v.texels);
  assert.ok(list.length > 100);
  for (const { name, format, rows, columns, workgroup, kernel } of list) {
    // Of dense kernels only those that read textures come in both orders.
    const usual = format === "dense" ? name.replace("-rows", "") : name;
    const twin = variants.find((v) => v.format === format && v.name === usual.replace("-texels", ""));
    assert.equal([twin?.rows, twin?.columns, twin?.workgroup], [rows, columns, workgroup], name);
    assert.is(`${twin?.kernel}-texels`, kernel);
  }
});

test("whether kernels read textures is said by the language of the instance", () => {
  const device = { limits: {}, features: new Set() } as unknown as GPUDevice;
  assert.is(adapterFacts(device, {}).texels, false);
  const language = new Set(["readonly_and_readwrite_storage_textures"]);
  assert.is(adapterFacts(device, {}, language).texels, true);
});

test.run();
