import { suite } from "uvu";
import * as assert from "uvu/assert";
import { placeOf, type Shape } from "../../bench/kernels/shapes.ts";
import { tilingOf } from "../../src/kernels/columns/winograd.ts";
import { fieldOf } from "../../src/plan/contenders.ts";
import { type AdapterKind, rank } from "../../src/plan/estimate.ts";

const test = suite("the dense algorithms that a plan considers");

const software: AdapterKind = { software: true, maxInvocations: 256, subgroup: 8 };
const hardware: AdapterKind = { software: false, maxInvocations: 256, subgroup: 32 };

const place = (kernel: 1 | 3, width: number, size: number, batch: number) => {
  const shape: Shape = { rows: width, channels: width, kernel, size };
  return placeOf(shape, batch);
};

test("Winograd has a tiling only where it multiplies less often than the direct product", () => {
  const sides = (size: number): boolean[] =>
    ([2, 4] as const).map((side) => tilingOf(place(3, 8, size, 4).problem, side) !== undefined);
  assert.equal(sides(1), [false, false]);
  assert.equal(sides(2), [true, false]);
  assert.equal(sides(3), [true, true]);
  assert.equal(sides(5), [true, true]);
  assert.is(tilingOf(place(1, 9, 8, 4).problem, 4), undefined);
});

test("K is split only where a direct kernel would leave the adapter idle", () => {
  const offered = (p: ReturnType<typeof place>, kind: AdapterKind): boolean =>
    rank(p.problem, "dense", 1, kind).some(({ variant }) => variant.parts > 1);
  assert.ok(offered(place(1, 1024, 1, 1), hardware));
  assert.ok(offered(place(3, 512, 7, 1), hardware));
  assert.not(offered(place(3, 64, 56, 8), hardware));
  assert.not(offered(place(1, 1024, 1, 1), software));
});

test("twice the threads cost a GPU that idles no more, in whatever loop", () => {
  const costs = (batch: number): Map<string, number> =>
    new Map(
      (["dense", "ell", "nm1x1", "csr"] as const).flatMap((format) =>
        rank(place(1, 64, 2, batch).problem, format, 0.25, hardware)
          .filter(({ variant, cut }) => !variant.winograd && cut.load === "quad" && variant.columns === 4)
          .filter(({ variant }) => variant.workgroup === 8)
          .map(({ variant, cost }): [string, number] => [`${format} ${variant.name}`, cost]),
      ),
    );
  const [few, more] = [costs(128), costs(256)];
  assert.ok([...few.keys()].some((name) => name.includes("slices/")));
  for (const [name, cost] of few) assert.ok(Math.abs(more.get(name)! / cost - 1) < 1e-9, name);
});

test("a measured plan tries every dense algorithm that applies", () => {
  const tried = (p: ReturnType<typeof place>, kind: AdapterKind): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { variant } of fieldOf(p, kind).dense) {
      const algorithm = variant.parts > 1 ? "split" : `winograd ${variant.winograd}`;
      counts[algorithm] = (counts[algorithm] ?? 0) + 1;
    }
    return counts;
  };
  const conv = tried(place(3, 64, 56, 8), software);
  assert.equal(Object.keys(conv).sort(), ["winograd 0", "winograd 2", "winograd 4"]);
  const small = tried(place(3, 512, 7, 1), hardware);
  assert.equal(Object.keys(small).sort(), ["split", "winograd 0", "winograd 2", "winograd 4"]);
  for (const counts of [conv, small]) assert.ok(Object.values(counts).every((n) => n >= 2));
});

test.run();
