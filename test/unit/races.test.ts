import { suite } from "uvu";
import * as assert from "uvu/assert";
import { detectRaces } from "wgsl_reflect/wgsl_reflect.module.js";
import { packParams } from "../../src/shader/params.ts";
import { type KernelName, sources } from "../../src/shader/sources.gen.ts";
import { specialise } from "../../src/shader/specialise.ts";

const test = suite("races");

/**
 * The detector of wgsl_reflect 1.6 steps a workgroup's threads together and reports accesses that no barrier orders. Of the kernels
 * with workgroup memory it can run these: in others it gives a function that they call the arguments of one thread for all, and it
 * knows no subgroups. Those are checked by results that are the same in every run.
 */
interface Case {
  readonly kernel: KernelName;
  readonly spec?: Readonly<Record<string, number>>;
  /** In place of overrides: arrays are sized by literals only. */
  readonly constants?: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, number | readonly number[]>>;
  readonly memory: Readonly<Record<string, Float32Array | Uint32Array>>;
  /** What the kernel leaves in one of its buffers, so that it is known to have run. */
  readonly result: readonly [string, readonly number[]];
}

const eight = (...values: number[]): number[] => [...values, ...new Array<number>(8 - values.length).fill(1)];

const cases: readonly Case[] = [
  {
    kernel: "layout/transpose-tiled",
    spec: { RANK: 2 },
    params: {
      count: 1,
      from_base: 0,
      to_base: 0,
      shape: eight(3, 2),
      from_steps: eight(2, 1),
      to_steps: eight(1, 3),
    },
    memory: { source: Uint32Array.from([1, 2, 3, 4, 5, 6]), dest: new Uint32Array(6) },
    result: ["dest", [1, 3, 5, 2, 4, 6]],
  },
  {
    kernel: "reduce/matrix-rank",
    constants: { WG_SIZE: "4u" },
    params: { matrices: 1, rows: 2, cols: 3 },
    memory: {
      x: new Uint32Array(Float32Array.from([1, 2, 0, 2, 4, 1]).buffer),
      work: new Float32Array(6),
      norms: new Float32Array(3),
      y: new Uint32Array(1),
    },
    result: ["y", [...new Uint32Array(Float32Array.of(2).buffer)]],
  },
];

function races({ kernel, spec, constants = {}, params, memory }: Case, edit = (code: string) => code) {
  const source = sources[kernel];
  let code = specialise(source.code, spec).code;
  for (const [name, value] of Object.entries(constants))
    code = code
      .replace(new RegExp(`override ${name}\\b[^;]*;`), "")
      .replace(new RegExp(`\\b${name}\\b`, "g"), value);
  const group: Record<number, unknown> = {};
  for (const [name, { binding, kind }] of Object.entries(source.bindings))
    group[binding] =
      kind === "uniform" ? { uniform: packParams(kernel, source.uniform, params) } : memory[name];
  return detectRaces(edit(code), "main", [1, 1, 1], { 0: group });
}

for (const c of cases) {
  test(`${c.kernel}: no two threads meet in memory between barriers`, () => {
    const found = races(c);
    assert.equal(found.errors, []);
    assert.equal(
      found.races.map((r) => r.message),
      [],
    );
    const [name, expected] = c.result;
    assert.equal([...c.memory[name]!], [...expected], "it ran");
    const without = races(c, (code) => code.replaceAll("workgroupBarrier();", ""));
    assert.ok(without.races.length > 0, "without its barriers they do");
  });
}

test.run();
