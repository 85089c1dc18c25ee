import { suite } from "uvu";
import * as assert from "uvu/assert";
import { specialise } from "../../src/shader/specialise.ts";
import { fails } from "../support/error.ts";

const test = suite("shader loops unrolled");

/** A function body, unrolled, without white space. */
function unrolled(body: string, head = "", spec = {}): string {
  const { code } = specialise(`${head}\nfn f() {\n${body}\n}`, spec);
  return code.slice(code.indexOf("fn f() {") + 8, -1).replace(/\s+/g, "");
}

test("the body is repeated with the index as a literal of its type", () => {
  assert.is(
    unrolled("for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n a[i] = i; }"),
    "{a[0u]=0u;}{a[1u]=1u;}{a[2u]=2u;}",
  );
  assert.is(unrolled("for (var i: i32 = -1; i < 2; i += 2) { // @unroll\n g(i); }"), "{g(-1i);}{g(1i);}");
  assert.is(unrolled("for (var i = 1u; i < 3u; i++) { // @unroll, because\n g(i); }"), "{g(1u);}{g(2u);}");
  assert.is(unrolled("for (var i: u32 = 0u; i < 0u; i++) { // @unroll\n g(i); } h();"), "{}h();");
});

test("loops nest, bounds may use constants and outer indices", () => {
  const nested = `for (var i: u32 = 0u; i < N; i++) { // @unroll
    for (var j: u32 = i; j < N * 2u - 1u; j++) { // @unroll
      a[i] += j;
    }
  }`;
  const two = "{{a[0u]+=0u;}{a[0u]+=1u;}{a[0u]+=2u;}}{{a[1u]+=1u;}{a[1u]+=2u;}}";
  assert.is(unrolled(nested, "const N: u32 = 2u; // @spec 1 2"), two);
  assert.is(unrolled(nested, "const N: u32 = 2u; // @spec 1 2", { N: 1 }), "{{a[0u]+=0u;}}");
});

test("members, comments and other loops keep the name", () => {
  const body =
    "for (var i: u32 = 0u; i < 1u; i++) { // @unroll\n /* i */ p.i = i; ii = i; for (var k = i; k < i + 2u; k++) { continue; } }";
  assert.is(unrolled(body), "{/*i*/p.i=0u;ii=0u;for(vark=0u;k<0u+2u;k++){continue;}}");
  const plain = "for (var i = 0u; i < 9u; i++) { g(i); } // @unroll would need to stand at the loop's head\n";
  assert.is(unrolled("for (var i = 0u; i < 9u; i++) { g(i); }"), "for(vari=0u;i<9u;i++){g(i);}");
  assert.match(unrolled(plain), "for(vari=0u");
});

test("every line of the result knows the line it came from", () => {
  const text = [
    "fn f() {",
    "  for (var i: u32 = 0u; i < 2u; i++) { // @unroll",
    "    g(i);",
    "    h(i);",
    "  }",
    "  last();",
    "}",
  ];
  const { code, lines } = specialise(text.join("\n"));
  const rows = code.split("\n");
  assert.is(lines.length, rows.length);
  const from = (row: string): number[] => rows.flatMap((r, i) => (r.includes(row) ? [lines[i]!] : []));
  assert.equal([from("g("), from("h("), from("last")], [[3, 3], [4, 4], [6]]);
  assert.is(specialise(text.join("\n"), {}, false).code, text.join("\n"), "not asked for: nothing changes");
});

test("what cannot be unrolled is an error that says why", async () => {
  const bad: [string, RegExp][] = [
    ["for (var i: u32 = 0u; i < n; i++) { // @unroll\n }", /n is not a constant/],
    ["for (var i: u32 = 0u; i <= 3u; i++) { // @unroll\n }", /it must read/],
    ["for (var i: u32 = 3u; i > 0u; i--) { // @unroll\n }", /it must read/],
    ["for (var i: u32 = 0u; j < 3u; i++) { // @unroll\n }", /it must read/],
    ["for (; ; ) { // @unroll\n }", /it must read/],
    ["for (var i: f32 = 0.0; i < 3.0; i++) { // @unroll\n }", /u32 or i32/],
    ["for (var i: u32 = 0u; i < 3u; i += 0u) { // @unroll\n }", /step is 0/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n break; }", /`break` of its own/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n if (x) { continue; } }", /`continue` of its own/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n let i = 1u; }", /declares another i/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n i = 2u; }", /assigns i/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n i++; }", /assigns i/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n g(&i); }", /address of i/],
    ["for (var i: u32 = 0u; i < 5000u; i++) { // @unroll\n }", /more than 4096 copies/],
    ["for (var i: u32 = 0u; i < 3u; i++) { // @unroll\n", /not closed/],
  ];
  for (const [body, message] of bad) await fails(() => specialise(`fn f() {\n${body}`), "E_SHADER", message);
  const compared = "for (var i: u32 = 0u; i < 1u; i++) { // @unroll\n if (i == 2u || i >= 3u) { g(); } }";
  assert.match(unrolled(compared), "if(0u==2u||0u>=3u)");
});

test("a marked loop without constant bounds is refused at its line", async () => {
  const error = await fails(
    () => specialise("fn f() {\n\n  for (var i: u32 = 0u; i < n; i++) { // @unroll\n  }\n}"),
    "E_SHADER",
  );
  assert.is((error as { line?: number }).line, 3);
});

test.run();
