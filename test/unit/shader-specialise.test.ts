import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { specialise, workgroupSize } from "../../src/shader/specialise.ts";
import { evaluate, tokenise } from "../../src/shader/tokens.ts";
import { fails } from "../support/error.ts";
import { shaderFrom } from "../support/shader.ts";

const test = suite("shader tokens and specialisation");

test("tokens joined give the text back, with right lines", () => {
  const text =
    "// a\nconst X: u32 = 0x1Fu; /* two\nlines */ let y = .5f + 1e-3 - 2.h; // end\r\n@a(b)\u00e9 x+=1<<2;";
  const tokens = tokenise(text);
  assert.is(tokens.map((t) => t.text).join(""), text);
  const lineOf = (word: string): number | undefined => tokens.find((t) => t.text === word)?.line;
  assert.equal([lineOf("const"), lineOf("let"), lineOf("a")], [2, 3, 4]);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (any) => {
      assert.is(
        tokenise(any)
          .map((t) => t.text)
          .join(""),
        any,
      );
    }),
  );
});

test("constant expressions are evaluated as WGSL would", async () => {
  const names = new Map<string, string | number>([
    ["A", "3u"],
    ["B", "A * 2u"],
    ["C", 5],
    ["R", "R + 1u"],
    ["T", "true"],
  ]);
  const value = (text: string): number => evaluate(text, (name) => names.get(name));
  const cases: [string, number][] = [
    ["1", 1],
    ["2u + 3u * 4u", 14],
    ["(2u + 3u) * 4u", 20],
    ["7 / 2", 3],
    ["-7 / 2", -3],
    ["7 % 4", 3],
    ["B + C", 11],
    ["1u << 4u", 16],
    ["64u >> 2u", 16],
    ["max(A, C)", 5],
    ["min(A, C, )", 3],
    ["0x1F", 31],
    ["0x10u", 16],
    ["- -3", 3],
    ["u32(A)", 3],
    ["T", 1],
    ["10 - 3 - 2", 5],
  ];
  for (const [text, expected] of cases) assert.is(value(text), expected, text);
  for (const bad of [
    "",
    "1 +",
    "(1",
    "1)",
    "D",
    "R",
    "1 / 0",
    "foo(1)",
    "a.b",
    "1 2",
    "[1]",
    "constructor",
  ]) {
    await fails(() => value(bad), "E_SHADER", /not a constant integer expression/);
  }
});

const TEXT = `// test: t
const TM: u32 = 4u; // @spec 2 4 8
const EPS: f32 = 1e-5; // @spec 1e-5 0.001
const FLAG: bool = false; // @spec false true
const PLAIN: u32 = 4u;
alias Elem = f32; // @spec f32 f16
override WG: u32 = 8;
override HALF: u32 = WG / 2u;
@group(0) @binding(0) var<storage, read_write> y: array<Elem>;
@compute @workgroup_size(WG * TM, max(HALF, 1u))
fn main() { const TM2 = TM; y[0] = Elem(TM2); }
`;

test("only the literal changes, its suffix stays", () => {
  const { code, lines } = specialise(TEXT, { TM: 8, EPS: 0.001, FLAG: 1 });
  const changed = code.split("\n").filter((line, i) => line !== TEXT.split("\n")[i]);
  assert.equal(changed, [
    "const TM: u32 = 8u; // @spec 2 4 8",
    "const EPS: f32 = 0.001; // @spec 1e-5 0.001",
    "const FLAG: bool = true; // @spec false true",
  ]);
  assert.equal(
    lines,
    TEXT.split("\n").map((_, i) => i + 1),
  );
  assert.is(specialise(TEXT).code, TEXT, "without values nothing changes");
});

test("an alias that becomes f16 enables it, once, on the first line", () => {
  const half = specialise(TEXT, { Elem: "f16" }).code;
  assert.ok(half.startsWith("enable f16; // test: t\n"));
  assert.match(half, "alias Elem = f16; //");
  assert.is(half.split("\n").length, TEXT.split("\n").length);
  const already = specialise(`enable f16;\n${TEXT}`, { Elem: "f16" }).code;
  assert.is(already.split("enable f16").length, 2);
});

test("values outside the mark and names without one are refused", async () => {
  await fails(() => specialise(TEXT, { TM: 3 }), "E_SHADER", /TM = 3 .*2, 4, 8/);
  await fails(() => specialise(TEXT, { TM: "4u); evil(" }), "E_SHADER");
  await fails(() => specialise(TEXT, { PLAIN: 4 }), "E_SHADER", /PLAIN/);
  await fails(() => specialise(TEXT, { TM2: 4 }), "E_SHADER", /TM2/);
  await fails(() => specialise(TEXT, { Elem: "u32" }), "E_SHADER", /Elem/);
});

test("workgroup sizes follow overrides and specialised constants", async () => {
  const { source } = shaderFrom("size", TEXT);
  assert.equal(workgroupSize(source, "main"), [32, 4, 1]);
  assert.equal(workgroupSize(source, "main", { TM: 2 }), [16, 4, 1]);
  assert.equal(workgroupSize(source, "main", { TM: "8" }, { WG: 1 }), [8, 1, 1]);
  assert.equal(workgroupSize(source, "main", {}, { HALF: 16 }), [32, 16, 1]);
  await fails(() => workgroupSize(source, "other"), "E_SHADER", /other/);
});

test.run();
