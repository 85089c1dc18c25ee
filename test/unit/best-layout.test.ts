import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import type { CostedDraft } from "../../src/plan/activations.ts";
import type { ActivationLayout } from "../../src/plan/layouts.ts";
import type { Timed } from "../../src/plan/tuning.ts";
import { type Built, inBestLayout, type Measuring } from "../../src/run/best-layout.ts";

const test = suite("the faster layout");

/** A net that takes so long in each layout, with estimated and with measured kernels, and what the choice did with it. */
function scene(
  costs: readonly (readonly [ActivationLayout, number])[],
  estimatedMs: Readonly<Record<string, number>> = {},
  measuredMs: Readonly<Record<string, number>> = {},
  fails?: (built: readonly string[]) => string | undefined,
) {
  const built: string[] = [];
  const alive = new Set<string>();
  const kept = new Map<string, readonly Timed[]>();
  const drafts = costs.map(([activations, cost]) => ({ activations, cost }) as unknown as CostedDraft);
  const build = async ({ activations }: { activations: ActivationLayout }, estimated = false) => {
    const name = `${activations}${estimated ? ", estimated" : ""}`;
    built.push(name);
    const code = fails?.(built);
    if (code) throw new SecateurError(code as "E_MEMORY", "as the test wants");
    alive.add(name);
    const tally = { races: 2, now: 1, before: 0, skipped: 0, seconds: 1 };
    const device = { dispose: () => alive.delete(name) };
    return { activations, device, name, choices: new Map(), tally } as unknown as Built;
  };
  const measuring: Measuring = {
    key: () => "key",
    reach: 2,
    tuning: {
      get: (key) => kept.get(key),
      put: (key, timed) => void kept.set(key, timed),
      flush: async () => undefined,
    },
    race: async (nets) =>
      nets.map((net) => {
        const { name } = net as unknown as { name: string };
        const ms = (name.endsWith("estimated") ? estimatedMs : measuredMs)[net.activations]!;
        return { format: net.activations, kernel: "whole net", ms, p10: ms, p90: ms, samples: 3 };
      }),
  };
  return { built, alive, drafts, build, measuring, kept };
}

const two = [
  ["planar", 100],
  ["batch-innermost", 120],
] as const;

test("one layout is taken without a word", async () => {
  const { drafts, build, measuring, built } = scene([["batch-innermost", 0]]);
  const { reason } = await inBestLayout(drafts, build, measuring);
  assert.is(reason, undefined);
  assert.equal(built, ["batch-innermost"]);
});

test("without measuring, and where the cost model is sure, the cheapest is taken", async () => {
  const { drafts, build, built, kept } = scene(two);
  assert.is(
    (await inBestLayout(drafts, build, undefined)).reason,
    "batch-innermost 1.20x as dear by the cost model",
  );
  assert.equal(built, ["planar"]);
  const far = scene([two[0], ["batch-innermost", 201]]);
  const { reason } = await inBestLayout(far.drafts, far.build, far.measuring);
  assert.is(reason, "batch-innermost 2.01x as dear by the cost model");
  assert.equal(far.built, ["planar"]);
  assert.is(kept.size, 0);
});

test("a layout that is far behind with estimated kernels is not measured further", async () => {
  const s = scene(two, { planar: 12, "batch-innermost": 10 });
  const { built, reason } = await inBestLayout(s.drafts, s.build, s.measuring);
  assert.is(built.activations, "batch-innermost");
  assert.is(reason, "measured with estimated kernels: batch-innermost 10.00 ms, planar 12.00 ms");
  assert.equal(s.built, ["planar, estimated", "batch-innermost, estimated", "batch-innermost"]);
  assert.equal([...s.alive], ["batch-innermost"], "the others gave their memory back");

  const again = await inBestLayout(s.drafts, s.build, s.measuring);
  assert.is(again.reason, "measured before: batch-innermost 10.00 ms, planar 12.00 ms");
  assert.is(s.built.length, 4, "only the one that is taken is built");
});

test("of two that are close, the faster with measured kernels", async () => {
  const s = scene(two, { planar: 10, "batch-innermost": 10.4 }, { planar: 9, "batch-innermost": 8 });
  const { built, reason } = await inBestLayout(s.drafts, s.build, s.measuring);
  assert.is(built.activations, "batch-innermost");
  assert.is(reason, "measured: batch-innermost 8.00 ms, planar 9.00 ms");
  assert.equal([...s.alive], ["batch-innermost"]);
  assert.equal(built.tally, { races: 4, now: 1, before: 0, skipped: 0, seconds: 2 });
  assert.is(s.kept.get("key")!.find((t) => t.format === "planar")!.ms, 9);
});

test("where time or memory is short, the cost model decides and nothing is left behind", async () => {
  const late = scene(two);
  const { reason } = await inBestLayout(late.drafts, late.build, {
    ...late.measuring,
    race: async () => undefined,
  });
  assert.is(reason, "batch-innermost 1.20x as dear by the cost model; not measured: the budget was used up");
  assert.equal([...late.alive], ["planar"]);

  const full = scene(two, {}, {}, (built) => (built.length === 2 ? "E_MEMORY" : undefined));
  const tight = await inBestLayout(full.drafts, full.build, full.measuring);
  assert.match(tight.reason!, /; not measured: memory does not hold the net in both layouts$/);
  assert.equal([...full.alive], ["planar"]);

  const broken = scene(two, {}, {}, (built) => (built.length === 2 ? "E_GPU" : undefined));
  try {
    await inBestLayout(broken.drafts, broken.build, broken.measuring);
    assert.unreachable();
  } catch (error) {
    assert.is((error as SecateurError).code, "E_GPU");
  }
  assert.is(broken.alive.size, 0);
  assert.is(late.kept.size + full.kept.size + broken.kept.size, 0);
});

test.run();
