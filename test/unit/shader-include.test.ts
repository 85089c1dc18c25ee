import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compose } from "../../src/shader/include.ts";
import { locate } from "../../src/shader/source.ts";
import { fails } from "../support/error.ts";

const test = suite("shader includes");

function composed(files: Readonly<Record<string, string>>, path = "main.wgsl"): ReturnType<typeof compose> {
  const map = new Map(Object.entries(files));
  return compose(path, "shaders/", (p) => map.get(p));
}

test("each file comes in once, where it is first asked for", () => {
  const { code, files } = composed({
    "main.wgsl": '// main\n// @include "lib/a.wgsl"\n// @include "lib/b.wgsl"\nlast\n',
    "lib/a.wgsl": '// @include "lib/b.wgsl"\na1\na2\n',
    "lib/b.wgsl": "b1\n",
  });
  assert.is(code, "// main\nb1\na1\na2\nlast\n");
  assert.equal(files, ["shaders/main.wgsl", "shaders/lib/a.wgsl", "shaders/lib/b.wgsl"]);
});

test("every composed line knows its file and line", () => {
  const result = composed({
    "main.wgsl": 'm1\n// @include "lib/a.wgsl"\nm3\n// @include "lib/a.wgsl"\nm5\n',
    "lib/a.wgsl": 'a1\n// @include "lib/b.wgsl"\na3\n',
    "lib/b.wgsl": "b1\nb2",
  });
  const lines = result.code.trimEnd().split("\n");
  assert.equal(lines, ["m1", "a1", "b1", "b2", "a3", "m3", "m5"]);
  const places = lines.map((_, i) => locate(result, i + 1).replace("shaders/", ""));
  const expected = [
    "main.wgsl:1",
    "lib/a.wgsl:1",
    "lib/b.wgsl:1",
    "lib/b.wgsl:2",
    "lib/a.wgsl:3",
    "main.wgsl:3",
    "main.wgsl:5",
  ];
  assert.equal(places, expected);
});

test("cycles, missing files and malformed lines are errors with file and line", async () => {
  const loop = {
    "main.wgsl": '\n// @include "a.wgsl"\n',
    "a.wgsl": '// @include "b.wgsl"\n',
    "b.wgsl": '\n\n// @include "a.wgsl"\n',
  };
  await fails(
    () => composed(loop),
    "E_SHADER",
    /shaders\/b\.wgsl:3: .*main\.wgsl -> a\.wgsl -> b\.wgsl -> a\.wgsl/,
  );
  await fails(
    () => composed({ "main.wgsl": '// @include "main.wgsl"' }),
    "E_SHADER",
    /main\.wgsl:1: .*circle/,
  );
  await fails(
    () => composed({ "main.wgsl": 'x\n// @include "no.wgsl"' }),
    "E_SHADER",
    /main\.wgsl:2: .*no\.wgsl/,
  );
  for (const bad of [
    "// @include lib/a.wgsl",
    '// @include "a.txt"',
    "// @include",
    '// @include "a.wgsl" // why',
    '// @include "a b.wgsl"',
  ]) {
    await fails(
      () => composed({ "main.wgsl": bad }),
      "E_SHADER",
      /main\.wgsl:1: @include takes one quoted path/,
    );
  }
});

test("a comment that only mentions the word is no include", () => {
  assert.is(
    composed({ "main.wgsl": "// see @include\n//@includes\n" }).code,
    "// see @include\n//@includes\n",
  );
});

test.run();
