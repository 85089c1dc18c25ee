import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { documents, readResult, withTables } from "../../bench/readme.ts";
import { version } from "../../src/version.ts";

const readme = suite("README tables");
const text = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

readme("every number of the tables comes from the committed result files", () => {
  const now = text("README.md");
  assert.match(now, /<!-- table: main -->\n\n\|/);
  for (const name of documents) {
    const document = text(name);
    assert.is(withTables(document, readResult), document, name);
  }
});

readme("the version is that of package.json", () => {
  assert.is(version, JSON.parse(text("package.json")).version);
});

readme.run();
