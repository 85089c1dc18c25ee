import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { keptRows, netId } from "../../bench/kept-rows.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { fails } from "../support/error.ts";

const test = suite("kept rows");

const inFolder = async (work: (file: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "rows-"));
  try {
    await work(join(folder, "rows.json"));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test("rows of a run that was stopped are found by their id, and what lies beside them stays", () =>
  inFolder(async (file) => {
    const first = keptRows<{ id: string; value: number }>(file);
    await first.write({ adapter: "one", timing: [1, 2] });
    await first.add({ id: "a", value: 1 });
    await first.add({ id: "b", value: 2 });
    const again = keptRows<{ id: string; value: number }>(file);
    assert.is(again.find("b")?.value, 2);
    assert.is(again.find("c"), undefined);
    await again.write({ adapter: "two" });
    await again.add({ id: "b", value: 3 });
    assert.equal(JSON.parse(readFileSync(file, "utf8")), {
      adapter: "two",
      timing: [1, 2],
      rows: [
        { id: "a", value: 1 },
        { id: "b", value: 3 },
      ],
    });
  }));

test("another net of the same name has rows of its own", async () => {
  const ids = await Promise.all([1, 2, 1].map((seed) => netId(buildNet("lenet300", { seed }))));
  assert.match(ids[0]!, /^lenet300 [0-9a-f]{8}$/);
  assert.is.not(ids[0], ids[1]);
  assert.is(ids[0], ids[2]);
});

test("a file that holds something else is refused and left alone", () =>
  inFolder(async (file) => {
    for (const text of ["no JSON", "{}", "null", '{"rows":[{"value":1}]}']) {
      writeFileSync(file, text);
      await fails(() => keptRows(file), "E_FORMAT", /Give another --json/);
      assert.is(readFileSync(file, "utf8"), text);
    }
  }));

test.run();
