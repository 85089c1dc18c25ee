import { suite } from "uvu";
import * as assert from "uvu/assert";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { variants } from "../../src/kernels/columns/variants.ts";
import { fieldOf, tried } from "../../src/plan/contenders.ts";
import { type AdapterKind, type Ranked, rank } from "../../src/plan/estimate.ts";

const test = suite("the order of workgroups");

const software: AdapterKind = { software: true, maxInvocations: 256, subgroup: 8 };
const orders = (list: readonly Ranked[]): boolean[] => list.map((r) => r.variant.rowsFirst ?? false);

test("a variant in the other order differs in nothing else", () => {
  const other = variants.filter((v) => v.rowsFirst);
  assert.ok(other.length > 100);
  for (const { rowsFirst, name, constants, ...rest } of other) {
    const usual = variants.find((v) => v.format === rest.format && `${v.name}-rows` === name)!;
    const { ROWS_FIRST, ...plain } = constants;
    assert.is(ROWS_FIRST, 1);
    assert.equal({ ...rest, name: usual.name, constants: plain }, usual);
  }
});

test("rows come first where x is large and read often, and both orders are tried", () => {
  const large = placeOf({ rows: 64, channels: 64, kernel: 3, size: 56 }, 8).problem;
  const often = rank(large, "csr", 0.1, software);
  assert.is(orders(often)[0], true);
  assert.equal(new Set(orders(tried(often, 2))), new Set([true, false]));
  assert.is(tried(often, 2)[0], often[0]);
  // Less than one of its blocks reads a value of x.
  const seldom = placeOf({ rows: 64, channels: 256, kernel: 1, size: 56 }, 8).problem;
  assert.is(orders(rank(seldom, "block8x1", 0.02, software))[0], false);
});

test("dense kernels that read panels come in both orders, and rows first leads where x is large", () => {
  const textures: AdapterKind = { ...software, texels: true };
  const large = placeOf({ rows: 256, channels: 64, kernel: 1, size: 56 }, 8);
  const dense = rank(large.problem, "dense", 1, textures);
  assert.is(orders(dense)[0], true);
  const { dense: tries } = fieldOf(large, textures);
  assert.equal(new Set(orders(tries)), new Set([true, false]));
});

test("a tile of x that the first-level cache does not hold costs more per load", () => {
  const textures: AdapterKind = { ...software, texels: true };
  /** How much dearer a tile twice as wide is than one of as many sums, with so many channels. */
  const wider = (channels: number): number => {
    const { problem } = placeOf({ rows: 64, channels, kernel: 1, size: 14 }, 8);
    const list = rank(problem, "dense", 1, textures);
    const cost = (name: string): number => list.find((r) => r.variant.name === name)!.cost;
    return cost("shuffle-block-texels/r16v2w8-rows") / cost("shuffle-block-texels/r32v1w8-rows");
  };
  // 16 vec4s of 128 channels are 32 KB, of 256 twice that; 8 vec4s of 256 fit.
  assert.ok(wider(256) > 1.05 * wider(128), `${wider(256)} ${wider(128)}`);
});

test("what fits near a core costs the same in both orders", () => {
  const small = placeOf({ rows: 32, channels: 32, kernel: 3, size: 7 }, 8).problem;
  const list = rank(small, "csr", 0.1, software);
  const cost = (name: string): number => list.find((r) => r.variant.name === name)!.cost;
  assert.is(cost("gather-csr/v4w8-rows"), cost("gather-csr/v4w8"));
});

test.run();
